"""Cells of scripts in notebook formats.

Formats: Databricks sources, marimo apps, Jupytext's percent (also used by VS Code and Spyder) and
light, and the output of ``nbconvert --to script``.
"""

from __future__ import annotations

import re

from ..cells import Cell, markup_cell
from .json_forms import code_cell
from .jupytext import light_parts, percent_parts
from .marimo import marimo_parts
from .script import Part, Script, is_empty, joined

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


def script_cells(content: bytes, language: str) -> list[Cell] | None:
    """Return a script's cells; None if it is no notebook.

    Cells count from 0. Text before the first marker counts, a header between ``# ---`` does not.
    """
    comment = _COMMENTS.get(language)
    if comment is None or not _may_have_cells(content, comment):
        return None
    script = Script(content.split(b"\n")[:-1], language, comment)
    for reader in (_databricks, marimo_parts, percent_parts, light_parts, _nbconvert):
        parts = reader(script)
        if parts is not None:
            return [_cell(script, part) for part in parts if part.end > part.begin]
    return None


_LIGHT = (b"#", b"//", b"--")  # comments with Jupytext's light marks
_HINTS = (b"%%", b"Databricks notebook source", b"marimo", b"codecell", b"jupytext")


def _may_have_cells(content: bytes, comment: bytes) -> bool:
    """Whether a script has the mark of a notebook format."""
    if any(mark in content for mark in _HINTS):
        return True
    if comment in _LIGHT and comment + b" +" in content:
        return True
    return b" In" in content and (b" In[" in content or b" In [" in content)


def _cell(script: Script, part: Part) -> Cell:
    text = joined(script.lines[part.begin : part.end])
    code = joined(part.code)
    if part.kind in ("markdown", "raw"):
        return markup_cell(part.kind, text, code, part.number)
    language = part.language or script.language
    if not part.kind:
        return Cell("", language, text, text, part.number)
    return code_cell(text, language, part.number, part.databricks, code=code)


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
        kind = "" if is_empty(code) else "code"
        parts.append(Part(kind, begin, end, code, number if kind else None, databricks=True))
    return parts


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
            parts.append(Part("" if is_empty(code) else "code", begin, code_end, code, number))
            number += 1
        elif not is_empty(lines[begin:code_end]):
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
    """Return Markdown cells' rows just above ``end``, including blank lines.

    nbconvert writes one blank line after Markdown, and two after code and markers.
    """
    ranges, stop = list[tuple[int, int]](), end
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
        if marked and first - begin <= 2 and is_empty(script.lines[begin:first]):
            break  # the cell's own comment
        ranges.append((first, stop))
        stop = first
        if first - 2 >= begin and script.is_blank(first - 2):
            break
    return ranges[::-1]
