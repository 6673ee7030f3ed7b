"""Scripts that are notebooks: which of their lines are which cells.

Read are Databricks' sources, marimo's apps, the percent format of Jupytext, VS Code and Spyder,
Jupytext's light format, and what ``nbconvert --to script`` writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .cells import Cell, markup_cell
from .kernel_languages import known_language
from .magics import quoted_rows
from .notebooks import code_cell

_SLASHES = (
    "javascript",
    "typescript",
    "rust",
    "cpp",
    "c",
    "java",
    "scala",
    "csharp",
    "go",
    "kotlin",
    "swift",
    "groovy",
    "dart",
    "php",
    "fsharp",
)
_COMMENTS = {
    **dict.fromkeys(("python", "r", "julia", "ruby", "bash", "perl", "powershell", "elixir"), b"#"),
    **dict.fromkeys(_SLASHES, b"//"),
    **dict.fromkeys(("sql", "lua", "haskell"), b"--"),
    "matlab": b"%", "clojure": b";;", "scheme": b";;",
}  # fmt: skip


class Part(NamedTuple):
    """Rows of a script, from ``begin`` to ``end`` (not included), and what a parser reads of them."""

    kind: str  # code, markdown, raw; none for what is outside of cells
    begin: int
    end: int
    code: Sequence[bytes]  # a line for each row
    number: int | None = None
    language: str = ""  # none: the script's
    databricks: bool = False


class Script(NamedTuple):
    """A script's lines without their newlines, and how its comments begin."""

    lines: list[bytes]
    language: str
    comment: bytes

    def uncommented(self, lines: Iterable[bytes]) -> list[bytes]:
        """Return lines without comment marks; those without any stay."""
        size = len(self.comment)
        return [
            line[size + line.startswith(b" ", size) :] if line.startswith(self.comment) else line
            for line in lines
        ]

    def is_comment(self, row: int) -> bool:
        return self.lines[row].startswith(self.comment)

    def is_blank(self, row: int) -> bool:
        return not self.lines[row].strip()


def script_cells(content: bytes, language: str) -> list[Cell] | None:
    """Return the cells of a script, which tile it; None for a script that is no notebook.

    Cells count from 0, as when the script is opened as a notebook. What stands before the first
    mark is a cell too, a header between ``# ---`` lines is not.
    """
    comment = _COMMENTS.get(language)
    if comment is None or not any(mark in content for mark in _HINTS):
        return None
    script = Script(content.split(b"\n")[:-1], language, comment)
    for read in (_databricks, _marimo, _percent, _light, _nbconvert):
        parts = read(script)
        if parts is not None:
            return [_cell(script, part) for part in parts if part.end > part.begin]
    return None


_HINTS = (
    b"%%",
    b"Databricks notebook source",
    b"marimo",
    b" In[",
    b" In [",
    b"codecell>",
    b"# +",
    b"// +",
    b"-- +",
    b"jupytext",
)


def _cell(script: Script, part: Part) -> Cell:
    text = _joined(script.lines[part.begin : part.end])
    code = _joined(part.code)
    if part.kind in ("markdown", "raw"):
        return markup_cell(part.kind, text, code, part.number)
    language = part.language or script.language
    if not part.kind:
        return Cell("", language, text, text, part.number)
    return code_cell(text, language, part.number, part.databricks, code=code)


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _is_empty(lines: Iterable[bytes]) -> bool:
    return not any(line.strip() for line in lines)


def _header_end(script: Script) -> int:
    """Return the row behind a header of YAML in comments, and behind ``#!`` and coding lines above."""
    lines, row = script.lines, 0
    while row < min(3, len(lines)) and re.match(
        rb"#!|\S+[ \t]*-\*-.*coding|\S+ (?:en)?coding[:=]", lines[row]
    ):
        row += 1
    mark = script.comment + b" ---"
    if row < len(lines) and lines[row].rstrip() == mark:
        for end in range(row + 1, len(lines)):
            if lines[end].rstrip() == mark:
                return end + 1
            if not script.is_comment(end):
                break
    return row


# Databricks


