"""Cells that only search with this tool: they hold the words of a query, never the answer."""

from __future__ import annotations

import re

from ...index.shard.shard import KINDS, Shard

_CELL = KINDS.index("cell")
_MAGICS = r"(?:textsearch|semsearch|symbol|paths|codesql|codemap|codeindex|scope)\b"
_CELL_MAGIC = re.compile(rf"\s*%%{_MAGICS}")
_SEARCH = re.compile(
    rf"\s*(?:[\w, ]+=\s*)?(?:%{_MAGICS}"
    r"|\w+\.(?:semantic_search|search_text|search_symbols|list_paths)\()"
)
# what stands beside a search: loading this tool, showing a result, a comment
_BESIDE = re.compile(
    r"\s*(?:%(?:load|reload)_ext\s+codeintel_nb\b|(?:import|from)\s+codeintel_nb\b"
    r"|\w+\s*=\s*(?:\w+\.)*Workspace\.(?:open|current)\(|\w+(?:\.\w+|\[\d+\])*\s*$|#)"
)


def only_searches(shard: Shard, chunk: int) -> bool:
    """Whether a chunk is of a notebook cell with nothing but searches."""
    if shard.chunk_kind[chunk] != _CELL:
        return False
    lines = [line for line in shard.text(chunk).split("\n") if line.strip()]
    if lines and _CELL_MAGIC.match(lines[0]):
        return True
    return any(_SEARCH.match(line) for line in lines) and all(
        _SEARCH.match(line) or _BESIDE.match(line) for line in lines
    )
