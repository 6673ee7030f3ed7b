"""Where to look: byte ranges of a shard's content, in pieces that let a search end in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from stringzilla import Str

from ..index.postings import Blocks
from .searchable import Searchable

SEGMENT = 8 << 20  # bytes searched between two looks at the clock, at most
FIRST_SEGMENT = (
    256 << 10
)  # before the pattern's speed is known: a slow one reads 2 MB a second, a fast one 5 GB
SMALLEST_SEGMENT = 32 << 10
LOOKED_S = 0.05
FEW = 32  # blocks that are looked at as they come

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

    @property
    def size(self) -> int:
        return int((self.ends - self.begins).sum())

    @classmethod
    def of(cls, edges: list[tuple[int, int]], cuts: npt.NDArray[np.uint64]) -> Ranges:
        both = np.array(edges, np.int64).reshape(-1, 2)
        return cls(both[:, 0], both[:, 1], cuts)

    def parted(self, size: int) -> tuple[Ranges, Ranges]:
        """The ranges with the first ``size`` bytes, about, and the others."""
        before = np.cumsum(self.ends - self.begins) - (
            self.ends - self.begins
        )  # bytes of the ranges before each
        last = max(0, int(np.searchsorted(before, size, "left")) - 1)
        if last >= len(self.begins):
            return self, Ranges(self.begins[:0], self.ends[:0], self.cuts)
        wanted = int(self.begins[last]) + size - int(before[last])
        cut = int(
            self.cuts[
                min(int(np.searchsorted(self.cuts, np.uint64(wanted), "left")), len(self.cuts) - 1)
            ]
        )
        if cut >= self.ends[last]:
            return Ranges(self.begins[: last + 1], self.ends[: last + 1], self.cuts), Ranges(
                self.begins[last + 1 :], self.ends[last + 1 :], self.cuts
            )
        head = Ranges(self.begins[: last + 1], np.append(self.ends[:last], cut), self.cuts)
        return head, Ranges(np.insert(self.begins[last + 1 :], 0, cut), self.ends[last:], self.cuts)

    def cut(self, offset: int) -> tuple[Ranges, Ranges]:
        """What lies before an offset, and what behind it."""
        first = int(np.searchsorted(self.begins, offset, "left"))
        across = first > 0 and self.ends[first - 1] > offset
        head = Ranges(self.begins[:first], np.minimum(self.ends[:first], offset), self.cuts)
        rest = first - across
        return head, Ranges(np.maximum(self.begins[rest:], offset), self.ends[rest:], self.cuts)

    def occurrences(self, view: Str, text: bytes, samples: int, size: int) -> float:
        """How often a text is there, about: by so many samples of at most so many bytes, evenly spread."""
        if not self.size:
            return 0.0
        before = np.cumsum(self.ends - self.begins) - (self.ends - self.begins)
        wanted = np.linspace(0, self.size, samples, endpoint=False).astype(np.int64)
        of = np.searchsorted(before, wanted, "right") - 1
        begins = self.begins[of] + wanted - before[of]
        ends = np.minimum(begins + size, self.ends[of])
        held: int = sum(
            view.count(text, begin, end)
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        )
        return held * self.size / int((ends - begins).sum())

    def and_also(self, others: Ranges) -> Ranges:
        """Both, which are apart."""
        order = np.argsort(np.concatenate([self.begins, others.begins]), kind="stable")
        return Ranges(
            np.concatenate([self.begins, others.begins])[order],
            np.concatenate([self.ends, others.ends])[order],
            self.cuts,
        )

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

    def each_file(self, file_start: npt.NDArray[np.uint64]) -> list[Ranges]:
        """The ranges, those of each file together."""
        edges = np.array([*self.by_file(file_start)], np.int64).reshape(-1, 2)
        owners = np.searchsorted(file_start, edges[:, 0].astype(np.uint64), "right")
        return [
            Ranges(of_file[:, 0], of_file[:, 1], self.cuts)
            for of_file in np.split(edges, np.flatnonzero(np.diff(owners)) + 1)
            if len(of_file)
        ]

    def by_file(self, file_start: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """The ranges cut where a file ends: a match of several lines stays within one."""
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
    """Where the chunks lie, as far as they are in the blocks; None stands for all of either."""
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
            apart = np.flatnonzero(np.diff(blocks) != 1)  # those that touch are one range
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
    held = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(
        len(block)
    )  # chunks, one after the other
    wanted = chunks[held]
    held, block = held[wanted], block[wanted]
    begins = np.maximum(shard.chunk_start[held], block_begins[block]).astype(np.int64)
    ends = np.minimum(shard.chunk_start[held + 1], block_ends[block]).astype(np.int64)
    apart = np.flatnonzero(begins[1:] != ends[:-1]) + 1  # those that touch are one range
    return Ranges(
        begins[np.append(0, apart)] if len(begins) else begins,
        ends[np.append(apart - 1, len(ends) - 1)] if len(ends) else ends,
        shard.chunk_start,
    )
