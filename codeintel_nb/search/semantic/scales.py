"""Scales of cosines: those of any embedder on the scale of the shipped table.

The ranking's weights are fitted on the table's cosines. Another model's have another mean and
spread, so within each query they are mapped to the table's by a line.
"""

from __future__ import annotations

import math

from ...index.shard.vectors import Ids
from ..ranking.pool import SAME, Scale
from .candidates import Found
from .plan import SearchPlan

# of the table's cosines over the pools of semsearch-dev
MEAN, SPREAD = 0.216, 0.084


def scales_of(found: list[Found], chunks: list[Ids], plan: SearchPlan) -> dict[str, Scale]:
    """Return the scale of each embedder's cosines in a pool of chunks, independent of the cut."""
    scales = dict[str, Scale]()
    for embedder_id in {one.embedder for one in found}:
        embedder = plan.embedders.get(embedder_id)
        if embedder is not None and not embedder.is_remote:
            scales[embedder_id] = SAME
            continue
        cosines = [
            cosine
            for one, own in zip(found, chunks, strict=True)
            if one.embedder == embedder_id
            for cosine in one.candidates(own, SAME).dense.tolist()
        ]
        scales[embedder_id] = _scale(cosines)
    return scales


def _scale(cosines: list[float]) -> Scale:
    """Map the cosines to the table's mean and spread; all to the mean if they are equal.

    Sums by ``math.fsum`` do not depend on the order.
    """
    if not cosines:
        return SAME
    mean = math.fsum(cosines) / len(cosines)
    spread = math.sqrt(math.fsum((cosine - mean) ** 2 for cosine in cosines) / len(cosines))
    slope = SPREAD / spread if spread > 1e-6 else 0.0
    return Scale(MEAN - slope * mean, slope)
