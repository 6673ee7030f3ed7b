"""Properties of a file's text, by which searches choose readers."""

from __future__ import annotations

import re

import numpy as np

from ...scopes.languages import is_notebook
from ...sources.chunk import Document
from ...sources.reexports import is_reexport
from .arrays import Array, Mask

# bits of a file's flags
ENDS_WITH_NEWLINE = 1  # in the file itself
IS_ASCII = 2  # and without a vertical tab: whitespace to ripgrep, not to re2
IS_GENERATED = 4
IS_NOTEBOOK = 8
# not UTF-8: re2 accepts surrogates and overlong forms as characters, ripgrep does not
IS_ILL_FORMED = 16
IS_REEXPORT = 32  # little but imports and exports
VERTICAL_TAB = 11
# Largest text for one re2 call: uninterruptible, it may read only 2 MB/s. ripgrep can be killed.
LONG_BYTES = 512 << 10


def long_chunks(
    chunk_start: Array, file_start: Array, chunk_file: Array
) -> tuple[Mask | None, Mask | None]:
    """Return masks of long chunks and long files' chunks.

    None stands for an empty mask.
    """
    chunks: Mask = np.diff(chunk_start.astype(np.int64)) > LONG_BYTES
    files = np.diff(file_start.astype(np.int64)) > LONG_BYTES
    return chunks if chunks.any() else None, files[chunk_file] if files.any() else None


def mixed_blocks(block_start: Array, ascii_chunks: Mask, chunk_start: Array) -> Mask:
    """Return the mask of blocks long or overlapping non-ASCII chunks."""
    blocks = len(block_start) - 1
    other = np.flatnonzero(~ascii_chunks)
    first = block_start.searchsorted(chunk_start[other], "right") - 1
    behind = block_start.searchsorted(chunk_start[other + 1], "left")
    edges = np.bincount(first, minlength=blocks + 1) - np.bincount(behind, minlength=blocks + 1)
    mixed: Mask = np.cumsum(edges)[:blocks] > 0
    return mixed | (np.diff(block_start.astype(np.int64)) > LONG_BYTES)


def is_ill_formed(content: bytes) -> bool:
    """Whether a text is not UTF-8."""
    if content.isascii():
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def is_plain(content: bytes) -> bool:
    """Whether re2 and ripgrep agree on every expression in a text."""
    return content.isascii() and VERTICAL_TAB not in content


_GENERATED = re.compile(
    rb"@generated|do not edit|auto-?generated|generated (by|from|file|code)|"
    rb"this file was generated",
    re.I,
)


def reader_flags(document: Document) -> int:
    """Return a file's flags, by which searches choose readers."""
    flags = ENDS_WITH_NEWLINE if document.ends_with_newline else 0
    if is_plain(document.content):
        flags |= IS_ASCII
    elif is_ill_formed(document.content):
        flags |= IS_ILL_FORMED
    return flags | (IS_NOTEBOOK if is_notebook(document.path) else 0)


def flags_of(document: Document) -> int:
    """Return all flags of a file, as stored in a shard."""
    longest = len(document.content) / (1 + document.content.count(b"\n"))
    is_generated = _GENERATED.search(document.content[:600]) or longest > 400
    flags = reader_flags(document)
    if is_generated:
        flags |= IS_GENERATED
    return flags | IS_REEXPORT if is_reexport(document) else flags
