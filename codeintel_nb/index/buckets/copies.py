"""Shards that a search host copies from buckets, in the background and within a limit.

A host needs only the shards that are placed on it. It copies them into its own home, unless it sees
them in the folders of its driver. Beyond the limit, the least recently used copies are deleted.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ...errors import BucketError, ShardError
from ...files import make_private, storage_errors
from ...settings import Settings
from ..shard.cache import Shards
from ..shard.manifest import MANIFEST
from ..shard.shard import Shard
from .bucket import Bucket
from .download import copy_shard, discard, sweep_parts
from .mirror import bytes_below, mirror_folder

COPIES = 2  # at once
COPIED = "copies"  # folder in a home


class _Place(NamedTuple):
    """Where a shard is: the bucket, its path there, and the folder of the copy."""

    url: str
    path: str
    folder: Path


class CopiedShards(Shards):
    """Open shards of a driver's home and of its buckets; thread-safe."""

    def __init__(self, root: Path, settings: Settings, home: Path) -> None:
        """Open shards below ``root``; copy those of the buckets of ``settings`` into ``home``."""
        super().__init__(root)
        self._own, self._limit = home, settings.mirror_bytes
        # a bucket's folder on the driver -> its URL, and its folder here
        self._places = {
            # apart from a mirror, which has a limit of its own
            mirror_folder(settings.home, url): (url, mirror_folder(home, url, COPIED))
            for url in settings.buckets
        }
        self._buckets = dict[str, Bucket]()
        self._sizes = OrderedDict[str, int]()  # of copies, the latest used last
        self._copying = dict[str, str]()  # why a copy failed, by shard; empty while it runs
        self._copies = threading.Lock()
        self._pool = ThreadPoolExecutor(COPIES, thread_name_prefix="codeintel-copy")
        self._count_copies()

    def open(self, key: str) -> Shard:
        """Return a shard; FileNotFoundError if it is missing, or still being copied.

        Raises
        ------
        BucketError : it could not be copied; the next call tries again.
        """
        try:
            shard = super().open(key)
        except FileNotFoundError:
            if self._place_of(key) is not None:
                self._copy(key)
            raise
        if key in self._sizes:
            with self._copies, suppress(KeyError):
                self._sizes.move_to_end(key)
        return shard

    def intact(self, key: str) -> Shard:
        """Return a shard as ``Shards.intact`` does; a damaged copy is discarded as missing."""
        try:
            return super().intact(key)
        except ShardError:
            place = self._place_of(key)
            if place is None or self._folder(key) != place.folder:
                raise
            discard(place.folder)
            raise FileNotFoundError(place.folder) from None

    def _count_copies(self) -> None:
        """Count the copies of an earlier host, the oldest first."""
        copies = [
            (folder.stat().st_mtime, (above / folder.relative_to(here)).as_posix(), folder)
            for above, (_, here) in self._places.items()
            for folder in here.glob("v*/repositories/*/shards/[!.]*")
        ]
        for _, key, folder in sorted(copies):
            self._sizes[key] = bytes_below(folder)
        for _, here in self._places.values():
            sweep_parts(here.glob("v*/repositories/*/shards/.*"))

    def _folder(self, key: str) -> Path:
        folder = super()._folder(key)
        place = self._place_of(key)
        return folder if place is None or folder.is_dir() else place.folder

    def _place_of(self, key: str) -> _Place | None:
        """Return the place of a shard; None for one that is in no bucket."""
        folder = super()._folder(key)
        for above, (url, here) in self._places.items():
            if folder.is_relative_to(above):
                path = folder.relative_to(above)
                return _Place(url, path.as_posix(), here / path)
        return None

    def _copy(self, key: str) -> None:
        """Begin to copy a shard, unless a copy is running; raise the last attempt's error."""
        with self._copies:
            problem = self._copying.get(key)
            if problem != "":
                self._copying[key] = ""
                self._pool.submit(self._run, key)
        if problem:
            raise BucketError(problem)

    def _run(self, key: str) -> None:
        place = self._place_of(key)
        assert place is not None
        url, path, folder = place
        try:
            with storage_errors(self._own):
                if not self._own.exists():
                    make_private(self._own)
                make_private(self._own / COPIED)
                if not (folder / MANIFEST).exists():
                    discard(folder)
                    bucket = self._buckets.get(url) or Bucket(url)
                    self._buckets[url] = bucket
                    copy_shard(bucket, path, folder)
                self._keep(key, bytes_below(folder))
        except Exception as error:  # the driver searches the shard, and reports the reason
            self._copying[key] = str(error) or type(error).__name__
            return
        self._copying.pop(key, None)

    def _keep(self, key: str, size: int) -> None:
        """Count a copy, and drop the least recently used ones beyond the limit."""
        with self._copies:
            self._sizes[key] = size
            old = list[str]()
            while sum(self._sizes.values()) > self._limit and len(self._sizes) > 1:
                old.append(self._sizes.popitem(last=False)[0])
        for one in old:
            if (place := self._place_of(one)) is not None:
                with self._lock:
                    self._open.pop(one, None)
                    discard(place.folder)
