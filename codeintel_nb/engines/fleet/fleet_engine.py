"""Engine that searches on the hosts of a fleet, with the answers of the local engine.

Counts, lists, SQL and files outside the index stay here: they read columns, which are small. Text,
meaning and definitions are searched where a shard is placed. A host that is lost has its shards
asked of the others at once; what nobody answers is searched here, if there is time.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from ...search.hit import path_order
from ...search.lazy_hits import EagerHits, merge_matches
from ...search.query import AnyQuery, Bounds, PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ...search.results import Reason
from ...search.text.unindexed import UnindexedTarget
from ..engine import Answer, Limit, Target
from ..local import LocalEngine
from ..text_search import MAX_RANKED, Budget, TextSearch, left_for
from .fleet import Fleet
from .hosts import Hosts
from .searches import Definitions, TextPart

MAX_SENT = 1_000  # hits; more are made here faster than they travel


Here = Callable[[Sequence[Target]], Answer]


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
                    return self._text(query, targets, bounds, here, unindexed)
                case SemanticQuery():
                    if query.why_not:  # one chunk's explanation needs the scores of all
                        return here(targets)
                    from .semantic import fleet_semantic_search

                    return fleet_semantic_search(self.hosts, query, targets, bounds)
                case SymbolQuery():
                    return self._symbols(query, targets, bounds)

    def _text(
        self,
        query: TextQuery,
        targets: Sequence[Target],
        bounds: Bounds,
        here: Here,
        unindexed: Sequence[UnindexedTarget],
    ) -> Answer:
        began = time.perf_counter()
        answers, left, count_bytes = self._lines(query, self.hosts.in_scope(targets), bounds)
        reads_files = bool(unindexed)
        if reads_files and not bounds.reached():
            budget = Budget.of(self.local.count_bytes)._replace(count_bytes=count_bytes)
            rest = TextSearch(self.local, query, bounds, budget).run([], unindexed)
            answers.append(rest._replace(hits=list(rest.hits)))
            reads_files = False
        # no host knows which matches are the first of all, to rank them
        if query.rank and sum(one.total for one in answers) > MAX_RANKED and not bounds.reached():
            return here(targets)
        if query.rank:
            ranked = sorted(
                (hit for one in answers for hit in one.hits),
                key=lambda hit: (-hit.score, path_order(hit.repo, hit.path)),
            )
            hits: Sequence[Any] = ranked[: query.limit]
            count = len(ranked)
        else:
            every = merge_matches([EagerHits(own) for one in answers for own in _by_repo(one.hits)])
            hits, count = every[: query.limit], len(every)
        total = sum(one.total for one in answers)
        reasons = {one.reason for one in answers}
        reason: Reason = bounds.reason() if left or bounds.reached() else ""
        is_cut = count > len(hits) or (query.show != "counts" and total > len(hits))
        reasons |= {"limit"} if is_cut else set()
        for other in ("cancelled", "time", "limit", "reading"):
            reason = reason or (other if other in reasons else "")
        return Answer(
            hits, total, reason, {"search": _ms(began)},
            all(one.exact for one in answers) and not left and not reads_files,
            sum(one.files_read for one in answers), any(one.more for one in answers),
        )  # fmt: skip

    def _lines(
        self, query: TextQuery, targets: Sequence[Target], bounds: Bounds
    ) -> tuple[list[Answer], bool, int]:
        """Return the answers of all shards, whether some are missing, and the bytes left to count.

        A host with more candidate text than its share of what is counted only measures it. Then
        each of its shards gets what one search would have left for it.
        """
        count_bytes, call = self.local.count_bytes, uuid4().hex
        share = count_bytes // max(1, len(self.hosts.names()))
        if query.show == "counts":  # reads all
            share = sys.maxsize
        parts: list[TextPart]
        parts, missing = self.hosts.ask(targets, bounds, call, "text", query, share, {})
        if bounds.reached():
            complete = [one.answer for one in parts if one.answer is not None]
            return complete, bool(missing) or len(complete) < len(parts), 0
        sizes = {shard: size for one in parts for shard, size in one.sizes.items()}
        in_order = {one.shard: sizes[one.shard] for one in targets if one.shard in sizes}
        left, rest = left_for(in_order, count_bytes)
        answers, answered = list[Answer](), set[str]()
        for one in parts:
            is_counted = all(size <= left[shard] for shard, (_, size) in one.sizes.items())
            if one.answer is not None and (is_counted or query.show == "counts"):
                answers.append(one.answer)
                answered |= one.sizes.keys()
        others = [one for one in targets if one.shard not in answered]
        if others:
            left = {one.shard: left.get(one.shard, 0) for one in others}
            parts, missing = self.hosts.ask(
                others, bounds, call, "text", query, None, by_shard=left
            )
            answers += [one.answer for one in parts if one.answer is not None]
        return answers, bool(missing), rest

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


def _by_repo(hits: Sequence[Any]) -> list[list[Any]]:
    """Return hits in lists of one repository each."""
    return [list(own) for _, own in itertools.groupby(hits, key=lambda hit: hit.repo)]


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
