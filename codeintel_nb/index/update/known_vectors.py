"""Codes of chunks already embedded, by the digests of their texts."""

from __future__ import annotations

import numpy as np

from ...embedding.embedder import Embedder
from ..shard.arrays import Array
from ..shard.contents import Known
from ..shard.shard import Shard


def known_vectors(shards: list[Shard], embedder: Embedder) -> Known | None:
    """Return a lookup of one model's codes by input digest.

    None if no shard is of that model.
    """
    usable = [
        shard
        for shard in shards
        if shard.manifest.chunks
        and shard.manifest.embedder == embedder.id
        and shard.manifest.dim == embedder.dim
    ]
    if not usable:
        return None
    digests = np.concatenate([shard.chunk_input for shard in usable])
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    ends = np.cumsum([shard.manifest.chunks for shard in usable])

    def lookup(target: Array) -> tuple[Array, Array]:
        at = np.minimum(np.searchsorted(ordered, target), len(ordered) - 1)
        matches = ordered[at] == target
        rows = order[at[matches]]
        owner = np.searchsorted(ends, rows, "right")
        codes = np.empty((len(rows), usable[0].manifest.dim), np.uint8)
        for i, shard in enumerate(usable):
            mine = owner == i
            codes[mine] = shard.vectors.codes[rows[mine] - (ends[i] - shard.manifest.chunks)]
        return matches, codes

    return lookup
