"""Files that changed since they were indexed: one scan of the folder, then file-change events.

A folder that gets no events, as the system has none or its watches are used up, is scanned again at every search.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..settings import Settings
from ..sources.chunk import content_hash
from ..sources.opening import TRANSIENT, FileState, FolderReader, stamp_of
from ..sources.repository import Repository, is_readable
from ..sources.worktree import FileStat, Walk
from .notices import Notices, Watched
from .plan import Seen, is_settled, read_seen
from .shard import Shard
from .snapshot import ShardRef, Snapshot, Stored, read_snapshot

MOST_TOLD = 5_000  # changed paths from which all are looked at instead

Shards = list[tuple[ShardRef, Shard]]


class SnapshotReplaced(FileNotFoundError):
    """A search holds an outdated snapshot and has to read the current one."""


class Changes(NamedTuple):
    """Files that differ from the index, or are not in it, in path order; and the indexed paths that answer no longer."""

    files: tuple[FileStat, ...] = ()
    gone: frozenset[str] = frozenset()
    unwatched: str = ""  # why the folder was scanned and no events were read; empty where they were

    def dead(self, ref: ShardRef, shard: Shard) -> tuple[int, ...]:
        """A shard's tombstones, with what changed since."""
        if not self.gone:
            return ref.dead
        changed = {
            number for path in self.gone if (number := shard.file_numbers.get(path)) is not None
        }
        return tuple(sorted(changed.union(ref.dead))) if changed else ref.dead


