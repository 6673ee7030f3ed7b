"""Where to look: byte ranges of a shard's content, in pieces that let a search end in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..index.postings import Blocks
from ..index.shard import Shard

SEGMENT = 8 << 20  # bytes searched between two looks at the clock, at most
FIRST_SEGMENT = 256 << 10  # before the pattern's speed is known: a slow one reads 2 MB a second, a fast one 5 GB
SMALLEST_SEGMENT = 32 << 10
LOOKED_S = 0.05

Offsets = npt.NDArray[np.int64]
Chunks = npt.NDArray[np.bool_]


class Pace:
    """How much to search between two looks at the clock, from how long the last part took."""

    def __init__(self) -> None:
        self.segment = FIRST_SEGMENT
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def ended(self, searched: int) -> None:
        spent = max(time.perf_counter() - self._began, 1e-6)
        self.segment = int(min(SEGMENT, max(SMALLEST_SEGMENT, searched / spent * LOOKED_S)))


class Ranges(NamedTuple):
    """Byte ranges of the content, ascending and apart, and the places at which they may be cut."""

    begins: Offsets
    ends: Offsets
    cuts: npt.NDArray[np.uint64]

    def pieces(self, pace: Pace | None = None) -> Iterator[tuple[int, int]]:
        """The ranges in pieces about as long as the pace says; ranges that touch are taken together."""
        begins, ends, cuts = self.begins.tolist(), self.ends.tolist(), self.cuts
        i, count = 0, len(begins)
        while i < count:
            begin, end = begins[i], ends[i]
            while True:
                segment = pace.segment if pace else SEGMENT
                while i + 1 < count and begins[i + 1] == end and end - begin < segment:
                    i += 1
                    end = ends[i]
                if end - begin <= segment:
                    yield begin, end
                    break
                at = int(np.searchsorted(cuts, np.uint64(begin + segment), "right")) - 1
                stop = int(cuts[at]) if int(cuts[at]) > begin else int(cuts[at + 1])
                if stop >= end:
                    yield begin, end
                    break
                yield begin, stop
                begin = stop
            i += 1

    def by_file(self, file_start: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """The ranges cut where a file ends: a match of several lines stays within one."""
        for begin, end in zip(self.begins.tolist(), self.ends.tolist(), strict=True):
            first = int(np.searchsorted(file_start, np.uint64(begin), "right"))
            last = int(np.searchsorted(file_start, np.uint64(end), "left"))
            edges = [begin, *(int(edge) for edge in file_start[first:last] if begin < edge < end), end]
            yield from pairwise(edges)


def ranges_of(shard: Shard, chunks: Chunks | None, blocks: Blocks | None) -> Ranges:
    """Where the chunks lie, as far as they are in the blocks; None stands for all of either."""
    postings = shard.postings
    cuts = shard.chunk_start if postings is None else postings.starts
    if chunks is None:
        if blocks is not None and postings is not None:
            return Ranges(postings.starts[blocks].astype(np.int64), postings.starts[blocks + 1].astype(np.int64), cuts)
        size = shard.manifest.content_bytes
        return Ranges(np.array([0] if size else [], np.int64), np.array([size] if size else [], np.int64), cuts)
    edges = np.flatnonzero(np.diff(chunks.view(np.int8), prepend=np.int8(0), append=np.int8(0)))
    begins, ends = shard.chunk_start[edges[::2]].astype(np.int64), shard.chunk_start[edges[1::2]].astype(np.int64)
    if blocks is None or postings is None:
        return Ranges(begins, ends, shard.chunk_start)
    block_begins, block_ends = postings.starts[blocks].astype(np.int64), postings.starts[blocks + 1].astype(np.int64)
    first = np.searchsorted(ends, block_begins, "right")
    counts = np.maximum(np.searchsorted(begins, block_ends, "left") - first, 0)
    owner = np.repeat(np.arange(len(blocks)), counts)
    span = np.repeat(first, counts) + np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Ranges(np.maximum(block_begins[owner], begins[span]), np.minimum(block_ends[owner], ends[span]), shard.chunk_start)
