"""Chunkers of source text: by syntax, or else by lines.

The chunks tile the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .chunk import MAX_CHUNK_CHARACTERS, Chunk, Symbol, line_ends
from .languages.syntax import Syntax, leads, parse

MAX_DEPTH = 60  # of recursion into the tree; deeper nodes are cut by lines


def chunk_by_syntax(content: bytes, language: str) -> tuple[list[Chunk], list[Symbol]] | None:
    """Return chunks by syntax, and definitions; None without a grammar.

    Definitions, with their leading comments and attributes, stay whole up to about
    MAX_CHUNK_CHARACTERS. Longer ones are cut between their statements; shorter neighbours are
    joined.
    """
    syntax = parse(content, language)
    if syntax is None:
        return None
    lines = _Lines(content)
    if lines.count == 0:
        return [], []
    starts = _starts(syntax.root, 0, lines.count, lines, 0, language, syntax)
    sizes = [lines.size(a, b) for a, b in zip(starts, [*starts[1:], lines.count], strict=True)]
    rows = join_short(starts, sizes, MAX_CHUNK_CHARACTERS)
    return _labelled(rows, lines.count, syntax.symbols), syntax.symbols


def chunk_by_lines(content: bytes, kind: str) -> list[Chunk]:
    """Return chunks of whole lines, each of up to about MAX_CHUNK_CHARACTERS."""
    lines = _Lines(content)
    if lines.count == 0:
        return []
    starts = list(range(lines.count))
    rows = join_short(starts, lines.sizes, MAX_CHUNK_CHARACTERS)
    return [Chunk(a + 1, b, kind) for a, b in zip(rows, [*rows[1:], lines.count], strict=True)]


def join_short(starts: Sequence[int], sizes: Sequence[int], most: int) -> list[int]:
    """Return the starts after joining neighbours up to size ``most``."""
    chunk_starts: list[int] = []
    total = most + 1
    for start, size in zip(starts, sizes, strict=True):
        if total + size > most:
            chunk_starts.append(start)
            total = size
        else:
            total += size
    return chunk_starts


class _Lines:
    """Byte sizes of lines and their runs, by 0-based rows."""

    def __init__(self, content: bytes) -> None:
        self._ends = line_ends(content)
        self.count = len(self._ends) - 1

    @property
    def sizes(self) -> list[int]:
        return [end - begin for begin, end in pairwise(self._ends)]

    def size(self, first: int, end: int) -> int:
        return self._ends[end] - self._ends[first]


def _starts(
    node: Any, first: int, end: int, lines: _Lines, depth: int, language: str, syntax: Syntax
) -> list[int]:
    """Return the pieces' first rows between ``first`` and ``end`` (exclusive).

    ``node`` covers these rows.
    """
    if lines.size(first, end) <= MAX_CHUNK_CHARACTERS or end - first < 2:
        return [first]
    if depth > MAX_DEPTH:
        return list(range(first, end))
    comment_starts = syntax.leading
    parts: list[tuple[int, Any]] = [(first, None)]
    leading: int | None = None  # first row of the next node's leading comments and attributes
    for child in node.children:
        row = child.start_point[0]
        if leads(child.type, language):
            if leading is None or (parts and row <= parts[-1][0]):
                leading = row
            continue
        start = row if leading is None else leading
        leading = None
        if start - 1 in comment_starts:  # the grammar made this comment a part of the node above
            while (above := comment_starts.get(start - 1, first)) > max(first, parts[-1][0]):
                start = above
        if start >= end:
            break
        if start > parts[-1][0]:
            parts.append((start, child))
        elif start == parts[-1][0] and (parts[-1][1] is None or _larger(child, parts[-1][1])):
            parts[-1] = (start, child)
    if leading is not None and parts[-1][0] < leading < end:
        parts.append((leading, None))
    out: list[int] = []
    for i, (start, child) in enumerate(parts):
        stop = parts[i + 1][0] if i + 1 < len(parts) else end
        if stop - start < 2 or lines.size(start, stop) <= MAX_CHUNK_CHARACTERS:
            out.append(start)
        elif (
            child is not None
            and (child.child_count or child.id in syntax.inner)
            and (
                len(parts) > 1
                or child.end_byte - child.start_byte < node.end_byte - node.start_byte
                or child.type != node.type
            )
        ):
            out += _starts(
                syntax.inner.get(child.id, child), start, stop, lines, depth + 1, language, syntax
            )
        else:
            out += range(start, stop)
    return out


def _larger(node: Any, other: Any) -> bool:
    return bool(node.end_byte - node.start_byte > other.end_byte - other.start_byte)


def _labelled(rows: list[int], count: int, symbols: list[Symbol]) -> list[Chunk]:
    """Make chunks of rows, each named after a definition.

    A chunk's name is that of the first definition that begins in it, else of the innermost one
    around it.
    """
    # ascending: symbols are in the tree's order, top to bottom
    begins = [symbol.start_line for symbol in symbols]
    chunks = []
    for first, end in zip(rows, [*rows[1:], count], strict=True):
        at = bisect_right(begins, first)
        inside = symbols[at] if at < len(symbols) and symbols[at].start_line <= end else None
        definition = inside or next(
            (s for s in reversed(symbols[:at][-200:]) if s.end_line > first), None
        )
        if definition is None:
            chunks.append(Chunk(first + 1, end, "module"))
        else:
            chunks.append(
                Chunk(
                    first + 1,
                    end,
                    definition.kind,
                    f"{definition.container}.{definition.name}"
                    if definition.container
                    else definition.name,
                )
            )
    return chunks
