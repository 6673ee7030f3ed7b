"""Searches in the shards of one host, and on the driver in those that no host has."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...index.shard.cutoff import Cutoff
from ...search.hit import Hit
from ...search.lazy_hits import LazyHits, Segment
from ...search.query import Bounds, SymbolQuery, TextQuery
from ...search.semantic.candidates import Part, Statistics, candidates
from ...search.semantic.closest import (
    NO_LISTS,
    Counts,
    NearLists,
    Search,
    Shortlist,
    closest,
    counts_of,
    near_lists,
)
from ...search.semantic.plan import SearchPlan
from ...search.symbols import SymbolMatches
from ..engine import Answer, Target
from ..local import LocalEngine
from ..semantic_search import map_of, part_of
from ..symbol_search import matching
from ..text_search import TextSearch
from .found import packed_found

MAX_CALLS = 64  # searches between their two trips


class NamedHit(NamedTuple):
    """Definition, with its sort key among those of other hosts."""

    score: float
    length: int
    number: int
    hit: Hit


class Definitions(NamedTuple):
    """First definitions of a host, and the number of all."""

    hits: list[NamedHit]
    total: int
    ended: bool  # by the bounds


class NearCounts(NamedTuple):
    """Number of chunks at each coarse distance, by space."""

    counts: dict[str, Counts]
    ended: bool


class Candidates(NamedTuple):
    """Candidates of a host, packed for ``rank``: the driver only passes them on."""

    packed: bytes
    ended: bool


class Searches:
    """Parts of searches, over the shards of an engine; safe to share between threads."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._near: OrderedDict[str, tuple[tuple[str, ...], NearLists]] = OrderedDict()
        self._lock = threading.Lock()

    def text(
        self, call: str, bounds: Bounds, targets: Sequence[Target], query: TextQuery
    ) -> Answer:
        search = TextSearch(self._engine, query, bounds, self._engine.count_bytes)
        answer = search.run(targets, ())
        return answer._replace(hits=list(answer.hits))

    def symbols(
        self, call: str, bounds: Bounds, targets: Sequence[Target], query: SymbolQuery, alike: bool
    ) -> Definitions:
        first, total = matching(self._engine, query, targets, bounds, alike)
        hits = LazyHits([Segment(SymbolMatches(first), 0, len(first))])
        named = [
            NamedHit(one.score, one.length, one.number, hit)
            for (_, _, one), hit in zip(first, hits, strict=True)
        ]
        return Definitions(named, total, bounds.reached())

    def near_counts(
        self,
        call: str,
        bounds: Bounds,
        targets: Sequence[Target],
        plan: SearchPlan,
        leasts: Mapping[str, int],
    ) -> NearCounts:
        """Count the chunks at each coarse distance; keep them for ``candidates``."""
        parts = self._parts(targets)
        near = near_lists(parts, plan, leasts, self._search(parts, bounds))
        with self._lock:
            self._near[call] = tuple(target.shard for target in targets), near
            while len(self._near) > MAX_CALLS:
                self._near.popitem(last=False)
        return NearCounts({space: counts_of(own) for space, own in near.items()}, bounds.reached())

    def candidates(
        self,
        call: str,
        bounds: Bounds,
        targets: Sequence[Target],
        plan: SearchPlan,
        collection: Statistics,
        most: int,
        limits: Mapping[str, Shortlist],
    ) -> Candidates:
        """Return the candidates that can be among the ``most`` best of all hosts."""
        parts = self._parts(targets)
        # dropped, so that the next search reuses their memory
        shards, lists = self._near.pop(call, ((), NO_LISTS))
        if shards != tuple(target.shard for target in targets):
            lists = NO_LISTS  # another host was lost meanwhile
        near = closest(parts, plan, most, self._search(parts, bounds), limits, lists)
        cutoff = Cutoff(most)
        of_shards = [
            candidates(part, plan, collection, cutoff, own)
            for part, own in zip(parts, near, strict=True)
            if not bounds.reached()
        ]
        ended = len(of_shards) < len(parts)
        return Candidates(packed_found(targets, of_shards, most), ended or bounds.reached())

    def _parts(self, targets: Sequence[Target]) -> list[Part]:
        return [part_of(self._engine, target) for target in targets]

    def _search(self, parts: Sequence[Part], bounds: Bounds) -> Search:
        return Search(map_of(self._engine, parts), bounds.reached, 0)  # the driver knows the scope
