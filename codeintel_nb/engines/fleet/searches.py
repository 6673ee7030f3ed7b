"""Searches in the shards of one host, and on the driver in those that no host has."""

from __future__ import annotations

import threading
import time
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
KEPT_S = 60.0  # a search that takes longer between them was ended
_T = TypeVar("_T")


class TextPart(NamedTuple):
    """Candidate text of a host's shards, and the matches in them unless it only measured."""

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


class CallValues(Generic[_T]):
    """Cache of values between the two trips of a search, by call; safe to share between threads."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[float, _T]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, call: str, value: _T) -> None:
        """Keep a value; drop the oldest beyond ``MAX_CALLS`` or ``KEPT_S``."""
        with self._lock:
            self._values[call] = time.monotonic(), value
            self._drop_old()

    def pop(self, call: str) -> _T | None:
        """Remove and return a search's value, so that the next search reuses its memory."""
        with self._lock:
            _, value = self._values.pop(call, (0.0, None))
            self._drop_old()
        return value

    def _drop_old(self) -> None:
        least = time.monotonic() - KEPT_S
        while self._values:
            (kept_at, _) = next(iter(self._values.values()))
            if len(self._values) <= MAX_CALLS and kept_at >= least:
                return
            self._values.popitem(last=False)


class Searches:
    """Parts of searches, over the shards of an engine; safe to share between threads."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._near = CallValues[tuple[tuple[str, ...], NearLists]]()
        self._plans = CallValues[Plans]()

    def text(
        self,
        call: str,
        bounds: Bounds,
        targets: Sequence[Target],
        query: TextQuery,
        share: int | None,
        left: Mapping[str, int],
    ) -> TextPart:
        """Search; only measure if there is more candidate text than ``share``.

        Without a share, ``left`` gives the bytes to count in each shard.
        """
        budget = Budget.of(self._engine.count_bytes)
        if share is None:
            budget = budget._replace(of_shards=left)
        search = TextSearch(self._engine, query, bounds, budget, self._plans.pop(call) or {})
        sizes = search.sizes(targets)
        if share is not None and sum(one.size for one in sizes.values()) > share:
            self._plans.keep(call, search.plans)
            return TextPart(sizes, None)
        answer = search.run(targets, ())
        return TextPart(sizes, answer._replace(hits=list(answer.hits)))

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
