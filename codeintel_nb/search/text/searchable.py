"""Data of a shard or unindexed files, for text search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from stringzilla import Str

from ...index.shard.arrays import Array, Mask
from ...index.shard.id_lists import Ids
from ...index.shard.postings import Postings


class Searchable(Protocol):
    """Concatenated text of files, tiled by chunks; see ``index/shard.py``."""

    @property
    def folder(self) -> Path | None: ...  # of content.bin; None: in memory

    @property
    def content(self) -> Any: ...  # a buffer; its slices are bytes

    @property
    def size(self) -> int: ...  # of the content, bytes

    @property
    def postings(self) -> Postings | None: ...

    @property
    def view(self) -> Str: ...  # of the content, to find and count bytes

    @property
    def paths(self) -> list[str]: ...

    @property
    def file_start(self) -> Array: ...

    @property
    def lines_before(self) -> Array: ...  # of each file, in the whole content

    @property
    def file_chunk(self) -> Array: ...

    @property
    def file_flags(self) -> Array: ...

    @property
    def chunk_start(self) -> Array: ...

    @property
    def chunk_line(self) -> Array: ...

    @property
    def chunk_file(self) -> Array: ...

    @property
    def chunk_kind(self) -> Array: ...

    @property
    def chunk_cell(self) -> Array: ...

    @property
    def languages(self) -> Sequence[str]: ...

    @property
    def file_language(self) -> Array: ...  # position in languages

    @property
    def chunk_language(self) -> Array: ...  # position in languages

    @property
    def is_ascii(self) -> bool: ...

    @property
    def ascii_chunks(self) -> Mask: ...

    @property
    def ill_formed_chunks(self) -> Mask: ...  # of files that are not UTF-8

    @property
    def mixed_blocks(self) -> Mask: ...  # long, or with chunks that are not ASCII

    # too long for re2, or in files too long for it
    def long_chunks(self, whole_files: bool) -> Mask | None: ...

    def language(self, file: int) -> str: ...

    def revision(self, file: int) -> str: ...

    def label(self, chunk: int) -> str: ...

    @property
    def symbol_kind(self) -> Array: ...

    def symbol_labels(self, numbers: Ids) -> list[str]: ...

    def definitions_around(self, files: Ids, lines: Ids) -> Ids: ...

    def defines(self, file: int, line: int) -> bool: ...