class Freshness:
    """Compares folders with their indexes, for all searches of a process.

    With ``follow`` events are read at each search, which takes microseconds; without, or where there are none, the folder is
    scanned again.
    """

    def __init__(self, settings: Settings, follow: bool = True) -> None:
        self._settings = settings
        self._notices = Notices() if follow else None
        self._trees: dict[Path, _Tree] = {}
        self._lock = threading.Lock()

    def changes(self, stored: Stored, snapshot: Snapshot, shards: Shards) -> Changes:
        """Return what changed since the snapshot.

        Raises
        ------
        SnapshotReplaced : a newer snapshot answers.
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

    def is_unchanged(self, stored: Stored, snapshot: Snapshot, shards: Shards) -> bool:
        """Whether nothing changed since the folder was compared with this snapshot; False as well where no changes are told."""
        tree = self._trees.get(stored.folder)
        if tree is None or tree.repository != stored.repository:
            return False
        with tree.lock:
            return (
                tree.is_watched
                and tree.changes(snapshot, shards, self._notices) == Changes()
                and tree.is_watched
            )

    def close(self) -> None:
        if self._notices is not None:
            self._notices.close()
        self._trees.clear()


class _Tree:
    """One folder: which of its files are known to differ, or may."""

    def __init__(self, stored: Stored, settings: Settings) -> None:
        self.repository: Repository = stored.repository
        self.folder = stored.folder
        self.lock = threading.Lock()
        self.told: set[str] = set()  # paths that changed, as the events say; "" for anything
        self._settings = settings
        self._suspects: set[str] = set()  # paths that differed when they were looked at
        self._same: dict[
            str, tuple[FileState, bytes]
        ] = {}  # state and hash of files that differ from the index in their state alone
        self._known: Changes | None = None
        self._generation = -1
        self._dead: dict[
            str, tuple[Shard, set[int]]
        ] = {}  # the shards of that generation and their tombstones
        self._outside: dict[
            str, tuple[int, ...]
        ] = {}  # files that decide what is read and get no events, with their stamps
        self._seen: tuple[tuple[int, ...], Seen] = (), Seen()
        self._unwatched: set[str] = {""}  # folders without events; "" for all
        self._unlisted: set[str] = set()  # folders that could not be listed
        self._linked: dict[
            str, FileState
        ] = {}  # files with several names, and their states when they were looked at

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

    def unwatched_reason(self, notices: Notices) -> str:
        return notices.reason_for(self._unwatched)

    def changes(self, snapshot: Snapshot, shards: Shards, notices: Notices | None) -> Changes:
        told = notices.read(self) if notices is not None else set()
        if snapshot.generation < self._generation:  # read before another search saw a newer one
            if read_snapshot(self.folder).generation > snapshot.generation:
                self.told |= told
                raise SnapshotReplaced(
                    f"generation {snapshot.generation} of {self.folder.name} was replaced"
                )
            self._known = None  # it was removed and indexed anew
        told |= self._unwatched | self._unlisted
        told.update(path for path, state in self._linked.items() if self._state(path) != state)
        if (
            self._known is None
            or "" in told
            or len(told) > MOST_TOLD
            or any(stamp_of(path) != stamp for path, stamp in self._outside.items())
        ):
            return self._look(snapshot, shards, notices)
        if snapshot.generation != self._generation:
            told |= self._indexed_since(shards)
        elif not told:
            return self._known
        try:
            return self._compare(self._suspects | told, snapshot, shards, notices)
        except BaseException:
            self._known = None  # the events are read: the next search scans
            raise

    def _state(self, path: str) -> FileState | None:
        try:
            return FileState.of(os.lstat(os.path.join(self.root, path)))
        except OSError:
            return None

    def _indexed_since(self, shards: Shards) -> set[str]:
        """Paths of which the index says something else than the generation before did: it may have read them at any moment."""
        now = {shard.id: set(ref.dead) for ref, shard in shards}
        found = {
            path for ref, shard in shards if shard.id not in self._dead for path in shard.paths
        }
        for shard_id, (shard, dead) in self._dead.items():
            gone = range(shard.manifest.files) if shard_id not in now else now[shard_id] - dead
            found.update(shard.paths[number] for number in gone if number not in dead)
        return found

    def _look(self, snapshot: Snapshot, shards: Shards, notices: Notices | None) -> Changes:
        """Scan the whole folder and watch it."""
        self._known, self._outside, self._unwatched = (
            None,
            {},
            {""},
        )  # where it fails, the next search scans again
        walk, watched = self._walk(notices)
        found = {stat.path: stat for stat in walk}
        self._outside = dict(walk.outside)
        if not found and not is_readable(self.repository.root):
            known = Changes()  # the folder is gone or away: what was indexed still answers
        else:
            indexed = {path for ref, shard in shards for path in _live(ref, shard)}
            known = self._differing(found, indexed - found.keys(), shards)
        self._unwatched = {""} if watched is None else _topmost(watched.missed)
        self._unlisted, self._linked = walk.unlisted, self._hard_linked(walk)
        return self._remember(known, snapshot, shards)

    def _compare(
        self, paths: Iterable[str], snapshot: Snapshot, shards: Shards, notices: Notices | None
    ) -> Changes:
        """Look at the paths alone, or at what lies below them."""
        walk, watched = self._walk(notices)
        found: dict[str, FileStat] = {}
        missing: set[str] = set()
        told = tuple(paths)
        for path in told:
            here = {stat.path: stat for stat in walk.of(path)}
            found.update(here)
            missing.update(
                known
                for ref, shard in shards
                for known in _at(path, ref, shard)
                if known not in here
            )
        self._outside = walk.outside | self._outside
        if not is_readable(self.repository.root):
            found, missing = {}, set()
        known = self._differing(found, missing - found.keys(), shards)
        self._unwatched = (
            {""} if watched is None else _topmost(watched.missed)
        )  # those without a watch are among the paths
        self._unlisted = walk.unlisted
        looked_at = missing.union(told, found)
        self._linked = {
            path: state for path, state in self._linked.items() if path not in looked_at
        } | self._hard_linked(walk)
        return self._remember(known, snapshot, shards)

    def _hard_linked(self, walk: Walk) -> dict[str, FileState]:
        """Return hard-linked files: a write under another name gives no event. Packages are replaced, not written to."""
        return walk.linked if self.repository.source == "worktree" else {}

    def _walk(self, notices: Notices | None) -> tuple[Walk, Watched | None]:
        """A walk that has the folders it enters watched."""
        watched = notices.follow(self) if notices is not None else None
        return Walk(
            self.repository,
            self._settings,
            (lambda folder: None) if watched is None else watched.folder,
        ), watched

    def _differing(self, found: dict[str, FileStat], missing: set[str], shards: Shards) -> Changes:
        files, gone = [], set(missing)
        seen = self._read_seen()
        with FolderReader(self.root) as reader:
            for path, stat in found.items():
                place = next(
                    (
                        (shard, number)
                        for ref, shard in shards
                        if (number := shard.file_numbers.get(path)) is not None
                        and number not in ref.dead
                    ),
                    None,
                )
                if place is None:
                    if path not in seen.refused or seen.refused[path].state != stat.state:
                        files.append(stat)
                elif not self._is_same(stat, *place, seen, reader):
                    files.append(stat)
                    gone.add(path)
        return Changes(tuple(sorted(files, key=lambda stat: stat.path.split("/"))), frozenset(gone))

    def _read_seen(self) -> Seen:
        stamp = stamp_of(str(self.folder / "seen.json"))
        if stamp != self._seen[0]:
            self._seen = stamp, read_seen(self.folder)
        return self._seen[1]

    def _is_same(
        self, stat: FileStat, shard: Shard, number: int, seen: Seen, reader: FolderReader
    ) -> bool:
        """Compare a file with the index by its state, else by its content."""
        state = stat.state
        if state.size != int(shard.file_size[number]):
            return False
        if state == shard.file_state(number) or state == seen.touched.get(stat.path):
            return True
        stamp = (state, shard.file_hash[number].tobytes())
        if self._same.get(stat.path) == stamp:
            return True
        read_at = time.time_ns()
        try:
            data, _ = reader.read(stat.path, self._settings.raw_limit(stat.path))
        except OSError as error:
            if error.errno in TRANSIENT:
                raise
            return False
        if content_hash(data) != stamp[1]:
            return False
        if is_settled(state, read_at):  # else it may change again within the same time stamp
            self._same[stat.path] = stamp
        return True

    def _remember(self, known: Changes, snapshot: Snapshot, shards: Shards) -> Changes:
        self._known = known
        self._suspects = {stat.path for stat in known.files} | known.gone
        if snapshot.generation != self._generation:
            self._generation = snapshot.generation
            self._dead = {shard.id: (shard, set(ref.dead)) for ref, shard in shards}
        return known


def _topmost(folders: set[str]) -> set[str]:
    """Return the folders that lie in none of the others."""
    found: set[str] = set()
    for folder in sorted(folders):
        parts = folder.split("/")
        if not any("/".join(parts[:depth]) in found for depth in range(1, len(parts))) and (
            "" not in found or not folder
        ):
            found.add(folder)
    return found


def _live(ref: ShardRef, shard: Shard) -> Iterable[str]:
    dead = set(ref.dead)
    return (
        shard.paths
        if not dead
        else (path for number, path in enumerate(shard.paths) if number not in dead)
    )


def _at(path: str, ref: ShardRef, shard: Shard) -> list[str]:
    """The live indexed file at a path, or those below it."""
    number = shard.file_numbers.get(path)
    if number is not None:
        return [] if number in ref.dead else [path]
    return [known for known in shard.below(path) if shard.file_numbers[known] not in ref.dead]