def _databricks(script: Script) -> list[Part] | None:
    lines, comment = script.lines, script.comment
    if not lines or not lines[0].startswith(comment + b" Databricks notebook source"):
        return None
    separator = re.compile(re.escape(comment) + rb" COMMAND -{3,}\s*$")
    magic = comment + b" MAGIC"
    starts = [0] + [row for row, line in enumerate(lines) if separator.match(line)]
    parts = list[Part]()
    for number, (begin, end) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True)):
        code = [b"", *lines[begin + 1 : end]]
        for at, line in enumerate(code):
            if line.startswith(magic):
                rest = line[len(magic) :]
                code[at] = rest[rest.startswith(b" ") :]
            elif line.startswith(comment + b" DBTITLE"):
                code[at] = b""
        kind = "" if _is_empty(code) else "code"
        parts.append(Part(kind, begin, end, code, number if kind else None, databricks=True))
    return parts


# marimo

_APP = re.compile(
    rb"(?:@app\.(cell|function|class_definition)\b|with (app\.setup)\b|app\.(_unparsable_cell)\()"
)
_PROSE = re.compile(
    rb"\s*mo\.md\(\s*[rR]?(?:(\"\"\"|''')((?:(?!\1).)*)\1|(\"|')((?:(?!\3).)*)\3)\s*,?\s*\)\s*;?\s*$",
    re.S,
)
_UNPARSABLE = re.compile(rb"app\._unparsable_cell\(\s*[rR]?(\"\"\"|'''|\"|')(.*?)\1.*", re.S)


def _marimo(script: Script) -> list[Part] | None:
    lines = script.lines
    if script.language != "python" or not any(b"marimo.App(" in line for line in lines):
        return None
    quoted = quoted_rows(_joined(lines))
    tops = [
        row
        for row, line in enumerate(lines)
        if row not in quoted and line[:1] not in (b"", b" ", b"\t", b"#", b")")
    ]
    starts = [row for row in tops if _APP.match(lines[row])]
    if not starts:
        return None
    last = next(
        (row for row in tops if row > starts[-1] and lines[row].startswith(b"if __name__")),
        len(lines),
    )
    parts = [Part("", 0, starts[0], lines[: starts[0]])]
    for number, (begin, end) in enumerate(zip(starts, [*starts[1:], last], strict=True)):
        kind, code = _marimo_code(lines[begin:end])
        parts.append(Part("" if _is_empty(code) else kind, begin, end, code, number))
    return [*parts, Part("", last, len(lines), lines[last:])]


