"""A scope as masks over the files and chunks of one shard: computed once, then pushed into every index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..index.shard import KINDS, Mask, Shard
from ..scopes.scope import Scope


class ScopeMask(NamedTuple):
    """What of a shard is in scope; a mask of None means all of it."""

    files: Mask | None
    chunks: Mask | None
    files_in_scope: int
    chunks_in_scope: int


def compile_mask(shard: Shard, dead: tuple[int, ...], scope: Scope) -> ScopeMask:
    """Tombstones, revisions, languages, globs and kinds, cheapest first: globs see only the files still in."""
    files = np.ones(shard.manifest.files, bool)
    if dead:
        files[list(dead)] = False
    if scope.revisions:
        bits = sum(1 << i for i, name in enumerate(shard.manifest.revisions) if name in scope.revisions)
        files &= (shard.file_revisions & np.uint64(bits)) != 0
    if scope.languages:
        wanted = np.array([name in scope.languages for name in shard.manifest.languages], bool)
        files &= wanted[shard.file_language] if len(wanted) else False
    if scope.include_globs or scope.exclude_globs:
        files &= shard.path_table.admitted(scope.include_globs, scope.exclude_globs)
    count = int(files.sum())
    everything = count == len(files)
    if everything and not scope.kinds:
        return ScopeMask(None, None, count, shard.manifest.chunks)
    chunks: Mask = np.repeat(files, shard.file_chunk[1:] - shard.file_chunk[:-1])
    if scope.kinds:
        wanted = np.array([name in scope.kinds for name in KINDS], bool)
        chunks &= wanted[shard.chunk_kind]
        files &= np.bincount(shard.chunk_file[chunks], minlength=len(files)) > 0
        count = int(files.sum())
    return ScopeMask(files, chunks, count, int(chunks.sum()))
