"""Comparison of a folder with its index."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..sources.opening import FileState
from ..sources.walk import FileStat
from .shard.shard import Shard

# A file changed this shortly before its read may change again within the same time stamp.
CLOCK_STEP_NS = 20_000_000
MAX_ATTEMPTS = 3  # to parse an unchanged file


class Refused(NamedTuple):
    """File read but not indexed."""

    state: FileState
    reason: str


class Unparsed(NamedTuple):
    """File indexed by lines because parsing failed."""

    state: FileState
    reason: str
    attempts: int  # a crash of the grammar counts as MAX_ATTEMPTS

    @property
    def is_settled(self) -> bool:
        return self.attempts >= MAX_ATTEMPTS


class FileCache(msgspec.Struct):
    """Cache of file states outside the shards; safe to lose."""

    refused: dict[str, Refused] = {}
    touched: dict[str, FileState] = {}  # changed state, same content
    unparsed: dict[str, Unparsed] = {}


class Place(NamedTuple):
    """Position of an indexed file."""

    shard: int  # position in the snapshot
    file: int
    content_hash: bytes


class IndexedFiles:
    """Live files of a snapshot, in any of its shards."""

    def __init__(self, shards: Sequence[Shard], dead: Iterable[Collection[int]]) -> None:
        self._shards = [(shard, frozenset(gone)) for shard, gone in zip(shards, dead, strict=False)]

    def __len__(self) -> int:
        return sum(shard.manifest.files - len(dead) for shard, dead in self._shards)

    @cached_property
    def states(self) -> dict[str, tuple[int, ...]]:
        """Return every state by path, faster than repeated ``state``."""
        states: dict[str, tuple[int, ...]] = {}
        for shard, dead in self._shards:
            columns = (shard.file_size, shard.file_mtime_ns, shard.file_ctime_ns, shard.file_inode)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            live = dict(zip(shard.paths, rows, strict=True))
            for file in dead:
                del live[shard.paths[file]]
            states.update(live)
        return states

    def state(self, path: str) -> FileState | None:
        """Return a file's state at its read; None if unindexed."""
        place = self.get(path)
        return None if place is None else self.state_at(place)

    def state_at(self, place: Place) -> FileState:
        return self._shards[place.shard][0].file_state(place.file)

    def get(self, path: str) -> Place | None:
        """Return a file's position; None if it is not indexed."""
        for position, (shard, dead) in enumerate(self._shards):
            file = shard.file_numbers.get(path)
            if file is not None and file not in dead:
                return Place(position, file, shard.file_hash[file].tobytes())
        return None

    def at(self, path: str) -> list[str]:
        """Return the files at a path or below it."""
        if self.get(path) is not None:
            return [path]
        return [
            child
            for shard, dead in self._shards
            for child in shard.below(path)
            if shard.file_numbers[child] not in dead
        ]


class Comparison(NamedTuple):
    """Files of a folder, compared with the index by their states."""

    suspects: list[FileStat]  # new, changed by their state, or to be parsed again
    existing: set[str]  # indexed paths
    refused: Counter[str]  # reason -> files read before, unchanged, and not indexed


def compare(
    stats: Iterable[FileStat],
    state_of: Callable[[str], tuple[int, ...] | None],
    cache: FileCache,
) -> Comparison:
    """Compare files with the index without reading them.

    ``state_of`` returns the indexed state of a path, or None.
    """
    suspects, existing = list[FileStat](), set[str]()
    refused: Counter[str] = Counter()
    for stat in stats:
        path, state = stat.path, stat[1:]
        indexed = state_of(path)
        if indexed is None:
            refusal = cache.refused.get(path)
            if refusal is not None and refusal.state == state:
                refused[refusal.reason] += 1
            else:
                suspects.append(stat)
            continue
        existing.add(path)
        if (state != indexed and state != cache.touched.get(path)) or (
            path in cache.unparsed and not cache.unparsed[path].is_settled
        ):
            suspects.append(stat)
    return Comparison(suspects, existing, refused)


def is_settled(state: FileState, read_at_ns: int) -> bool:
    """Whether any later change of a file will alter its state."""
    return (
        max(state.mtime_ns if os.name == "nt" else 0, state.ctime_ns) < read_at_ns - CLOCK_STEP_NS
    )


def read_file_cache(folder: Path) -> FileCache:
    try:
        return msgspec.json.decode((folder / "seen.json").read_bytes(), type=FileCache)
    except (OSError, msgspec.DecodeError):
        return FileCache()