def _marimo_code(lines: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
    """Return a cell's kind and code: its function's body, or the text of its only call of mo.md."""
    form = _APP.match(lines[0])
    if form is None or (form[1] or form[2]) in (b"function", b"class_definition"):
        return "code", [b"", *lines[1:]]
    if form[3]:
        return "code", _only_group(_joined(lines), _UNPARSABLE, len(lines))
    head = 0 if form[2] else next((row for row, line in enumerate(lines) if _DEF.match(line)), 0)
    if (inline := _DEF.match(lines[head])) and inline[1]:  # def _(): x = 1
        return "code", [b""] * head + [inline[1]] + [b""] * (len(lines) - head - 1)
    while head + 1 < len(lines) and not _HEAD_END.search(lines[head]):
        head += 1
    body = _without_return(lines[head + 1 :])
    blank = [b""] * (head + 1)
    if _PROSE.match(_joined(body)):
        return "markdown", blank + _only_group(_joined(body), _PROSE, len(body))
    return "code", blank + body


_DEF = re.compile(rb"(?:async )?def [^#\n]*?(?:\)[^#():\n]*:[ \t]*([^#\s].*))?$")
_HEAD_END = re.compile(rb":\s*(?:#.*)?$")


def _without_return(lines: Sequence[bytes]) -> list[bytes]:
    """Return a function's body at the margin, its last return blanked: marimo writes it."""
    body = list(lines)
    first = next((line for line in body if line.strip()), b"")
    indent = first[: len(first) - len(first.lstrip())]
    quoted = quoted_rows(_joined(body))
    for row in reversed(range(len(body))):
        line = body[row]
        if row not in quoted and re.match(re.escape(indent) + rb"return\b", line):
            body[row:] = [b""] * (len(body) - row)
            break
        if line.strip() and not re.match(re.escape(indent) + rb"[)\]\s]|#", line):
            break
    return [line.removeprefix(indent) for line in body]


def _only_group(text: bytes, pattern: re.Pattern[bytes], count: int) -> list[bytes]:
    """Return the lines of a pattern's second group, each in its row, without common indentation."""
    match = pattern.match(text)
    if match is None:
        return text.split(b"\n")[:count]
    group = 2 if match[2] is not None else 4
    above = text.count(b"\n", 0, match.start(group))
    lines = match[group].split(b"\n")
    indents = [len(line) - len(line.lstrip(b" ")) for line in lines[1:] if line.strip()]
    indent = min(indents, default=0)
    lines = [lines[0], *(line[indent:] for line in lines[1:])]
    return ([b""] * above + lines + [b""] * count)[:count]


# the percent format

_SPYDER = rb"(?:%%(?![%\w])|%%%+[ \t]|<(?:code|markdown|raw|html)cell>|In\[[ \d]*\]:?[ \t\r]*$)"
_TYPE = re.compile(rb"\[(markdown|md|raw)\]")
_ACTIVE = re.compile(
    rb"\bactive=\"([^\"]*)\""
)  # where Jupytext keeps a cell; raw if not in notebooks
_LANGUAGE = re.compile(rb"\blanguage=\"([\w+#-]+)\"")
MAX_FENCED = 200  # lines of a fenced block that may hold a mark
_QUOTE = re.compile(rb"\s*[rRuUfF]{0,2}(\"\"\"|''')")


def _percent(script: Script) -> list[Part] | None:
    lines = script.lines
    mark = re.compile(re.escape(script.comment) + rb"[ \t]*" + _SPYDER)
    rows = [row for row, line in enumerate(lines) if mark.match(line)]
    if not rows:
        return None
    quoted = quoted_rows(_joined(lines)) if script.language == "python" else frozenset[int]()
    marks = {row for row in rows if row not in quoted}
    if not any(b"%%" in lines[row] or b"cell>" in lines[row] for row in marks):
        return None
    header = _header_end(script)
    starts = [row for row in rows if row >= header and row in marks]
    first = starts[0] if starts else len(lines)
    if not _is_empty(lines[header:first]):
        starts = [header, *starts]
    elif header:
        header = first  # blank lines belong to the header, or to the first cell
    elif starts:
        starts[0] = 0
    elif not header:
        return None
    parts = [Part("", 0, header, lines[:header])]
    number = 0
    for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        top = next((row for row in range(begin, min(end, first + 1)) if row in marks), begin)
        if top in marks and script.language == "python" and _in_fence(script, parts, top):
            parts[-1] = _percent_part(script, parts[-1].begin, end, True, parts[-1].number)
            continue
        part = _percent_part(script, begin, end, top in marks, number, top - begin)
        parts += _split_prose(script, part) if part.kind == "markdown" else [part]
        number = (parts[-1].number or 0) + 1
    return parts


def _split_prose(script: Script, part: Part) -> list[Part]:
    """Split a Markdown cell where code without a mark follows: it is a cell of its own."""
    lines, quoted = script.lines, quoted_rows(_joined(script.lines[part.begin : part.end]))
    row = part.begin + 1
    while row < part.end and (
        not lines[row].strip()
        or script.is_comment(row)
        or row - part.begin in quoted
        or _QUOTE.match(lines[row])
    ):
        row += 1
    if row == part.end or part.number is None or script.language != "python":
        return [part]
    code = Part("code", row, part.end, lines[row : part.end], part.number + 1)
    return [part._replace(end=row, code=_markup(script, [b"", *lines[part.begin + 1 : row]])), code]


def _in_fence(script: Script, parts: Sequence[Part], row: int) -> bool:
    """Whether a mark stands in a fenced block of the Markdown cell above, as ``%%`` of Mermaid."""
    part = parts[-1]
    if part.kind not in ("markdown", "raw") or part.end - part.begin > MAX_FENCED:
        return False
    fences = [line for line in part.code if line.lstrip().startswith((b"```", b"~~~"))]
    behind = script.uncommented(script.lines[row + 1 : row + MAX_FENCED])
    return len(fences) % 2 == 1 and any(line.strip() == b"```" for line in behind)


def _percent_part(
    script: Script, begin: int, end: int, marked: bool, number: int | None, above: int = 0
) -> Part:
    lines = script.lines[begin:end]
    if not marked:
        return Part("code", begin, end, lines, number)
    head = lines[above]
    code = [b""] * (above + 1) + lines[above + 1 :]
    stated = _TYPE.search(head)
    if stated or b"<markdowncell>" in head or b"<rawcell>" in head:
        kind = "raw" if (stated and stated[1] == b"raw") or b"<rawcell>" in head else "markdown"
        code = _markup(script, code)
        return Part("" if _is_empty(code) else kind, begin, end, code, number)
    part = _code_part(script, begin, end, code, head, number)
    return part._replace(kind="") if _is_empty(part.code) else part


def _code_part(
    script: Script, begin: int, end: int, code: list[bytes], head: bytes, number: int | None
) -> Part:
    """Make a part of code; a cell of another language, or with a cell magic, may be commented out."""
    if (active := _ACTIVE.search(head)) and b"ipynb" not in active[1]:
        return Part("raw", begin, end, script.uncommented(code), number)
    stated = _LANGUAGE.search(head)
    filled = [line for line in code if line.strip()]
    if filled and all(line.startswith(script.comment) for line in filled):
        bare = script.uncommented(code)
        if stated or next(line for line in bare if line.strip()).startswith(b"%%"):
            code = bare
    language = known_language(stated[1].decode()) if stated else None
    return Part("code", begin, end, code, number, language or ("text" if stated else ""))


def _markup(script: Script, code: list[bytes]) -> list[bytes]:
    """Return a Markdown cell without comment marks, or without the triple quotes around it."""
    text = _joined(code)
    opening = next((row for row, line in enumerate(code) if line.strip()), None)
    quote = _QUOTE.match(code[opening]) if opening is not None else None
    if quote is None or script.language != "python":
        return script.uncommented(code)
    closing = text.rfind(quote[1])
    begin = text.find(quote[0].strip()) if closing >= 0 else -1
    if begin < 0 or closing < begin + len(quote[0].strip()):
        return script.uncommented(code)
    text = text[:begin] + text[begin + len(quote[0].strip()) : closing] + text[closing + 3 :]
    return text.split(b"\n")[: len(code)]


# Jupytext's light format

_FORMAT = re.compile(rb"format_name:\s*([\w-]+)")
_END_OF_CELL = re.compile(rb"\bendofcell=\"([^\"]+)\"")
_MARKERS = re.compile(rb"cell_markers:\s*['\"]?([^'\"\n]+)")


def _light(script: Script) -> list[Part] | None:
    """Read cells that are paragraphs, or stand between ``# +`` and ``# -``."""
    lines = script.lines
    header = _header_end(script)
    stated = _FORMAT.search(_joined(lines[:header]))
    if (stated is None or stated[1] != b"light") and not _has_light_marks(script):
        return None
    if stated is not None and stated[1] != b"light":
        return None
    markers = _MARKERS.search(_joined(lines[:header]))
    reader = _LightReader(script, markers[1].strip() if markers else b"+,-")
    parts, row, number = [Part("", 0, header, lines[:header])] if header else [], header, 0
    while row < len(lines):
        part = reader.next(row, number)
        if part.kind:
            number += 1
        parts.append(part)
        row = part.end
    return parts


def _has_light_marks(script: Script) -> bool:
    """Whether a script without a header has marks that comments would hardly be."""
    lines = [line.rstrip() for line in script.lines]
    plus, minus = script.comment + b" +", script.comment + b" -"
    begins = sum(
        line == plus
        or bool(re.match(re.escape(plus) + rb" (?:\[(?:markdown|md|raw)\]|[\w.-]+=|\{\")", line))
        for line in lines
    )
    return begins > 0 and minus in lines


class _LightReader:
    """Finds the cell that begins at a row."""

    def __init__(self, script: Script, markers: bytes) -> None:
        self._script = script
        begin, _, end = markers.partition(b",")
        comment = re.escape(script.comment) + rb"[ \t]*"
        self._plain = begin == b"+"
        self._begin = re.compile(
            comment + re.escape(begin) + (rb"(.*)$" if self._plain else rb"(?:\s(.*))?$")
        )
        self._end = re.compile(comment + re.escape(end or b"-") + rb"[ \t\r]*$")
        self._quoted = (
            quoted_rows(_joined(script.lines)) if script.language == "python" else frozenset[int]()
        )

    def next(self, row: int, number: int) -> Part:
        lines, count = self._script.lines, len(self._script.lines)
        if self._script.is_blank(row):
            end = row
            while end < count and self._script.is_blank(end):
                end += 1
            return Part("", row, end, lines[row:end])
        head = self._begin.match(lines[row]) if row not in self._quoted else None
        if head is None and self._script.is_comment(row):
            end = row
            while (
                end < count
                and self._script.is_comment(end)
                and not (end > row and self._begin.match(lines[end]))
            ):
                end += 1
            if end == count or self._script.is_blank(end):
                return Part("markdown", row, end, self._script.uncommented(lines[row:end]), number)
        return self._code(row, head, number)

    def _code(self, row: int, head: re.Match[bytes] | None, number: int) -> Part:
        lines, script = self._script.lines, self._script
        options = (head[1] or b"") if head else b""
        ending = _END_OF_CELL.search(options)
        last = (
            re.compile(re.escape(script.comment + b" " + ending[1]) + rb"[ \t\r]*$")
            if ending
            else self._end
        )
        end, closing = row + 1, 0
        while end < len(lines):
            if end in self._quoted:
                pass
            elif self._begin.match(lines[end]) and not ending:
                break
            elif head is not None and last.match(lines[end]):
                closing = 1
                break
            elif head is None and script.is_blank(end) and not self._goes_on(end):
                break
            end += 1
        code = [b"" if head else lines[row], *lines[row + 1 : end]]
        stated = _TYPE.search(options)
        if stated:
            kind = "raw" if stated[1] == b"raw" else "markdown"
            return Part(
                kind, row, end + closing, [*_markup(script, code), *[b""] * closing], number
            )
        part = _code_part(script, row, end + closing, [*code, *[b""] * closing], options, number)
        return part._replace(kind="") if _is_empty(part.code) else part

    def _goes_on(self, row: int) -> bool:
        """Whether the code behind blank lines is indented: the paragraph is not at its end."""
        script = self._script
        for line in script.lines[row:]:
            if line.strip() and not line.startswith(script.comment):
                return line[:1] in (b" ", b"\t")
        return False


# nbconvert --to script


def _nbconvert(script: Script) -> list[Part] | None:
    lines = script.lines
    mark = re.compile(re.escape(script.comment) + rb" In ?\[[ \d*]*\]:?[ \t\r]*$")
    marks = [row for row, line in enumerate(lines) if mark.match(line)]
    if not marks:
        return None
    header = 0
    while header < len(lines) and (lines[header].startswith(b"#!") or b"coding:" in lines[header]):
        header += 1
    parts, number = [Part("", 0, header, lines[:header])], 0
    is_mark = frozenset(marks)
    for begin, end in zip([header, *marks], [*marks, len(lines)], strict=True):
        if begin == end:
            continue
        prose = _prose_above(script, begin, end, begin in is_mark)
        code_end = prose[0][0] if prose else end
        if begin in is_mark:
            code = [b"", *lines[begin + 1 : code_end]]
            parts.append(Part("" if _is_empty(code) else "code", begin, code_end, code, number))
            number += 1
        elif not _is_empty(lines[begin:code_end]):
            parts.append(Part("code", begin, code_end, lines[begin:code_end], number))
            number += 1
        else:
            parts.append(Part("", begin, code_end, lines[begin:code_end]))
        for first, stop in prose:
            parts.append(
                Part("markdown", first, stop, script.uncommented(lines[first:stop]), number)
            )
            number += 1
    return parts


def _prose_above(script: Script, begin: int, end: int, marked: bool) -> list[tuple[int, int]]:
    """Return the Markdown cells between a cell's code and row ``end``, with the blank lines below.

    nbconvert leaves one blank line below Markdown, and two below code and below a mark.
    """
    found, stop = list[tuple[int, int]](), end
    begin += marked
    while stop > begin:
        row = stop
        while row > begin and script.is_blank(row - 1):
            row -= 1
        if stop - row > 1 and not (stop == end == len(script.lines)):
            break
        first = row
        while first > begin and script.is_comment(first - 1):
            first -= 1
        if first == row or (first > begin and not script.is_blank(first - 1)):
            break
        if marked and first - begin <= 2 and _is_empty(script.lines[begin:first]):
            break  # the cell's own comment
        found.append((first, stop))
        stop = first
        if first - 2 >= begin and script.is_blank(first - 2):
            break
    return found[::-1]
