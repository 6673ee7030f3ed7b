"""Searches in the shards of one host, and on the driver in those that no host has."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

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
from ..text_search import Budget, Plans, Size, TextSearch
from .found import packed_found

MAX_CALLS = 64  # searches between their two trips
_T = TypeVar("_T")


class Lines(NamedTuple):
    """Matches of a host, and the candidate text of its shards."""

    sizes: dict[str, Size]
    answer: Answer | None


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


class Between(Generic[_T]):
    """Values that searches keep between their two trips; safe to share between threads."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, _T] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, call: str, value: _T) -> None:
        """Keep a search's value; forget the oldest ones, whose searches were ended."""
        with self._lock:
            self._values[call] = value
            while len(self._values) > MAX_CALLS:
                self._values.popitem(last=False)

    def pop(self, call: str) -> _T | None:
        """Return a search's value, and drop it, so that the next one reuses its memory."""
        with self._lock:
            return self._values.pop(call, None)


class Searches:
    """Parts of searches, over the shards of an engine; safe to share between threads."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._near = Between[tuple[tuple[str, ...], NearLists]]()
        self._plans = Between[Plans]()

    def text(
        self,
        call: str,
        bounds: Bounds,
        targets: Sequence[Target],
        query: TextQuery,
        share: int,
        budgets: Mapping[str, Budget],
    ) -> Lines:
        """Search, with no answer if ``budgets`` are empty and needed.

        They are needed if there is more candidate text than ``share``.
        """
        search = TextSearch(self._engine, query, bounds, Budget.of(share), budgets)
        search.plans = self._plans.pop(call) or {}
        sizes = search.sizes(targets)
        if not budgets and sum(one.size for one in sizes.values()) > share:
            self._plans.keep(call, search.plans)
            return Lines(sizes, None)
        answer = search.run(targets, ())
        return Lines(sizes, answer._replace(hits=list(answer.hits)))

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
        self._near.keep(call, (tuple(target.shard for target in targets), near))
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
        shards, lists = self._near.pop(call) or ((), NO_LISTS)
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
