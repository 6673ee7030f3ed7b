"""Cache of open shards, for the engine and index comparisons."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from .shard import Shard


class Shards:
    """Open shards by path below a folder; thread-safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generation = 0  # grows when shards are dropped
        self._open: dict[str, Shard] = {}
        self._lock = threading.Lock()

    def open(self, key: str) -> Shard:
        """Return a shard, opened once; FileNotFoundError if it is missing."""
        shard = self._open.get(key)
        if shard is None:
            with self._lock:
                shard = self._open.get(key) or Shard(self._folder(key))
                self._open[key] = shard
        return shard

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def __len__(self) -> int:
        return len(self._open)

    def keep_only(self, keys: set[str]) -> None:
        """Drop all other shards: they are in no snapshot any more."""
        with self._lock:
            for key in self._open.keys() - keys:
                del self._open[key]
            self.generation += 1

    def keep_existing(self) -> None:
        """Drop the shards whose folders are gone."""
        gone = [key for key in list(self._open) if not self._folder(key).is_dir()]
        with self._lock:  # other threads open shards meanwhile
            for key in gone:
                self._open.pop(key, None)
            self.generation += bool(gone)

    def _folder(self, key: str) -> Path:
        # the key of an index that was not adopted leads out of the root, which may be missing
        return Path(os.path.normpath(self.root / key))
