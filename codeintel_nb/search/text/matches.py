"""Collector of a text search's matches in one shard."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..query import TextQuery
from .searchable import Searchable

# Byte offsets in a shard's content: start of the match's first line, end of its last line without
# the newline, start of the match; then the first line's number in the whole content, from 1, or 0
# if unknown. A plain tuple, as there may be 100,000.
Match = tuple[int, int, int, int]


class MatchCollector:
    """Collector of the first ``limit`` matches, taken in content order.

    A line search stops at ``limit`` matches; the others begin at ``end``. A file search continues
    to ``count_end`` to count files, skipping each at its maximum of matches.
    """

    def __init__(
        self, shard: Searchable, query: TextQuery, limit: int, count_end: int | None = None
    ) -> None:
        self.matches: list[Match] = []
        # start of a file's first matching line -> its matching lines
        self.counts: dict[int, int] = {}
        self.total = 0
        self.limit = limit
        self.end = 0  # after the last match taken
        self.more = False  # a match exists beyond count_end
        self.is_cut = False  # some matches in a file search were not passed on
        self._count_end = shard.size if count_end is None else count_end
        self._file_start = shard.file_start
        self._max_in_file = 1 if query.show == "files" else query.per_file
        self._counts_all = query.show == "counts"
        self.by_line = query.by_line
        self.stopped = self.by_line and limit == 0  # no further match is taken
        self._file_end = self._in_file = self._first = 0

    @property
    def full(self) -> bool:
        """Whether the collector has ``limit`` matches."""
        return len(self.matches) >= self.limit

    def take(self, match: Match) -> int:
        """Keep or count a match; return the offset to continue at."""
        line_start, line_end, _, _ = match
        if self.stopped:
            return line_end + 1
        if (
            self._max_in_file is not None
            and line_start < self._file_end
            and self._in_file >= self._max_in_file
        ):
            return self._file_end
        if self.full and not self._counts_all and (self.by_line or line_start >= self._count_end):
            self.stopped = self.more = True
            return line_end + 1
        self.end = line_end + 1
        if not self.by_line:
            if line_start >= self._file_end:
                self._file_end = int(
                    self._file_start[
                        int(np.searchsorted(self._file_start, np.uint64(line_start), "right"))
                    ]
                )
                self._in_file, self._first = 0, line_start
            self._in_file += 1
            if self._counts_all:
                self.counts[self._first] = self._in_file
                if self._in_file > 1:
                    self.total += 1
                    return self.end
        self.total += 1
        if not self.full:
            self.matches.append(match)
            self.stopped = self.by_line and self.full
        return self.end

    def take_all(self, matches: Iterable[Match]) -> bool:
        """Take matches on distinct lines; return whether to continue."""
        if self.by_line:
            room = self.limit - len(self.matches)
            batch = list(matches)[:room]
            self.matches += batch
            self.total += len(batch)
            if batch:
                self.end = batch[-1][1] + 1
            self.stopped = self.stopped or self.full
        else:
            next_start = 0
            for match in matches:
                if match[0] >= next_start:
                    next_start = self.take(match)
        return not self.stopped
