"""Digests of the embedder's inputs, by which vectors are found again."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .arrays import Array, Mask


class Inputs:
    """Digest of each chunk's input."""

    def __init__(self, digests: Array) -> None:
        self.digests = digests

    def find(self, digests: Array) -> tuple[Array, Mask]:
        """Return a chunk for each digest, and whether it has this digest."""
        ordered, chunks = self._ordered
        at = np.minimum(np.searchsorted(ordered, digests), len(ordered) - 1)
        return chunks[at], ordered[at] == digests

    @cached_property
    def _ordered(self) -> tuple[Array, Array]:
        """Return the digests in ascending order, and their chunks."""
        order = np.argsort(self.digests, kind="stable").astype(np.uint32)
        return self.digests[order], order
