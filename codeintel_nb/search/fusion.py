"""Fusion of rankings made by different methods."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

K = 60
Id = TypeVar("Id", bound=Hashable)


def reciprocal_rank_fusion(
    rankings: Sequence[tuple[Sequence[Id], float]], k: int = K
) -> dict[Id, float]:
    """Sum ``weight/(k+rank)`` over rankings, with ranks from 1.

    References
    ----------
    Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion", SIGIR 2009.
    """
    scores: dict[Id, float] = {}
    for ranking, weight in rankings:
        if weight > 0:
            for rank, item in enumerate(ranking, 1):
                scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return scores
