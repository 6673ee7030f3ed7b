"""Compaction after an update: a child process merges small shards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from .errors import CodeIntelError
from .index.shard.cache import Shards
from .index.shard.shard import Shard
from .index.store import Snapshot, StoredRepository
from .index.update.report import Progress
from .settings import Settings

if TYPE_CHECKING:
    from .index.update.processes import IndexProcesses

MAX_BYTES = 8_000_000  # of merged text; a process that merged more is not used again


class Compactor:
    """Merger of shards, on a background thread or at once."""

    def __init__(
        self,
        settings: Settings,
        shards: Shards,
        in_background: bool,
        processes: Callable[[], IndexProcesses],
    ) -> None:
        self._settings, self._shards, self._processes = settings, shards, processes
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

        def opened(shard_id: str) -> Shard:
            return self._shards.open(stored.key(shard_id))

        merged = to_merge(snapshot, opened, self._settings.shard_bytes)
        if not merged:
            return
        is_small = sum(opened(shard_id).size for shard_id in merged) < MAX_BYTES
        processes = self._processes() if is_small else None

        def note(event: Progress) -> None:
            if progress is not None:
                progress(msgspec.structs.replace(event, repository=repository.name))

        def compact() -> None:
            # nothing is lost; the next update retries
            with suppress(CodeIntelError, OSError, RuntimeError):
                compact_in_child(self._settings, repository, note, cancel, processes)

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
        self.wait()

    def wait(self) -> None:
        """Wait for the background work."""
        for thread in self._threads.values():
            thread.join()
