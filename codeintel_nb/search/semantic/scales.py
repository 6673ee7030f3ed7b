"""Scales of cosines: each embedder's are mapped to those of the shipped table.

The ranking's weights were fitted on the table's cosines. Other models have another mean and spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..ranking.pool import Scale, ShardCandidates
from .plan import SearchPlan

# of the table's cosines over the pools of semsearch-dev
MEAN, SPREAD = 0.216, 0.084


def scaled(candidates: Sequence[ShardCandidates], plan: SearchPlan) -> list[ShardCandidates]:
    """Return the candidates with the scales of their embedders, independent of the sharding.

    An embedder without a query vector gets the mean, if another has one.
    """
    local = {space for space, one in plan.embedders.items() if not one.is_remote}
    if not plan.has_vector or local.issuperset(map(_space, candidates)):
        return list(candidates)
    cosines = dict[str, list[float]]()
    for one in candidates:
        cosines.setdefault(_space(one), []).extend(one.dense.tolist())
    scales = {name: _scale(values) for name, values in cosines.items() if name not in local}
    return [
        one._replace(scale=scales[_space(one)]) if _space(one) in scales else one
        for one in candidates
    ]


def _space(candidates: ShardCandidates) -> str:
    return candidates.shard.manifest.space


def _scale(cosines: list[float]) -> Scale:
    """Map cosines to the table's mean and spread, or to the mean if they are equal."""
    if not cosines:
        return Scale(MEAN, 0.0)
    # math.fsum: the order of the shards must not matter
    mean = math.fsum(cosines) / len(cosines)
    spread = math.sqrt(math.fsum((cosine - mean) ** 2 for cosine in cosines) / len(cosines))
    slope = SPREAD / spread if spread > 1e-6 else 0.0
    return Scale(MEAN - slope * mean, slope)
