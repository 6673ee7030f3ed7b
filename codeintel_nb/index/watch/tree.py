"""Files changed since indexing: found by a scan, then events.

A folder without events, because the system has none or its watches are used up, is scanned at every
search.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ...settings import Settings
from ...sources.chunk import content_hash
from ...sources.opening import TRANSIENT, FileState, has_stamp, stamp_of
from ...sources.repository import Repository
from ...sources.source import Reader, source_of
from ...sources.walk import FileStat, Walk
from ..comparison import FileCache, IndexedFiles, Place, compare, is_settled, read_file_cache
from ..shard.shard import Shard
from ..store import ShardRef, Snapshot, StoredRepository, read_snapshot
from .inotify import Inotify, WatchSet
from .listing import MAX_CHANGED, read_listing, write_listing

_changes = itertools.count()
MAX_TOLD = 5_000  # changed paths; beyond that the whole folder is scanned

OpenShards = list[tuple[ShardRef, Shard]]  # of a snapshot


class SnapshotReplaced(FileNotFoundError):
    """Outdated snapshot: the search must read the current one."""


class Changes(NamedTuple):
    """Differences between a folder and its index.

    ``files`` differ from the index or are missing from it, in path order; ``gone`` are indexed
    paths with outdated entries.
    """

    files: tuple[FileStat, ...] = ()
    gone: frozenset[str] = frozenset()
    unwatched: str = ""  # why the folder was scanned instead of watched; empty if it was watched

    def dead(self, ref: ShardRef, shard: Shard) -> tuple[int, ...]:
        """Return a shard's tombstones, with the files changed since."""
        if not self.gone:
            return ref.dead
        changed = {
            number for path in self.gone if (number := shard.file_numbers.get(path)) is not None
        }
        return tuple(sorted(changed.union(ref.dead))) if changed else ref.dead


class Freshness:
    """Comparison of folders with their indexes, shared by all searches.

    With ``follow``, events are read at each search, which takes microseconds. Otherwise, or where
    there are no events, the folder is scanned again.
    """

    def __init__(self, settings: Settings, follow: bool = True) -> None:
        self._settings = settings
        self._notices = Inotify() if follow else None
        self._trees: dict[Path, _Tree] = {}
        self._lock = threading.Lock()

    def changes(self, stored: StoredRepository, snapshot: Snapshot, shards: OpenShards) -> Changes:
        """Return the changes since the snapshot.

        Raises
        ------
        SnapshotReplaced : a newer snapshot is current.
        """
        with self._lock:
            tree = self._trees.get(stored.folder)
            if tree is None or tree.repository != stored.repository:
                tree = self._trees[stored.folder] = _Tree(stored, self._settings)
        with tree.lock:
            changes = tree.changes(snapshot, shards, self._notices)
        return changes._replace(
            unwatched=tree.unwatched_reason(self._notices) if self._notices is not None else ""
        )

    def unwatched(self) -> dict[str, str]:
        """Map repositories with unwatched folders to the reasons."""
        if self._notices is None:
            return {}
        reasons = {
            tree.repository.name: tree.unwatched_reason(self._notices)
            for tree in list(self._trees.values())
            if tree.is_known
        }
        return {name: reason for name, reason in reasons.items() if reason}

    def changed_paths(
        self, stored: StoredRepository, snapshot: Snapshot, shards: OpenShards
    ) -> set[str] | None:
        """Return the paths that differ from the snapshot.

        None for a folder that was not compared yet, or is not watched as a whole.
        """
        tree = self._trees.get(stored.folder)
        if tree is None or tree.repository != stored.repository:
            return None
        with tree.lock:
            if not tree.is_watched:
                return None
            changes = tree.changes(snapshot, shards, self._notices)
            return {stat.path for stat in changes.files} | changes.gone if tree.is_watched else None

    def left_out_changes(self, stored: StoredRepository) -> int | None:
        """Return a number that grows with each change to files left out; None if unwatched.

        After such a change, an update of changed paths alone would leave wrong counts.
        """
        tree = self._trees.get(stored.folder)
        return tree.left_out_changes if tree is not None and tree.is_watched else None

    def close(self) -> None:
        if self._notices is not None:
            self._notices.close()
        self._trees.clear()


