"""Status of a repository: its index's state, size and age."""

from __future__ import annotations

from collections.abc import Callable

from .errors import ShardError
from .index.store import Snapshot, StoredRepository
from .index.update.report import RepositoryStatus, State
from .index.update.stops import Stop, read_stop
from .index.update.write_lock import is_being_written


def status_of(
    stored: StoredRepository, snapshot_of: Callable[[StoredRepository], Snapshot]
) -> RepositoryStatus:
    """Return a repository's status, including any damage to its index."""
    repository, damaged = stored.repository, ""
    stop = None if stored.shared else read_stop(stored.folder)
    try:
        snapshot = snapshot_of(stored)
    except ShardError as error:
        snapshot, damaged = Snapshot(), str(error)
    size = sum(
        file.stat().st_size
        for ref in snapshot.shards
        for file in (stored.shards / ref.id).glob("*")
    )
    return RepositoryStatus(
        repository.name, repository.root, repository.source, repository.version,
        snapshot.files, snapshot.chunks, snapshot.content_bytes, size,
        snapshot.complete, snapshot.indexed_at, snapshot.skipped, snapshot.secrets,
        snapshot.examples, damaged, _state(stored, snapshot, stop),
        "" if stop is None else stop.describe(), repository.embedder, stored.shared,
        snapshot.commit,
    )  # fmt: skip


def _state(stored: StoredRepository, snapshot: Snapshot, stop: Stop | None) -> State:
    if snapshot.complete:
        return "indexed"
    if not stored.shared and is_being_written(stored):
        return "indexing"
    return "unfinished" if stop is None else "stopped"
