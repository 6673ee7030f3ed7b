"""Indexer: index, update, watch and remove repositories.

Modules that only indexing needs are imported inside it, so search commands start faster.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from .compactor import Compactor
from .errors import IndexingCancelled, ShardError, SourceError
from .files import storage_errors
from .index.publishing import publish
from .index.shard.cache import Shards
from .index.store import REMOVED, Store, StoredRepository
from .index.update.report import NOTHING, ONLY_SHARED, IndexReport, Progress
from .index.update.stops import (
    check_is_wanted,
    clear_rebuild,
    clear_stop,
    is_rebuild_due,
    note_rebuild,
    read_stop,
    stopped_run,
)
from .index.update.write_lock import one_writer
from .index.watch.tree import Freshness
from .renewal import Renewal
from .repositories import Repositories
from .settings import Settings
from .sources import repository as sources
from .sources.own_index import check_is_indexable
from .sources.repository import Repository

if TYPE_CHECKING:
    from .index.update.processes import IndexProcesses
    from .index.watch.watcher import Watcher
    from .outlay import Outlay


MAX_CHANGED = 1_000  # paths read one by one; with more, the whole folder is compared


class Indexer:
    """Indexing runs of the repositories in one home."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        repositories: Repositories,
        shards: Shards,
        freshness: Freshness,
        look_here: bool,
        follow: bool,
    ) -> None:
        self._settings, self._store, self._repositories = settings, store, repositories
        self._shards, self._freshness = shards, freshness
        self._look_here = look_here  # see build() in index/update/build.py
        self._follow = follow
        self._counted: dict[Path, int] = {}  # left_out_changes, before the last whole run
        self._compactor = Compactor(settings, shards, follow, lambda: self._processes)
        # a server's watcher rebuilds, too
        self._renewal = Renewal(store if follow and look_here else None, self._renew)

    def _renew(self, name: str, cancel: threading.Event) -> None:
        self.index(self.repository(name), cancel=cancel, requested=False)

    @cached_property
    def _processes(self) -> IndexProcesses:
        """Return the processes for updates; in a lasting process, one stays after an update."""
        from .index.update.processes import IDLE_S, IndexProcesses

        return IndexProcesses(self._store.root, IDLE_S if self._follow else 0.0)

    def index(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        only: Sequence[str] | None = None,
        requested: bool = True,
    ) -> IndexReport:
        """Index a repository, or bring its index up to date.

        ``only`` limits the run to these paths and everything below them. Only a ``requested`` run
        resumes a stopped one; a watcher's does not.

        Raises
        ------
        SourceError : the folder cannot be indexed; its name belongs to another repository.
        """
        from .outlay import with_embedder

        # before a description of it is stored
        check_is_indexable(repository.root, self._settings.home)
        former = same = None
        for stored in self._repositories.all():
            existing = stored.repository
            report = None if rebuild else self._repositories.report_elsewhere(stored, repository)
            if report is not None:
                return report
            if stored.shared:  # an own repository of its name replaces it here
                continue
            if sources.is_other_version(existing, repository):
                former, same = existing.name, existing
            if existing.name != repository.name:
                continue
            if existing.root == repository.root:
                same = existing
                if existing.outputs != repository.outputs:
                    repository = msgspec.structs.replace(repository, outputs=True)
                    rebuild = rebuild or not existing.outputs  # once requested, outputs stay
            elif not (existing.record and existing.record == repository.record):
                raise SourceError(
                    f"The name {existing.name!r} is already in use for {existing.root}. Choose "
                    f"another with --name NAME, or run: codeintel remove {existing.name}"
                )
        repository = with_embedder(repository, same)
        if former is not None and former != repository.name:
            self._store.create(repository, former)  # with its permissions
        report = self._built(repository, progress, cancel, rebuild, only, requested)
        if former is not None and former != repository.name:  # the previously installed version
            # before the removal, so that scopes always find one of the two
            self._store.note_renamed(former, repository.name)
            self.remove(former)
        return report

    def outlay(self, repository: Repository, rebuild: bool = False) -> Outlay | None:
        """Estimate what ``index`` would send to an embedding endpoint without consent.

        None if no consent is needed. Raises like ``outlay_of``; SourceError: an unreadable folder.
        """
        from .outlay import outlay_of, with_embedder

        place = repository.name, repository.root
        indexed = [stored.repository for stored in self._repositories.all() if not stored.shared]
        same = next((one for one in indexed if (one.name, one.root) == place), None)
        stored = self._store.stored(with_embedder(repository, same))
        return outlay_of(stored, self._settings, rebuild)

    def refresh(
        self,
        name: str,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
    ) -> IndexReport:
        """Bring a repository's index up to date.

        A package named after its version is renamed if another version was installed.
        """
        repository, now = self.repository(name), self.renewed(name)
        return (
            self._built(repository, progress, cancel, rebuild)
            if now == repository
            else self.index(now, progress, cancel, rebuild)
        )

    def _built(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
        rebuild: bool,
        only: Sequence[str] | None = None,
        requested: bool = True,
    ) -> IndexReport:
        from .outlay import check_allowed

        check_allowed(self._settings, repository)
        folder = self._store.folder_of(repository.name)
        rebuild = rebuild or (only is None and is_rebuild_due(folder))
        left_out = None
        if only is None and not rebuild:
            left_out = self._freshness.left_out_changes(self._store.stored(repository))
            only = self._changed_paths(repository, left_out)
        if not requested:
            present = {own.repository.name for own in self._repositories.all() if not own.shared}
            check_is_wanted(folder, repository.name, present)
        if cancel is not None and cancel.is_set():
            raise self._stopped(repository, cancel, None)
        clear_stop(folder)
        if rebuild:
            note_rebuild(folder)
        report = self._run(repository, progress, cancel, rebuild, only)
        stored = self._store.stored(repository)
        if rebuild:  # an update of some paths leaves it due
            clear_rebuild(folder)
        if not is_rebuild_due(folder):
            with suppress(OSError):  # it is no longer needed, but harmless
                self._store.drop_old(repository.name)
        if only is None and left_out is not None:
            self._counted[stored.folder] = left_out
        snapshot = self._repositories.snapshot(stored)
        self._compactor.compact(stored, snapshot, progress, cancel)
        return report

    def _run(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
        rebuild: bool,
        only: Sequence[str] | None,
    ) -> IndexReport:
        from .index.update.build import InterruptedAtEnd, build

        last: Progress | None = None

        def note(event: Progress) -> None:
            nonlocal last
            last = event if event.files_total or last is None else last
            if progress is not None:
                progress(msgspec.structs.replace(event, repository=repository.name))

        place, look_here = (self._settings, repository), self._look_here and only is None
        try:
            return build(*place, note, cancel, rebuild, look_here, only, self._processes)
        except InterruptedAtEnd:
            if rebuild:
                clear_rebuild(self._store.folder_of(repository.name))
            raise
        except (KeyboardInterrupt, IndexingCancelled):
            raise self._stopped(repository, cancel, last) from None

    def _stopped(
        self, repository: Repository, cancel: threading.Event | None, last: Progress | None
    ) -> IndexingCancelled:
        folder = self._store.folder_of(repository.name)
        return stopped_run(folder, repository.name, cancel, last, lambda: self._kept(repository))

    def _kept(self, repository: Repository) -> str:
        """Describe the index left by a stopped run."""
        with suppress(ShardError):
            snapshot = self._repositories.snapshot(self._store.stored(repository))
            if snapshot.complete:
                return "Files indexed earlier remain searchable"
            if snapshot.shards:
                return "Files indexed so far are kept"
        return "Nothing is indexed yet"

    def is_stopped(self, name: str) -> bool:
        """Whether the user stopped a repository's last run.

        It resumes only on request.
        """
        return read_stop(self._store.folder_of(name)) is not None

    def _changed_paths(self, repository: Repository, left_out: int | None) -> list[str] | None:
        """Return the paths that changed since indexing, as events report them.

        None if they are unknown, or if an update of these alone would leave wrong counts.
        """
        stored = next(
            (stored for stored in self._repositories.all() if stored.repository == repository), None
        )
        if stored is None or left_out is None:
            return None
        snapshot = self._repositories.snapshot(stored)
        try:
            shards = [(ref, self._shards.open(stored.key(ref.id))) for ref in snapshot.shards]
            paths = self._freshness.changed_paths(stored, snapshot, shards)
        except FileNotFoundError:  # a shard was replaced meanwhile
            return None
        is_counted = self._counted.get(stored.folder) == self._freshness.left_out_changes(stored)
        if paths is None or len(paths) > MAX_CHANGED or (paths and not is_counted):
            return None
        return sorted(paths)

    def watch(
        self,
        names: Sequence[str] = (),
        updated: Callable[[IndexReport], None] | None = None,
        failed: Callable[[str, str], None] | None = None,
    ) -> Watcher:
        """Watch repositories and update their indexes until the watcher is closed.

        Watches all of them by default. ``updated`` gets the report of each run that changed an
        index, ``failed`` a repository's name and an error message.
        """
        from .index.watch.watcher import Watcher

        followed = (
            [self.repository(name) for name in names]
            if names
            else [stored.repository for stored in self._repositories.all() if not stored.shared]
        )
        if not followed:
            raise SourceError(ONLY_SHARED if self._repositories.all() else NOTHING)

        def update(repository: Repository, paths: Sequence[str] | None) -> None:
            existing, now = self.repository(repository.name), self.renewed(repository.name)
            if self.is_stopped(existing.name) or self.is_stopped(now.name):
                return
            only = paths if now == existing else None  # a new version is read whole
            report = self.index(now, only=only, requested=False)
            if updated is not None and (report.indexed or report.removed):
                updated(report)

        watcher = Watcher(
            self._settings, update, failed or (lambda name, message: None), self.differs
        )
        watcher.follow(followed)
        return watcher

    def differs(self, repository: Repository, paths: Sequence[str] | None) -> bool:
        """Whether file states differ between a folder and its index.

        Compares these paths only; the whole folder if None.
        """
        from .index.update.plan import plan_update

        try:
            return not plan_update(
                self._store.stored(repository), self._settings, None, only=paths
            ).is_empty
        except FileNotFoundError:  # the snapshot was replaced meanwhile
            return True

    def remove(self, name: str) -> str:
        """Remove a repository and delete its index; return its full name.

        The repository's own files are not touched.
        """
        stored = self._own(name)
        removed = stored.folder.with_name(f"{REMOVED}{uuid4().hex}-{stored.folder.name}")
        if "_processes" in vars(self):
            self._processes.end_idle()  # Windows keeps the files that it has open
        with one_writer(stored), storage_errors(self._settings.home):
            self._store.drop_old(stored.repository.name)
            (stored.folder / "repository.json").unlink(missing_ok=True)
            try:
                # a writer waiting for the lock must not write into the deleted folder
                stored.folder.rename(removed)
            except OSError:  # Windows cannot rename a folder with an open lock
                removed = stored.folder
        shutil.rmtree(removed, ignore_errors=True)
        self._store.sweep_removed()
        return stored.repository.name

    def publish(self, name: str) -> str:
        """Let every user read a repository's index.

        Returns the first folder above the home that keeps others out; empty if there is none.
        """
        with storage_errors(self._settings.home):
            return publish(self._settings.home, self._own(name).folder)

    def repository(self, name: str) -> Repository:
        """Return a repository by its name.

        Raises
        ------
        ScopeError : no repository has this name.
        SourceError : its folder is gone; its index is shared by another owner.
        """
        repository = self._own(name).repository
        if not Path(repository.root).is_dir():
            raise SourceError(
                f"The folder {repository.root} of {name!r} no longer exists. Its index remains "
                f"searchable. To remove it, run: codeintel remove {name}"
            )
        return repository

    def _own(self, name: str) -> StoredRepository:
        """Return a repository of this home by name."""
        stored = self._repositories.stored(name)
        if stored.shared:
            raise SourceError(
                f"{stored.repository.name!r} is shared by {stored.shared}: only its owner can "
                "update or remove it. For an index of your own, run: codeintel index PATH --rebuild"
            )
        return stored

    def renewed(self, name: str) -> Repository:
        """Return a repository by name, a package as installed.

        A package not named after its version is returned unchanged. The errors are those of
        ``repository``.
        """
        return sources.renewed(self.repository(name))

    def close(self) -> None:
        """Stop background work."""
        self._renewal.close()
        self._compactor.close()
        if "_processes" in vars(self):
            self._processes.close()
