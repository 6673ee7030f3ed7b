"""Ranges of the lines whose kind is in scope.

A chunk of definitions may hold several kinds, such as a short class with its methods. A line has
the kind of the innermost definition around it, in a scope and in a hit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ...index.shard.arrays import Mask
from ...index.shard.id_lists import Ids
from ...index.shard.shard import KINDS, Shard
from ..mask import NAMED, ScopeMask
from .ranges import Ranges
from .searchable import Searchable

_MODULE, _CELL = KINDS.index("module"), KINDS.index("cell")
BATCH = 1 << 14  # chunks split at a time, to bound memory
FEW_SHARE = 1 / 16  # of the content; below it, only the chunks with candidates are split


def line_kinds(shard: Searchable, chunks: Ids, files: Ids, lines: Ids) -> tuple[Ids, Ids]:
    """Return each line's innermost definition by number, or -1, and its kind.

    Only chunks of definitions are divided. The lines of each file must ascend.
    """
    own = shard.chunk_kind[chunks]
    named = own < NAMED
    around = np.where(named, shard.definitions_around(files, lines), -1)
    kinds = np.where(shard.chunk_cell[chunks] < 0, _MODULE, _CELL)
    kinds[around >= 0] = shard.symbol_kind[around[around >= 0]]
    kinds[~named] = own[~named]
    return around, kinds


class _Runs(NamedTuple):
    """Runs of lines of one kind, each within a chunk, ascending."""

    begins: npt.NDArray[np.int64]  # offsets in the content
    ends: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]


_runs = WeakKeyDictionary[Shard, _Runs]()  # of whole shards


def with_kinds(
    shard: Shard, mask: ScopeMask, kinds: Collection[str]
) -> tuple[ScopeMask, Callable[[Ranges], Ranges]]:
    """Return the mask of the chunks that may have lines of some kinds, and a filter of ranges.

    The filter leaves these lines. ``mask`` is the scope's without its kinds.
    """
    by_kind = np.array([kind in kinds for kind in KINDS], bool)
    chunks: Mask = by_kind[shard.chunk_kind] | (shard.chunk_kind < NAMED)
    if mask.chunks is not None:
        chunks &= mask.chunks
    mask = mask._replace(chunks=chunks, chunks_in_scope=int(chunks.sum()))
    return mask, partial(_of_kinds, shard, by_kind)


def _of_kinds(shard: Shard, by_kind: Mask, ranges: Ranges) -> Ranges:
    """Return the parts of ranges with lines of some kinds."""
    runs = _runs.get(shard)
    if runs is None and ranges.size < FEW_SHARE * shard.size:
        first = shard.chunk_start.searchsorted(ranges.begins.astype(np.uint64), "right") - 1
        last = shard.chunk_start.searchsorted(ranges.ends.astype(np.uint64), "left")
        marks = np.zeros(shard.manifest.chunks + 1, np.int32)
        np.add.at(marks, first, 1)
        np.add.at(marks, last, -1)
        runs = _runs_of(shard, np.flatnonzero(marks.cumsum()[:-1]))
    elif runs is None:  # another thread may compute them, too
        runs = _runs[shard] = _runs_of(shard, np.arange(shard.manifest.chunks))
    chosen = by_kind[runs.kinds]
    begins, ends = runs.begins[chosen], runs.ends[chosen]
    apart = np.flatnonzero(begins[1:] != ends[:-1]) + 1  # adjacent runs are one range
    if len(begins):
        begins, ends = begins[np.append(0, apart)], ends[np.append(apart - 1, -1)]
    return ranges.within(Ranges(begins, ends, ranges.cuts))


def _runs_of(shard: Shard, chunks: Ids) -> _Runs:
    """Return the runs of some chunks, ascending."""
    batches = [chunks[at : at + BATCH] for at in range(0, max(1, len(chunks)), BATCH)]
    parts = [_runs_of_batch(shard, batch) for batch in batches]
    return _Runs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _runs_of_batch(shard: Shard, chunks: Ids) -> _Runs:
    starts, ends = (shard.chunk_start[which].astype(np.int64) for which in (chunks, chunks + 1))
    content = shard.content
    pieces = [content[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    text = np.frombuffer(b"".join(pieces), np.uint8)
    edges = np.append(0, np.cumsum(ends - starts))  # of the chunks in the text
    breaks = np.flatnonzero(text == ord("\n"))
    before = breaks.searchsorted(edges[:-1])
    # lines of a chunk behind its first; only chunks of definitions are divided
    further = np.maximum(breaks.searchsorted(edges[1:] - 1) - before, 0)
    further[shard.chunk_kind[chunks] >= NAMED] = 0
    owners = np.repeat(np.arange(len(chunks)), further + 1)
    numbers = np.arange(len(owners)) - np.repeat(np.cumsum(further + 1) - further - 1, further + 1)
    begins = edges[owners]
    is_further = numbers > 0
    begins[is_further] = breaks[(before[owners] + numbers - 1)[is_further]] + 1
    of_line = chunks[owners]
    lines = shard.chunk_line[of_line] + numbers
    _, kinds = line_kinds(shard, of_line, shard.chunk_file[of_line].astype(np.int64), lines)
    is_new = ~is_further
    is_new[1:] |= np.diff(kinds) != 0
    begins, owners = (begins + (starts - edges[:-1])[owners])[is_new], owners[is_new]
    is_last = np.append(np.diff(owners) != 0, True)[: len(owners)]
    behind = np.append(begins[1:], 0)[: len(owners)]
    return _Runs(begins, np.where(is_last, ends[owners], behind), kinds[is_new].astype(np.uint8))
