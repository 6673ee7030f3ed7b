"""Conversion of matches to hits: lines, columns, snippets and symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat

import msgspec
import numpy as np

from ...index.shard.arrays import Array
from ...index.shard.id_lists import Ids
from ...index.shard.shard import KINDS
from ..cells import cell_lines
from ..hit import Hit
from ..query import TextQuery
from .matches import Match
from .pattern import compile_pattern
from .searchable import Searchable

MAX_SNIPPET_CHARACTERS = 2000
_MAX_BYTES = 4 * MAX_SNIPPET_CHARACTERS + 4  # enough for them in UTF-8
_NAMED = 3  # the first kinds are definitions: function, class, method
_MODULE, _CELL = KINDS.index("module"), KINDS.index("cell")


def hits_of(shard: Searchable, repo: str, found: list[Match], query: TextQuery) -> list[Hit]:
    """Return the hits of matches in content order.

    Builds them column by column, as there may be 100,000.
    """
    if not found:
        return []
    line_starts, line_ends, starts, numbers = zip(*found, strict=True)
    chunks = shard.chunk_start.searchsorted(np.array(line_starts, np.uint64), "right") - 1
    files = shard.chunk_file[chunks].astype(np.int64)
    distinct, which = np.unique(files, return_inverse=True)
    paths, revisions = (
        _picked([of(file) for file in distinct.tolist()], which)
        for of in (shard.paths.__getitem__, shard.revision)
    )
    languages = _picked(shard.languages, shard.chunk_language[chunks])
    lines = _lines(shard, chunks, files, line_starts, numbers)
    last_lines = first_lines = lines
    in_cells = shard.chunk_cell[chunks]
    cells: Iterable[int | None] = repeat(None)
    lines_in_cells: Iterable[int | None] = repeat(None)
    if not (in_cells < 0).all():
        cells = [None if cell < 0 else cell for cell in in_cells.tolist()]
        lines_in_cells = cell_lines(shard, chunks.tolist(), lines)
    symbols, kinds = _symbols(shard, chunks, files, lines, in_cells)
    snippets, columns = _texts(shard, line_starts, line_ends, starts)
    scores = _scores(shard, files, lines) if query.rank else repeat(1.0)
    if compile_pattern(query).multiline:
        last_lines = [
            line + shard.view.count(b"\n", begin, end)
            for line, begin, end in zip(lines, line_starts, line_ends, strict=True)
        ]
    if query.context:
        shown = [
            _snippet(shard, *match, query.context)
            for match in zip(files.tolist(), line_starts, line_ends, strict=True)
        ]
        snippets = [snippet for snippet, _ in shown]
        first_lines = [line - above for line, (_, above) in zip(lines, shown, strict=True)]
    values = (
        repeat(repo), paths, lines, last_lines, scores, snippets, first_lines, languages, kinds,
        columns, symbols, cells, revisions, repeat(""), repeat(""), lines_in_cells,
    )  # fmt: skip
    return list(map(Hit, *values))


def _scores(shard: Searchable, files: Ids, lines: Sequence[int]) -> Iterable[float]:
    """Return 2 for each line with a definition, else 1."""
    places = zip(files.tolist(), lines, strict=True)
    return [2.0 if shard.defines(*place) else 1.0 for place in places]


def _picked(values: Sequence[str], which: Ids) -> list[str]:
    """Return the value at each position."""
    picked: list[str] = np.array(values, object)[which].tolist()
    return picked


def _lines(
    shard: Searchable, chunks: Ids, files: Ids, line_starts: Sequence[int], numbers: Sequence[int]
) -> list[int]:
    """Return each line's number in its file.

    An unknown number is counted from the start of its chunk, or from the previous match.
    """
    if all(numbers):
        file_lines: list[int] = (np.array(numbers) - shard.lines_before[files]).tolist()
        return file_lines
    count, counted, line, lines = shard.view.count, -1, 0, list[int]()
    columns = (
        numbers,
        shard.lines_before[files].tolist(),
        shard.chunk_start[chunks].tolist(),
        shard.chunk_line[chunks].tolist(),
    )
    for line_start, number, lines_before, chunk_start, chunk_line in zip(
        line_starts, *columns, strict=True
    ):
        if number:
            line, counted = number - lines_before, line_start
        else:
            if chunk_start > counted:
                counted, line = chunk_start, chunk_line
            if line_start != counted:
                line += count(b"\n", counted, line_start)
                counted = line_start
        lines.append(line)
    return lines


def _symbols(
    shard: Searchable, chunks: Ids, files: Ids, lines: list[int], cells: Array
) -> tuple[list[str], list[str]]:
    """Return each line's symbol and its kind.

    Of several definitions in a chunk, the innermost one around the line counts.
    """
    own = shard.chunk_kind[chunks]
    named = own < _NAMED
    around = np.where(named, shard.definitions_around(files, np.array(lines)), -1)
    kinds = np.where(cells < 0, _MODULE, _CELL)
    kinds[around >= 0] = shard.symbol_kind[around[around >= 0]]
    kinds[~named] = own[~named]
    numbers, which = np.unique(around, return_inverse=True)
    symbols = _picked(shard.symbol_labels(numbers), which)
    by_chunk = chunks[~named].tolist()
    of_chunk = {chunk: shard.label(chunk) for chunk in set(by_chunk)}
    for i, chunk in zip(np.flatnonzero(~named).tolist(), by_chunk, strict=True):
        symbols[i] = of_chunk[chunk]
    return symbols, _picked(KINDS, kinds)


def _texts(
    shard: Searchable, line_starts: Sequence[int], line_ends: Sequence[int], starts: Sequence[int]
) -> tuple[list[str], list[int]]:
    """Return truncated lines, and the matches' columns in characters."""
    content = shard.content
    texts = [
        content[begin : end if end - begin < _MAX_BYTES else begin + _MAX_BYTES]
        for begin, end in zip(line_starts, line_ends, strict=True)
    ]
    together = b"\0".join(texts)
    shown = _text(together).split("\0")
    if len(shown) > len(texts):  # a notebook's text may contain NUL
        shown = [_text(text) for text in texts]
    longest = len(max(texts, key=len))
    if longest > MAX_SNIPPET_CHARACTERS or b"\r" in together:
        shown = [text.rstrip("\r")[:MAX_SNIPPET_CHARACTERS] for text in shown]
    columns = [start - begin + 1 for begin, start in zip(line_starts, starts, strict=True)]
    if longest == _MAX_BYTES or not together.isascii():
        before = [content[begin:start] for begin, start in zip(line_starts, starts, strict=True)]
        columns = [
            column if text.isascii() else len(_text(text)) + 1
            for text, column in zip(before, columns, strict=True)
        ]
    return shown, columns


def ranked(hits: list[Hit]) -> list[Hit]:
    """Rescore and sort hits: definitions, then files with many matches."""
    in_file = Counter((hit.repo, hit.path) for hit in hits)
    scored = [
        msgspec.structs.replace(
            hit, score=hit.score + in_file[hit.repo, hit.path] / (10 + in_file[hit.repo, hit.path])
        )
        for hit in hits
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def _snippet(shard: Searchable, file: int, start: int, stop: int, context: int) -> tuple[str, int]:
    """Return the lines with context, and how many are above."""
    content = shard.content
    first, end = int(shard.file_start[file]), int(shard.file_start[file + 1])
    above = 0
    for _ in range(context):
        if start <= first:
            break
        start = max(first, shard.view.rfind(b"\n", first, start - 1) + 1)
        above += 1
    for _ in range(context):
        if stop + 1 >= end:
            break
        stop = shard.view.find(b"\n", stop + 1, end)
    return _text(content[start:stop])[: MAX_SNIPPET_CHARACTERS * (1 + 2 * context)].rstrip(
        "\r"
    ), above


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
