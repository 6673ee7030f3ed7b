"""Notebooks, and scripts in the percent format: each cell its own chunk or chunks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ScopeError
from ..scopes.languages import language_named
from .chunk import Chunk, Symbol
from .chunker import chunk_by_lines, chunk_by_syntax
from .markdown import chunk_by_headings

MOST_OUTPUT = 20_000  # characters of one output
_MARKS = {name: re.compile(rb"^# ?%%(?![%\w])", re.M) for name in ("python", "r", "julia", "ruby", "bash")} | {
    name: re.compile(rb"^// ?%%(?![%\w])", re.M) for name in ("javascript", "typescript", "rust", "cpp", "java", "scala", "csharp", "go")
}  # of a cell, by the comment of the language
_IS_PROSE = re.compile(rb"%%.*\[(?:markdown|md|raw)\]")
_LINE_MAGIC = re.compile(rb"(?m)^([ \t]*)[%!?]")
_CELL_MAGIC = re.compile(rb"%%([A-Za-z]+)")
_OTHER = {"bash": "bash", "sh": "bash", "script": "bash", "sql": "sql", "codesql": "sql", "bigquery": "sql", "javascript": "javascript", "js": "javascript", "html": "html", "ruby": "ruby", "julia": "julia", "css": "css", "r": "r"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Notebook(NamedTuple):
    """A notebook's cells one after the other, as text of whole lines."""

    language: str
    content: bytes
    chunks: list[Chunk]
    symbols: list[Symbol]


def cells_of(data: bytes, outputs: bool = False) -> Notebook | None:
    """The cells of a notebook (nbformat 3 and 4), with ``outputs`` what they printed too; None where the file is no notebook."""
    return _cut(data, _pieces, outputs)


def percent_cells(content: bytes, language: str) -> tuple[list[Chunk], list[Symbol]] | None:
    """Chunks and definitions of a script with ``# %%`` marks, as Jupytext, VS Code and Spyder write it; None where it has none.

    Cells count from 0, as when the script is opened as a notebook: what stands before the first mark is a cell too, a
    header between ``# ---`` lines is not.
    """
    mark = _MARKS.get(language)
    if mark is None or b"%%" not in content or mark.search(content) is None:
        return None
    lines = content.split(b"\n")[:-1]
    header = 0
    if lines[0].strip() == b"# ---":
        header = next((row + 1 for row, line in enumerate(lines[1:], 1) if line.strip() == b"# ---"), 0)
    starts = [row for row, line in enumerate(lines) if row >= header and mark.match(line)]
    first = starts[0] if starts else len(lines)
    before = [header] if any(line.strip() for line in lines[header:first]) else []
    chunks = [Chunk(1, header, "module")] if header else []
    symbols: list[Symbol] = []
    if not before and first > header:  # blank lines belong to the header, or to the first cell
        chunks, starts = ([Chunk(1, first, "module")], starts) if header else ([], [0, *starts[1:]])
    starts = [*before, *starts]
    for index, (begin, end) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True)):
        own = b"\n".join(lines[begin:end]) + b"\n"
        if _IS_PROSE.search(lines[begin] if index or not before else b""):
            pieces, found = chunk_by_headings(re.sub(rb"(?m)^# ?", b"", own.replace(b"%%", b"  ", 1))), list[Symbol]()
            if len(pieces) > 1 and pieces[0].end_line == 1:  # the mark alone, above a heading
                pieces = [pieces[1]._replace(start_line=1), *pieces[2:]]
        else:
            pieces, found = _code(own, language)
        chunks += [Chunk(p.start_line + begin, p.end_line + begin, p.kind, p.symbol, index) for p in pieces]
        symbols += [s._replace(start_line=s.start_line + begin, end_line=s.end_line + begin) for s in found]
    return chunks, symbols


