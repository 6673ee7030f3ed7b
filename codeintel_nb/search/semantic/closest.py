"""Chunks closest to a query, across all shards.

In a large scope, coarse codes select a shortlist first. One distance limit applies to all shards,
so the results do not depend on the sharding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ...index.shard.coarse import Near
from ...index.shard.cutoff import Cutoff
from ...index.shard.vectors import Found
from .candidates import Part, Place
from .plan import CANDIDATES, SearchPlan

Vector = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
_T = TypeVar("_T")
_V = TypeVar("_V")

MIN_SHORTLIST, SHORTLIST_SHARE = 20_000, 0.02  # chunks in scope to compare by full codes
NOTHING = Found(np.zeros(0, np.int64), np.zeros(0))
NONE_NEAR = Near(np.zeros(0, np.int64), np.zeros(0, np.uint16))


class Shortlist(NamedTuple):
    """Chunks by coarse codes: at least so many, within a distance, in all shards together."""

    least: int
    limit: int


NO_SHORTLIST = Shortlist(0, 0)
NearLists = Mapping[str, list[Near]]  # of each shard, by space
NO_LISTS: NearLists = MappingProxyType({})


class Each(Protocol):
    """Function like ``map``, perhaps on threads."""

    def __call__(self, values: list[_T], work: Callable[[_T], _V]) -> list[_V]: ...


class Search(NamedTuple):
    """Context of a search over shards."""

    each: Each  # maps over shards, perhaps on threads
    stopped: Callable[[], bool]  # whether the bounds are reached; remaining shards return nothing
    full_scan: int  # chunks of an embedder in scope; with more, coarse codes come first


def _shortlist(parts: Sequence[Part], full_scan: int) -> int:
    """Return the least number of chunks in a shortlist by coarse codes; 0 if none is used."""
    in_scope = sum(one.mask.chunks_in_scope for one in parts)
    return max(MIN_SHORTLIST, int(SHORTLIST_SHARE * in_scope)) if in_scope > full_scan else 0


def is_missed(parts: Sequence[Part], vector: Vector, place: Place, full_scan: int) -> bool:
    """Whether the shortlist by coarse codes lacks a chunk in scope."""
    at, chunk = place
    space = parts[at].shard.manifest.space
    own = {at: one for at, one in enumerate(parts) if one.shard.manifest.space == space}
    least = _shortlist([*own.values()], full_scan)
    if not least:
        return False
    near = {
        number: one.shard.vectors.near(vector, least, one.mask.chunks)
        for number, one in own.items()
    }
    ids, distances = near[at]
    return chunk not in ids[distances <= limit_of(counts_of([*near.values()]), least)]


def shortlists(parts: Sequence[Part], plan: SearchPlan, full_scan: int) -> dict[str, int]:
    """Return the least length of the shortlist by coarse codes, for each space that needs one."""
    leasts = dict[str, int]()
    for space, vector in plan.vectors.items():
        own = [one for one in parts if one.shard.manifest.space == space]
        if vector is not None and (least := _shortlist(own, full_scan)):
            leasts[space] = least
    return leasts


def near_lists(
    parts: Sequence[Part], plan: SearchPlan, leasts: Mapping[str, int], search: Search
) -> NearLists:
    """Return each shard's chunks near the query, for each space with a shortlist."""
    return {
        space: _near(
            [one for one in parts if one.shard.manifest.space == space], plan, least, search
        )
        for space, least in leasts.items()
    }


def counts_of(near: Sequence[Near]) -> Counts:
    """Count the chunks at each distance.

    The sum over all processes gives the limit that applies to every shard.
    """
    return summed([np.bincount(one.distances) for one in near])


def _near(parts: list[Part], plan: SearchPlan, least: int, search: Search) -> list[Near]:
    """Return each shard's chunks near the query by coarse codes.

    Each shard gets the limit known so far; later shards can only lower it.
    """
    counts: Counts = np.zeros(0, np.int64)

    def near(part: Part) -> Near:
        nonlocal counts
        vector = plan.vector(part.shard.manifest.space)
        if search.stopped() or vector is None:
            return NONE_NEAR
        counted = counts  # another thread may replace it
        limit = limit_of(counted, least) if counted.sum() >= least else None
        own = part.shard.vectors.near(vector, least, part.mask.chunks, limit)
        # if threads lose one another's counts, the limit is only higher
        counts = summed([counts, np.bincount(own.distances)])
        return own

    return search.each(parts, near)


def closest(
    parts: Sequence[Part],
    plan: SearchPlan,
    most: int,
    search: Search,
    limits: Mapping[str, Shortlist] | None = None,
    lists: NearLists = NO_LISTS,
) -> list[list[Found]]:
    """Return each shard's ``most`` closest chunks in scope, a list per step.

    ``limits`` are the shortlists of all shards, by space, if other processes search some of them,
    and ``lists`` what ``near_lists`` returned. Otherwise the given shards decide.

    With more than ``search.full_scan`` chunks, the first step takes ``CANDIDATES`` chunks from a
    shortlist by coarse codes. A full scan follows only if ``most`` is larger.
    """
    by_part = [list[Found]() for _ in parts]
    for space, vector in plan.vectors.items():
        if vector is None:
            continue
        own = [at for at, one in enumerate(parts) if one.shard.manifest.space == space]
        chosen = [parts[at] for at in own]
        steps = list[list[Found]]()
        if limits is None:
            least = _shortlist(chosen, search.full_scan)
            near = _near(chosen, plan, least, search) if least else []
            limit = limit_of(counts_of(near), least)
        else:
            least, limit = limits.get(space, NO_SHORTLIST)
            near = lists.get(space, []) if least else []
            near = near if near or not least else _near(chosen, plan, least, search)
        if least:
            steps.append(_by_coarse_codes(chosen, vector, near, limit, search))
        if not least or most > CANDIDATES:
            steps.append(_by_codes(chosen, vector, most, search))
        for step in steps:
            for at, one in zip(own, step, strict=True):
                by_part[at].append(one)
    return by_part


def _by_codes(parts: list[Part], vector: Vector, most: int, search: Search) -> list[Found]:
    cutoff = Cutoff(most)

    def compared(part: Part) -> Found:
        if search.stopped():
            return NOTHING
        mask = part.mask
        return part.shard.vectors.search(vector, mask.chunks, mask.chunks_in_scope, cutoff)

    return search.each(parts, compared)


def _by_coarse_codes(
    parts: list[Part], vector: Vector, near: list[Near], limit: int, search: Search
) -> list[Found]:
    cutoff = Cutoff(CANDIDATES)

    def rescored(pair: tuple[Part, Near]) -> Found:
        part, (ids, distances) = pair
        return part.shard.vectors.best_of(vector, ids[distances <= limit], cutoff)

    return search.each([*zip(parts, near, strict=True)], rescored)


def summed(counts: Sequence[Counts]) -> Counts:
    total = np.zeros(max(map(len, counts), default=0), np.int64)
    for one in counts:
        total[: len(one)] += one
    return total


def limit_of(counts: Counts, least: int) -> int:
    """Return the smallest distance that admits ``least`` chunks."""
    return int(np.searchsorted(np.cumsum(counts), least))
