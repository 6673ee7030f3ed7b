"""Cells that only search with this tool: they hold the words of a query, never the answer."""

from __future__ import annotations

import re

from ...index.shard.shard import KINDS, Shard

_CELL = KINDS.index("cell")
_SEARCH = re.compile(
    r"\s*(?:[\w, ]+=\s*)?(?:"
    r"%%?(?:textsearch|semsearch|symbol|paths|codesql|codemap|codeindex|scope)\b"
    r"|%(?:load|reload)_ext\s+codeintel_nb\b"
    r"|(?:import|from)\s+codeintel_nb\b"
    r"|\w+\.(?:semantic_search|search_text|search_symbols|symbols|list_paths|sql)\("
    r"|(?:[\w.]*\.)?Workspace\.(?:open|current)\(|\w+(?:\.hits|\[\d+\])?\s*$|#)"
)


def only_searches(shard: Shard, chunk: int) -> bool:
    """Whether a chunk is of a notebook cell with nothing but searches."""
    if shard.chunk_kind[chunk] != _CELL:
        return False
    lines = [line for line in shard.text(chunk).split("\n") if line.strip()]
    return bool(lines) and all(_SEARCH.match(line) for line in lines)
