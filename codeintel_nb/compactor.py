"""Compaction after an update: a child process merges small shards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec

from .errors import EngineError
from .index.shard.cache import Shards
from .index.store import Snapshot, StoredRepository
from .index.update.report import Progress
from .settings import Settings


class Compactor:
    """Merger of shards, on a background thread or at once."""

    def __init__(self, settings: Settings, shards: Shards, in_background: bool) -> None:
        self._settings, self._shards = settings, shards
        self._in_background = in_background
        self._closing = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def compact(
        self,
        stored: StoredRepository,
        snapshot: Snapshot,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        """Merge a repository's shards if due."""
        from .index.update.compact import compact_in_child, to_merge

        repository = stored.repository
        if not to_merge(
            snapshot,
            lambda shard_id: self._shards.open(stored.key(shard_id)),
            self._settings.shard_bytes,
        ):
            return

        def note(event: Progress) -> None:
            if progress is not None:
                progress(msgspec.structs.replace(event, repository=repository.name))

        def compact() -> None:
            with suppress(EngineError):  # nothing is lost; the next update retries
                compact_in_child(self._settings, repository, note, cancel)

        if not self._in_background:
            compact()
        elif not ((running := self._threads.get(repository.name)) and running.is_alive()):
            progress, cancel = None, self._closing
            self._threads[repository.name] = threading.Thread(
                target=compact, name=f"codeintel-compact-{repository.name}", daemon=True
            )
            self._threads[repository.name].start()

    def close(self) -> None:
        """Stop the background work."""
        self._closing.set()
        for thread in self._threads.values():
            thread.join()
