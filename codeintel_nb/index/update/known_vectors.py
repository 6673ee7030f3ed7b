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

    def lookup(target: Array) -> tuple[Array, Array]:
        matches = np.zeros(len(target), bool)
        codes = np.empty((len(target), embedder.dim), np.uint8)
        for shard in usable:
            missing = np.flatnonzero(~matches)
            chunks, has_input = shard.inputs.find(target[missing])
            rows = missing[has_input]
            codes[rows] = shard.vectors.codes[chunks[has_input]]
            matches[rows] = True
        return matches, codes[matches]

    return lookup
