"""Chunk, Symbol and Document: a file as the index takes it in."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from ..scopes.languages import language_of
from .worktree import PRIVATE_KEY

MAX_CHUNK_CHARACTERS = 750  # ranks best between 400 and 750 (measured on annotated queries)


class Chunk(NamedTuple):
    """Consecutive lines that belong together; lines count from 1, inclusive."""

    start_line: int
    end_line: int
    kind: str
    symbol: str = ""  # the definition the lines belong to, with its container: Index.join
    cell: int | None = None  # index of the notebook cell, from 0


class Symbol(NamedTuple):
    """A definition; lines count from 1, inclusive."""

    name: str
    kind: str
    container: str
    signature: str
    start_line: int
    end_line: int
    doc: str = ""  # first paragraph of the comment that leads it, or of its docstring, without their marks


class Document(NamedTuple):
    """A file as it is indexed: its text as bytes of whole lines, and what it is cut into."""

    path: str
    language: str
    content: bytes  # UTF-8, or the file's own bytes where they are not; ends with a newline unless empty
    content_hash: bytes  # of the file's bytes, 16 long
    chunks: list[Chunk]
    symbols: list[Symbol]
    ends_with_newline: bool  # whether the file itself did
    unparsed: str = ""  # why it is cut by lines although there is a grammar for it


BY_LINES = "read by lines, "  # begins each reason for that
UNPARSED = f"{BY_LINES}as its grammar failed"
_CPP_HEADER = re.compile(rb"^[ \t]*(?:class|namespace|template|using|public:|private:)(?:\b|[ \t<])|^#include <[a-z_]+>", re.M)


def content_hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def text_of(data: bytes) -> bytes | None:
    """A file's text as bytes, UTF-16 and UTF-32 with a mark decoded, the mark left out; None for a binary file.

    Bytes that are not UTF-8 stay as they are, so lines and matches are those that ripgrep sees.
    """
    for mark, encoding in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace").encode("utf-8")
    if b"\0" in data:
        wide = _wide(data)
        return None if wide is None else data.decode(wide, "replace").encode("utf-8", "replace")
    return data.removeprefix(b"\xef\xbb\xbf")


def _wide(data: bytes) -> str | None:
    """UTF-16 of a text without a mark: nearly every other byte is zero, and none of the others; None for anything else."""
    sample = data[:4096]
    if len(data) % 2 or len(sample) < 8:
        return None
    even, odd = sample[::2].count(0) / (len(sample) // 2), sample[1::2].count(0) / (len(sample) // 2)
    encoding = "utf-16-le" if odd > 0.6 and even == 0 else "utf-16-be" if even > 0.6 and odd == 0 else None
    if encoding is None:
        return None
    text = sample.decode(encoding, "replace")
    return encoding if not re.search(r"[\x00-\x08\x0e-\x1a\ufffd]", text) else None


def decoded(content: bytes) -> str:
    """Text for people and for parsers: UTF-8, else Western European, never failing."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def refusal(path: str, data: bytes) -> str | None:
    """Why the bytes of a file are not to be indexed; None when they are."""
    if PRIVATE_KEY.match(data[:200]):
        return "secret"
    return "binary" if text_of(data) is None else None


def document_of(path: str, data: bytes, outputs: bool = False) -> Document:
    """Cut a file into chunks by what it is: notebook cells, Markdown headings, syntax, or lines. With ``outputs`` the text of
    a notebook has what its cells printed."""
    from .cells import cells_of, percent_cells
    from .chunker import chunk_by_lines, chunk_by_syntax
    from .markdown import chunk_by_headings

    content = text_of(data)
    if content is None:
        content = b""
    language = _language(path, content)
    hashed = content_hash(data)
    if language == "notebook":
        notebook = cells_of(content, outputs)
        if notebook is not None:
            return Document(path, notebook.language, notebook.content, hashed, notebook.chunks, notebook.symbols, True)
        language = "json"  # not a notebook that can be read: searched as the JSON it is
    ends_with_newline = content.endswith(b"\n") or not content
    if not ends_with_newline:
        content += b"\n"
    symbols: list[Symbol] = []
    if language == "markdown":
        chunks = chunk_by_headings(content)
    elif (cells := percent_cells(content, language)) is not None:
        chunks, symbols = cells
    else:
        by_syntax = chunk_by_syntax(content, language)
        if by_syntax is None:
            chunks = chunk_by_lines(content, "text" if language in PROSE else "module")
        else:
            chunks, symbols = by_syntax
    return Document(path, language, content, hashed, chunks, symbols, ends_with_newline)


def plain_document(path: str, data: bytes) -> Document:
    """A file whole, or the cells of a notebook, without a look at its syntax: nothing in it can harm who reads it."""
    from .cells import plain_cells

    content = text_of(data) or b""
    language = _language(path, content)
    if language == "notebook":
        try:
            notebook = plain_cells(content)
        except Exception:  # whatever it is: a search must not end at an odd file
            notebook = None
        if notebook is not None:
            return Document(path, notebook.language, notebook.content, content_hash(data), notebook.chunks, [], True)
        language = "json"
    ends_with_newline = content.endswith(b"\n") or not content
    content = content if ends_with_newline else content + b"\n"
    kind = "markdown" if language == "markdown" else "text" if language in PROSE else "module"
    chunks = [Chunk(1, content.count(b"\n"), kind)] if content else []
    return Document(path, language, content, content_hash(data), chunks, [], ends_with_newline)


def _language(path: str, content: bytes) -> str:
    language = language_of(path, content[:200])
    if language == "c" and path.endswith(".h") and _CPP_HEADER.search(content):
        return "cpp"  # the C grammar would spend its time on what it takes for errors
    return language


PROSE = frozenset({"text", "rst", "asciidoc", "tex", "csv", "jsonl", "diff", "json", "yaml", "toml", "ini", "xml"})


def chunk_failsafe(path: str, data: bytes, outputs: bool = False) -> Document:
    """Cut a file into chunks; fall back to lines, with the reason, when parsing fails."""
    from .syntax import GrammarNotLoaded, ParseTimeout

    try:
        return document_of(path, data, outputs)
    except ParseTimeout:
        return document_by_lines(path, data, f"{BY_LINES}as its grammar took too long")
    except GrammarNotLoaded as error:
        return document_by_lines(path, data, f"{BY_LINES}as the grammar of {error.language} cannot be loaded")
    except Exception:  # whatever it is: one file must not spoil an index
        return document_by_lines(path, data, UNPARSED)


def document_by_lines(path: str, data: bytes, reason: str = "") -> Document:
    """Cut a file by lines, and a notebook by cells, without parsing."""
    from .chunker import chunk_by_lines

    whole = plain_document(path, data)._replace(unparsed=reason)
    if whole.path.endswith(".ipynb") and whole.language != "json":
        return whole
    kind = whole.chunks[0].kind if whole.chunks else "text"
    return whole._replace(chunks=chunk_by_lines(whole.content, kind))
