"""What of a folder its index does not hold as it is now: looked for once, then told by the system as it changes."""

from __future__ import annotations

import os
import stat as stat_module
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..settings import Settings
from ..sources.chunk import content_hash
from ..sources.ignore import rules_above
from ..sources.repository import Repository, is_readable
from ..sources.worktree import FileStat, Walk
from .notices import Notices, Watched
from .plan import CLOCK_STEP_NS, read_seen
from .shard import Shard
from .snapshot import ShardRef, Snapshot, Stored, read_snapshot

SHORT_S = 0.1  # a look that takes no longer is taken at every search, where nothing tells of changes
LOOKED_AGAIN = 20  # times as long as a longer one took, before the next
MOST_TOLD = 5_000  # changed paths from which all are looked at instead

Shards = list[tuple[ShardRef, Shard]]


class Changes(NamedTuple):
    """Files that differ from the index, or are not in it, in path order; and the indexed paths that answer no longer."""

    files: tuple[FileStat, ...] = ()
    gone: frozenset[str] = frozenset()

    def dead(self, ref: ShardRef, shard: Shard) -> tuple[int, ...]:
        """A shard's tombstones, with what changed since."""
        if not self.gone:
            return ref.dead
        changed = {number for path in self.gone if (number := shard.file_numbers.get(path)) is not None}
        return tuple(sorted(changed.union(ref.dead))) if changed else ref.dead


