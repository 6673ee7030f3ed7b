"""The chunks closest to a query in all shards.

Where many chunks are in scope, they are first compared by coarse codes. This step keeps all chunks
up to one distance, whatever their shards, so the cut of the index changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ...index.shard.coarse import Near
from ...index.shard.vectors import Found
from .candidates import Part
from .plan import CANDIDATES, SearchPlan

Vector = npt.NDArray[np.float32]
_T = TypeVar("_T")
_V = TypeVar("_V")

LEAST_KEPT, KEPT = 20_000, 0.02  # chunks in scope kept by their coarse codes, and their share
NOTHING = Found(np.zeros(0, np.int64), np.zeros(0))
NONE_NEAR = Near(np.zeros(0, np.int64), np.zeros(0, np.uint16))


class Each(Protocol):
    """Map over values."""

    def __call__(self, values: list[_T], work: Callable[[_T], _V]) -> list[_V]: ...


class Search(NamedTuple):
    """How shards are searched."""

    each: Each  # maps over shards, on threads or not
    stopped: Callable[[], bool]  # whether the bounds were reached; then shards have no results
    scanned: int  # chunks of an embedder in scope, up to which all vectors are compared


def closest(
    parts: Sequence[Part], plan: SearchPlan, most: int, search: Search
) -> list[list[Found]]:
    """Return each shard's ``most`` closest chunks in scope, in the order of the steps.

    With more than ``search.scanned`` chunks, the first ``CANDIDATES`` are chosen among the nearest
    by their coarse codes; only a larger limit compares all others.
    """
    by_part = [list[Found]() for _ in parts]
    for embedder, vector in plan.vectors.items():
        if vector is None:
            continue
        own = [at for at, one in enumerate(parts) if one.shard.manifest.embedder == embedder]
        chosen = [parts[at] for at in own]
        steps = list[list[Found]]()
        in_scope = sum(one.mask.chunks_in_scope for one in chosen)
        is_large = in_scope > search.scanned
        if is_large:
            least = max(LEAST_KEPT, int(KEPT * in_scope))
            steps.append(_by_coarse_codes(chosen, vector, least, search))
        if not is_large or most > CANDIDATES:
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

    def compared(of: tuple[Part, Near]) -> Found:
        part, (ids, distances) = of
        return part.shard.vectors.best_of(vector, ids[distances <= limit], CANDIDATES)

    return search.each([*zip(parts, by_part, strict=True)], compared)


def _limit(near: Sequence[Near], least: int) -> int:
    """Return the least distance up to which there are ``least`` chunks in all shards."""
    counts = np.zeros(1, np.int64)
    for one in near:
        own = np.bincount(one.distances)
        counts = np.pad(counts, (0, max(0, len(own) - len(counts))))
        counts[: len(own)] += own
    return int(np.searchsorted(np.cumsum(counts), least))
