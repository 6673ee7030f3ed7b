"""Chunk, Symbol and Document: the indexed form of a file."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

NEWLINE = 10
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
    """An indexed file: text as whole lines, chunks and symbols."""

    path: str
    language: str
    content: bytes  # UTF-8, else the file's own bytes; ends with a newline unless empty
    content_hash: bytes  # digest of the file's bytes, 16 bytes long
    chunks: list[Chunk]
    symbols: list[Symbol]
    ends_with_newline: bool  # whether the file itself does
    unparsed: str = ""  # why it is cut by lines despite a grammar for it


def content_hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def text_of(data: bytes) -> bytes | None:
    """Return text without its byte-order mark; None for binary files.

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
    """Return the UTF-16 codec of unmarked text, or None.

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


def line_ends(content: bytes) -> list[int]:
    """Return 0 and the end of each line, in bytes, of a text that ends with a newline."""
    import numpy as np  # not needed to read the values

    newlines = np.frombuffer(content, np.uint8) == NEWLINE
    return [0, *(np.flatnonzero(newlines) + 1).tolist()]


def decoded(content: bytes) -> str:
    """Decode as UTF-8, else as Western European; never fail."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
