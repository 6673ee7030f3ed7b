"""Coarse codes of vectors, two bits per component, to shortlist chunks in a large scope.

A component is low, middle or high: 00, 10 or 11. The Hamming distance of two codes approximates
the distance of their vectors, and reads a quarter of the memory. The nearest chunks are then
compared by their full codes.

References
----------
Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002, for one bit each.
Recall of the 200 closest of a million chunks is 99 % in the nearest 2 % by two bits, but only in
the nearest 10 % by one bit (measured).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .codes import Codes, component_range
from .id_lists import Ids
from .mapping import map_file

PART = "coarse.bin"  # rename it when the encoding changes
MIN_STORED = 50_000  # chunks; for a smaller shard, codes are computed in milliseconds
MIDDLE = 0.43  # half-width of the middle third of the components, in standard deviations
ENCODED = 1 << 16  # chunks encoded at a time
SAMPLE_STEP = 64  # every 64th distance gives a first estimate of a limit
GATHERED_SHARE = 1 / 8  # of the chunks; for a smaller scope, codes are gathered first
Distances = npt.NDArray[np.uint16]


def coarse_of(codes: Codes) -> Codes:
    """Return the coarse codes, chunks x bytes."""
    dim = codes.shape[1]
    low = int(127 - 127.5 * MIDDLE / (np.sqrt(dim) * component_range(dim)))
    bounds = [low, 253 - low]  # code 127 is zero
    width = (dim + 7) // 8
    coarse = np.empty((len(codes), len(bounds) * width), np.uint8)
    for begin in range(0, len(codes), ENCODED):
        block = slice(begin, begin + ENCODED)
        planes = [np.packbits(codes[block] > bound, axis=1) for bound in bounds]
        coarse[block] = np.concatenate(planes, axis=1)
    return coarse


def write_coarse(folder: Path, codes: Codes) -> list[str]:
    """Write the coarse codes of a large shard; return the names of the parts written."""
    if len(codes) < MIN_STORED:
        return []
    (folder / PART).write_bytes(coarse_of(codes).tobytes())
    return [PART]


class Near(NamedTuple):
    """Chunks of a shard nearest to a query by coarse codes, by ascending id."""

    ids: Ids
    distances: Distances  # Hamming, to the query's code


class CoarseCodes:
    """Coarse codes of one shard's vectors."""

    def __init__(self, coarse: Codes) -> None:
        self._coarse = coarse

    @classmethod
    def beside(cls, vectors: Path, codes: Codes) -> CoarseCodes:
        """Map a shard's coarse codes, or compute them if it stores none."""
        path = vectors.with_name(PART)
        if not path.exists():
            return cls(coarse_of(codes))
        shape = len(codes), 2 * ((codes.shape[1] + 7) // 8)
        return cls(np.frombuffer(map_file(path), np.uint8, shape[0] * shape[1]).reshape(shape))

    def near(
        self,
        query: Codes,
        least: int,
        mask: npt.NDArray[np.bool_] | None,
        limit: int | None = None,
    ) -> Near:
        """Return the chunks in the mask within a distance limit.

        Without ``limit``, the smallest that admits about ``least`` of them is used.
        """
        own = coarse_of(query)
        chosen = None if mask is None else np.flatnonzero(mask)
        if chosen is not None and len(chosen) < GATHERED_SHARE * len(self._coarse):
            distances = _distances(own, self._coarse[chosen])
        else:
            distances = _distances(own, self._coarse)
            distances = distances if chosen is None else distances[chosen]
        limit = _limit(distances, least) if limit is None else limit
        inside = np.flatnonzero(distances <= limit)
        near = distances[inside].astype(np.uint16)
        return Near(inside if chosen is None else chosen[inside], near)


def _distances(query: Codes, coarse: Codes) -> npt.NDArray[np.int32]:
    import faiss  # at its first use: it takes 0.1 s

    distances = np.empty(len(coarse), np.int32)
    if len(coarse):
        at = faiss.swig_ptr
        faiss.hammings(  # type: ignore[attr-defined]
            at(query), at(coarse), 1, len(coarse), query.shape[1], at(distances)
        )
    return distances


def _limit(distances: npt.NDArray[np.int32], least: int) -> int:
    """Return a distance limit that admits at least ``least`` chunks, and few more."""
    if len(distances) <= least:
        return int(distances.max(initial=0))
    sample = np.sort(distances[::SAMPLE_STEP])
    limit = int(sample[min(len(sample) - 1, least // SAMPLE_STEP)])
    while np.count_nonzero(distances <= limit) < least:
        limit += 1
    return limit
