"""What changed in a repository since its index was written: by size and time, nothing is read but the folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..settings import Settings
from ..sources.worktree import FileStat, Walk
from .shard import Shard
from .snapshot import Snapshot, Stored, read_snapshot


class Seen(msgspec.Struct):
    """What the updater remembers of files outside of the shards; only saves time, so it may be lost."""

    refused: dict[str, tuple[int, int, str]] = {}  # path -> size, mtime_ns, reason
    touched: dict[str, tuple[int, int]] = {}  # path -> size and mtime_ns of a file whose time changed, not its text


class Place(NamedTuple):
    """Where an indexed file lies."""

    shard: int  # position in the snapshot
    file: int
    size: int
    mtime_ns: int
    content_hash: bytes


class Plan(NamedTuple):
    """Files that look changed or new, and those that answer now."""

    snapshot: Snapshot
    suspects: list[FileStat]
    places: dict[str, Place]
    gone: list[str]
    unchanged: int
    skipped: Counter[str]
    secrets: list[str]
    seen: Seen
    shards: list[Shard]

    @property
    def is_empty(self) -> bool:
        return not self.suspects and not self.gone and self.snapshot.complete


def plan_update(stored: Stored, settings: Settings, embedder_id: str | None, rebuild: bool = False) -> Plan:
    """Compare the folder with its index by size and time; nothing is read but the folder.

    ``embedder_id`` None takes the index's own, for a caller that only asks whether anything changed.
    """
    snapshot = Snapshot() if rebuild else read_snapshot(stored.folder)
    if embedder_id is not None and snapshot.shards and snapshot.embedder != embedder_id:
        snapshot = Snapshot(generation=snapshot.generation)  # vectors of another model: everything anew
        rebuild = True
    shards = [Shard(stored.shards / ref.id) for ref in snapshot.shards]
    places: dict[str, Place] = {}
    for position, (ref, shard) in enumerate(zip(snapshot.shards, shards, strict=True)):
        dead = set(ref.dead)
        sizes, times = shard.file_size.tolist(), shard.file_mtime_ns.tolist()
        hashes = shard.file_hash.tobytes()
        for file, path in enumerate(shard.paths):
            if file not in dead:
                places[path] = Place(position, file, sizes[file], times[file], hashes[16 * file : 16 * file + 16])
    seen = Seen() if rebuild else read_seen(stored.folder)
    walk = Walk(stored.repository, settings.max_file_bytes)
    suspects, unchanged = [], 0
    found = set()
    refused: Counter[str] = Counter()
    for stat in walk:
        found.add(stat.path)
        place = places.get(stat.path)
        if place is None:
            known = seen.refused.get(stat.path)
            if known is not None and known[:2] == (stat.size, stat.mtime_ns):
                refused[known[2]] += 1
            else:
                suspects.append(stat)
        elif (stat.size, stat.mtime_ns) not in ((place.size, place.mtime_ns), seen.touched.get(stat.path)):
            suspects.append(stat)
        else:
            unchanged += 1
    gone = [path for path in places if path not in found]
    return Plan(snapshot, suspects, places, gone, unchanged, walk.skipped + refused, walk.secrets, seen, shards)


def read_seen(folder: Path) -> Seen:
    try:
        return msgspec.json.decode((folder / "seen.json").read_bytes(), type=Seen)
    except (OSError, msgspec.DecodeError):
        return Seen()
