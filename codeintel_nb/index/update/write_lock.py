"""Lock of a repository's writer, and removal of unused shards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from ...errors import EngineError, IndexingCancelled
from ...files import storage_errors
from ..locking import acquire_lock
from ..store import Snapshot, StoredRepository, write_snapshot

COMPACTING = ".compacting-"  # prefix of a merged shard's folder, written while updates run


@contextmanager
def one_writer(stored: StoredRepository, wait_s: float = 0.5) -> Iterator[None]:
    """Hold the repository's write lock.

    Raises
    ------
    EngineError : another process holds the lock; the message names it.
    IndexingCancelled : the repository was removed meanwhile.
    """
    from filelock import Timeout

    owner = stored.folder / "writer.txt"
    description = stored.folder / "repository.json"
    removed = IndexingCancelled(
        f"{stored.repository.name!r} was removed meanwhile. "
        "To index it again, run: codeintel index PATH"
    )
    with storage_errors(stored.folder):
        try:
            lock = acquire_lock(stored.folder / "writer.lock", wait_s)
        except FileNotFoundError:
            if description.exists():
                raise
            raise removed from None
        except Timeout:
            holder = (
                owner.read_text(encoding="utf-8").strip() if owner.exists() else "another process"
            )
            raise EngineError(
                f"{stored.repository.name!r} is being indexed already ({holder}). "
                "Wait for that run, or stop it. Searches work meanwhile."
            ) from None
    try:
        if not description.exists():  # the lock may belong to the removed folder
            raise removed
        with suppress(OSError):  # a full disk: the file only names the lock's owner
            owner.write_text(
                f"process {os.getpid()} since {time.strftime('%H:%M:%S')}\n", encoding="utf-8"
            )
        yield
        owner.unlink(missing_ok=True)
    finally:
        lock.release()


def is_being_written(stored: StoredRepository) -> bool:
    """Whether some process holds the repository's write lock."""
    from filelock import Timeout

    try:
        acquire_lock(stored.folder / "writer.lock", 0).release()
    except Timeout:
        return True
    except OSError:
        return False
    return False


def sweep(stored: StoredRepository, snapshot: Snapshot, retired_age_s: float) -> list[str]:
    """Remove and return unused shards; needs the write lock.

    Unused are shards retired long enough, half-built ones, and those in no snapshot.
    """
    live = {ref.id for ref in snapshot.shards}
    now = time.time()
    young = {shard_id: at for shard_id, at in snapshot.retired.items() if now - at < retired_age_s}
    removed = []
    # listed before the lock is tried, so that a merge that starts later is spared
    folders = [*stored.shards.iterdir()]
    compacting = _is_compacting(stored)
    for folder in folders:
        if (
            folder.name not in live
            and folder.name not in young
            and not (compacting and folder.name.startswith(COMPACTING))
        ):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    if young != snapshot.retired:
        write_snapshot(stored.folder, msgspec.structs.replace(snapshot, retired=young))
    return removed


def _is_compacting(stored: StoredRepository) -> bool:
    """Whether a process is compacting, under ``compact.lock``."""
    from filelock import Timeout

    try:
        acquire_lock(stored.folder / "compact.lock", 0).release()
    except Timeout:
        return True
    return False
