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
    copied, lost, uploaded = set[str](), set[str](), 0
    for _ in range(MAX_SWAPS):
        own = read_snapshot(stored.folder)
        before = bucket.read(f"{place}/snapshot.json")
        old = Snapshot() if before is None else msgspec.json.decode(before.data, type=Snapshot)
        there = ({ref.id for ref in old.shards} - lost) | copied
        for one in there.intersection(ref.id for ref in own.shards) - copied:
            if not bucket.e_tag(_manifest(place, one)):  # deleted by hand, or by another writer
                lost.add(one)
        there -= lost - copied
        missing = [ref.id for ref in own.shards if ref.id not in there]
        for size in _copied(bucket, place, [stored.shard(one) for one in missing]):
            uploaded += size
            progress(Progress("uploading", bytes_done=uploaded, bytes_total=own_bytes(stored, own)))
        copied.update(missing)
        new = _after(old, own)
        try:
            bucket.write(f"{place}/repository.json", description)
            bucket.swap(f"{place}/snapshot.json", msgspec.json.encode(new), before)
        except Swapped:
            continue
        gone = [ref.id for ref in new.shards if not bucket.e_tag(_manifest(place, ref.id))]
        if gone:  # another writer deleted them between our two looks
            copied.difference_update(gone)
            lost.update(gone)
            continue
        _sweep(bucket, place, new, retired_age_s)
        return uploaded
    raise EngineError(
        f"Other writers replaced the index of {stored.repository.name!r} in {bucket.url} "
        f"{MAX_SWAPS} times during this upload. Let one machine upload it at a time."
    )


def own_bytes(stored: StoredRepository, snapshot: Snapshot) -> int:
    """Return the size of a snapshot's shards."""
    return sum(
        part.stat().st_size for ref in snapshot.shards for part in stored.shard(ref.id).iterdir()
    )


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


def _manifest(place: str, shard: str) -> str:
    return f"{place}/shards/{shard}/{_MANIFEST}"


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
