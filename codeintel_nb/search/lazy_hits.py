"""Lazy hits, built on access.

A text search may find 100,000 matches, of which 50 are displayed. The others remain line offsets
in a shard. Building hits comes after the search, so its time limit does not include it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol, cast, overload

from .hit import Hit, path_order

AT_ONCE = 1_024  # hits built at a time by a loop, and the most that a slice builds
CACHED = 64  # hits built at a time by indexing; the last ones are kept


FileKey = tuple[str, list[str]]  # sort key of a file


class Matches(Protocol):
    """Matches in their order, from which hits are built."""

    def __len__(self) -> int: ...

    def repos(self) -> set[str]:
        """Return the repositories with matches."""
        ...

    def hits(self, begin: int, end: int) -> list[Hit]:
        """Build a range of hits."""
        ...

    def columns(self, names: Sequence[str], begin: int, end: int) -> list[list[Any]]:
        """Return columns of a range, without building its hits."""
        ...


class FileMatches(Matches, Protocol):
    """Matches of one shard in path and line order."""

    def file_key(self, number: int) -> FileKey:
        """Return the sort key of a match's file."""
        ...

    def file_runs(self) -> list[tuple[FileKey, int]]:
        """Return the sort key of each file with matches, and its first match."""
        ...


class EagerHits:
    """Hits of one shard that are already built."""

    def __init__(self, hits: list[Hit]) -> None:
        self.repo, self._hits = hits[0].repo, hits

    def __len__(self) -> int:
        return len(self._hits)

    def repos(self) -> set[str]:
        return {self.repo}

    def hits(self, begin: int, end: int) -> list[Hit]:
        return self._hits[begin:end]

    def columns(self, names: Sequence[str], begin: int, end: int) -> list[list[Any]]:
        return columns_of(self._hits[begin:end], names)

    def file_key(self, number: int) -> FileKey:
        return path_order(self.repo, self._hits[number].path)

    def file_runs(self) -> list[tuple[FileKey, int]]:
        paths = [hit.path for hit in self._hits]
        begins = [at for at, path in enumerate(paths) if not at or path != paths[at - 1]]
        return [(path_order(self.repo, paths[at]), at) for at in begins]


class Segment(NamedTuple):
    """Consecutive matches of a shard."""

    matches: Matches
    begin: int
    end: int


class LazyHits(Sequence[Hit]):
    """Sequence of hits that behaves like a tuple, and builds them on access."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._segments = _join(segments)
        self._ends = list(accumulate(one.end - one.begin for one in self._segments))
        self._block = 0, list[Hit]()  # number of a block of CACHED hits, and its hits

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            if step != 1:
                return tuple(self)[index]
            end = max(begin, end)
            if end - begin > AT_ONCE:
                return LazyHits(self._within(begin, end))
            return tuple(self._hits(begin, end))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(index)
        number, place = divmod(position, CACHED)
        own, block = self._block  # another thread may replace it
        if own != number or not block:
            begin = number * CACHED
            block = self._hits(begin, min(len(self), begin + CACHED))
            self._block = number, block
        return block[place]

    def first(self, count: int) -> LazyHits:
        """Return the first hits."""
        return LazyHits(self._within(0, min(count, len(self))))

    def __iter__(self) -> Iterator[Hit]:
        for begin in range(0, len(self), AT_ONCE):
            yield from self._hits(begin, min(len(self), begin + AT_ONCE))

    def __add__(self, other: Sequence[Hit]) -> tuple[Hit, ...]:
        return (*self, *other)

    def __radd__(self, other: Sequence[Hit]) -> tuple[Hit, ...]:
        return (*other, *self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (LazyHits, tuple)):
            return len(self) == len(other) and tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)

    def columns(self, names: Sequence[str]) -> list[list[Any]]:
        """Return columns of all hits, without building them."""
        values: list[list[Any]] = [[] for _ in names]
        for matches, begin, end in self._segments:
            for column, part in zip(values, matches.columns(names, begin, end), strict=True):
                column += part
        return values

    @cached_property
    def files(self) -> int:
        """Return the number of files with hits."""
        return len({*zip(*self.columns(["repo", "path"]), strict=True)})

    def repos(self) -> set[str]:
        """Return the repositories with hits."""
        return {repo for one in self._segments for repo in one.matches.repos()}

    def _hits(self, begin: int, end: int) -> list[Hit]:
        return [hit for one in self._within(begin, end) for hit in one.matches.hits(*one[1:])]

    def _within(self, begin: int, end: int) -> Iterator[Segment]:
        """Yield the segments of a range, cut at both ends."""
        number = bisect_right(self._ends, begin)
        while begin < end:
            matches, _, last = self._segments[number]
            start = last - (self._ends[number] - begin)
            count = min(end - begin, last - start)
            yield Segment(matches, start, start + count)
            begin += count
            number += 1


def _join(segments: Iterable[Segment]) -> list[Segment]:
    """Join segments that continue one another."""
    joined = list[Segment]()
    for one in segments:
        last = joined[-1] if joined else None
        if last is not None and last.matches is one.matches and last.end == one.begin:
            joined[-1] = last._replace(end=one.end)
        elif one.end > one.begin:
            joined.append(one)
    return joined


def columns_of(hits: Sequence[Hit], names: Sequence[str]) -> list[list[Any]]:
    """Return columns of the hits."""
    if isinstance(hits, LazyHits):
        return hits.columns(names)
    return [[getattr(hit, name) for hit in hits] for name in names]


def files_of(hits: Sequence[Hit]) -> int:
    """Return the number of files with hits."""
    return hits.files if isinstance(hits, LazyHits) else len({(h.repo, h.path) for h in hits})


def repos_of(hits: Sequence[Hit]) -> set[str]:
    """Return the repositories with hits."""
    return hits.repos() if isinstance(hits, LazyHits) else {hit.repo for hit in hits}


def tuple_or_lazy(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Return the hits as a tuple; LazyHits behave like one, and stay lazy."""
    return cast(tuple[Hit, ...], hits) if isinstance(hits, LazyHits) else tuple(hits)


def enc_hook(value: object) -> object:
    """Return lazy hits as a tuple, as msgspec's ``enc_hook``."""
    if isinstance(value, LazyHits):
        return tuple(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be encoded as JSON")


def merge_matches(answers: Sequence[FileMatches]) -> LazyHits:
    """Merge the hits of all shards in path and line order; a file is in one shard only."""
    nonempty = sorted((one for one in answers if len(one)), key=lambda one: one.file_key(0))
    if all(one.file_key(len(one) - 1) < other.file_key(0) for one, other in pairwise(nonempty)):
        return LazyHits(Segment(one, 0, len(one)) for one in nonempty)
    segments = list[tuple[FileKey, Segment]]()
    for one in nonempty:
        runs = one.file_runs()
        ends = [*(begin for _, begin in runs[1:]), len(one)]
        segments += [
            (key, Segment(one, begin, end)) for (key, begin), end in zip(runs, ends, strict=True)
        ]
    segments.sort(key=lambda one: one[0])
    return LazyHits(segment for _, segment in segments)