def plain_cells(data: bytes) -> Notebook | None:
    """The same, each cell one chunk, and no look at its syntax."""
    return _cut(data, lambda cell, own, _: ([Chunk(1, own.count(b"\n"), "cell" if cell.get("cell_type") == "code" else "markdown")], []))


def _cut(data: bytes, cut: Callable[[dict[str, Any], bytes, str], tuple[list[Chunk], list[Symbol]]], outputs: bool = False) -> Notebook | None:
    try:
        notebook: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(notebook, dict):
        return None
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        sheets = notebook.get("worksheets")
        if not isinstance(sheets, list):
            return None
        cells = [cell for sheet in sheets if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]
    language = _language(notebook)
    content = bytearray()
    chunks: list[Chunk] = []
    symbols: list[Symbol] = []
    line = 0
    for index, cell in enumerate(cells):
        text = _source(cell)
        shown = _shown(cell) if outputs else ""
        if not text and not shown:
            continue
        own = text.encode("utf-8", "replace")
        if own and not own.endswith(b"\n"):
            own += b"\n"
        pieces, found = cut(cell, own, language) if own else ([], [])
        chunks += [Chunk(p.start_line + line, p.end_line + line, p.kind, p.symbol, index) for p in pieces]
        symbols += [s._replace(start_line=s.start_line + line, end_line=s.end_line + line) for s in found]
        content += own
        line += own.count(b"\n")
        if shown:
            own = shown.encode("utf-8", "replace")
            chunks += [Chunk(p.start_line + line, p.end_line + line, "text", "output", index) for p in chunk_by_lines(own, "text")]
            content += own
            line += own.count(b"\n")
    return Notebook(language, bytes(content), chunks, symbols)


def _pieces(cell: dict[str, Any], own: bytes, language: str) -> tuple[list[Chunk], list[Symbol]]:
    if cell.get("cell_type") != "code":
        return chunk_by_headings(own), []
    return _code(own, str(cell.get("language") or language))


def _code(own: bytes, language: str) -> tuple[list[Chunk], list[Symbol]]:
    """A cell of code. Magics and calls of the shell are comments to a grammar, and ``%%bash`` makes a cell of another language."""
    if other := _CELL_MAGIC.match(own):
        language = _OTHER.get(other[1].decode("ascii").lower(), language)
    by_syntax = chunk_by_syntax(_LINE_MAGIC.sub(rb"\1#", own), language)
    if by_syntax is None:
        return chunk_by_lines(own, "cell"), []
    pieces, symbols = by_syntax
    return [p._replace(kind="cell" if p.kind == "module" else p.kind) for p in pieces], symbols


def _source(cell: Any) -> str:
    if not isinstance(cell, dict):
        return ""
    source = _joined(cell.get("source", cell.get("input", "")))
    if cell.get("cell_type") == "heading":  # of nbformat 3
        level = cell.get("level")
        return f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {source}"
    return source


def _joined(text: Any) -> str:
    if isinstance(text, list):
        return "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""


def _shown(cell: Any) -> str:
    """What a cell printed, as text of whole lines: no picture, no HTML, no colours."""
    outputs = cell.get("outputs") if isinstance(cell, dict) else None
    parts: list[str] = []
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        said = _joined(output.get("text")) or _joined(data.get("text/plain") if isinstance(data, dict) else None)
        said = said or "\n".join(line for line in output.get("traceback") or () if isinstance(line, str)) if output.get("output_type") in ("error", "pyerr") else said
        if said := _COLOUR.sub("", said)[:MOST_OUTPUT]:
            parts.append(said if said.endswith("\n") else said + "\n")
    return "".join(parts)


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    if not isinstance(metadata, dict):
        return "python"
    for section, key in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
        said = metadata.get(section)
        name = said.get(key) if isinstance(said, dict) else None
        if isinstance(name, str) and name:
            try:
                return language_named("python" if name.startswith(("python", "ipython")) else name)
            except ScopeError:
                return "text"
    return "python"