class _Tree:
    """Known and possible differences of one folder from its index."""

    def __init__(self, stored: StoredRepository, settings: Settings) -> None:
        self.repository: Repository = stored.repository
        self.folder = stored.folder
        self.lock = threading.Lock()
        self.reported: set[str] = set()  # changed paths, as reported by events; "" for any
        self._source = source_of(stored.repository, settings)
        self._suspects: set[str] = set()  # paths that differed at the last comparison
        # state and hash of files that differ from the index in their state alone
        self._same: dict[str, tuple[FileState, bytes]] = {}
        self._known: Changes | None = None
        self._generation = -1
        # the shards of that generation, with their tombstones
        self._dead: dict[str, tuple[Shard, set[int]]] = {}
        # stamps of files outside the folder that decide what is read, and get no events
        self._outside: dict[str, tuple[int, ...]] = {}
        self._seen: tuple[tuple[int, ...], FileCache] = (), FileCache()
        self._unwatched: set[str] = {""}  # folders without events; "" for all
        self._unlisted: set[str] = set()  # folders that could not be listed
        self.left_out_changes = next(_changes)
        # states of hard-linked files at the last comparison
        self._linked: dict[str, FileState] = {}

    @property
    def root(self) -> str:
        return self.repository.root

    @property
    def is_known(self) -> bool:
        return self._known is not None

    @property
    def is_watched(self) -> bool:
        """Whether all folders are watched."""
        return not self._unwatched

    def unwatched_reason(self, notices: Inotify) -> str:
        return notices.reason_for(self._unwatched)

    def changes(self, snapshot: Snapshot, shards: OpenShards, notices: Inotify | None) -> Changes:
        reported = notices.read(self) if notices is not None else set()
        if snapshot.generation < self._generation:  # another search has used a newer one
            if read_snapshot(self.folder).generation > snapshot.generation:
                self.reported |= reported
                raise SnapshotReplaced(
                    f"generation {snapshot.generation} of {self.folder.name} was replaced"
                )
            self._known = None  # the index was removed and built anew
        reported |= self._unwatched | self._unlisted
        reported.update(path for path, state in self._linked.items() if self._state(path) != state)
        if (
            self._known is None
            or "" in reported
            or len(reported) > MAX_TOLD
            or not all(has_stamp(path, stamp) for path, stamp in self._outside.items())
        ):
            return self._resume(snapshot, shards, notices) or self._look(snapshot, shards, notices)
        if snapshot.generation != self._generation:
            reported |= self._indexed_since(shards)
        elif not reported:
            return self._known
        try:
            return self._compare(self._suspects | reported, snapshot, shards, notices)
        except BaseException:
            self._known = None  # the events are consumed: the next search scans
            raise

    def _state(self, path: str) -> FileState | None:
        try:
            return FileState.of(os.lstat(os.path.join(self.root, path)))
        except OSError:
            return None

    def _indexed_since(self, shards: OpenShards) -> set[str]:
        """Return paths with changed index entries since the last comparison.

        The update may have read these files at any moment.
        """
        now = {shard.id: set(ref.dead) for ref, shard in shards}
        paths = {
            path for ref, shard in shards if shard.id not in self._dead for path in shard.paths
        }
        for shard_id, (shard, dead) in self._dead.items():
            gone = range(shard.manifest.files) if shard_id not in now else now[shard_id] - dead
            paths.update(shard.paths[number] for number in gone if number not in dead)
        return paths

    def _resume(
        self, snapshot: Snapshot, shards: OpenShards, notices: Inotify | None
    ) -> Changes | None:
        """Compare only what changed since an earlier process's walk; None if a walk is needed."""
        self._known = None
        listing = read_listing(self.folder, self.repository, self._source.settings)
        if listing is None or not all(
            has_stamp(path, stamp) for path, stamp in listing.outside.items()
        ):
            return None
        by_id = {shard.id: shard for _, shard in shards}
        current = {shard.id: set(ref.dead) for ref, shard in shards}
        if not all(
            name in current and current[name].issuperset(dead)
            for name, dead in listing.shards.items()
        ):
            return None  # shards were merged, or this snapshot is older
        watched = notices.follow(self) if notices is not None else None
        if watched is not None:
            for folder in listing.folder_paths():
                watched.folder(folder)
            if watched.missed:
                return None
        changed = listing.changed(self.root)
        if changed is None:
            return None
        self._dead = {name: (by_id[name], set(dead)) for name, dead in listing.shards.items()}
        changed |= self._indexed_since(shards)
        if len(changed) > MAX_CHANGED:
            return None
        self._outside, self._linked = listing.outside, listing.linked
        return self._compare(changed.union(listing.suspects), snapshot, shards, notices)

    def _look(self, snapshot: Snapshot, shards: OpenShards, notices: Inotify | None) -> Changes:
        """Scan the whole folder and watch it."""
        self.left_out_changes = next(_changes)  # rules may have changed, too
        # if this scan fails, the next search scans again
        self._known, self._outside, self._unwatched = None, {}, {""}
        began_ns = time.time_ns()
        walk, watched = self._walk(notices)
        stats = {stat.path: stat for stat in walk}
        self._outside = dict(walk.outside)
        if not stats and not self._source.is_available():
            changes = Changes()  # the folder is gone or unavailable: the index still answers
        else:
            files = _indexed(shards)
            missing = files.states.keys() - stats.keys()
            changes = self._differing(stats, missing, files, files.states.get)
        self._unwatched = {""} if watched is None else _topmost(watched.missed)
        self._unlisted, self._linked = walk.unlisted, self._hard_linked(walk)
        suspects = {stat.path for stat in changes.files} | changes.gone
        write_listing(
            self.folder, self.repository, self._source.settings, walk, stats,
            {shard.id: ref.dead for ref, shard in shards}, suspects, self._linked, began_ns,
        )  # fmt: skip
        return self._remember(changes, snapshot, shards)

    def _compare(
        self, paths: Iterable[str], snapshot: Snapshot, shards: OpenShards, notices: Inotify | None
    ) -> Changes:
        """Compare only the paths and the files below them."""
        walk, watched = self._walk(notices)
        files, stats = _indexed(shards), dict[str, FileStat]()
        missing: set[str] = set()
        targets = tuple(paths)
        for path in targets:
            here, indexed = {stat.path: stat for stat in walk.of(path)}, files.at(path)
            stats.update(here)
            missing.update(each for each in indexed if each not in here)
            if walk.skipped or not (here or indexed):
                self.left_out_changes = next(_changes)
                walk.skipped.clear()
        self._outside = walk.outside | self._outside
        if not self._source.is_available():
            stats, missing = {}, set()
        changes = self._differing(stats, missing - stats.keys(), files, files.state)
        # all unwatched folders are among the paths, so none is missed here
        self._unwatched = {""} if watched is None else _topmost(watched.missed)
        self._unlisted = walk.unlisted
        looked_at = missing.union(targets, stats)
        self._linked = {
            path: state for path, state in self._linked.items() if path not in looked_at
        } | self._hard_linked(walk)
        return self._remember(changes, snapshot, shards)

    def _hard_linked(self, walk: Walk) -> dict[str, FileState]:
        """Return hard-linked files: writes under other names raise no events.

        Empty for packages, which are replaced and not written to.
        """
        return walk.linked if self.repository.source == "worktree" else {}

    def _walk(self, notices: Inotify | None) -> tuple[Walk, WatchSet | None]:
        """Return a walk, and the watches added on its way."""
        watched = notices.follow(self) if notices is not None else None
        walk = self._source.files() if watched is None else self._source.files(watched.folder)
        return walk, watched

    def _differing(
        self,
        stats: dict[str, FileStat],
        missing: set[str],
        indexed: IndexedFiles,
        state_of: Callable[[str], tuple[int, ...] | None],
    ) -> Changes:
        """Return the missing files, and those whose content differs."""
        files, gone = [], set(missing)
        cache = self._read_seen()
        with self._source.open() as reader:
            for stat in compare(stats.values(), state_of, cache).suspects:
                place = indexed.get(stat.path)
                if place is None:
                    files.append(stat)
                elif not self._is_same(stat, indexed, place, cache, reader):
                    files.append(stat)
                    gone.add(stat.path)
        return Changes(tuple(sorted(files, key=lambda stat: stat.path.split("/"))), frozenset(gone))

    def _read_seen(self) -> FileCache:
        stamp = stamp_of(str(self.folder / "seen.json"))
        if stamp != self._seen[0]:
            self._seen = stamp, read_file_cache(self.folder)
        return self._seen[1]

    def _is_same(
        self,
        stat: FileStat,
        indexed: IndexedFiles,
        place: Place,
        cache: FileCache,
        reader: Reader,
    ) -> bool:
        """Whether a file equals the index by state or content."""
        state, before = stat.state, indexed.state_at(place)
        if state.size != before.size:
            return False
        # equal states: a file that is only to be parsed again
        if state == before or state == cache.touched.get(stat.path):
            return True
        stamp = (state, place.content_hash)
        if self._same.get(stat.path) == stamp:
            return True
        read_at = time.time_ns()
        try:
            data, _ = reader.read(stat.path)
        except OSError as error:
            if error.errno in TRANSIENT:
                raise
            return False
        if content_hash(data) != stamp[1]:
            return False
        if is_settled(state, read_at):  # else it may change again within the same timestamp
            self._same[stat.path] = stamp
        return True

    def _remember(self, changes: Changes, snapshot: Snapshot, shards: OpenShards) -> Changes:
        self._known = changes
        self._suspects = {stat.path for stat in changes.files} | changes.gone
        if snapshot.generation != self._generation:
            self._generation = snapshot.generation
            self._dead = {shard.id: (shard, set(ref.dead)) for ref, shard in shards}
        return changes


def _topmost(folders: set[str]) -> set[str]:
    """Return the folders not inside any of the others."""
    topmost: set[str] = set()
    for folder in sorted(folders):
        parts = folder.split("/")
        if not any("/".join(parts[:depth]) in topmost for depth in range(1, len(parts))) and (
            "" not in topmost or not folder
        ):
            topmost.add(folder)
    return topmost


def _indexed(shards: OpenShards) -> IndexedFiles:
    return IndexedFiles([shard for _, shard in shards], [ref.dead for ref, _ in shards])
