"""What a text search found in a shard, and how much of it is kept."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from ..index.shard import Shard
from .query import TextQuery

COUNTED_S = 0.01  # spent on counting matches beyond the limit


class Match(NamedTuple):
    """Byte offsets in a shard's content."""

    line_start: int
    line_end: int  # behind the last character of the last line matched
    start: int


class Kept:
    """Takes matches in content order and keeps those that the query asks for; beyond its limit it only counts, for a moment."""

    def __init__(self, shard: Shard, query: TextQuery) -> None:
        self.found: list[Match] = []
        self.counts: dict[int, int] = {}  # start of a file's first matching line -> its matching lines
        self.total = 0
        self.exact = True
        self.more = False  # than were kept
        self._file_start = shard.file_start
        self._limit = query.limit
        self._most = 1 if query.show == "files" else query.per_file
        self._counting = query.show == "counts"
        self._by_file = self._counting or self._most is not None
        self._file_end = self._in_file = self._first = 0
        self._count_until = 0.0

    def take(self, match: Match) -> int:
        """Keep a match; the offset at which to go on, or -1 when enough is known."""
        if self._by_file:
            if match.line_start >= self._file_end:
                self._file_end = int(self._file_start[int(np.searchsorted(self._file_start, np.uint64(match.line_start), "right"))])
                self._in_file, self._first = 0, match.line_start
            self._in_file += 1
            if self._most is not None and self._in_file > self._most:
                return self._file_end
        self.total += 1
        if self._counting:
            self.counts[self._first] = self._in_file
            if self._in_file > 1:
                return match.line_end + 1
        if len(self.found) < self._limit:
            self.found.append(match)
        else:
            self.more = True
            if not self._counting and self._counted_enough():
                return -1
        return match.line_end + 1

    def _counted_enough(self) -> bool:
        if not self._count_until:
            self._count_until = time.perf_counter() + COUNTED_S
        elif self.total % 32 == 0 and time.perf_counter() > self._count_until:
            self.exact = False
            return True
        return False

    def merge(self, other: Kept) -> None:
        """Take over what was kept of other files."""
        found = sorted({*self.found, *other.found})
        self.more = self.more or other.more or len(found) > self._limit
        self.found = found[: self._limit]
        self.counts.update(other.counts)
        self.total += other.total
        self.exact = self.exact and other.exact
