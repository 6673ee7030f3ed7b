"""Code maps of a home, one per embedder, side by side.

Vectors of different embedders are not comparable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from ...embedding.endpoint.models import ID_PREFIX
from ...index.shard.shard import Shard
from ...index.update.report import Progress
from .landmarks import Floats
from .layout import Projection

GAP = 0.2  # between two maps, each 2 wide


class CodeMaps:
    """Maps of all embedders, in coordinates from -1 to 1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._projections: dict[str, Projection] = {}
        self._embedders: tuple[str, ...] = ()  # with a map, from left to right

    @contextmanager
    def laid_out(
        self,
        shards: Sequence[Shard],
        progress: Callable[[Progress], None] = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> Iterator[None]:
        """Prepare the maps, and keep them while the block reads ``points``.

        The errors are those of ``Projection.prepare``.
        """
        of_embedder = dict[str, list[Shard]]()
        for shard in shards:
            of_embedder.setdefault(shard.manifest.embedder, []).append(shard)
        # the shipped table's on the left
        self._embedders = tuple(sorted(of_embedder, key=lambda one: (_is_endpoint(one), one)))
        with ExitStack() as maps:
            for embedder in self._embedders:
                projection = self._projection(embedder)
                maps.enter_context(projection.laid_out(of_embedder[embedder], progress, cancel))
            yield

    def points(self, shard: Shard) -> Floats:
        """Return the positions of a shard's chunks, (n, 2), as ``Projection.points``."""
        embedder = shard.manifest.embedder
        points = self._projection(embedder).points(shard)
        if len(self._embedders) < 2 or embedder not in self._embedders:
            return points
        left = (2 + GAP) * self._embedders.index(embedder)
        half = len(self._embedders) * (2 + GAP) / 2 - GAP / 2
        shift = np.array([left + 1 - half, 0.0])
        return np.asarray((points + shift) / half, np.float32)

    def _projection(self, embedder: str) -> Projection:
        folder = self._folder / embedder if _is_endpoint(embedder) else self._folder
        return self._projections.setdefault(embedder, Projection(folder))


def _is_endpoint(embedder: str) -> bool:
    return embedder.startswith(ID_PREFIX)
