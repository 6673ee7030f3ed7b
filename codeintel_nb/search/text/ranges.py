"""Byte ranges of a shard to search, in interruptible pieces."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from stringzilla import Str

from ...index.shard.postings import Blocks
from .searchable import Searchable

SEGMENT = 8 << 20  # maximum bytes searched between two checks of the clock
# before the pattern's speed is known: 2 MB a second for a slow one, 5 GB for a fast one
FIRST_SEGMENT = 256 << 10
SMALLEST_SEGMENT = 32 << 10
LOOKED_S = 0.05  # target time between two checks
FEW = 32  # fewer blocks than this are not joined into longer ranges

Offsets = npt.NDArray[np.int64]
Chunks = npt.NDArray[np.bool_]


class Pace:
    """Bytes to search between clock checks, by the last speed."""

    def __init__(self) -> None:
        self.segment = FIRST_SEGMENT
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def ended(self, searched: int) -> None:
        spent = max(time.perf_counter() - self._began, 1e-6)
        self.segment = int(min(SEGMENT, max(SMALLEST_SEGMENT, searched / spent * LOOKED_S)))


class Ranges(NamedTuple):
    """Ascending, disjoint byte ranges, and the offsets allowed for cuts."""

    begins: Offsets
    ends: Offsets
    cuts: npt.NDArray[np.uint64]

    @property
    def size(self) -> int:
        return int((self.ends - self.begins).sum())

    @classmethod
    def of(cls, edges: list[tuple[int, int]], cuts: npt.NDArray[np.uint64]) -> Ranges:
        both = np.array(edges, np.int64).reshape(-1, 2)
        return cls(both[:, 0], both[:, 1], cuts)

    def split_by_file(self, size: int) -> tuple[Ranges, Ranges]:
        """Split off about the first ``size`` bytes."""
        # bytes of the ranges before each
        before = np.cumsum(self.ends - self.begins) - (self.ends - self.begins)
        last = max(0, int(np.searchsorted(before, size, "left")) - 1)
        if last >= len(self.begins):
            return self, Ranges(self.begins[:0], self.ends[:0], self.cuts)
        target = int(self.begins[last]) + size - int(before[last])
        cut = int(
            self.cuts[
                min(int(np.searchsorted(self.cuts, np.uint64(target), "left")), len(self.cuts) - 1)
            ]
        )
        if cut >= self.ends[last]:
            return Ranges(self.begins[: last + 1], self.ends[: last + 1], self.cuts), Ranges(
                self.begins[last + 1 :], self.ends[last + 1 :], self.cuts
            )
        head = Ranges(self.begins[: last + 1], np.append(self.ends[:last], cut), self.cuts)
        return head, Ranges(np.insert(self.begins[last + 1 :], 0, cut), self.ends[last:], self.cuts)

    def cut(self, offset: int) -> tuple[Ranges, Ranges]:
        """Split the ranges at an offset."""
        first = int(np.searchsorted(self.begins, offset, "left"))
        across = first > 0 and self.ends[first - 1] > offset
        head = Ranges(self.begins[:first], np.minimum(self.ends[:first], offset), self.cuts)
        rest = first - across
        return head, Ranges(np.maximum(self.begins[rest:], offset), self.ends[rest:], self.cuts)

    def occurrences(self, view: Str, text: bytes, samples: int, size: int) -> float:
        """Estimate the number of a text's occurrences.

        Counts them in ``samples`` evenly spread samples of at most ``size`` bytes.
        """
        if not self.size:
            return 0.0
        before = np.cumsum(self.ends - self.begins) - (self.ends - self.begins)
        offsets = np.linspace(0, self.size, samples, endpoint=False).astype(np.int64)
        of = np.searchsorted(before, offsets, "right") - 1
        begins = self.begins[of] + offsets - before[of]
        ends = np.minimum(begins + size, self.ends[of])
        count: int = sum(
            view.count(text, begin, end)
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        )
        return count * self.size / int((ends - begins).sum())

    def within(self, others: Ranges) -> Ranges:
        """Return the parts that are also in other ranges."""
        first = others.ends.searchsorted(self.begins, "right")
        counts = np.maximum(others.begins.searchsorted(self.ends, "left") - first, 0)
        own = np.repeat(np.arange(len(counts)), counts)
        of_others = np.arange(len(own)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        return Ranges(
            np.maximum(self.begins[own], others.begins[of_others]),
            np.minimum(self.ends[own], others.ends[of_others]),
            self.cuts,
        )

    def union(self, others: Ranges) -> Ranges:
        """Return the union with other, disjoint ranges."""
        order = np.argsort(np.concatenate([self.begins, others.begins]), kind="stable")
        return Ranges(
            np.concatenate([self.begins, others.begins])[order],
            np.concatenate([self.ends, others.ends])[order],
            self.cuts,
        )

    def pieces(self, pace: Pace | None = None) -> Iterator[tuple[int, int]]:
        """Yield pieces of about the pace's length, joining adjacent ranges."""
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

    def each_file(self, file_start: npt.NDArray[np.uint64]) -> list[Ranges]:
        """Return the ranges of each file."""
        edges = np.array([*self.by_file(file_start)], np.int64).reshape(-1, 2)
        owners = np.searchsorted(file_start, edges[:, 0].astype(np.uint64), "right")
        return [
            Ranges(of_file[:, 0], of_file[:, 1], self.cuts)
            for of_file in np.split(edges, np.flatnonzero(np.diff(owners)) + 1)
            if len(of_file)
        ]

    def by_file(self, file_start: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """Yield the ranges cut by file, for multiline matches."""
        for begin, end in zip(self.begins.tolist(), self.ends.tolist(), strict=True):
            first = int(np.searchsorted(file_start, np.uint64(begin), "right"))
            last = int(np.searchsorted(file_start, np.uint64(end), "left"))
            edges = [
                begin,
                *(int(edge) for edge in file_start[first:last] if begin < edge < end),
                end,
            ]
            yield from pairwise(edges)


NOWHERE = Ranges(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64))


