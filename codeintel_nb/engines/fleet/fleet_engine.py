"""Engine that searches on the hosts of a fleet, with the answers of the local engine.

Counts, lists, SQL and files outside the index stay here: they read columns, which are small. Text,
meaning and definitions are searched where a shard is placed. A host that is lost has its shards
asked of the others at once; what nobody answers is searched here, if there is time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

from ...search.hit import path_order
from ...search.query import AnyQuery, Bounds, PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ...search.results import Reason
from ...search.text.unindexed import UnindexedTarget
from ..engine import Answer, Limit, Target
from ..local import LocalEngine
from .fleet import Fleet
from .hosts import Hosts
from .searches import Definitions
from .text import fleet_text_search

MAX_SENT = 1_000  # hits; more are made here faster than they travel


class FleetEngine:
    """Engine over a fleet; safe to share between threads."""

    def __init__(self, local: LocalEngine, fleet: Fleet, ranks_here: bool = False) -> None:
        """Search on a fleet; ``ranks_here`` if no host sees all shards, but this process does."""
        self.local, self.fleet = local, fleet
        self.count, self.facets, self.sql = local.count, local.facets, local.sql
        self.points, self.read = local.points, local.read
        self.paths, self.revisions, self.end = local.paths, local.revisions, local.end
        self.hosts = Hosts(local, fleet, ranks_here)

    def search(
        self,
        query: AnyQuery,
        targets: Sequence[Target],
        limit: Limit,
        unindexed: Sequence[UnindexedTarget] = (),
    ) -> Answer:
        is_large = isinstance(query, TextQuery | SymbolQuery) and query.limit > MAX_SENT
        if isinstance(query, PathQuery) or is_large or not self.hosts.names():
            return self.local.search(query, targets, limit, unindexed)
        with self.local.bounds(limit) as bounds:

            def here(own: Sequence[Target]) -> Answer:
                """Search these shards, and files outside the index, in this process."""
                rest = Limit(bounds.left_s(), limit.call)
                return self.local.search(query, own, rest, unindexed)

            match query:
                case TextQuery():
                    return fleet_text_search(self.hosts, query, targets, bounds, unindexed, here)
                case SemanticQuery():
                    if query.why_not:  # one chunk's explanation needs the scores of all
                        return here(targets)
                    from .semantic import fleet_semantic_search

                    return fleet_semantic_search(self.hosts, query, targets, bounds)
                case SymbolQuery():
                    return self._symbols(query, targets, bounds)

    def _symbols(self, query: SymbolQuery, targets: Sequence[Target], bounds: Bounds) -> Answer:
        began = time.perf_counter()
        every = [one._replace(scope=one.scope.merged(kinds=())) for one in targets]
        shards = {one.shard for one in self.hosts.in_scope(every)}
        own = [one for one in targets if one.shard in shards]
        named = self._definitions(query, own, bounds, alike=False)
        if not named.total and not query.is_glob and not named.ended and not bounds.reached():
            named = self._definitions(query, own, bounds, alike=True)
        first, total = named.hits, named.total
        first.sort(
            key=lambda one: (
                -one.score, one.length, path_order(one.hit.repo, one.hit.path), one.number
            )
        )  # fmt: skip
        hits = tuple(one.hit for one in first[: query.limit])
        ended = named.ended or bounds.reached()
        reason: Reason = bounds.reason() if bounds.reached() else "time" if ended else ""
        if not reason and total > len(hits):
            reason = "limit"
        return Answer(hits, total, reason, {"search": _ms(began)}, not ended)

    def _definitions(
        self, query: SymbolQuery, targets: Sequence[Target], bounds: Bounds, alike: bool
    ) -> Definitions:
        parts, left = self.hosts.ask(targets, bounds, uuid4().hex, "symbols", query, alike)
        hits = [hit for one in parts for hit in one.hits]
        ended = bool(left) or any(one.ended for one in parts)
        return Definitions(hits, sum(one.total for one in parts), ended)

    def problems(self) -> list[str]:
        states = self.fleet.states()
        states |= {one: fault for one, fault in self.hosts.faults.items() if one in states}
        problems = [f"The host {host}: {state}." for host, state in states.items() if state]
        if not self.hosts.names():
            problems.append("No host answers, so this server searches by itself.")
        return problems

    def close(self) -> None:
        self.fleet.close()
        self.local.close()


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
