"""From matches to hits: line numbers, columns, snippets, and what the lines belong to."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from ..index.shard import IS_ASCII, KINDS
from .hit import Hit
from .matches import Match
from .query import TextQuery
from .searchable import Searchable

MOST_SNIPPET_CHARACTERS = 2000
_NAMED = 3  # the first kinds are those of definitions: function, class, method


def hits_of(shard: Searchable, repo: str, found: list[Match], query: TextQuery) -> list[Hit]:
    """Hits of matches in content order; what several share, a chunk, a file or a symbol, is looked up once."""
    if not found:
        return []
    content, paths = shard.content, shard.paths
    spans = query.regex or "\n" in query.pattern  # a match may have several lines
    at = np.searchsorted(shard.chunk_start, np.array([match[0] for match in found], np.uint64), "right") - 1
    columns = (at, shard.chunk_start[at], shard.chunk_line[at], shard.chunk_file[at], shard.chunk_kind[at], shard.chunk_cell[at])
    hits: list[Hit] = []
    chunk = file = -1
    counted = line = until_line = lines_before = 0
    path = language = revision = symbol = kind = ""
    cell: int | None = None
    ascii_only = named = False
    for (line_start, line_end, start, in_all), its_chunk, chunk_start, chunk_line, its_file, its_kind, its_cell in zip(found, *(column.tolist() for column in columns), strict=True):
        if its_chunk != chunk:
            chunk, counted, line = its_chunk, chunk_start, chunk_line
            if its_file != file:
                file, until_line = its_file, 0
                lines_before = int(shard.lines_before[file])
                path, language, revision, ascii_only = paths[file], shard.language(file), shard.revision(file), bool(shard.file_flags[file] & IS_ASCII)
            cell = None if its_cell < 0 else its_cell
            if named and its_kind >= _NAMED:
                until_line = 0
            named = its_kind < _NAMED
            if not named:
                symbol, kind = shard.label(chunk), KINDS[its_kind]
        if in_all:
            line, counted = in_all - lines_before, line_start
        elif line_start != counted:
            line += content[counted:line_start].count(b"\n")
            counted = line_start
        if named and line >= until_line:  # a chunk may hold several definitions: name the one around the line
            symbol, kind, until_line = shard.symbol_around(file, line)
            kind = kind or ("module" if cell is None else "cell")
        text = content[line_start:line_end]
        last_line = line + text.count(b"\n") if spans else line
        shown = text.decode("ascii") if ascii_only else _text(text)
        column = start - line_start + 1 if ascii_only else len(_text(content[line_start:start])) + 1
        above = 0
        if query.context:
            shown, above = _snippet(shard, file, line_start, line_end, query.context)
        elif len(shown) > MOST_SNIPPET_CHARACTERS or shown[-1:] == "\r":
            shown = shown.rstrip("\r")[:MOST_SNIPPET_CHARACTERS]
        score = 2.0 if query.rank and shard.defines(file, line) else 1.0
        hits.append(Hit(repo, path, line, last_line, score, shown, line - above, language, kind, column, symbol, cell, revision))
    return hits


def ranked(hits: list[Hit]) -> list[Hit]:
    """Lines that define a symbol first, then files with many matches; a hit's score says how far up it belongs."""
    in_file = Counter((hit.repo, hit.path) for hit in hits)
    scored = [msgspec.structs.replace(hit, score=hit.score + in_file[hit.repo, hit.path] / (10 + in_file[hit.repo, hit.path])) for hit in hits]
    return sorted(scored, key=lambda hit: -hit.score)


def _snippet(shard: Searchable, file: int, start: int, stop: int, context: int) -> tuple[str, int]:
    """The matched lines with context, and how many lines of it stand above."""
    content = shard.content
    first, end = int(shard.file_start[file]), int(shard.file_start[file + 1])
    above = 0
    for _ in range(context):
        if start <= first:
            break
        start = max(first, content.rfind(b"\n", first, start - 1) + 1)
        above += 1
    for _ in range(context):
        if stop + 1 >= end:
            break
        stop = content.find(b"\n", stop + 1, end)
    return _text(content[start:stop])[: MOST_SNIPPET_CHARACTERS * (1 + 2 * context)].rstrip("\r"), above


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
