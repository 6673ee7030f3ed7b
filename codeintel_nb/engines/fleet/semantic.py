"""Semantic search on a fleet: candidates of each host, then one ranking on one of them.

Statistics of words are those of all shards, counted here. A large scope needs a trip more: the
coarse distances of all shards give one limit for the shortlist. So the hits are those of the local
engine, whatever the placement.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

from ...search.query import MAX_RANKED_CHUNKS, Bounds, SemanticQuery
from ...search.results import Reason
from ...search.semantic.candidates import Statistics
from ...search.semantic.closest import Shortlist, limit_of, shortlists, summed
from ...search.semantic.plan import SearchPlan, depth
from ..engine import Answer, Target
from ..semantic_search import (
    nothing_in_scope,
    part_of,
    planned_search,
    with_chunks_in_scope,
    words_alone,
)
from .found import RankedHits, rank_found
from .hosts import Hosts


def fleet_semantic_search(
    hosts: Hosts,
    query: SemanticQuery,
    targets: Sequence[Target],
    bounds: Bounds,
) -> Answer:
    """Return the best chunks, as ``semantic_search`` does."""
    began = time.perf_counter()
    parts = [part_of(hosts.local, target) for target in targets]
    if not parts:
        return nothing_in_scope(query, began)
    plan, collection = planned_search(
        query, hosts.local.collections, targets, parts, hosts.local.embedders
    )
    sent = plan._replace(embedders={})  # a host has its own
    planned = time.perf_counter()
    most = depth(query)
    in_scope = sum(part.mask.chunks_in_scope for part in parts)
    leasts = shortlists(parts, plan, hosts.local.full_scan_chunks)
    scoped = [targets[at] for at in with_chunks_in_scope(parts)]
    call = uuid4().hex
    search = _Search(hosts, call, scoped, sent, collection, bounds)
    limits = search.limits(leasts)
    ranked = None if limits is None else search.ranked(most, limits)
    if (
        ranked is not None
        and len(ranked.hits) < query.limit
        and ranked.has_folds
        and most < min(in_scope, MAX_RANKED_CHUNKS)
    ):  # folding left too few hits: go deeper
        deeper = search.ranked(MAX_RANKED_CHUNKS, limits or {})
        ranked = ranked if deeper is None or bounds.reached() else deeper
    if ranked is None:
        return Answer([], 0, bounds.reason(), {"search": (time.perf_counter() - began) * 1000})
    hits = ranked.hits
    reason: Reason = bounds.reason() if bounds.reached() else "time" if search.ended else ""
    if not reason and query.limit == MAX_RANKED_CHUNKS == len(hits) < in_scope:
        reason = "limit"
    timings = {
        "plan": (planned - began) * 1000,
        "search": (time.perf_counter() - planned) * 1000,
    }
    return Answer(
        hits, len(hits), reason, timings, confidence=ranked.confidence,
        by_words=words_alone(parts, plan),
    )  # fmt: skip


class _Search:
    """One search, trip by trip."""

    def __init__(
        self,
        hosts: Hosts,
        call: str,
        targets: list[Target],
        plan: SearchPlan,
        collection: Statistics,
        bounds: Bounds,
    ) -> None:
        self._hosts, self._call, self._targets, self._bounds = hosts, call, targets, bounds
        self._plan, self._collection = plan, collection
        self.ended = False  # a host had too little time

    def limits(self, leasts: dict[str, int]) -> dict[str, Shortlist] | None:
        """Return the shortlists of all shards; None if there was no time for a part of them."""
        if not leasts:
            return {}
        parts, left = self._hosts.ask(
            self._targets, self._bounds, self._call, "near_counts", self._plan, leasts
        )
        if left:
            return None
        self.ended = self.ended or any(one.ended for one in parts)
        return {
            space: Shortlist(
                least,
                limit_of(
                    summed([one.counts[space] for one in parts if space in one.counts]), least
                ),
            )
            for space, least in leasts.items()
        }

    def ranked(self, most: int, limits: dict[str, Shortlist]) -> RankedHits | None:
        """Return the best of all hosts' candidates; None if there was no time to rank them."""
        parts, left = self._hosts.ask(
            self._targets, self._bounds, self._call, "candidates", self._plan, self._collection,
            most, limits,
        )  # fmt: skip
        self.ended = self.ended or bool(left) or any(one.ended for one in parts)
        candidates = [one.packed for one in parts]
        order = [one.shard for one in self._targets]
        arguments = candidates, order, self._plan, self._collection, most
        ranked: RankedHits | None = None
        if not self._hosts.ranks_here:
            ranked = self._hosts.ask_one(self._bounds, "rank", *arguments)
        if ranked is None and not self._bounds.reached():
            ranked = rank_found(self._hosts.local, *arguments)
        return ranked
