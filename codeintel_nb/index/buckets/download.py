"""Download of shards from a bucket, each whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec

from ...errors import BucketError
from ...sources.repository import Repository
from ..shard.manifest import FORMAT
from ..store import Snapshot, Store, write_snapshot
from ..update.report import Progress
from .bucket import Bucket

REPOSITORIES = f"v{FORMAT}/repositories"
_PART = ".copying-"


def copy_shards(
    bucket: Bucket,
    place: str,
    folder: Path,
    snapshot: Snapshot,
    repository: str,
    progress: Callable[[Progress], None] = lambda event: None,
    free: float = float("inf"),
) -> None:
    """Copy the shards of a snapshot that are not in a repository's folder.

    ``place`` is the repository's in the bucket; ``free`` are the bytes that may be used.

    Raises
    ------
    BucketError : the bucket does not answer; the shards do not fit; one is incomplete.
    """
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    missing = [ref.id for ref in snapshot.shards if not (shards / ref.id).exists()]
    sizes = {one: bucket.sizes(f"{place}/shards/{one}") for one in missing}
    total, copied = sum(sum(parts.values()) for parts in sizes.values()), 0
    if total > free:
        raise BucketError(
            f"The index of {repository!r} in {bucket.url} takes {total:,} bytes more, but only "
            f"{max(0, int(free)):,} are left for copies. Set CODEINTEL_MIRROR_BYTES to more."
        )
    for one, parts in sizes.items():
        part = shards / f"{_PART}{uuid4().hex}"
        part.mkdir()
        try:
            for path in parts:
                for size in bucket.download(path, part / path.rpartition("/")[2]):
                    copied += size
                    progress(Progress("copying", 0, 0, copied, total, repository))
            if not (part / "manifest.json").exists():
                raise BucketError(
                    f"The shard {one} in {bucket.url} is incomplete. Upload it again."
                )
            part.rename(shards / one)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def restore(
    bucket: Bucket,
    store: Store,
    repository: Repository,
    progress: Callable[[Progress], None] = lambda event: None,
) -> None:
    """Copy a repository's index to a store without one, so that an update starts from it."""
    folder = store.folder_of(repository.name)
    place = f"{REPOSITORIES}/{folder.name}"
    if folder.exists() or (current := bucket.read(f"{place}/snapshot.json")) is None:
        return
    snapshot = msgspec.json.decode(current.data, type=Snapshot)
    if snapshot.format == FORMAT:
        stored = store.create(repository)
        copy_shards(bucket, place, stored.folder, snapshot, repository.name, progress)
        write_snapshot(stored.folder, msgspec.structs.replace(snapshot, retired={}))
