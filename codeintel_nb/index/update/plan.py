"""Plan of an update: the files to read and to retire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ...errors import SourceError
from ...settings import Settings
from ...sources.source import source_of
from ...sources.walk import MAX_EXAMPLES, FileStat
from ..comparison import FileCache, IndexedFiles, compare, read_file_cache
from ..shard.cache import Shards
from ..shard.manifest import damaged
from ..shard.shard import Shard
from ..store import Snapshot, StoredRepository, read_snapshot


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
    cache: Shards | None = None,
) -> Plan:
    """Compare the folder's file states with its index, without reading files.

    ``embedder_id`` None accepts the index's own, for a caller that only checks for changes.
    ``only`` limits the comparison to those paths and everything below them. ``cache`` keeps shards
    open for the next call.
    """
    snapshot = Snapshot() if rebuild else read_snapshot(stored.folder)
    if embedder_id is not None and snapshot.shards and snapshot.embedder != embedder_id:
        # vectors of another model: rebuild everything
        snapshot = Snapshot(generation=snapshot.generation)
        rebuild = True
    if rebuild or not snapshot.complete:
        only = None
    shards = _opened(stored, snapshot, cache)
    places = IndexedFiles(shards, [ref.dead for ref in snapshot.shards])
    file_cache = FileCache() if rebuild else read_file_cache(stored.folder)
    source = source_of(stored.repository, settings)
    walk = source.files()
    stats = (
        iter(walk)
        if only is None
        else iter({stat.path: stat for path in only for stat in walk.of(path)}.values())
    )
    # all states at once take less time, if all are needed
    state_of = places.states.get if only is None else places.state
    suspects, existing, refused = compare(stats, state_of, file_cache)
    root = stored.repository.root
    if not existing and not suspects and not source.is_available():
        raise SourceError(
            f"The folder {root} of {stored.repository.name!r} cannot be read: it does not exist, "
            "or you have no permission. Files indexed earlier remain searchable."
        )
    expected: Collection[str] = (
        places.states if only is None else {live for path in only for live in places.at(path)}
    )
    gone = [path for path in expected if path not in existing]
    changed = sum(stat.path in existing for stat in suspects)
    unchanged = len(places) - len(gone) - changed
    if only is None:
        file_cache.unparsed = {
            path: unparsed for path, unparsed in file_cache.unparsed.items() if path in existing
        }
        by_lines = Counter(unparsed.reason for unparsed in file_cache.unparsed.values())
        skipped, examples, secrets = walk.skipped + refused + by_lines, walk.examples, walk.secrets
        _add_examples(examples, file_cache, refused)
    else:  # the counts of the rest of the folder stay
        skipped, secrets = Counter(snapshot.skipped), list(snapshot.secrets)
        examples = {reason: list(paths) for reason, paths in snapshot.examples.items()}
    return Plan(
        snapshot, suspects, places, gone, unchanged, skipped, examples, secrets, file_cache, shards
    )


def _add_examples(
    examples: dict[str, list[str]], file_cache: FileCache, refused: Counter[str]
) -> None:
    """Add the first paths of each reason known from earlier runs."""
    for path, (_, reason) in file_cache.refused.items():
        if refused[reason] and len(examples.setdefault(reason, [])) < MAX_EXAMPLES:
            examples[reason].append(path)
    for path, unparsed in file_cache.unparsed.items():
        if len(paths := examples.setdefault(unparsed.reason, [])) < MAX_EXAMPLES:
            paths.append(path)


def _opened(stored: StoredRepository, snapshot: Snapshot, cache: Shards | None) -> list[Shard]:
    """Open the shards of a snapshot.

    Raises
    ------
    FileNotFoundError : the snapshot was replaced meanwhile.
    ShardError : a shard is missing, or damaged.
    """
    shards = []
    for ref in snapshot.shards:
        try:
            shard = (
                Shard(stored.shards / ref.id) if cache is None else cache.open(stored.key(ref.id))
            )
        except FileNotFoundError as error:
            if read_snapshot(stored.folder).generation != snapshot.generation:
                raise
            raise damaged(stored.shards / ref.id, "a part of it is missing") from error
        shard.check_dead(ref.dead)
        shards.append(shard)
    return shards