def ranges_of(shard: Searchable, chunks: Chunks | None, blocks: Blocks | None) -> Ranges:
    """Return the ranges of chunks within blocks; None means all."""
    postings = shard.postings
    cuts = shard.chunk_start if postings is None else postings.starts
    if chunks is None:
        if blocks is not None and postings is not None:
            if len(blocks) < FEW:
                return Ranges(
                    postings.starts[blocks].astype(np.int64),
                    postings.starts[blocks + 1].astype(np.int64),
                    cuts,
                )
            apart = np.flatnonzero(np.diff(blocks) != 1)  # adjacent blocks are one range
            firsts, lasts = blocks[np.append(0, apart + 1)], blocks[np.append(apart, -1)]
            return Ranges(
                postings.starts[firsts].astype(np.int64),
                postings.starts[lasts + 1].astype(np.int64),
                cuts,
            )
        size = shard.size
        return Ranges(
            np.array([0] if size else [], np.int64),
            np.array([size] if size else [], np.int64),
            cuts,
        )
    if blocks is None or postings is None:
        edges = np.flatnonzero(np.diff(chunks.view(np.int8), prepend=np.int8(0), append=np.int8(0)))
        begins, ends = (
            shard.chunk_start[edges[::2]].astype(np.int64),
            shard.chunk_start[edges[1::2]].astype(np.int64),
        )
        return Ranges(begins, ends, shard.chunk_start)
    block_begins, block_ends = postings.starts[blocks], postings.starts[blocks + 1]
    first = np.searchsorted(shard.chunk_start, block_begins, "right") - 1
    counts = np.searchsorted(shard.chunk_start, block_ends, "left") - first
    block = np.repeat(np.arange(len(blocks)), counts)
    chunk_ids = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(len(block))
    in_scope = chunks[chunk_ids]
    chunk_ids, block = chunk_ids[in_scope], block[in_scope]
    begins = np.maximum(shard.chunk_start[chunk_ids], block_begins[block]).astype(np.int64)
    ends = np.minimum(shard.chunk_start[chunk_ids + 1], block_ends[block]).astype(np.int64)
    apart = np.flatnonzero(begins[1:] != ends[:-1]) + 1  # adjacent chunks are one range
    return Ranges(
        begins[np.append(0, apart)] if len(begins) else begins,
        ends[np.append(apart - 1, len(ends) - 1)] if len(ends) else ends,
        shard.chunk_start,
    )
