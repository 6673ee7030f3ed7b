"""Jupytext's script formats: percent (VS Code, Spyder) and light."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .kernel_languages import known_language
from .magics import quoted_rows
from .script import Part, Script, header_end, is_empty, joined

_SPYDER = (
    rb"(?:%%(?![%\w])|%%%+[ \t]|<(?:code|markdown|raw|html|heading)cell\b[^>\n]*>"
    rb"|In\[[ \d]*\]:?[ \t\r]*$)"
)
_TYPE = re.compile(rb"\[(markdown|md|raw)\]")
# file types Jupytext keeps the cell active in; without ipynb it is raw in notebooks
_ACTIVE = re.compile(rb"\bactive=\"([^\"]*)\"")
_LANGUAGE = re.compile(rb"\blanguage=\"([\w+#-]+)\"")
MAX_FENCED = 200  # maximum lines of a fenced block with markers inside
_QUOTE = re.compile(rb"\s*[rRuUfF]{0,2}(\"\"\"|''')")


def percent_parts(script: Script) -> list[Part] | None:
    lines = script.lines
    mark = re.compile(re.escape(script.comment) + rb"[ \t]*" + _SPYDER)
    rows = [row for row, line in enumerate(lines) if mark.match(line)]
    if not rows:
        return None
    quoted = quoted_rows(joined(lines)) if script.language == "python" else frozenset[int]()
    marks = {row for row in rows if row not in quoted}
    if not any(b"%%" in lines[row] or b"cell" in lines[row] for row in marks):
        return None
    header = header_end(script)
    starts = [row for row in rows if row >= header and row in marks]
    first = starts[0] if starts else len(lines)
    if not is_empty(lines[header:first]):
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
    """Split unmarked code off the end of a Markdown cell."""
    lines, quoted = script.lines, quoted_rows(joined(script.lines[part.begin : part.end]))
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
    """Whether a marker is fenced in the Markdown cell above."""
    part = parts[-1]
    if part.kind not in ("markdown", "raw") or part.end - part.begin > MAX_FENCED:
        return False
    fences = [line for line in part.code if line.lstrip().startswith((b"```", b"~~~"))]
    behind = script.uncommented(script.lines[row + 1 : row + MAX_FENCED])
    return len(fences) % 2 == 1 and any(line.strip() == b"```" for line in behind)


def _percent_part(
    script: Script, begin: int, end: int, has_marker: bool, number: int | None, above: int = 0
) -> Part:
    lines = script.lines[begin:end]
    if not has_marker:
        return Part("code", begin, end, lines, number)
    head = lines[above]
    code = [b""] * (above + 1) + lines[above + 1 :]
    cell_type = _TYPE.search(head)
    if cell_type or re.search(rb"<(?:markdown|html|heading|raw)cell", head):
        kind = (
            "raw" if (cell_type and cell_type[1] == b"raw") or b"<rawcell" in head else "markdown"
        )
        code = _markup(script, code)
        return Part("" if is_empty(code) else kind, begin, end, code, number)
    part = _code_part(script, begin, end, code, head, number)
    return part._replace(kind="") if is_empty(part.code) else part


def _code_part(
    script: Script, begin: int, end: int, code: list[bytes], head: bytes, number: int | None
) -> Part:
    """Make a code part; Jupytext comments out cells in other languages."""
    if (active := _ACTIVE.search(head)) and b"ipynb" not in active[1]:
        return Part("raw", begin, end, script.uncommented(code), number)
    tag = _LANGUAGE.search(head)
    lines = [line for line in code if line.strip()]
    if lines and all(line.startswith(script.comment) for line in lines):
        bare = script.uncommented(code)
        if tag or next(line for line in bare if line.strip()).startswith(b"%%"):
            code = bare
    language = known_language(tag[1].decode()) if tag else None
    return Part("code", begin, end, code, number, language or ("text" if tag else ""))


def _markup(script: Script, code: list[bytes]) -> list[bytes]:
    """Strip a Markdown cell's comment prefixes or triple quotes."""
    text = joined(code)
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


def light_parts(script: Script) -> list[Part] | None:
    """Read paragraphs, and explicit cells between ``# +`` and ``# -``."""
    lines = script.lines
    header = header_end(script)
    format_name = _FORMAT.search(joined(lines[:header]))
    if (format_name is None or format_name[1] != b"light") and not _has_light_marks(script):
        return None
    if format_name is not None and format_name[1] != b"light":
        return None
    markers = _MARKERS.search(joined(lines[:header]))
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
    """Whether a script without a header has unmistakable light markers."""
    lines = [line.rstrip() for line in script.lines]
    plus, minus = script.comment + b" +", script.comment + b" -"
    begins = sum(
        line == plus
        or bool(re.match(re.escape(plus) + rb" (?:\[(?:markdown|md|raw)\]|[\w.-]+=|\{\")", line))
        for line in lines
    )
    return begins > 0 and minus in lines


class _LightReader:
    """A reader of light cells, each from its first row."""

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
            quoted_rows(joined(script.lines)) if script.language == "python" else frozenset[int]()
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
        cell_type = _TYPE.search(options)
        if cell_type:
            kind = "raw" if cell_type[1] == b"raw" else "markdown"
            return Part(
                kind, row, end + closing, [*_markup(script, code), *[b""] * closing], number
            )
        part = _code_part(script, row, end + closing, [*code, *[b""] * closing], options, number)
        return part._replace(kind="") if is_empty(part.code) else part

    def _goes_on(self, row: int) -> bool:
        """Whether indented code after the blank lines continues the paragraph."""
        script = self._script
        for line in script.lines[row:]:
            if line.strip() and not line.startswith(script.comment):
                return line[:1] in (b" ", b"\t")
        return False
