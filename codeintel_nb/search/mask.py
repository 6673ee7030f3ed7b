"""Masks of a scope over one shard's files and chunks.

They are computed once and applied in every index.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ..index.shard.arrays import Mask
from ..index.shard.shard import KINDS, Shard
from ..index.shard.text_flags import IS_NOTEBOOK
from ..scopes.languages import NOTEBOOK
from ..scopes.scope import Scope
from .text.searchable import Searchable

NAMED = 3  # the first kinds are definitions: function, class, method


class ScopeMask(NamedTuple):
    """Files and chunks in scope; a None mask means all."""

    files: Mask | None
    chunks: Mask | None
    files_in_scope: int
    chunks_in_scope: int
    # chunks whose own language is in scope, if any differs from its file's
    of_languages: Mask | None = None


def compile_mask(shard: Shard, dead: tuple[int, ...], scope: Scope) -> ScopeMask:
    """Apply tombstones and the scope to a shard, cheapest first."""
    files = np.ones(shard.manifest.files, bool)
    if dead:
        files[list(dead)] = False
    if scope.revisions:
        bits = sum(
            1 << i for i, name in enumerate(shard.manifest.revisions) if name in scope.revisions
        )
        files &= (shard.file_revisions & np.uint64(bits)) != 0
    of_languages: Mask | None = None
    if scope.languages and shard.has_mixed_files:
        of_languages = chunks_of_languages(shard, scope.languages)
        is_empty = np.diff(shard.file_chunk.astype(np.int64)) == 0
        with_chunks = np.bincount(shard.chunk_file[of_languages], minlength=len(files)) > 0
        files &= np.where(is_empty, files_of_languages(shard, scope.languages), with_chunks)
    elif scope.languages:
        files &= files_of_languages(shard, scope.languages)
    if scope.include_globs or scope.exclude_globs:
        files &= shard.path_table.admitted(scope.include_globs, scope.exclude_globs)
    count = int(files.sum())
    everything = count == len(files)
    if everything and not scope.kinds and of_languages is None:
        return ScopeMask(None, None, count, shard.manifest.chunks)
    chunks: Mask = np.repeat(files, shard.file_chunk[1:] - shard.file_chunk[:-1])
    if of_languages is not None:
        chunks &= of_languages
    if scope.kinds:
        by_kind = np.array([name in scope.kinds for name in KINDS], bool)
        files &= _with_kinds(shard, by_kind, chunks, of_languages)
        chunks &= by_kind[shard.chunk_kind]
        count = int(files.sum())
    return ScopeMask(files, chunks, count, int(chunks.sum()), of_languages)


def _with_kinds(shard: Shard, by_kind: Mask, chunks: Mask, of_languages: Mask | None) -> Mask:
    """Return the mask of files with lines of some kinds in these chunks.

    A chunk of definitions may hold lines of other kinds than its own.
    """
    definitions = by_kind[shard.symbol_kind]
    if of_languages is not None:
        definitions &= of_languages[shard.symbol_chunk]
    between = np.where(shard.chunk_cell < 0, KINDS.index("module"), KINDS.index("cell"))
    may = by_kind[shard.chunk_kind] | (by_kind[between] & (shard.chunk_kind < NAMED))
    places = np.concatenate([shard.symbol_file[definitions], shard.chunk_file[chunks & may]])
    files: Mask = np.bincount(places, minlength=shard.manifest.files) > 0
    return files


def files_of_languages(shard: Searchable, languages: Collection[str]) -> Mask:
    """Return the mask of files; ``notebook`` matches by file type."""
    if not len(shard.languages):
        return np.zeros(len(shard.file_language), bool)
    by_language = np.array([name in languages for name in shard.languages], bool)
    files: Mask = by_language[shard.file_language]
    return files | (shard.file_flags & IS_NOTEBOOK).astype(bool) if NOTEBOOK in languages else files


def chunks_of_languages(shard: Searchable, languages: Collection[str]) -> Mask:
    """Return a mask; prose and outputs have their file's language."""
    by_language = np.array([name in languages for name in shard.languages], bool)
    chunks: Mask = by_language[shard.chunk_language]
    return (
        chunks | (shard.file_flags & IS_NOTEBOOK).astype(bool)[shard.chunk_file]
        if NOTEBOOK in languages
        else chunks
    )
