"""Download of shards from a bucket, each whole or not at all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from ...errors import BucketError
from ...files import make_private, storage_errors
from ...sources.repository import Repository
from ..shard.manifest import FORMAT
from ..store import Snapshot, Store, write_snapshot
from ..update.report import Progress
from .bucket import Bucket

REPOSITORIES = f"v{FORMAT}/repositories"
MAX_COPY_S = 3_600.0  # since the last change of an unfinished copy; older ones are abandoned
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
    BucketError : the bucket does not answer; the shards need more space; one is incomplete.
    """
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    for part in shards.glob(f"{_PART}*"):  # of a process that ended meanwhile
        shutil.rmtree(part, ignore_errors=True)
    missing = [ref.id for ref in snapshot.shards if not (shards / ref.id).exists()]
    sizes = {one: bucket.sizes(f"{place}/shards/{one}") for one in missing}
    total, copied = sum(sum(parts.values()) for parts in sizes.values()), 0
    if total > free:
        raise BucketError(
            f"The index of {repository!r} in {bucket.url} takes {total:,} bytes more, but only "
            f"{max(0, int(free)):,} are left for copies. To allow more, set "
            "CODEINTEL_MIRROR_BYTES to a larger number."
        )
    for one, parts in sizes.items():
        for size in _copied(bucket, parts, shards / one):
            copied += size
            progress(Progress("copying", 0, 0, copied, total, repository))


def sweep_parts(folders: Iterable[Path]) -> None:
    """Delete abandoned copies: their processes ended while copying or deleting."""
    for folder in folders:
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > MAX_COPY_S:
                shutil.rmtree(folder, ignore_errors=True)


def discard(folder: Path) -> None:
    """Delete a shard's folder; rename it first, so that no reader sees it half deleted."""
    part = folder.with_name(f"{_PART}{uuid4().hex}")
    with suppress(OSError):  # it is gone, or Windows keeps it while it is mapped
        folder.rename(part)
        shutil.rmtree(part, ignore_errors=True)


def copy_shard(bucket: Bucket, path: str, folder: Path) -> None:
    """Copy a shard to a folder, unless another process does so meanwhile.

    Raises
    ------
    BucketError : the bucket does not answer; the shard is incomplete.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        for _ in _copied(bucket, bucket.sizes(path), folder):
            pass
    except OSError:
        if not folder.exists():
            raise


def _copied(bucket: Bucket, parts: Mapping[str, int], folder: Path) -> Iterator[int]:
    """Copy objects to a new folder, yielding the bytes of each step."""
    part = folder.with_name(f"{_PART}{uuid4().hex}")
    part.mkdir()
    try:
        for path, length in parts.items():
            yield from bucket.download(path, part / path.rpartition("/")[2], length)
        if not (part / "manifest.json").exists():
            raise BucketError(
                f"The shard {folder.name} in {bucket.url} is incomplete. Upload it again."
            )
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def restore(
    bucket: Bucket,
    store: Store,
    repository: Repository,
    progress: Callable[[Progress], None] = lambda event: None,
) -> None:
    """Copy a repository's index to a store without one, so that an update starts from it.

    Its embedder and whether outputs are indexed stay as they are in the bucket.
    """
    folder = store.folder_of(repository.name)
    place = f"{REPOSITORIES}/{folder.name}"
    if (folder / "snapshot.json").exists():
        return
    current = bucket.read(f"{place}/snapshot.json")
    description = bucket.read(f"{place}/repository.json")
    if current is None or description is None:
        return
    snapshot = msgspec.json.decode(current.data, type=Snapshot)
    former = msgspec.json.decode(description.data, type=Repository)
    if snapshot.format != FORMAT:
        return
    with storage_errors(store.home):
        if not store.home.exists():
            make_private(store.home)
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
        copy_shards(bucket, place, folder, snapshot, repository.name, progress)
    stored = store.create(
        msgspec.structs.replace(
            repository,
            embedder=former.embedder,
            allowed_host=former.allowed_host,
            outputs=former.outputs or repository.outputs,
        )
    )
    write_snapshot(stored.folder, msgspec.structs.replace(snapshot, retired={}))
