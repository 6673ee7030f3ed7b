"""Limits of one call on a server."""

from __future__ import annotations

import msgspec

MAX_POINTS = 1_000_000  # of a map


class Limits(msgspec.Struct, frozen=True):
    """Limits of one call; None leaves the query's own."""

    timeout_s: float | None = None
    hits: int | None = None
    rows: int = 1_000_000  # of an answer to SQL
    # SQL has no partial results, but shows progress and can be cancelled
    sql_timeout_s: float = 600.0
    sql_memory_bytes: int = 1_000_000_000

    def within(self, requested_s: float | None) -> float | None:
        """Return a search's time limit, at most the server's."""
        return _within(requested_s, self.timeout_s)

    def sql_within(self, requested_s: float | None) -> float | None:
        """Return an SQL query's time limit, at most the server's."""
        return _within(requested_s, self.sql_timeout_s)

    def hits_of(self, limit: int, offset: int) -> int:
        """Return how many hits a page needs, within the limit."""
        return limit + offset if self.hits is None else min(limit + offset, self.hits)


def _within(requested_s: float | None, most_s: float | None) -> float | None:
    # an invalid one is rejected where it is used
    if requested_s is None or most_s is None or not requested_s > 0:
        return most_s if requested_s is None else requested_s
    return min(requested_s, most_s)
