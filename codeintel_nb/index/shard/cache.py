"""Cache of open shards, for the engine and index comparisons."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from ...errors import ShardError
from .manifest import check_parts
from .shard import Shard

CHECK_S = 1.0  # between checks of an open shard


class Shards:
    """Open shards by path below a folder; thread-safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generation = 0  # grows when shards are dropped
        self._open: dict[str, Shard] = {}
        self._checked: dict[str, float] = {}  # time of the last check
        self._lock = threading.Lock()

    def open(self, key: str) -> Shard:
        """Return a shard, opened once.

        Raises
        ------
        FileNotFoundError : it is missing.
        ShardError : it is damaged.
        """
        shard = self._open.get(key)
        if shard is None:
            with self._lock:
                shard = self._open.get(key) or Shard(self._folder(key))
                self._open[key] = shard
                self._checked[key] = time.monotonic()
        elif time.monotonic() - self._checked.get(key, 0.0) > CHECK_S:
            self._check(key, shard)
        return shard

    def _check(self, key: str, shard: Shard) -> None:
        """Check the sizes of an open shard's files.

        The system kills a process that reads a mapped file behind its end. Only the owner of the
        index can cut a file short, but tools do, such as rsync --inplace.
        """
        try:
            check_parts(shard.folder, shard.manifest)
        except (ShardError, FileNotFoundError):
            with self._lock:
                self._open.pop(key, None)  # a rebuilt one may have the same name
                self.generation += 1
            raise
        self._checked[key] = time.monotonic()

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def __len__(self) -> int:
        return len(self._open)

    def keep_only(self, keys: set[str]) -> None:
        """Drop all other shards: they are in no snapshot any more."""
        with self._lock:
            for key in self._open.keys() - keys:
                del self._open[key]
                self._checked.pop(key, None)
            self.generation += 1

    def keep_existing(self) -> None:
        """Drop the shards whose folders are gone."""
        gone = [key for key in list(self._open) if not self._folder(key).is_dir()]
        with self._lock:  # other threads open shards meanwhile
            for key in gone:
                self._open.pop(key, None)
                self._checked.pop(key, None)
            self.generation += bool(gone)

    def _folder(self, key: str) -> Path:
        # the key of an index that was not adopted leads out of the root, which may be missing
        return Path(os.path.normpath(self.root / key))
