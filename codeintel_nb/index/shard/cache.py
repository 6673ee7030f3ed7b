"""Cache of open shards, for the engine and index comparisons."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from ...errors import ShardError
from .manifest import check_parts
from .shard import Shard

CHECK_S = 0.1  # between two checks of a shard's files, which take some 20 us


class _Opened:
    """Open shard, and when the sizes of its files were checked."""

    def __init__(self, shard: Shard) -> None:
        self.shard, self._checked = shard, time.monotonic()

    def check(self, check_s: float) -> None:
        """Compare file sizes with the manifest, at most once every ``check_s``."""
        if time.monotonic() - self._checked > check_s:
            check_parts(self.shard.folder, self.shard.manifest)
            self._checked = time.monotonic()


class Shards:
    """Open shards by path below a folder; thread-safe."""

    def __init__(self, root: Path, check_s: float = CHECK_S) -> None:
        self.root = root
        self.generation = 0  # grows when shards are dropped
        self._check_s = check_s
        self._open: dict[str, _Opened] = {}
        self._lock = threading.Lock()

    def open(self, key: str) -> Shard:
        """Return a shard, opened once.

        Raises
        ------
        FileNotFoundError : it is missing.
        ShardError : it is damaged.
        """
        opened = self._open.get(key)
        if opened is None:
            with self._lock:
                opened = self._open.get(key) or _Opened(Shard(self._folder(key)))
                self._open[key] = opened
        return opened.shard

    def intact(self, key: str) -> Shard:
        """Return a shard, opened once, and check its file sizes against the manifest.

        The system kills a process that reads a mapped file past its end. Only an index's owner can
        truncate its files, but some tools do, such as rsync --inplace.

        Raises
        ------
        FileNotFoundError : it is missing.
        ShardError : it is damaged.
        """
        shard = self.open(key)
        opened = self._open.get(key)
        if opened is None:  # dropped meanwhile
            return shard
        try:
            opened.check(self._check_s)
        except (ShardError, FileNotFoundError):
            with self._lock:
                if self._open.get(key) is opened:
                    del self._open[key]  # a rebuilt one may have the same name
                    self.generation += 1
            raise
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
