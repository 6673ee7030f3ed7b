"""marimo's apps: each decorated function is a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .magics import quoted_rows
from .script import Part, Script, is_empty, joined

_APP = re.compile(
    rb"(?:@app\.(cell|function|class_definition)\b|with (app\.setup)\b|app\.(_unparsable_cell)\()"
)
_PROSE = re.compile(
    rb"\s*mo\.md\(\s*[rR]?(?:(\"\"\"|''')((?:(?!\1).)*)\1|(\"|')((?:(?!\3).)*)\3)\s*,?\s*\)\s*;?\s*$",
    re.S,
)
_UNPARSABLE = re.compile(rb"app\._unparsable_cell\(\s*[rR]?(\"\"\"|'''|\"|')(.*?)\1.*", re.S)


def marimo_parts(script: Script) -> list[Part] | None:
    lines = script.lines
    if script.language != "python" or not any(b"marimo.App(" in line for line in lines):
        return None
    quoted = quoted_rows(joined(lines))
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
        parts.append(Part("" if is_empty(code) else kind, begin, end, code, number))
    return [*parts, Part("", last, len(lines), lines[last:])]


def _marimo_code(lines: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
    """Return a cell's kind and code: the function body, or the text of its mo.md call."""
    form = _APP.match(lines[0])
    if form is None or (form[1] or form[2]) in (b"function", b"class_definition"):
        return "code", [b"", *lines[1:]]
    if form[3]:
        return "code", _only_group(joined(lines), _UNPARSABLE, len(lines))
    head = 0 if form[2] else next((row for row, line in enumerate(lines) if _DEF.match(line)), 0)
    if (inline := _DEF.match(lines[head])) and inline[1]:  # def _(): x = 1
        return "code", [b""] * head + [inline[1]] + [b""] * (len(lines) - head - 1)
    while head + 1 < len(lines) and not _HEAD_END.search(lines[head]):
        head += 1
    body = _without_return(lines[head + 1 :])
    blank = [b""] * (head + 1)
    if _PROSE.match(joined(body)):
        return "markdown", blank + _only_group(joined(body), _PROSE, len(body))
    return "code", blank + body


_DEF = re.compile(rb"(?:async )?def [^#\n]*?(?:\)[^#():\n]*:[ \t]*([^#\s].*))?$")
_HEAD_END = re.compile(rb":\s*(?:#.*)?$")


def _without_return(lines: Sequence[bytes]) -> list[bytes]:
    """Dedent a function body, and blank the last return, which marimo generates."""
    body = list(lines)
    first = next((line for line in body if line.strip()), b"")
    indent = first[: len(first) - len(first.lstrip())]
    quoted = quoted_rows(joined(body))
    for row in reversed(range(len(body))):
        line = body[row]
        if row not in quoted and re.match(re.escape(indent) + rb"return\b", line):
            body[row:] = [b""] * (len(body) - row)
            break
        if line.strip() and not re.match(re.escape(indent) + rb"[)\]\s]|#", line):
            break
    return [line.removeprefix(indent) for line in body]


def _only_group(text: bytes, pattern: re.Pattern[bytes], count: int) -> list[bytes]:
    """Return the dedented lines of a match's string, each in its row."""
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
