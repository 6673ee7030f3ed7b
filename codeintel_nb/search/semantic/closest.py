"""Chunks closest to a query, across all shards.

In a large scope, coarse codes select a shortlist first. One distance limit applies to all shards,
so the results do not depend on the sharding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ...index.shard.coarse import Near
from ...index.shard.vectors import Found
from .candidates import Part, Place
from .plan import CANDIDATES, SearchPlan

Vector = npt.NDArray[np.float32]
_T = TypeVar("_T")
_V = TypeVar("_V")

MIN_SHORTLIST, SHORTLIST_SHARE = 20_000, 0.02  # chunks in scope to compare by full codes
NOTHING = Found(np.zeros(0, np.int64), np.zeros(0))
NONE_NEAR = Near(np.zeros(0, np.int64), np.zeros(0, np.uint16))


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
    return chunk not in ids[distances <= _limit([*near.values()], least)]


def closest(
    parts: Sequence[Part], plan: SearchPlan, most: int, search: Search
) -> list[list[Found]]:
    """Return each shard's ``most`` closest chunks in scope, a list per step.

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
        least = _shortlist(chosen, search.full_scan)
        if least:
            steps.append(_by_coarse_codes(chosen, vector, least, search))
        if not least or most > CANDIDATES:
            steps.append(_by_codes(chosen, vector, most, search))
        for step in steps:
            for at, one in zip(own, step, strict=True):
                by_part[at].append(one)
    return by_part


def _by_codes(parts: list[Part], vector: Vector, most: int, search: Search) -> list[Found]:
    def compared(part: Part) -> Found:
        if search.stopped():
            return NOTHING
        mask = part.mask
        return part.shard.vectors.search(vector, most, mask.chunks, mask.chunks_in_scope)

    return search.each(parts, compared)


def _by_coarse_codes(parts: list[Part], vector: Vector, least: int, search: Search) -> list[Found]:
    def near(part: Part) -> Near:
        if search.stopped():
            return NONE_NEAR
        return part.shard.vectors.near(vector, least, part.mask.chunks)

    by_part = search.each(parts, near)
    limit = _limit(by_part, least)

    def rescored(pair: tuple[Part, Near]) -> Found:
        part, (ids, distances) = pair
        return part.shard.vectors.best_of(vector, ids[distances <= limit], CANDIDATES)

    return search.each([*zip(parts, by_part, strict=True)], rescored)


def _limit(near: Sequence[Near], least: int) -> int:
    """Return the smallest distance that admits ``least`` chunks of all shards together."""
    counts = np.zeros(1, np.int64)
    for one in near:
        own = np.bincount(one.distances)
        counts = np.pad(counts, (0, max(0, len(own) - len(counts))))
        counts[: len(own)] += own
    return int(np.searchsorted(np.cumsum(counts), least))
