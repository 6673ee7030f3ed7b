"""Repositories: the repositories of a home, and their current shards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple, TypeVar

from .engines.engine import Engine, Target
from .errors import CodeIntelError, EngineError, ScopeError, SearchError, ShardError, did_you_mean
from .index.shard.cache import Shards
from .index.shard.manifest import damaged
from .index.shard.mapping import FILES_EXHAUSTED
from .index.store import Snapshot, Store, StoredRepository, read_snapshot
from .index.update.plan import CLOCK_STEP_NS
from .index.update.report import NOTHING
from .index.watch.tree import Changes, Freshness, OpenShards, SnapshotReplaced
from .scopes.scope import EVERYTHING, Scope, short_name
from .search.hit import Coverage
from .search.text.unindexed import UnindexedTarget
from .settings import Settings
from .sources.repository import WORKTREE, Repository, how_to_index, worktree
from .sources.source import Source, source_of
from .sources.walk import FileStat

MAX_CHOICES = 1000  # cached lists of repositories by scope
RETRIES = 5  # of a search, if a shard was replaced meanwhile
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


class Current(NamedTuple):
    """Shards and files to read in a text search."""

    view: View  # without repositories that cannot be compared with their folders
    targets: list[Target]
    unindexed: list[UnindexedTarget]
    unwatched: dict[str, str] = {}  # repositories with unwatched folders, and the reasons


class Repositories:
    """Repositories of a home, read again after changes; safe to share between threads.

    ``here`` is the folder to search while nothing is indexed: the current one if empty, none if
    None.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        engine: Engine,
        shards: Shards,
        freshness: Freshness,
        here: str | None,
    ) -> None:
        self._settings, self._store, self._engine = settings, store, engine
        self._shards, self._freshness = shards, freshness
        self._here = here
        self._offered: dict[str, Repository] = {}  # unindexed projects by name
        # repositories not comparable with their folders at the last search, and the reasons
        self.failures: dict[str, str] = {}
        self._damaged: dict[Path, str] = {}  # shards with a part that could not be read, and why
        self._snapshots: dict[Path, tuple[tuple[int, int], Snapshot]] = {}
        # stamps of the repositories' descriptions; the repositories; and the stamp of the folder
        # around them, or None if it would not reveal every addition and removal. One value, as
        # threads read and replace it
        self._repositories: tuple[
            tuple[tuple[str, int, int], ...], list[StoredRepository], tuple[int, int] | None
        ] = ((), [], None)
        # all repositories, and those in scope by the scope's names
        self._chosen: tuple[
            list[StoredRepository], dict[tuple[str, ...], list[StoredRepository]]
        ] = ([], {})

    def all(self) -> list[StoredRepository]:
        """Return the stored repositories, read again only if their descriptions changed."""
        stamps, whole = [], True
        try:
            folder = os.stat(self._store.root)
            with os.scandir(self._store.root) as entries:
                for entry in entries:
                    try:
                        state = os.stat(os.path.join(entry.path, "repository.json"))
                    except (FileNotFoundError, NotADirectoryError):
                        whole = False  # it is being created
                        continue
                    stamps.append((entry.name, state.st_mtime_ns, state.st_ino))
        except OSError as error:
            if error.errno in FILES_EXHAUSTED:
                raise
            return self._store.repositories()
        key = tuple(sorted(stamps))
        before, stored, _ = self._repositories
        if key != before:
            stored = self._store.repositories()
        settled = (
            whole
            and not self._store.damaged
            and time.time_ns() - folder.st_mtime_ns > CLOCK_STEP_NS
        )
        self._repositories = key, stored, (folder.st_mtime_ns, folder.st_ino) if settled else None
        return stored

    def stored(self, name: str) -> StoredRepository:
        """Return a repository by its name or unambiguous short name; ScopeError otherwise."""
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
        """Return a repository's current name; an upgraded package has a new one."""
        names = {one.repository.name for one in self.all()}
        present = name if name in names else self._store.renamed().get(name, name)
        return present if present in names else name

    def full_name(self, name: str) -> str:
        """Return the full name of a repository, unindexed project or the current folder."""
        if name in self._offered or (
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

    def with_view(self, scope: Scope | None, work: Callable[[View], _T], fresh: bool = False) -> _T:
        """Run on the current shards; if one is deleted meanwhile, retry on the new ones."""
        attempt = 0
        while True:
            try:
                return work(self.view(scope or EVERYTHING, fresh))
            except FileNotFoundError as error:
                self._snapshots.clear()
                attempt += 1
                time.sleep(0.01 * attempt)
                if attempt < RETRIES:
                    continue
                missing = self._shard_of(error)
                if missing is None or missing in self._damaged:
                    raise
                self._damaged[missing] = str(damaged(missing, "a part of it is missing"))
                attempt = 0
            except OSError as error:
                raise EngineError(
                    TOO_MANY_FILES
                    if error.errno in FILES_EXHAUSTED
                    else f"A file cannot be read: {error}. Try again, or run: codeintel doctor"
                ) from error
            except ShardError as error:  # from a part that is opened lazily
                folders = [
                    s.shard(ref.id)
                    for s in self.all()
                    for ref in self._snapshots.get(s.folder, ((0, 0), Snapshot()))[1].shards
                    if ref.id in str(error)
                ]
                if not folders or folders[0] in self._damaged:
                    raise
                self._damaged[folders[0]] = str(error)

    def _shard_of(self, error: FileNotFoundError) -> Path | None:
        """Return the folder of the shard with a missing file."""
        place = Path(str(error.filename or error))
        for stored in self.all():
            with suppress(ShardError):  # the search reports a damaged repository
                for ref in self.snapshot(stored).shards:
                    if stored.shard(ref.id) in (place, *place.parents):
                        return stored.shard(ref.id)
        return None

    def view(self, scope: Scope, fresh: bool = False) -> View:
        """Return the repositories in scope and their current shards.

        With ``fresh``, the caller also reads files outside the index, so no index is required.
        """
        stored = self._known(scope)
        on_offer = self._unindexed_projects(scope, stored)
        if not stored and not on_offer:
            if fresh and not scope.kinds and not scope.revisions:
                return View([], [])
            raise SearchError(NOTHING)
        readable, failed = self._readable(self._admitted(stored, scope))
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
                else _not_indexed(on_offer[0].repository)
            )
        unfinished += on_offer
        targets = [
            Target(s.repository.name, s.key(ref.id), ref.dead, scope)
            for s, snapshot in chosen
            for ref in snapshot.shards
        ]
        self._check_revisions(scope, targets)
        return View(chosen, targets, failed, unfinished)

    def _known(self, scope: Scope) -> list[StoredRepository]:
        """Return the stored repositories; only those in scope are sure to be up to date.

        This spares a search from checking the others.
        """
        try:
            folder = os.stat(self._store.root)
        except OSError:
            return self.all()
        stamps, stored, listed = self._repositories
        if listed != (folder.st_mtime_ns, folder.st_ino):
            return self.all()
        try:
            admitted = self._admitted(stored, scope)
        except ScopeError:  # the repository may be new
            return self.all()
        for one in admitted:
            try:
                state = os.stat(f"{one.folder}/repository.json")
            except OSError:
                return self.all()
            if (one.folder.name, state.st_mtime_ns, state.st_ino) not in stamps:
                return self.all()
        return stored

    def _admitted(self, stored: list[StoredRepository], scope: Scope) -> list[StoredRepository]:
        """Return the repositories in scope; ScopeError if it names an unknown one."""
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
                else self.present_name(self._indexed_name(pattern, stored))
                for pattern in scope.repos
            ]
            matches = {
                name
                for pattern in patterns
                if pattern in names or pattern not in self._offered
                for name in _named(pattern, names)
            }
            chosen = choices[scope.repos] = [s for s in stored if s.repository.name in matches]
        return chosen

    def offer(self, folder: Path) -> str:
        """Register an unindexed folder under a name for scopes; return the name.

        Text search reads the folder directly until a repository of this name is indexed. The name
        is the folder's own, unless it is used by a repository or another registered folder.
        """
        reserved_names = {
            name
            for one in self.all()
            for name in (one.repository.name, short_name(one.repository.name))
        }
        longer = f"{folder.name} in {folder.parent.name or 'the root folder'}"
        for name in chain((folder.name, longer), (f"{longer} {number}" for number in count(2))):
            repository = worktree(folder, name)
            if (
                name not in reserved_names
                and self._offered.setdefault(name, repository).root == repository.root
            ):
                break
        return name

    def offered_name(self, root: str) -> str | None:
        """Return the registered name of a folder.

        None if it has none, the folder is indexed, or a repository has that name.
        """
        stored = self.all()
        names = {one.repository.name for one in stored}
        if self._worktree_at(root, stored) is not None:
            return None
        return next(
            (
                name
                for name, project in self._offered.items()
                if project.root == root and name not in names
            ),
            None,
        )

    def _indexed_name(self, name: str, stored: list[StoredRepository]) -> str:
        """Return the name of a registered folder's repository; ``name`` if it has none."""
        project = self._offered.get(name)
        if project is None or any(one.repository.name == name for one in stored):
            return name
        return self._worktree_at(project.root, stored) or name

    @staticmethod
    def _worktree_at(root: str, stored: list[StoredRepository]) -> str | None:
        """Return the name of the repository indexed at a root, not as a package."""
        return next(
            (
                one.repository.name
                for one in stored
                if (one.repository.source, one.repository.root) == ("worktree", root)
            ),
            None,
        )

    def present_scope(self, scope: Scope) -> Scope | None:
        """Return a scope with the repositories' current names; None if one is unknown.

        A name is known if it is registered, or was indexed at the last check.
        """
        names = {
            name
            for one in self._repositories[1]
            for name in (one.repository.name, short_name(one.repository.name))
        }

        def is_known(name: str) -> bool:
            return name in names or name in self._offered or "*" in name

        if all(map(is_known, scope.repos)):
            return scope
        renamed = self._store.renamed()
        repos = tuple(name if is_known(name) else renamed.get(name, name) for name in scope.repos)
        return scope.merged(repos=repos) if all(map(is_known, repos)) else None

    def indexed_part(self, scope: Scope) -> Scope:
        """Return a scope without its unindexed projects; SearchError if it names nothing else."""
        on_offer = self._unindexed_projects(scope, self.all())
        if not on_offer:
            return scope
        names = {one.repository.name for one in on_offer}
        rest = tuple(name for name in scope.repos if name not in names)
        if not rest:
            raise SearchError(_not_indexed(on_offer[0].repository))
        return scope.merged(repos=rest)

    def without_index(self, scope: Scope) -> tuple[str, ...]:
        """Return the names in scope without a complete index; only text search reads them."""
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
            self._store.stored(self._offered[name])
            for name in scope.repos
            if name in self._offered and self._indexed_name(name, stored) not in indexed
        ]

    def _readable(
        self, stored: list[StoredRepository]
    ) -> tuple[list[tuple[StoredRepository, Snapshot]], dict[str, str]]:
        """Return the readable repositories, and the errors of the others by name.

        A damaged repository does not stop a search of the rest.
        """
        chosen, failed = list[tuple[StoredRepository, Snapshot]](), dict(self._store.damaged)
        for one in stored:
            try:
                snapshot = self.snapshot(one)
                for ref in snapshot.shards:
                    folder = one.shard(ref.id)
                    if folder in self._damaged:
                        raise ShardError(self._damaged[folder])
                    self._shards.open(one.key(ref.id)).check_dead(ref.dead)
                chosen.append((one, snapshot))
            except ShardError as error:
                failed[one.repository.name] = str(error)
        return chosen, failed

    def _check_revisions(self, scope: Scope, targets: list[Target]) -> None:
        if not scope.revisions:
            return
        revisions = self._engine.revisions(targets)
        for name in scope.revisions:
            if name not in revisions:
                raise ScopeError(f"No revision {name!r} is indexed.{did_you_mean(name, revisions)}")

    def with_changes(self, view: View, scope: Scope, no_ignore: bool = False) -> Current:
        """Return the shards without outdated files, and the files to read instead.

        A repository that cannot be compared with its folder is left out and named in ``failed``.
        With ``no_ignore``, ignored files are read as well.

        Raises
        ------
        CodeIntelError : all repositories failed; the error of the first.
        """
        if no_ignore and (scope.kinds or scope.revisions):
            raise SearchError(
                "Ignored files are not in the index, so they have no kinds or revisions. "
                "Leave out --no-ignore, or the scope's kinds and revisions."
            )
        if scope.revisions and WORKTREE not in scope.revisions:
            return Current(view, view.targets, [])
        if not view.chosen and not view.unfinished:
            return Current(view, [], [self._unindexed(scope, no_ignore)])
        chosen, targets, unindexed, failed, unwatched = (
            [],
            list[Target](),
            list[UnindexedTarget](),
            dict(view.failed),
            dict[str, str](),
        )
        first: CodeIntelError | None = None
        for stored, snapshot in view.chosen:
            shards = [(ref, self._shards.open(stored.key(ref.id))) for ref in snapshot.shards]
            name = stored.repository.name
            try:
                changes, files = self._changes(stored, snapshot, shards, no_ignore)
            except CodeIntelError as error:
                failed[name] = self.failures[name] = str(error)
                first = first or error
                continue
            self.failures.pop(name, None)
            chosen.append((stored, snapshot))
            targets += [
                Target(name, stored.key(ref.id), changes.dead(ref, shard), scope)
                for ref, shard in shards
            ]
            if files:
                unindexed.append(
                    UnindexedTarget(name, self._source(stored.repository), files, scope)
                )
            if changes.unwatched:
                unwatched[name] = changes.unwatched
        unindexed += [
            self._whole(stored.repository, scope, no_ignore) for stored in view.unfinished
        ]
        if first is not None and not chosen and not view.unfinished:
            raise first
        rest = [target for target in view.targets if target.repo not in failed]
        return Current(View(chosen, rest, failed, view.unfinished), targets, unindexed, unwatched)

    def _changes(
        self, stored: StoredRepository, snapshot: Snapshot, shards: OpenShards, no_ignore: bool
    ) -> tuple[Changes, tuple[FileStat, ...]]:
        """Compare a folder with its index; return the changes, and the files to read instead.

        Raises
        ------
        SnapshotReplaced : the index was updated meanwhile.
        CodeIntelError : any other failure; one repository must not stop the others.
        """
        try:
            changes = self._freshness.changes(stored, snapshot, shards)
            if no_ignore:
                return changes, self._with_ignored(stored.repository, changes, shards)
            return changes, changes.files
        except (SnapshotReplaced, CodeIntelError):
            raise
        except Exception as error:
            name = stored.repository.name
            raise EngineError(
                f"The folder of {name!r} cannot be compared with its index: {error!r}"
            ) from error

    def _with_ignored(
        self, repository: Repository, changes: Changes, shards: OpenShards
    ) -> tuple[FileStat, ...]:
        """Return the changed files and the ignored ones."""
        files = {stat.path: stat for stat in changes.files}
        indexed = {
            path
            for ref, shard in shards
            for number, path in enumerate(shard.paths)
            if number not in ref.dead
        }
        for stat in self._source(repository).files(no_ignore=True):
            if stat.path not in indexed:
                files[stat.path] = stat
        return tuple(sorted(files.values(), key=lambda stat: stat.path.split("/")))

    def _unindexed(self, scope: Scope, no_ignore: bool) -> UnindexedTarget:
        """Return a target with all files of ``here``, for use while nothing is indexed."""
        if self._here is None:
            raise SearchError(NOTHING)
        repository = worktree(self._here or os.getcwd())
        if not scope.is_everywhere and repository.name not in scope.repos:
            raise SearchError(NOTHING)
        return self._whole(repository, scope, no_ignore)

    def _whole(self, repository: Repository, scope: Scope, no_ignore: bool) -> UnindexedTarget:
        """Return a target with all files of an unindexed folder."""
        source = self._source(repository)
        return UnindexedTarget(repository.name, source, None, scope, no_ignore)

    def _source(self, repository: Repository) -> Source:
        return source_of(repository, self._settings)

    def coverage(self, current: Current) -> Coverage:
        """Count files and chunks in scope; ``unindexed`` counts changed files not read yet."""
        view, unindexed = current.view, current.unindexed
        building = tuple(stored.repository.name for stored in view.unfinished)
        if not view.chosen and not building:
            return Coverage(folder=unindexed[0].source.folder if unindexed else "")
        counts = self._engine.count(current.targets)
        changed = sum(len(files.files) for files in unindexed if files.files is not None)
        names = (*(stored.repository.name for stored, _ in view.chosen), *building)
        return Coverage(
            names, counts.files_in_scope, counts.files, counts.chunks_in_scope, counts.chunks,
            building, changed, failed=view.failed, unwatched=dict(current.unwatched),
        )  # fmt: skip


def _named(pattern: str, names: list[str]) -> list[str]:
    """Resolve a name or glob to repositories; ScopeError with a hint if none match."""
    try:
        return Scope(repos=(pattern,)).chosen(names)
    except ScopeError as error:
        hint = "" if "is short for" in str(error) else f" Index it: {how_to_index(pattern)}"
        raise ScopeError(f"{error}{hint}") from None


def _not_indexed(project: Repository) -> str:
    return (
        f"The project {project.name!r} is not indexed yet, so only text search covers its files. "
        f"Index it: codeintel index {project.root}"
    )


def _unfinished(names: list[str]) -> str:
    """Return the error message for repositories with an incomplete first index."""
    return (
        f"Not fully indexed yet: {', '.join(map(repr, names))}. "
        f"Only text search covers their files. To finish, run: codeintel refresh {' '.join(names)}"
    )
