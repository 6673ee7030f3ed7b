"""Columns of a shard's files, chunks and symbols in scope, for SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..index.shard.arrays import Array, Mask
from ..index.shard.id_lists import Ids
from ..index.shard.shard import KINDS, Shard
from ..index.shard.symbol_texts import SymbolTexts
from ..index.shard.text_flags import IS_GENERATED
from .mask import ScopeMask

Columns = dict[str, Callable[[], Array]]  # of equal length, made when they are read


class InScope(NamedTuple):
    """Shard of a repository, with what is in scope."""

    repo: str
    shard: Shard
    mask: ScopeMask
    definitions: Mask  # a definition's kind may differ from its chunk's


def file_columns(one: InScope) -> Columns:
    shard, mask = one.shard, one.mask
    files = np.arange(shard.manifest.files) if mask.files is None else np.flatnonzero(mask.files)
    return {
        "path": lambda: _texts(shard.paths)[files],
        "language": lambda: _texts(shard.languages)[shard.file_language[files]],
        "lines": lambda: shard.file_lines[files],
        "size_bytes": lambda: shard.file_size[files],
        "modified": lambda: shard.file_mtime_ns[files],
        "generated": lambda: shard.file_flags[files] & IS_GENERATED > 0,
    }


def chunk_columns(one: InScope) -> Columns:
    shard, mask = one.shard, one.mask
    chunks = _in_scope(shard.chunk_file, mask) if mask.chunks is None else mask.chunks.nonzero()[0]
    return {
        "path": lambda: _texts(shard.paths)[shard.chunk_file[chunks]],
        "language": lambda: _texts(shard.languages)[shard.chunk_language[chunks]],
        "start_line": lambda: shard.chunk_line[chunks],
        "end_line": lambda: shard.chunk_end_line[chunks],
        "kind": lambda: _texts(KINDS)[shard.chunk_kind[chunks]],
        "symbol": lambda: _texts([shard.label(chunk) or None for chunk in chunks.tolist()]),
        "cell": lambda: np.ma.masked_less(shard.chunk_cell[chunks], 0),
    }


def symbol_columns(one: InScope) -> Columns:
    shard, numbers = one.shard, np.flatnonzero(one.definitions)
    texts = SymbolTexts(shard, numbers.tolist())
    return {
        "path": lambda: _texts(shard.paths)[shard.symbol_file[numbers]],
        "language": lambda: _texts(shard.languages)[
            shard.chunk_language[shard.symbol_chunk[numbers]]
        ],
        "name": lambda: _texts(texts.names),
        "kind": lambda: _texts(KINDS)[shard.symbol_kind[numbers]],
        "container": lambda: _texts(texts.containers),
        "signature": lambda: _texts(texts.signatures),
        "start_line": lambda: shard.symbol_line[numbers],
        "end_line": lambda: shard.symbol_end_line[numbers],
        "doc": lambda: _texts(texts.docs),
    }


TABLES: dict[str, Callable[[InScope], Columns]] = {
    "files": file_columns,
    "chunks": chunk_columns,
    "symbols": symbol_columns,
}


def _in_scope(file_of: Array, mask: ScopeMask) -> Ids:
    """Return the rows whose files are in scope."""
    return np.arange(len(file_of)) if mask.files is None else np.flatnonzero(mask.files[file_of])


def _texts(texts: Sequence[str | None]) -> Array:
    return np.array(texts, object)
