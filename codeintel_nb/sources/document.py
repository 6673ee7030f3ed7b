"""Document of a file's bytes: text, language, chunks and symbols."""

from __future__ import annotations

from typing import NamedTuple

from ..scopes.languages import language_of
from .cells import Cell, cut_cells, plain_cells
from .chunk import Chunk, Document, Symbol, content_hash, text_of
from .chunker import chunk_by_lines, chunk_by_syntax
from .languages.syntax import GrammarNotLoaded, ParseTimeout
from .markdown import Headings, chunk_by_headings
from .notebooks.json_forms import notebook_of
from .notebooks.literate import document_cells
from .notebooks.scripts import script_cells
from .secrets import PRIVATE_KEY

BY_LINES = "read by lines, "  # prefix of each reason in ``unparsed``
UNPARSED = f"{BY_LINES}as its grammar failed"


def refusal(path: str, data: bytes) -> str | None:
    """Return the reason not to index a file, or None."""
    text = text_of(data)
    if text is None:
        return "binary"
    return "secret" if PRIVATE_KEY.match(text[:200]) else None


NO_NOTEBOOK = "json"  # language of a notebook file without cells: searched as JSON text


class _Text(NamedTuple):
    """Text of a file before chunking."""

    language: str
    content: bytes
    ends_with_newline: bool
    cells: list[Cell] | None = None  # None: no cells


def document_of(path: str, data: bytes, outputs: bool = False) -> Document:
    """Cut a file by cells, Markdown headings, syntax or lines.

    With ``outputs``, the text of a notebook includes its cells' outputs.
    """
    text = _text(path, data, outputs)
    symbols: list[Symbol] = []
    if text.cells is not None:
        cut = cut_cells(text.cells, Headings() if text.language == "markdown" else None)
        chunks, symbols = _with_language(cut.chunks, text.language), cut.symbols
    elif text.language == "markdown":
        chunks = chunk_by_headings(text.content)
    elif (by_syntax := chunk_by_syntax(text.content, text.language)) is not None:
        chunks, symbols = by_syntax
    else:
        chunks = chunk_by_lines(text.content, "text" if text.language in PROSE else "module")
    return Document(
        path,
        text.language,
        text.content,
        content_hash(data),
        chunks,
        symbols,
        text.ends_with_newline,
    )


def plain_document(path: str, data: bytes) -> Document:
    """Make one chunk per file or cell, without parsing.

    Safe for hostile files.
    """
    try:
        text = _text(path, data)
    except Exception:  # a search must not fail on one malformed file
        text = _whole(path, data)
    if text.cells is not None:
        chunks = _with_language(plain_cells(text.cells).chunks, text.language)
    else:
        kind = (
            "markdown"
            if text.language == "markdown"
            else "text"
            if text.language in PROSE
            else "module"
        )
        chunks = [Chunk(1, text.content.count(b"\n"), kind)] if text.content else []
    return Document(
        path, text.language, text.content, content_hash(data), chunks, [], text.ends_with_newline
    )


def _text(path: str, data: bytes, outputs: bool = False) -> _Text:
    """Read a file's text, language and cells."""
    content = text_of(data) or b""
    if language_of(path, content) == "notebook":
        notebook = notebook_of(path, content, outputs)
        if notebook is not None:
            return _Text(
                notebook.language,
                b"".join(cell.text for cell in notebook.cells),
                True,
                notebook.cells,
            )
    text = _whole(path, data)
    if text.language == "markdown":
        return text._replace(cells=document_cells(path, text.content))
    return text._replace(cells=script_cells(text.content, text.language))


def _whole(path: str, data: bytes) -> _Text:
    content = text_of(data) or b""
    language = language_of(path, content)
    ends_with_newline = content.endswith(b"\n") or not content
    content = content if ends_with_newline else content + b"\n"
    return _Text(NO_NOTEBOOK if language == "notebook" else language, content, ends_with_newline)


def _with_language(chunks: list[Chunk], language: str) -> list[Chunk]:
    """Clear the language of chunks that have their document's."""
    return [
        chunk._replace(language="") if chunk.language == language else chunk for chunk in chunks
    ]


PROSE = frozenset(
    {"text", "rst", "asciidoc", "tex", "csv", "jsonl", "diff", "json", "yaml", "toml", "ini", "xml"}
)


def chunk_failsafe(path: str, data: bytes, outputs: bool = False) -> Document:
    """Cut a file into chunks, by lines if parsing fails."""
    try:
        return document_of(path, data, outputs)
    except ParseTimeout:
        return document_by_lines(path, data, f"{BY_LINES}as its grammar took too long")
    except GrammarNotLoaded as error:
        return document_by_lines(
            path, data, f"{BY_LINES}as the grammar of {error.language} cannot be loaded"
        )
    except Exception:  # one file must not fail an index build
        return document_by_lines(path, data, UNPARSED)


def document_by_lines(path: str, data: bytes, reason: str = "") -> Document:
    """Cut a file by cells or lines, without parsing."""
    document = plain_document(path, data)._replace(unparsed=reason)
    if any(chunk.cell is not None for chunk in document.chunks):
        return document
    kind = document.chunks[0].kind if document.chunks else "text"
    return document._replace(chunks=chunk_by_lines(document.content, kind))
