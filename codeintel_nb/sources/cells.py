"""Cells of notebooks, scripts and documents, cut into chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .chunk import Chunk, Symbol
from .chunker import chunk_by_lines, chunk_by_syntax
from .languages.syntax import has_errors
from .markdown import Headings, chunk_by_headings
from .notebooks.magics import has_line_magics, without_line_magics

OUTPUT = "output"  # symbol of the chunks with printed output
_MARKUP = {"markdown": "markdown", "raw": "text"}  # languages of cells without code


class Cell(NamedTuple):
    """A cell, or text between cells, as whole searchable lines."""

    kind: str  # code, markdown, raw or output; empty outside of cells
    language: str
    text: bytes
    code: bytes  # the same lines for a parser, without comment marks and magics
    number: int | None = None  # from 0; None outside of cells


class CellText(NamedTuple):
    """The concatenated text of cells, tiled by chunks."""

    content: bytes
    chunks: list[Chunk]
    symbols: list[Symbol]


def markup_cell(kind: str, text: bytes, code: bytes, number: int | None) -> Cell:
    """Make a cell of Markdown or raw text."""
    return Cell(kind, _MARKUP[kind], text, code, number)


def cut_cells(cells: Iterable[Cell], headings: Headings | None = None) -> CellText:
    """Cut cells into chunks, by code syntax and Markdown headings.

    ``headings`` passes the path of headings from cell to cell, for cells of one document.
    """
    content, chunks, symbols, row = list[bytes](), list[Chunk](), list[Symbol](), 0
    for cell in cells:
        pieces, definitions = _cut(cell, headings)
        chunks += (
            piece._replace(
                start_line=piece.start_line + row,
                end_line=piece.end_line + row,
                cell=cell.number,
                language=_own_language(cell),
            )
            for piece in pieces
        )
        symbols += (
            one._replace(start_line=one.start_line + row, end_line=one.end_line + row)
            for one in definitions
        )
        content.append(cell.text)
        row += cell.text.count(b"\n")
    return CellText(b"".join(content), chunks, symbols)


def plain_cells(cells: Iterable[Cell]) -> CellText:
    """Make each cell one chunk, without parsing."""
    content, chunks, row = list[bytes](), list[Chunk](), 0
    for cell in cells:
        lines = cell.text.count(b"\n")
        if lines:
            chunks.append(
                Chunk(row + 1, row + lines, _kind(cell), "", cell.number, _own_language(cell))
            )
        content.append(cell.text)
        row += lines
    return CellText(b"".join(content), chunks, [])


def _own_language(cell: Cell) -> str:
    """Return a code cell's language; empty means the file's."""
    return cell.language if cell.kind == "code" else ""


def _kind(cell: Cell) -> str:
    if cell.kind == "output":
        return "text"
    if cell.kind in _MARKUP:
        return "markdown"
    return "module" if cell.number is None else "cell"


def _without_blank_top(chunks: list[Chunk], code: bytes) -> list[Chunk]:
    """Merge a marker's blank first chunk into the next one."""
    if len(chunks) > 1 and not b"".join(code.split(b"\n")[: chunks[0].end_line]).strip():
        return [chunks[1]._replace(start_line=1), *chunks[2:]]
    return chunks


def _cut(cell: Cell, headings: Headings | None) -> tuple[Sequence[Chunk], Sequence[Symbol]]:
    if not cell.text:
        return (), ()
    if cell.kind == "output":
        return [piece._replace(symbol=OUTPUT) for piece in chunk_by_lines(cell.text, "text")], ()
    if not cell.kind:
        return [Chunk(1, cell.text.count(b"\n"), _kind(cell))], ()
    if cell.kind != "code":
        return _without_blank_top(chunk_by_headings(cell.code, headings), cell.code), ()
    code = cell.code
    if cell.language == "python" and has_line_magics(code) and has_errors(code, "python"):
        code = without_line_magics(code)
    if cell.language == "php" and b"<?" not in code:
        code = b"<?php " + code  # as PHP kernels do
    by_syntax = chunk_by_syntax(code, cell.language)
    if by_syntax is None:
        return chunk_by_lines(cell.text, "cell"), ()
    pieces, definitions = by_syntax
    return [
        piece._replace(kind="cell") if piece.kind == "module" else piece for piece in pieces
    ], definitions
