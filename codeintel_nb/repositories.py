"""Repositories: the repositories of a home, and their current shards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from .engines.engine import Engine, Target
from .errors import EngineError, ScopeError, SearchError, ShardError, did_you_mean
from .index.shard.cache import Shards
from .index.shard.manifest import damaged
from .index.shard.mapping import FILES_EXHAUSTED
from .index.store import Snapshot, Store, StoredRepository, read_snapshot
from .index.update.report import NOTHING, IndexReport
from .offers import Offers, not_indexed
from .repository_list import RepositoryList
from .scopes.scope import EVERYTHING, Scope, short_name
from .settings import Settings
from .sources.repository import Repository, how_to_index, worktree

MAX_CHOICES = 1000  # cached lists of repositories by scope
RETRIES = 5  # of a search, if a shard was replaced meanwhile
DAMAGED_S = 10.0  # a damaged shard is skipped for this long, then retried
NONE_EXCLUDED: Mapping[Path, str] = MappingProxyType({})
TOO_MANY_FILES = (
    "This process has reached its limit of open files. Raise the limit (ulimit -n 4096) and "
    "restart the process, or search fewer repositories: --repo NAME"
)

_T = TypeVar("_T")


class View(NamedTuple):
    """Repositories and shards to search, fixed for one call."""

    chosen: list[tuple[StoredRepository, Snapshot]]  # the repositories in scope
    targets: list[Target]
    failed: dict[str, str] = {}  # repositories in scope that cannot be read, and why
    # repositories in scope with an incomplete first index: their shards are not searched
    unfinished: list[StoredRepository] = []


class Repositories:
    """Repositories of a home, read again after changes; thread-safe."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        engine: Engine,
        shards: Shards,
        here: str | None,
    ) -> None:
        self._settings, self._store = settings, store
        self._engine, self._shards = engine, shards
        self._offers = Offers()
        self._here = here
        # shards with a part that could not be read: why, and when
        self._damaged: dict[Path, tuple[str, float]] = {}
        self._snapshots: dict[Path, tuple[tuple[int, int], Snapshot]] = {}
        self._list = RepositoryList(store)
        # all repositories, and those in scope by the scope's names
        self._chosen: tuple[
            list[StoredRepository], dict[tuple[str, ...], list[StoredRepository]]
        ] = ([], {})

    def all(self) -> list[StoredRepository]:
        """Return the repositories, own ones and shared ones."""
        return self._list.all()

    def stored(self, name: str) -> StoredRepository:
        """Return a repository by name or short name; else ScopeError."""
        by_name = {stored.repository.name: stored for stored in self.all()}
        if not by_name:
            raise ScopeError(NOTHING)
        if name in by_name:
            return by_name[name]
        present = self.present_name(name)
        matches = [full for full in by_name if full == present or short_name(full) == name]
        if len(matches) > 1:
            raise ScopeError(
                f"The name {name!r} is short for several repositories: {', '.join(matches)}. "
                "Give one of these."
            )
        if not matches:
            raise ScopeError(
                f"No repository {name!r} is indexed."
                f"{did_you_mean(name, {*by_name, *map(short_name, by_name)})}"
            )
        return by_name[matches[0]]

    def present_name(self, name: str) -> str:
        """Return a repository's current name; upgraded packages have new ones."""
        names = {one.repository.name for one in self.all()}
        present = name if name in names else self._store.renamed().get(name, name)
        return present if present in names else name

    def full_name(self, name: str) -> str:
        """Return the full name of a repository, project or folder."""
        if name in self._offers or (
            not self.all()
            and self._here is not None
            and name == worktree(self._here or os.getcwd()).name
        ):
            return name
        return self.stored(name).repository.name

    def snapshot(self, stored: StoredRepository) -> Snapshot:
        try:
            state = os.stat(stored.folder / "snapshot.json")
        except FileNotFoundError:
            return Snapshot()
        stamp = state.st_mtime_ns, state.st_ino
        cached = self._snapshots.get(stored.folder)
        if cached is not None and cached[0] == stamp:
            return cached[1]
        snapshot = read_snapshot(stored.folder)
        self._snapshots[stored.folder] = (stamp, snapshot)
        if cached is not None:  # some of its shards may be gone
            live = {
                s.key(ref.id)
                for s in self.all()
                for ref in (self._snapshots.get(s.folder, (None, Snapshot()))[1]).shards
            }
            self._shards.keep_only(live)
        return snapshot

    def report_elsewhere(
        self, stored: StoredRepository, repository: Repository
    ) -> IndexReport | None:
        """Return the report of an index that already has a repository's files; else None.

        It is a shared index of the folder, or one of the same package in another environment.
        """
        existing = stored.repository
        if existing.name != repository.name or repository.embedder not in ("", existing.embedder):
            return None
        is_same_place = existing.root == repository.root
        if stored.shared and not stored.is_remote and is_same_place:
            if (existing.source, existing.record) != (repository.source, repository.record) or (
                repository.outputs and not existing.outputs
            ):
                return None
        elif (
            is_same_place
            or not (existing.source == repository.source == "package" and existing.record)
            or existing.record != repository.record
            or not Path(existing.root).is_dir()
        ):
            return None
        snapshot = self.snapshot(stored)
        if not (snapshot.complete and snapshot.shards):
            return None
        from .index.update.build import unchanged

        return unchanged(existing, snapshot, snapshot.files, snapshot.skipped, snapshot.secrets)

    def with_view(self, scope: Scope | None, work: Callable[[View], _T], fresh: bool = False) -> _T:
        """Run on the current shards; retry if one was deleted, and leave out damaged ones."""
        attempt, excluded = 0, dict[Path, str]()
        while True:
            view: View | None = None
            try:
                view = self.view(EVERYTHING if scope is None else scope, fresh, excluded)
                return work(view)
            except FileNotFoundError as error:
                self._snapshots.clear()
                missing = self._shard_of(error)
                attempt += 1
                # do not wait again for a shard already known to be missing
                if attempt < RETRIES and missing not in self._damaged:
                    time.sleep(0.01 * attempt)
                    continue
                if missing is None or missing in excluded:
                    raise
                why = str(damaged(missing, "a part of it is missing"))
                self._leave_out(missing, why, excluded)
                attempt = 0
            except OSError as error:
                raise EngineError(
                    TOO_MANY_FILES
                    if error.errno in FILES_EXHAUSTED
                    else f"A file cannot be read: {error}. Try again, or run: codeintel doctor"
                ) from error
            except ShardError as error:
                if view is None:
                    raise
                # from a part that is opened lazily, or a host that sees another file
                folders = [
                    s.shard(ref.id)
                    for s in self.all()
                    for ref in self._snapshots.get(s.folder, ((0, 0), Snapshot()))[1].shards
                    if ref.id in str(error)
                ]
                if not folders or folders[0] in excluded:
                    raise
                self._leave_out(folders[0], str(error), excluded)

    def _leave_out(self, shard: Path, why: str, excluded: dict[Path, str]) -> None:
        """Leave a shard out of this call, and for a while out of others."""
        excluded[shard] = why
        self._damaged[shard] = why, time.monotonic()

    def _damage_of(self, shard: Path) -> str:
        """Return the damage recently found in a shard; empty if none."""
        why, noted = self._damaged.get(shard, ("", 0.0))
        return why if time.monotonic() - noted < DAMAGED_S else ""

    def _shard_of(self, error: FileNotFoundError) -> Path | None:
        """Return the folder of the shard with a missing file."""
        place = Path(str(error.filename or error))
        for stored in self.all():
            with suppress(ShardError):  # the search reports a damaged repository
                for ref in self.snapshot(stored).shards:
                    if stored.shard(ref.id) in (place, *place.parents):
                        return stored.shard(ref.id)
        return None

    def view(
        self, scope: Scope, fresh: bool = False, excluded: Mapping[Path, str] = NONE_EXCLUDED
    ) -> View:
        """Return the repositories in scope and their current shards.

        With ``fresh``, the caller also reads files outside the index, so no index is required.
        ``excluded`` maps each shard to leave out to the reason.
        """
        stored = self._list.checked(lambda known: self._admitted(known, scope))
        on_offer = self._unindexed_projects(scope, stored)
        if not stored and not on_offer:
            if self._store.damaged:
                raise ShardError(next(iter(self._store.damaged.values())))
            if fresh and not scope.kinds and not scope.revisions:
                return View([], [])
            raise SearchError(NOTHING)
        readable, failed = self._readable(self._admitted(stored, scope), excluded)
        chosen = [(s, snapshot) for s, snapshot in readable if snapshot.complete]
        unfinished = [
            s
            for s, snapshot in readable
            if not snapshot.complete and (not scope.is_everywhere or not chosen)
        ]
        if not readable and failed and not on_offer:
            raise ShardError(next(iter(failed.values())))
        if not chosen and (not fresh or scope.kinds or scope.revisions):
            raise SearchError(
                _unfinished([s.repository.name for s in unfinished])
                if unfinished
                else not_indexed(on_offer[0].repository)
            )
        unfinished += on_offer
        targets = [
            Target(s.repository.name, s.key(ref.id), ref.dead, scope)
            for s, snapshot in chosen
            for ref in snapshot.shards
        ]
        self._check_revisions(scope, targets)
        return View(chosen, targets, failed, unfinished)

    def _admitted(self, stored: list[StoredRepository], scope: Scope) -> list[StoredRepository]:
        """Return the repositories in scope; ScopeError for unknown names."""
        if scope.is_everywhere:
            return stored
        cached, choices = self._chosen
        if cached is not stored or len(choices) > MAX_CHOICES:
            choices = {}
            self._chosen = stored, choices
        chosen = choices.get(scope.repos)
        if chosen is None:
            names = [s.repository.name for s in stored]
            patterns = [
                pattern
                if pattern in names
                else self.present_name(self._offers.indexed_name(pattern, stored))
                for pattern in scope.repos
            ]
            matches = {
                name
                for pattern in patterns
                if pattern in names or pattern not in self._offers
                for name in _named(pattern, names)
            }
            chosen = choices[scope.repos] = [s for s in stored if s.repository.name in matches]
        return chosen

    def offer(self, folder: Path) -> str:
        """Register an unindexed folder for scopes; return its name.

        Text search reads the folder directly until a repository of this name is indexed.
        """
        return self._offers.add(folder, self.all())

    def offered_name(self, root: str) -> str | None:
        """Return an unindexed folder's registered name, else None."""
        return self._offers.name_of(root, self.all())

    def present_scope(self, scope: Scope) -> Scope | None:
        """Return a scope with current names; None for unknown ones.

        A name is known if it is registered, or was indexed at the last check.
        """
        names = {
            name
            for one in self._list.last
            for name in (one.repository.name, short_name(one.repository.name))
        }

        def is_known(name: str) -> bool:
            return name in names or name in self._offers or "*" in name

        if all(map(is_known, scope.repos)):
            return scope
        renamed = self._store.renamed()
        repos = tuple(name if is_known(name) else renamed.get(name, name) for name in scope.repos)
        return scope.merged(repos=repos) if all(map(is_known, repos)) else None

    def indexed_part(self, scope: Scope) -> Scope:
        """Return a scope's indexed part; SearchError if there is none."""
        on_offer = self._unindexed_projects(scope, self.all())
        if not on_offer:
            return scope
        names = {one.repository.name for one in on_offer}
        rest = tuple(name for name in scope.repos if name not in names)
        if not rest:
            raise SearchError(not_indexed(on_offer[0].repository))
        return scope.merged(repos=rest)

    def without_index(self, scope: Scope) -> tuple[str, ...]:
        """Return the names in scope without a complete index.

        Only text search reads them.
        """
        stored = self.all()
        readable, _ = self._readable(self._admitted(stored, scope))
        unfinished = [s.repository.name for s, snapshot in readable if not snapshot.complete]
        return (
            *unfinished,
            *(one.repository.name for one in self._unindexed_projects(scope, stored)),
        )

    def _unindexed_projects(
        self, scope: Scope, stored: list[StoredRepository]
    ) -> list[StoredRepository]:
        """Return the unindexed projects named by a scope."""
        indexed = {one.repository.name for one in stored}
        return [
            self._store.stored(self._offers[name])
            for name in scope.repos
            if name in self._offers and self._offers.indexed_name(name, stored) not in indexed
        ]

    def _readable(
        self, stored: list[StoredRepository], excluded: Mapping[Path, str] = NONE_EXCLUDED
    ) -> tuple[list[tuple[StoredRepository, Snapshot]], dict[str, str]]:
        """Return the readable repositories, and the others' errors by name.

        A damaged repository does not stop a search of the rest.
        """
        chosen, failed = list[tuple[StoredRepository, Snapshot]](), dict(self._store.damaged)
        for one in stored:
            try:
                snapshot = self.snapshot(one)
                for ref in snapshot.shards:
                    folder = one.shard(ref.id)
                    if why := excluded.get(folder) or self._damage_of(folder):
                        raise ShardError(why)
                    self._shards.intact(one.key(ref.id)).check_dead(ref.dead)
                chosen.append((one, snapshot))
            except ShardError as error:
                failed[one.repository.name] = one.named(str(error))
        return chosen, failed

    def _check_revisions(self, scope: Scope, targets: list[Target]) -> None:
        if not scope.revisions:
            return
        revisions = self._engine.revisions(targets)
        for name in scope.revisions:
            if name not in revisions:
                raise ScopeError(f"No revision {name!r} is indexed.{did_you_mean(name, revisions)}")


def _named(pattern: str, names: list[str]) -> list[str]:
    """Resolve a name or glob; ScopeError says how to index."""
    try:
        return Scope(repos=(pattern,)).chosen(names)
    except ScopeError as error:
        hint = "" if "is short for" in str(error) else f" Index it: {how_to_index(pattern)}"
        raise ScopeError(f"{error}{hint}") from None


def _unfinished(names: list[str]) -> str:
    """Return the error message for repositories with an incomplete first index."""
    return (
        f"Not fully indexed yet: {', '.join(map(repr, names))}. "
        f"Only text search covers their files. To finish, run: codeintel refresh {' '.join(names)}"
    )
