"""Plan of an update: compare file states with the index, without reading files."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...errors import SourceError
from ...settings import Settings
from ...sources.opening import FileState
from ...sources.source import source_of
from ...sources.walk import MAX_EXAMPLES, FileStat
from ..shard.manifest import damaged
from ..shard.shard import Shard
from ..store import Snapshot, StoredRepository, read_snapshot

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
    """Cache of the updater's file states outside the shards; safe to lose."""

    refused: dict[str, Refused] = {}
    touched: dict[str, FileState] = {}  # changed state, same content
    unparsed: dict[str, Unparsed] = {}


class Place(NamedTuple):
    """Position of an indexed file."""

    shard: int  # position in the snapshot
    file: int
    content_hash: bytes


class IndexedFiles:
    """Positions and states of live files, numbered across all shards.

    ``numbers`` maps each path to one integer, as there may be a hundred thousand.
    """

    def __init__(self, shards: list[Shard], dead: list[tuple[int, ...]]) -> None:
        self._shards = shards
        self._first = [0, *accumulate(shard.manifest.files for shard in shards)]
        columns = [
            (shard.file_size, shard.file_mtime_ns, shard.file_ctime_ns, shard.file_inode)
            for shard in shards
        ]
        self.states = [
            state
            for shard in columns
            for state in zip(*(column.tolist() for column in shard), strict=True)
        ]
        self.numbers: dict[str, int] = {}
        for shard, first, gone in zip(shards, self._first, dead, strict=False):
            live = dict(zip(shard.paths, range(first, first + shard.manifest.files), strict=True))
            for file in gone:
                del live[shard.paths[file]]
            self.numbers.update(live)

    def get(self, path: str) -> Place | None:
        number = self.numbers.get(path)
        if number is None:
            return None
        position = bisect_right(self._first, number) - 1
        file = number - self._first[position]
        return Place(position, file, self._shards[position].file_hash[file].tobytes())

    def at(self, path: str) -> list[str]:
        """Return the live files at a path or below it."""
        if path in self.numbers:
            return [path]
        return [
            child for shard in self._shards for child in shard.below(path) if child in self.numbers
        ]


class Plan(NamedTuple):
    """Files to read and to retire, beside the current snapshot."""

    snapshot: Snapshot
    suspects: list[FileStat]  # new, or changed by their state
    places: IndexedFiles
    gone: list[str]
    unchanged: int
    skipped: Counter[str]
    examples: dict[str, list[str]]  # the first paths of each reason
    secrets: list[str]
    seen: FileCache
    shards: list[Shard]

    @property
    def is_empty(self) -> bool:
        return not self.suspects and not self.gone and self.snapshot.complete


def plan_update(
    stored: StoredRepository,
    settings: Settings,
    embedder_id: str | None,
    rebuild: bool = False,
    only: Sequence[str] | None = None,
) -> Plan:
    """Compare the folder's file states with its index, without reading files.

    ``embedder_id`` None accepts the index's own, for a caller that only checks for changes.
    ``only`` limits the comparison to those paths and everything below them.
    """
    snapshot = Snapshot() if rebuild else read_snapshot(stored.folder)
    if embedder_id is not None and snapshot.shards and snapshot.embedder != embedder_id:
        # vectors of another model: rebuild everything
        snapshot = Snapshot(generation=snapshot.generation)
        rebuild = True
    if rebuild or not snapshot.complete:
        only = None
    shards = _opened(stored, snapshot)
    places = IndexedFiles(shards, [ref.dead for ref in snapshot.shards])
    cache = FileCache() if rebuild else read_file_cache(stored.folder)
    source = source_of(stored.repository, settings)
    walk = source.files()
    stats = (
        iter(walk)
        if only is None
        else iter({stat.path: stat for path in only for stat in walk.of(path)}.values())
    )
    suspects, existing, refused = _compared(stats, places, cache)
    numbers, root = places.numbers, stored.repository.root
    if not existing and not suspects and not source.is_available():
        raise SourceError(
            f"The folder {root} of {stored.repository.name!r} cannot be read: it does not exist, "
            "or you have no permission. Files indexed earlier remain searchable."
        )
    expected = (
        numbers.keys() if only is None else {live for path in only for live in places.at(path)}
    )
    gone = [path for path in expected if path not in existing]
    unchanged = len(numbers) - len(gone) - sum(stat.path in numbers for stat in suspects)
    if only is None:
        cache.unparsed = {
            path: unparsed for path, unparsed in cache.unparsed.items() if path in existing
        }
        by_lines = Counter(unparsed.reason for unparsed in cache.unparsed.values())
        skipped, examples, secrets = walk.skipped + refused + by_lines, walk.examples, walk.secrets
        _add_examples(examples, cache, refused)
    else:  # the counts of the rest of the folder stay
        skipped, secrets = Counter(snapshot.skipped), list(snapshot.secrets)
        examples = {reason: list(paths) for reason, paths in snapshot.examples.items()}
    return Plan(
        snapshot, suspects, places, gone, unchanged, skipped, examples, secrets, cache, shards
    )


def _compared(
    stats: Iterable[FileStat], places: IndexedFiles, cache: FileCache
) -> tuple[list[FileStat], set[str], Counter[str]]:
    """Return the suspects, the indexed paths that exist, and counts of refused files by reason."""
    suspects, existing = list[FileStat](), set[str]()
    refused: Counter[str] = Counter()
    numbers, states = places.numbers, places.states
    for stat in stats:
        path, state = stat.path, stat[1:]
        number = numbers.get(path)
        if number is None:
            refusal = cache.refused.get(path)
            if refusal is not None and refusal.state == state:
                refused[refusal.reason] += 1
            else:
                suspects.append(stat)
            continue
        existing.add(path)
        if (state != states[number] and state != cache.touched.get(path)) or (
            path in cache.unparsed and not cache.unparsed[path].is_settled
        ):
            suspects.append(stat)
    return suspects, existing, refused


def _add_examples(examples: dict[str, list[str]], cache: FileCache, refused: Counter[str]) -> None:
    """Add the first paths of each reason known from earlier runs."""
    for path, (_, reason) in cache.refused.items():
        if refused[reason] and len(examples.setdefault(reason, [])) < MAX_EXAMPLES:
            examples[reason].append(path)
    for path, unparsed in cache.unparsed.items():
        if len(paths := examples.setdefault(unparsed.reason, [])) < MAX_EXAMPLES:
            paths.append(path)


def _opened(stored: StoredRepository, snapshot: Snapshot) -> list[Shard]:
    """Open the shards of a snapshot.

    Raises
    ------
    FileNotFoundError : the snapshot was replaced meanwhile.
    ShardError : a shard is missing, or damaged.
    """
    shards = []
    for ref in snapshot.shards:
        try:
            shard = Shard(stored.shards / ref.id)
        except FileNotFoundError as error:
            if read_snapshot(stored.folder).generation != snapshot.generation:
                raise
            raise damaged(stored.shards / ref.id, "a part of it is missing") from error
        shard.check_dead(ref.dead)
        shards.append(shard)
    return shards


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
