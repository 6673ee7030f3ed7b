"""Literate documents with code cells: Quarto, R Markdown, MyST, Jupytext Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..cells import Cell, markup_cell
from ..markdown import front_matter_rows
from .json_forms import code_cell
from .kernel_languages import known_language

_KNITR = (".qmd", ".rmd", ".rmarkdown")
_FENCE = re.compile(rb"([ \t>]*)(`{3,}|~{3,}|:{3,})[ \t]*([^`\r\n]*?)[ \t\r]*$")
_CHUNK = re.compile(rb"\{[ \t]*([A-Za-z][\w.+-]*)((?:[ \t,].*)?)\}$")
_DIRECTIVE = re.compile(rb"\{(code-cell|code|raw-cell)\}[ \t]*(.*)$")
_ACTIVE = re.compile(rb"\bactive=\"([^\"]*)\"")
_REGION = re.compile(rb"<!-- #(end)?(region|md|raw)\b")
_OPTION = re.compile(rb"[ \t]*(?::[\w-]+:|(?:#|//|--|%%)\|)")
_KERNEL = re.compile(
    rb"^(?:jupyter|engine|  language|    language|  name|    name|knitr):[ \t]*['\"]?([\w.+-]+)",
    re.M,
)
_OTHER = {
    "webr-r": "r", "webr": "r", "pyodide-python": "python", "pyodide": "python", "rcpp": "cpp",
    "ojs": "javascript", "js": "javascript", "node": "javascript", "psql": "sql", "sas": "text",
    "comment": "text", "cat": "text", "asis": "text", "verbatim": "text", "embed": "text",
    "block": "text", "block2": "text", "glue": "text", "glue_sql": "sql", "ditaa": "text",
    "tikz": "tex", "exec": "bash", "scss": "scss",
}  # fmt: skip


class _Fence(NamedTuple):
    begin: int
    end: int  # exclusive
    info: bytes


def document_cells(path: str, content: bytes) -> list[Cell] | None:
    """Return the cells covering a document; None for Markdown without cells.

    Prose between code chunks is a numbered cell; front matter is a cell without a number.
    """
    lines = content.split(b"\n")[:-1]
    top = front_matter_rows([line.decode("utf-8", "replace") for line in lines[:400]])
    header = b"\n".join(lines[:top])
    if path.lower().endswith(_KNITR):
        style = "knitr"
    elif b"{code-cell}" in content or b"format_name: myst" in header:
        style = "myst"
    elif b"jupytext:" in header and b"text_representation:" in header:
        style = "jupytext"
    else:
        return None
    reader = _Reader(lines, top, style, _kernel(header))
    if style == "myst" and b"format_name: myst" not in header and not any(reader.fences()):
        return None  # the page only mentions the directive
    return list(reader.cells())


def _kernel(header: bytes) -> str:
    """Return the language in the front matter; Python by default."""
    for match in _KERNEL.finditer(header):
        language = known_language(match[1].decode("utf-8", "replace"))
        if language not in (None, "markdown", "text"):
            return language
    return "python"


class _Reader:
    """A splitter of documents at their code chunks."""

    def __init__(self, lines: list[bytes], top: int, style: str, language: str) -> None:
        self._lines, self._top, self._style, self._language = lines, top, style, language
        self._number = 0

    def cells(self) -> Iterator[Cell]:
        if self._top:
            text = self._text(0, self._top)
            yield markup_cell("markdown", text, text, None)
        row = self._top
        for fence in self.fences():
            yield from self._prose(row, fence.begin)
            yield self._chunk(fence)
            row = fence.end
        yield from self._prose(row, len(self._lines))

    def _text(self, begin: int, end: int) -> bytes:
        return b"".join(line + b"\n" for line in self._lines[begin:end])

    def fences(self) -> Iterator[_Fence]:
        """Yield the top-level cell fences."""
        row, opened = self._top, None
        mark, info = b"", b""
        region = b""  # end marker of the open region
        while row < len(self._lines):
            line = self._lines[row]
            match = _FENCE.match(line)
            if self._style == "jupytext" and opened is None and (begins := _REGION.match(line)):
                region = b"" if begins[1] else b"<!-- #end" + begins[2]
            elif region or match is None:
                pass
            elif opened is not None:
                if not match[3] and match[2].startswith(mark):
                    if self._language_of(info) is not None:
                        yield _Fence(opened, row + 1, info)
                    opened = None
            elif self._style == "myst" and match[1]:
                pass  # inside a list: prose
            elif match[2][:1] != b":" or b"{code-cell}" in match[3]:
                opened, mark, info = row, match[2], match[3]
            row += 1
        if opened is not None and self._language_of(info) is not None:
            yield _Fence(opened, len(self._lines), info)

    def _language_of(self, info: bytes) -> str | None:
        """Return a fence's language; None if it is not a cell."""
        if self._style == "knitr":
            match = _CHUNK.match(info)
            if match is None:
                return None
            name = match[1].decode("ascii", "replace").lower()
            return _OTHER.get(name) or known_language(name) or "text"
        if self._style == "myst":
            match = _DIRECTIVE.match(info)
            if match is None or match[1] == b"code":
                return None
            if match[1] == b"raw-cell":
                return "raw"
            return known_language(match[2].decode("utf-8", "replace").strip()) or self._language
        words = info.decode("utf-8", "replace").split()
        active = _ACTIVE.search(info)
        if not words or (active and b"ipynb" not in active[1]) or ".noeval" in words:
            return None
        language = known_language(words[0])
        return (
            None
            if language in ("text", "markdown", "json", "yaml", "toml", "xml", "diff", "css")
            else language
        )

    def _chunk(self, fence: _Fence) -> Cell:
        text = self._text(fence.begin, fence.end)
        code = [b"", *self._lines[fence.begin + 1 : fence.end]]
        closed = fence.end - fence.begin > 1 and _FENCE.match(code[-1])
        if closed and not (_FENCE.match(code[-1]) or [b""] * 4)[3]:
            code[-1] = b""
        _blank_options(code)
        number, self._number = self._number, self._number + 1
        language = self._language_of(fence.info) or "text"
        joined = b"".join(line + b"\n" for line in code)
        if not joined.strip():
            return Cell("", "markdown", text, text)
        if language == "raw":
            return markup_cell("raw", text, joined, number)
        return code_cell(text, language, number, code=joined)

    def _prose(self, begin: int, end: int) -> Iterator[Cell]:
        """Yield the Markdown and raw cells in a range of rows.

        MyST separates them by ``+++``, Jupytext by two blank lines or region markers.
        """
        starts = [begin]
        if self._style == "myst":
            starts += [row for row in range(begin + 1, end) if self._lines[row].startswith(b"+++")]
        elif self._style == "jupytext":
            starts += self._paragraph_gaps(begin, end)
        for first, stop in zip(starts, [*starts[1:], end], strict=True):
            if first == stop:
                continue
            text = self._text(first, stop)
            bare = re.sub(rb"\A\+\+\+[^\n]*", b"", text) if self._style == "myst" else text
            kind = "markdown"
            if self._style == "jupytext":
                kind = "raw" if text.startswith(b"<!-- #raw") else "markdown"
                bare = re.sub(rb"(?m)^<!-- #(?:end)?(?:region|md|raw)\b.*$", b"", bare)
            if not bare.strip():
                yield Cell("", "markdown", text, text)
                continue
            yield markup_cell(kind, text, bare, self._number)
            self._number += 1

    def _paragraph_gaps(self, begin: int, end: int) -> list[int]:
        """Return Jupytext's cell breaks: double blank lines and region markers."""
        rows, region, fenced = list[int](), False, False
        for row in range(begin, end):
            line = self._lines[row]
            if begins := _REGION.match(line):
                region = not begins[1]
                rows.append(row if region else row + 1)
            elif line.lstrip().startswith((b"```", b"~~~")):
                fenced = not fenced
            elif not region and not fenced and line.strip() and self._is_gap(row - 2, row, begin):
                rows.append(row)
        return [row for row in rows if begin < row < end]

    def _is_gap(self, first: int, end: int, begin: int) -> bool:
        return first >= begin and not any(line.strip() for line in self._lines[first:end])


def _blank_options(code: list[bytes]) -> None:
    """Blank a chunk's options: ``#|`` or ``:name:`` lines, or YAML."""
    row = 1
    if row < len(code) and code[row].strip() == b"---":
        end = next((at for at in range(row + 1, len(code)) if code[at].strip() == b"---"), row)
        code[row : end + 1] = [b""] * (end + 1 - row)
        return
    while row < len(code) and _OPTION.match(code[row]):
        code[row] = b""
        row += 1
