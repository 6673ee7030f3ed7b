"""Chunk, Symbol and Document: the indexed form of a file."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from ..scopes.languages import language_of
from .secrets import PRIVATE_KEY

if TYPE_CHECKING:
    from .cells import Cell

MAX_CHUNK_CHARACTERS = 750  # ranks best between 400 and 750 (measured on annotated queries)


class Chunk(NamedTuple):
    """Consecutive lines that belong together; line numbers count from 1, inclusive."""

    start_line: int
    end_line: int
    kind: str
    symbol: str = ""  # name of the definition around the lines, with its container: Index.join
    cell: int | None = None  # index of the notebook cell, from 0
    language: str = ""  # of a code cell; empty: the document's


class Symbol(NamedTuple):
    """A definition; line numbers count from 1, inclusive."""

    name: str
    kind: str
    container: str
    signature: str
    start_line: int
    end_line: int
    # first paragraph of the comment above it, or of its docstring, without comment marks
    doc: str = ""


class Document(NamedTuple):
    """An indexed file: its text as whole lines, with its chunks and symbols."""

    path: str
    language: str
    content: bytes  # UTF-8, else the file's own bytes; ends with a newline unless empty
    content_hash: bytes  # digest of the file's bytes, 16 bytes long
    chunks: list[Chunk]
    symbols: list[Symbol]
    ends_with_newline: bool  # whether the file itself does
    unparsed: str = ""  # why it is cut by lines despite a grammar for it


BY_LINES = "read by lines, "  # prefix of each reason in ``unparsed``
UNPARSED = f"{BY_LINES}as its grammar failed"


def content_hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def text_of(data: bytes) -> bytes | None:
    """Return a file's text as bytes, without a byte-order mark; None for a binary file.

    UTF-16, and UTF-32 with a mark, become UTF-8. Bytes of other encodings stay unchanged, so lines
    and matches agree with ripgrep's.
    """
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace").encode("utf-8")
    if b"\0" in data:
        wide = _wide(data)
        return None if wide is None else data.decode(wide, "replace").encode("utf-8", "replace")
    return data.removeprefix(b"\xef\xbb\xbf")


def _wide(data: bytes) -> str | None:
    """Return the UTF-16 codec of a text without a byte-order mark, or None.

    Most bytes at even or at odd positions are zero in such a text, and none of the others.
    """
    sample = data[:4096]
    if len(data) % 2 or len(sample) < 8:
        return None
    even, odd = (
        sample[::2].count(0) / (len(sample) // 2),
        sample[1::2].count(0) / (len(sample) // 2),
    )
    encoding = (
        "utf-16-le" if odd > 0.6 and even == 0 else "utf-16-be" if even > 0.6 and odd == 0 else None
    )
    if encoding is None:
        return None
    text = sample.decode(encoding, "replace")
    return encoding if not re.search(r"[\x00-\x08\x0e-\x1a\ufffd]", text) else None


def decoded(content: bytes) -> str:
    """Return text for people and parsers: UTF-8, else Western European; never fails."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def refusal(path: str, data: bytes) -> str | None:
    """Return the reason not to index a file's bytes; None if there is none."""
    if PRIVATE_KEY.match(data[:200]):
        return "secret"
    return "binary" if text_of(data) is None else None


NO_NOTEBOOK = "json"  # language of a notebook file without cells: searched as JSON text


class _Text(NamedTuple):
    """Text of a file before chunking."""

    language: str
    content: bytes
    ends_with_newline: bool
    cells: list[Cell] | None = None  # None: no cells


def document_of(path: str, data: bytes, outputs: bool = False) -> Document:
    """Cut a file into chunks: by cells, Markdown headings, syntax or lines.

    With ``outputs``, the text of a notebook includes its cells' outputs.
    """
    from .cells import cut_cells
    from .chunker import chunk_by_lines, chunk_by_syntax
    from .markdown import Headings, chunk_by_headings

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
    """Make one chunk of a file, or one of each cell, without parsing.

    Safe for hostile files.
    """
    from .cells import plain_cells

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
    from .literate import document_cells
    from .notebooks import notebook_of
    from .scripts import script_cells

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
    """Cut a file into chunks; fall back to lines, with the reason, when parsing fails."""
    from .syntax import GrammarNotLoaded, ParseTimeout

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
    from .chunker import chunk_by_lines

    document = plain_document(path, data)._replace(unparsed=reason)
    if any(chunk.cell is not None for chunk in document.chunks):
        return document
    kind = document.chunks[0].kind if document.chunks else "text"
    return document._replace(chunks=chunk_by_lines(document.content, kind))
