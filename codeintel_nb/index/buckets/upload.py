"""Upload of a repository's index to a bucket, by one of several possible writers.

Shards are immutable, so they are only added. The snapshot comes last, and replaces the one that was
read: if another writer was faster, the upload reads it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ...errors import BucketError, EngineError
from ..store import Snapshot, StoredRepository, read_snapshot
from ..update.report import Progress
from .bucket import Bucket, Swapped
from .download import REPOSITORIES

MAX_SWAPS = 20  # by other writers, before an upload gives up
_MANIFEST = "manifest.json"


def upload(
    bucket: Bucket,
    stored: StoredRepository,
    retired_age_s: float,
    progress: Callable[[Progress], None] = lambda event: None,
) -> int:
    """Make a bucket's index of a repository the same as the local one.

    Retired shards are deleted after ``retired_age_s``, as readers may be copying them.

    Returns
    -------
    Bytes uploaded.

    Raises
    ------
    BucketError : the bucket does not answer.
    EngineError : other writers replaced the snapshot each time.
    """
    place = f"{REPOSITORIES}/{stored.folder.name}"
    description = (stored.folder / "repository.json").read_bytes()
    uploaded = 0
    for _ in range(MAX_SWAPS):
        own = read_snapshot(stored.folder)
        before = bucket.read(f"{place}/snapshot.json")
        old = Snapshot() if before is None else msgspec.json.decode(before.data, type=Snapshot)
        complete = _complete(bucket, place)
        missing = [stored.shard(ref.id) for ref in own.shards if ref.id not in complete]
        total = uploaded + sum(part.stat().st_size for one in missing for part in one.iterdir())
        for size in _copied(bucket, place, missing):
            uploaded += size
            progress(Progress("uploading", bytes_done=uploaded, bytes_total=total))
        new = _after(old, own)
        try:
            bucket.write(f"{place}/repository.json", description)
            bucket.swap(f"{place}/snapshot.json", msgspec.json.encode(new), before)
        except Swapped:
            continue
        if _complete(bucket, place).issuperset(ref.id for ref in new.shards):
            _sweep(bucket, place, new, retired_age_s)
            return uploaded
        # another writer deleted a shard meanwhile: upload it again
    raise EngineError(
        f"Other writers replaced the index of {stored.repository.name!r} in {bucket.url} "
        f"{MAX_SWAPS} times during this upload. Let one machine upload it at a time."
    )


def _complete(bucket: Bucket, place: str) -> set[str]:
    """Return the shards whose manifests are there, as these come last."""
    paths = bucket.sizes(f"{place}/shards")
    return {path.split("/")[-2] for path in paths if path.endswith(f"/{_MANIFEST}")}


def _after(old: Snapshot, own: Snapshot) -> Snapshot:
    """Return the own snapshot as the successor of the bucket's."""
    live, now = {ref.id for ref in own.shards}, time.time()
    retired = {one: at for one, at in old.retired.items() if one not in live}
    retired.update({ref.id: now for ref in old.shards if ref.id not in live})
    generation = max(old.generation + 1, own.generation)
    return msgspec.structs.replace(own, generation=generation, retired=retired)


def _copied(bucket: Bucket, place: str, shards: list[Path]) -> Iterator[int]:
    """Upload shards, their manifests last; yield the bytes of each part."""
    for shard in shards:
        for part in sorted(shard.iterdir(), key=lambda part: part.name == _MANIFEST):
            bucket.upload(f"{place}/shards/{shard.name}/{part.name}", part)
            yield part.stat().st_size


def _sweep(bucket: Bucket, place: str, snapshot: Snapshot, age_s: float) -> None:
    """Delete the shards that were retired long ago, after they left the snapshot."""
    now = time.time()
    old = [one for one, at in snapshot.retired.items() if now - at > age_s]
    if not old:
        return
    before = bucket.read(f"{place}/snapshot.json")
    if before is None or msgspec.json.decode(before.data, type=Snapshot) != snapshot:
        return  # another writer's turn
    young = {one: at for one, at in snapshot.retired.items() if one not in old}
    new = msgspec.structs.replace(snapshot, retired=young)
    try:
        bucket.swap(f"{place}/snapshot.json", msgspec.json.encode(new), before)
        for one in old:
            paths = bucket.sizes(f"{place}/shards/{one}")
            bucket.delete(sorted(paths, key=lambda path: not path.endswith(_MANIFEST)))
    except (Swapped, BucketError):
        return  # the next upload deletes them
