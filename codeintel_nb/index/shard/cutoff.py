"""Score that a chunk needs to be among the best of all shards, as far as is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Cutoff:
    """Lowest of the best scores so far: shards searched later skip chunks below it.

    It is never too high: scores that threads lose to one another only lower it.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._best: npt.NDArray[np.floating[Any]] = np.zeros(0)
        self.score = -np.inf

    def add(self, scores: npt.NDArray[np.floating[Any]]) -> None:
        """Add the best scores of another shard."""
        best = np.concatenate([self._best, scores])
        if len(best) >= self.most:
            best = np.partition(best, len(best) - self.most)[len(best) - self.most :]
            self.score = float(best[0])
        self._best = best
