"""Cache of open shards, for the engine and index comparisons."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from ...errors import ShardError
from .manifest import check_parts
from .shard import Shard

CHECK_S = 0.1  # between checks of an open shard; each takes 10 us


class Shards:
    """Open shards by path below a folder; thread-safe."""

    def __init__(self, root: Path, check_s: float = CHECK_S) -> None:
        self.root = root
        self.generation = 0  # grows when shards are dropped
        self._open: dict[str, Shard] = {}
        self._check_s = check_s
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
        return shard

    def intact(self, key: str) -> Shard:
        """Return a shard, opened once, whose files have the sizes that its manifest says.

        The system kills a process that reads a mapped file behind its end. Nobody but the owner of
        an index can cut its files short, but tools do, such as rsync --inplace.
        """
        shard = self.open(key)
        if time.monotonic() - self._checked.get(key, 0.0) <= self._check_s:
            return shard
        try:
            check_parts(shard.folder, shard.manifest)
        except (ShardError, FileNotFoundError):
            with self._lock:
                self._open.pop(key, None)  # a rebuilt one may have the same name
                self.generation += 1
            raise
        self._checked[key] = time.monotonic()
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
