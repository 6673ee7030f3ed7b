"""What a text search found in a shard, and how much of it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from .query import TextQuery
from .searchable import Searchable

COUNTED_S = 0.001  # spent on counting matches beyond the limit


# Byte offsets in a shard's content: where the first line of the match begins, behind the last character of its last line,
# and where the match itself begins; and the number of its first line in all of the content, from 1, or 0 where it is not
# known. A plain tuple, as there may be a hundred thousand.
Match = tuple[int, int, int, int]


class Counting:
    """The moment that a query may go on counting once it has all the hits it asks for; its shards share it."""

    def __init__(self, seconds: float = COUNTED_S) -> None:
        self._seconds = seconds
        self._ends_at = 0.0

    def over(self) -> bool:
        if not self._ends_at:
            self._ends_at = time.perf_counter() + self._seconds
            return False
        return time.perf_counter() > self._ends_at


class Kept:
    """Takes matches in content order and keeps those that the query asks for; beyond its limit it only counts, for a moment."""

    def __init__(self, shard: Searchable, query: TextQuery, limit: int, counting: Counting) -> None:
        self.found: list[Match] = []
        self.counts: dict[int, int] = {}  # start of a file's first matching line -> its matching lines
        self.total = 0
        self.exact = True
        self.more = False  # than were kept
        self.limit = limit
        self.counting = counting
        self._file_start = shard.file_start
        self._most = 1 if query.show == "files" else query.per_file
        self.by_line = query.show != "counts" and self._most is None
        self._counts_all = query.show == "counts"
        self._file_end = self._in_file = self._first = 0
        self.full = limit == 0 and not self._counts_all  # no further match is kept

    def take(self, match: Match) -> int:
        """Keep a match, or count it; the offset at which to go on."""
        line_start, line_end, _, _ = match
        if not self.by_line:
            if line_start >= self._file_end:
                self._file_end = int(self._file_start[int(np.searchsorted(self._file_start, np.uint64(line_start), "right"))])
                self._in_file, self._first = 0, line_start
            self._in_file += 1
            if self._most is not None and self._in_file > self._most:
                return self._file_end
            if self._counts_all:
                self.counts[self._first] = self._in_file
                if self._in_file > 1:
                    self.total += 1
                    return line_end + 1
        self.total += 1
        if len(self.found) < self.limit:
            self.found.append(match)
            self.full = len(self.found) == self.limit and not self._counts_all
        else:
            self.more = True
        return line_end + 1

    def take_all(self, matches: Iterable[Match]) -> bool:
        """Keep matches that somebody else found, no two of a line; whether more are wanted."""
        if self.by_line and not self.full:
            found = list(matches)
            room = self.limit - len(self.found)
            self.found += found[:room]
            self.total += len(found)
            self.full, self.more = len(found) >= room, len(found) > room
        else:
            behind = 0
            for match in matches:
                if match[0] >= behind:
                    behind = self.take(match)
        return not (self.full and self.enough())

    def enough(self) -> bool:
        """Whether all that is asked for is kept, and the others were counted for long enough."""
        if self.full and self.exact and self.counting.over():
            self.leave()
        return not self.exact

    def leave(self) -> None:
        """Look at no more: there are others, as far as is known."""
        self.exact, self.more = False, True
