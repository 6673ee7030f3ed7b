"""Notebooks: each cell its own chunk or chunks, outputs left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ScopeError
from ..scopes.languages import language_named
from .chunk import Chunk, Symbol
from .chunker import chunk_by_lines, chunk_by_syntax
from .markdown import chunk_by_headings


class Notebook(NamedTuple):
    """A notebook's cells one after the other, as text of whole lines."""

    language: str
    content: bytes
    chunks: list[Chunk]
    symbols: list[Symbol]


def cells_of(data: bytes) -> Notebook | None:
    """The cells of a notebook (nbformat 3 and 4); None where the file is no notebook."""
    return _cut(data, _pieces)


def plain_cells(data: bytes) -> Notebook | None:
    """The same, each cell one chunk, and no look at its syntax."""
    return _cut(data, lambda cell, own, _: ([Chunk(1, own.count(b"\n"), "cell" if cell.get("cell_type") == "code" else "markdown")], []))


def _cut(data: bytes, cut: Callable[[dict[str, Any], bytes, str], tuple[list[Chunk], list[Symbol]]]) -> Notebook | None:
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
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells") or []]
    language = _language(notebook)
    content = bytearray()
    chunks: list[Chunk] = []
    symbols: list[Symbol] = []
    line = 0
    for index, cell in enumerate(cells):
        text = _source(cell)
        if not text:
            continue
        own = text.encode("utf-8", "replace")
        if not own.endswith(b"\n"):
            own += b"\n"
        pieces, found = cut(cell, own, language)
        chunks += [Chunk(p.start_line + line, p.end_line + line, p.kind, p.symbol, index) for p in pieces]
        symbols += [s._replace(start_line=s.start_line + line, end_line=s.end_line + line) for s in found]
        content += own
        line += own.count(b"\n")
    return Notebook(language, bytes(content), chunks, symbols)


def _pieces(cell: dict[str, Any], own: bytes, language: str) -> tuple[list[Chunk], list[Symbol]]:
    if cell.get("cell_type") != "code":
        return chunk_by_headings(own), []
    by_syntax = chunk_by_syntax(own, language)
    if by_syntax is None:
        return chunk_by_lines(own, "cell"), []
    pieces, symbols = by_syntax
    return [p._replace(kind="cell" if p.kind == "module" else p.kind) for p in pieces], symbols


def _source(cell: Any) -> str:
    if not isinstance(cell, dict):
        return ""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


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
