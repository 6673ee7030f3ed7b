"""Markdown: a chunk a section, long sections split at blank lines."""

from __future__ import annotations

import re

from .chunk import MAX_CHUNK_CHARACTERS, Chunk, decoded
from .chunker import join_short

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")


def chunk_by_headings(content: bytes) -> list[Chunk]:
    """Chunks named by their headings: ``Install > From source``."""
    lines = decoded(content).split("\n")[:-1]
    if not lines:
        return []
    chunks: list[Chunk] = []
    trail: list[tuple[int, str]] = []
    begin, fence = 0, ""
    for row, line in enumerate(lines):
        if mark := _FENCE.match(line):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        heading = None if fence else _HEADING.match(line)
        if heading is None:
            continue
        chunks += _section(lines, begin, row, trail)
        begin = row
        level = len(heading[1])
        trail = [t for t in trail if t[0] < level] + [(level, heading[2])]
    return chunks + _section(lines, begin, len(lines), trail)


def _section(lines: list[str], begin: int, end: int, trail: list[tuple[int, str]]) -> list[Chunk]:
    """Rows ``begin`` to ``end`` (not included), split at blank lines where they are long."""
    if begin == end:
        return []
    starts = [begin] + [row + 1 for row in range(begin, end - 1) if not lines[row].strip()]
    sizes = [sum(len(line) + 1 for line in lines[a:b]) for a, b in zip(starts, [*starts[1:], end], strict=True)]
    name = " > ".join(text for _, text in trail)[:200]
    rows = join_short(starts, sizes, MAX_CHUNK_CHARACTERS)
    return [Chunk(a + 1, b, "markdown", name) for a, b in zip(rows, [*rows[1:], end], strict=True)]