class Freshness:
    """Compares folders with their indexes, for all searches of a process.

    With ``follow`` the system's own notice of changes is read at each search, which takes microseconds; without, or where
    there is none, the folder is looked at again.
    """

    def __init__(self, settings: Settings, follow: bool = True) -> None:
        self._settings = settings
        self._notices = Notices() if follow else None
        self._trees: dict[Path, _Tree] = {}
        self._lock = threading.Lock()

    def changes(self, stored: Stored, snapshot: Snapshot, shards: Shards) -> Changes:
        """What changed since the snapshot; it is exact where changes are told, else as old as the last look at the folder."""
        with self._lock:
            tree = self._trees.get(stored.folder)
            if tree is None or tree.repository != stored.repository:
                tree = self._trees[stored.folder] = _Tree(stored, self._settings)
        with tree.lock:
            return tree.changes(snapshot, shards, self._notices)

    def is_unchanged(self, stored: Stored, snapshot: Snapshot, shards: Shards) -> bool:
        """Whether nothing changed since the folder was compared with this snapshot; False as well where no changes are told."""
        tree = self._trees.get(stored.folder)
        if tree is None or tree.repository != stored.repository:
            return False
        with tree.lock:
            return tree.followed and tree.changes(snapshot, shards, self._notices) == Changes() and tree.followed

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
        self.told: set[str] = set()  # paths that changed, as the notices say; "" for anything
        self._settings = settings
        self._suspects: set[str] = set()  # paths that differed when they were looked at
        self._same: dict[str, tuple[int, int, bytes]] = {}  # size, time and hash of files that differ from the index in their time alone
        self._known: Changes | None = None
        self._generation = -1
        self._dead: dict[str, tuple[Shard, set[int]]] = {}  # the shards of that generation and their tombstones
        self._above: tuple[tuple[int, ...], ...] = ()  # what the root and the rules that lie above it were like
        self.followed = False  # every change is told
        self._looked_at = self._took = 0.0

    @property
    def root(self) -> str:
        return self.repository.root

    def changes(self, snapshot: Snapshot, shards: Shards, notices: Notices | None) -> Changes:
        told = notices.read(self) if notices is not None else set()
        if snapshot.generation < self._generation:  # read before another search saw a newer one
            if read_snapshot(self.folder).generation > snapshot.generation:
                self.told |= told
                raise FileNotFoundError(f"generation {snapshot.generation} of {self.folder.name} was replaced")
            self._known = None  # it was removed and indexed anew
        stale = not self.followed and (self._took < SHORT_S or time.monotonic() - self._looked_at > LOOKED_AGAIN * self._took)
        if self._known is None or "" in told or len(told) > MOST_TOLD or stale or self._above != _stamps(self.repository):
            return self._look(snapshot, shards, notices)
        if snapshot.generation != self._generation:
            told |= self._indexed_since(shards)
        elif not told:
            return self._known
        return self._compare(self._suspects | told, snapshot, shards, notices)

    def _indexed_since(self, shards: Shards) -> set[str]:
        """Paths of which the index says something else than the generation before did: it may have read them at any moment."""
        now = {shard.id: set(ref.dead) for ref, shard in shards}
        found = {path for ref, shard in shards if shard.id not in self._dead for path in shard.paths}
        for shard_id, (shard, dead) in self._dead.items():
            gone = range(shard.manifest.files) if shard_id not in now else now[shard_id] - dead
            found.update(shard.paths[number] for number in gone if number not in dead)
        return found

    def _look(self, snapshot: Snapshot, shards: Shards, notices: Notices | None) -> Changes:
        """Look at the whole folder, and have its changes told from now on."""
        began = time.monotonic()
        self._above = _stamps(self.repository)
        walk, watched = self._walk(notices)
        refused = read_seen(self.folder).refused
        found = {}
        for stat in walk:
            if refused.get(stat.path, ())[:2] != (stat.size, stat.mtime_ns):
                found[stat.path] = stat
        self.followed = watched is not None and watched.complete
        if not found and not is_readable(self.repository.root):
            self._known = Changes()  # the folder is gone or away: what was indexed still answers
        else:
            known = {path for ref, shard in shards for path in _live(ref, shard)}
            self._known = self._differing(found, known - found.keys(), shards)
        self._remember(snapshot, shards)
        self._looked_at, self._took = time.monotonic(), time.monotonic() - began
        return self._known

    def _compare(self, paths: Iterable[str], snapshot: Snapshot, shards: Shards, notices: Notices | None) -> Changes:
        """Look at the paths alone, or at what lies below them."""
        walk, watched = self._walk(notices)
        found: dict[str, FileStat] = {}
        missing: set[str] = set()
        for path in paths:
            here = {stat.path: stat for stat in walk.of(path)}
            found.update(here)
            missing.update(known for ref, shard in shards for known in _at(path, ref, shard) if known not in here)
        if not is_readable(self.repository.root):
            found, missing = {}, set()
        self.followed = self.followed and watched is not None and watched.complete
        self._known = self._differing(found, missing - found.keys(), shards)
        self._remember(snapshot, shards)
        return self._known

    def _walk(self, notices: Notices | None) -> tuple[Walk, Watched | None]:
        """A walk that has the folders it enters watched."""
        watched = notices.follow(self) if notices is not None else None
        return Walk(self.repository, self._settings.max_file_bytes, (lambda folder: None) if watched is None else watched.folder), watched

    def _differing(self, found: dict[str, FileStat], missing: set[str], shards: Shards) -> Changes:
        files, gone = [], set(missing)
        for path, stat in found.items():
            place = next(((shard, number) for ref, shard in shards if (number := shard.file_numbers.get(path)) is not None and number not in ref.dead), None)
            if place is None:
                files.append(stat)
            elif not self._is_same(stat, *place):
                files.append(stat)
                gone.add(path)
        return Changes(tuple(sorted(files, key=lambda stat: stat.path.split("/"))), frozenset(gone))

    def _is_same(self, stat: FileStat, shard: Shard, number: int) -> bool:
        """By size and time; where only the time differs, by content, once."""
        if stat.size != int(shard.file_size[number]):
            return False
        if stat.mtime_ns == int(shard.file_mtime_ns[number]):
            return True
        indexed = shard.file_hash[number].tobytes()
        stamp = (stat.size, stat.mtime_ns, indexed)
        if self._same.get(stat.path) == stamp:
            return True
        read_at = time.time_ns()
        try:
            data = Path(self.repository.root, stat.path).read_bytes()
        except OSError:
            return False
        if content_hash(data) != indexed:
            return False
        if stat.mtime_ns < read_at - CLOCK_STEP_NS:  # else it may change again within the same time stamp
            self._same[stat.path] = stamp
        return True

    def _remember(self, snapshot: Snapshot, shards: Shards) -> None:
        assert self._known is not None
        self._suspects = {stat.path for stat in self._known.files} | self._known.gone
        if snapshot.generation != self._generation:
            self._generation = snapshot.generation
            self._dead = {shard.id: (shard, set(ref.dead)) for ref, shard in shards}


def _stamps(repository: Repository) -> tuple[tuple[int, ...], ...]:
    """What tells that the root was exchanged for another folder, or that rules above it changed, of which nothing is told."""
    return tuple(_stamp(path) for path in (repository.root, *rules_above(repository)))


def _stamp(path: str) -> tuple[int, ...]:
    try:
        state = os.stat(path)
    except OSError:
        return ()
    return (state.st_dev, state.st_ino) if stat_module.S_ISDIR(state.st_mode) else (state.st_ino, state.st_mtime_ns)


def _live(ref: ShardRef, shard: Shard) -> Iterable[str]:
    dead = set(ref.dead)
    return shard.paths if not dead else (path for number, path in enumerate(shard.paths) if number not in dead)


def _at(path: str, ref: ShardRef, shard: Shard) -> list[str]:
    """The live indexed file at a path, or those below it."""
    number = shard.file_numbers.get(path)
    if number is not None:
        return [] if number in ref.dead else [path]
    return [known for known in shard.below(path) if shard.file_numbers[known] not in ref.dead]
