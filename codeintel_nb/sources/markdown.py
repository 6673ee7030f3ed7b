"""Markdown chunks, cut at headings; long ones at blank lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .chunk import MAX_CHUNK_CHARACTERS, Chunk, decoded
from .chunker import join_short

MAX_NAME = 200  # characters of a section's name
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t\r]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t\r]*$")
_ATTRIBUTES = re.compile(r"[ \t]*\{[ \t]*[#.:-][^{}]*\}$")  # Pandoc's: {#sec-load .unnumbered}
_FENCE = re.compile(r" {0,3}(?:(`{3,})[^`]*|(~{3,}).*)$")
_BREAK = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})\r?$")
_NO_PARAGRAPH = re.compile(r"    | {0,3}(?:\t|>|[-+*](?:[ \t\r]|$)|\d{1,9}[.)](?:[ \t\r]|$))")
_LIST_ITEM = re.compile(r" {0,3}(?:[-+*]|\d{1,9}[.)])(?:[ \t\r]|$)")
_BLOCK_NAMES = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|"
    "dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|"
    "hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|"
    "search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul"
)
# start and end of blocks without headings: HTML blocks (CommonMark 4.6), display mathematics
_BLOCKS = tuple(
    (re.compile(start, re.I), re.compile(end, re.I))
    for start, end in (
        (r" {0,3}<(?:script|pre|style|textarea)(?:\s|>|$)", r"</(?:script|pre|style|textarea)>"),
        (r" {0,3}<!--", r"-->"),
        (r" {0,3}<\?", r"\?>"),
        (r" {0,3}<![A-Z]", r">"),
        (r" {0,3}<!\[CDATA\[", r"\]\]>"),
        (rf" {{0,3}}</?(?:{_BLOCK_NAMES})(?:\s|/?>|$)", r"^\s*$"),
        (r" {0,3}\$\$(?!.*\$\$)", r"\$\$"),
        (r" {0,3}\\begin\{", r"\\end\{"),
    )
)
_MATHEMATICS = frozenset(end for _, end in _BLOCKS[-2:])
_DEFINITION = re.compile(r" {0,3}\[[^\]]+\]:")  # of a link reference
_ANY_TAG = re.compile(r" {0,3}<(?:[A-Za-z][\w-]*(?:\s+[^<>]*)?/?|/[A-Za-z][\w-]*\s*)>\s*$")
_BLANK = re.compile(r"^\s*$")


class Heading(NamedTuple):
    """A heading; rows count from 0, ``end`` is exclusive."""

    row: int
    end: int
    level: int
    text: str


class Headings:
    """A path of headings, down to the current one."""

    def __init__(self) -> None:
        self._trail: list[Heading] = []

    def enter(self, heading: Heading) -> None:
        self._trail = [above for above in self._trail if above.level < heading.level] + [heading]

    @property
    def name(self) -> str:
        """Return the path, as ``Install > From source``."""
        return " > ".join(heading.text for heading in self._trail if heading.text)[:MAX_NAME]


def chunk_by_headings(content: bytes, headings: Headings | None = None) -> list[Chunk]:
    """Cut Markdown into chunks named by headings: ``Install > Linux``.

    ``headings`` is the path above the text, updated in place.
    """
    lines = decoded(content).split("\n")[:-1]
    if not lines:
        return []
    trail = Headings() if headings is None else headings
    chunks, begin = list[Chunk](), 0
    for heading in headings_of(lines):
        chunks += _section(lines, begin, heading.row, trail.name)
        begin = heading.row
        trail.enter(heading)
    return chunks + _section(lines, begin, len(lines), trail.name)


def front_matter_rows(lines: Sequence[str]) -> int:
    """Return the number of front matter rows, delimiters included."""
    mark = lines[0].rstrip() if lines else ""
    if mark not in ("---", "+++") or len(lines) < 2 or not lines[1].strip():
        return 0
    ends = ("---", "...") if mark == "---" else ("+++",)
    return next((row + 1 for row, line in enumerate(lines) if row and line.rstrip() in ends), 0)


def headings_of(lines: Sequence[str]) -> Iterator[Heading]:
    """Yield ATX and setext headings."""
    end: re.Pattern[str] | None = None  # of the open block
    paragraph: int | None = None  # its first row
    in_list = False
    last_rows = dict[re.Pattern[str], int]()
    top = front_matter_rows(lines)
    for row, line in enumerate(lines[top:], top):
        if end is not None:
            if end.search(line):
                end = None
            continue
        if not line.strip():
            paragraph = None
            continue
        if paragraph is not None and (mark := _UNDERLINE.match(line)):
            text = " ".join(part.strip() for part in lines[paragraph:row])
            yield Heading(paragraph, row + 1, 1 if mark[1][0] == "=" else 2, _title(text))
            paragraph = None
        elif (mark := _ATX.match(line)) is not None:
            yield Heading(row, row + 1, len(mark[1]), _title(mark[2] or ""))
            paragraph, in_list = None, False
        elif (end := _block_end(line, paragraph is not None)) is not None:
            paragraph = None
            if end is not _BLANK and _closes_itself(line, end):
                end = None
            elif end in _MATHEMATICS:
                if end not in last_rows:
                    last_rows[end] = _last_row(lines, end)
                if last_rows[end] <= row:  # a shell's $$, not a formula
                    end = None
        elif _BREAK.match(line):
            paragraph = None
        elif paragraph is None:
            blank_above = row == 0 or not lines[row - 1].strip()
            if _LIST_ITEM.match(line):
                in_list = True
            elif not line[0].isspace() and blank_above:
                in_list = False
            if not _NO_PARAGRAPH.match(line) and not in_list and not _DEFINITION.match(line):
                paragraph = row if _starts_paragraph(lines, row) else None


def _last_row(lines: Sequence[str], pattern: re.Pattern[str]) -> int:
    """Return the last row that a pattern matches, or -1."""
    return next((row for row in reversed(range(len(lines))) if pattern.search(lines[row])), -1)


def _title(text: str) -> str:
    return _ATTRIBUTES.sub("", text.strip()).strip()


def _starts_paragraph(lines: Sequence[str], row: int) -> bool:
    """Whether a line does not lazily continue a block quote."""
    return row == 0 or not lines[row - 1].lstrip().startswith(">")


def _block_end(line: str, in_paragraph: bool) -> re.Pattern[str] | None:
    """Return a block's end pattern if a line opens one.

    Blocks are fences, HTML and mathematics.
    """
    first = line.lstrip(" ")[:1]
    if first in "`~" and (fence := _FENCE.match(line)):
        mark = fence[1] or fence[2]
        return re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t\r]*$")
    if first in "<$\\":
        for start, end in _BLOCKS:
            if start.match(line):
                return end
        if not in_paragraph and _ANY_TAG.match(line):
            return _BLANK
    return None


def _closes_itself(line: str, end: re.Pattern[str]) -> bool:
    """Whether a block ends on its first line; fences never do."""
    return line.lstrip(" ")[:1] in "<$\\" and bool(end.search(line.lstrip(" ")[2:]))


def _section(lines: Sequence[str], begin: int, end: int, name: str) -> list[Chunk]:
    """Return a section's chunks, cut at blank lines if long."""
    if begin == end:
        return []
    starts = [begin] + [row + 1 for row in range(begin, end - 1) if not lines[row].strip()]
    stops = [*starts[1:], end]
    sizes = [sum(len(line) + 1 for line in lines[a:b]) for a, b in zip(starts, stops, strict=True)]
    rows = join_short(starts, sizes, MAX_CHUNK_CHARACTERS)
    stops = [*rows[1:], end]
    return [Chunk(a + 1, b, "markdown", name) for a, b in zip(rows, stops, strict=True)]
