"""Code maps of a home, one per vector space, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...index.shard.shard import Shard
from ...index.update.report import Progress

if TYPE_CHECKING:
    from .landmarks import Floats
    from .layout import Projection

GAP = 0.2  # between two maps, each 2 wide


class CodeMaps:
    """Maps of all embedders, in coordinates from -1 to 1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._projections: dict[str, Projection] = {}
        self._spaces: tuple[str, ...] = ()  # with a map, from left to right

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
        of_space = dict[str, list[Shard]]()
        for shard in shards:
            of_space.setdefault(shard.manifest.space, []).append(shard)
        # the shipped table's on the left
        self._spaces = tuple(sorted(of_space, key=lambda one: (_is_endpoint(one), one)))
        with ExitStack() as maps:
            for space in self._spaces:
                projection = self._projection(space)
                maps.enter_context(projection.laid_out(of_space[space], progress, cancel))
            yield

    def points(self, shard: Shard) -> Floats:
        """Return the positions of a shard's chunks, (n, 2), as ``Projection.points``."""
        space = shard.manifest.space
        points = self._projection(space).points(shard)
        if len(self._spaces) < 2 or space not in self._spaces:
            return points
        left = (2 + GAP) * self._spaces.index(space)
        half = len(self._spaces) * (2 + GAP) / 2 - GAP / 2
        shift = np.array([left + 1 - half, 0.0])
        return np.asarray((points + shift) / half, np.float32)

    def _projection(self, space: str) -> Projection:
        from .layout import Projection

        folder = self._folder / space if _is_endpoint(space) else self._folder
        return self._projections.setdefault(space, Projection(folder))


def _is_endpoint(space: str) -> bool:
    from ...embedding.endpoint.models import ID_PREFIX

    return space.startswith(ID_PREFIX)
