"""Indexing: repositories are indexed, brought up to date, followed and forgotten."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from ..errors import EngineError, IndexingCancelled, ShardError, SourceError
from ..index.build import InterruptedAtEnd, build, unchanged
from ..index.compact import compact_in_child, to_merge
from ..index.freshness import Freshness
from ..index.plan import plan_update
from ..index.report import NOTHING, IndexReport, Progress, RepositoryStatus, State
from ..index.snapshot import REMOVED, Snapshot, Store, Stored
from ..index.stops import (
    Stop,
    clear_rebuild,
    clear_stop,
    is_rebuild_due,
    note_rebuild,
    read_stop,
    write_stop,
)
from ..index.updater import is_being_written, one_writer
from ..index.watcher import Watcher
from ..settings import Settings
from ..sources.repository import Repository, package, renewed, worktree
from ..sources.worktree import check_is_indexable
from .local import LocalEngine
from .roster import Roster


class Indexing:
    """The indexes of the repositories of one home."""

    def __init__(self, settings: Settings, look_here: bool, here: str | None, follow: bool) -> None:
        self.settings = settings
        self._look_here = look_here  # as index/build.py says
        self._follow = follow
        self._store = Store(settings.home)
        self._engine = LocalEngine(settings.count_bytes)
        self._freshness = Freshness(settings, follow)
        self._roster = Roster(settings, self._store, self._engine, self._freshness, here)
        self._closing = threading.Event()
        self._compacting: dict[str, threading.Thread] = {}

    def index(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        outputs: bool = False,
    ) -> IndexReport:
        """Index a folder, or bring its index up to date; with ``outputs`` what the cells of notebooks printed is searched too,
        from then on."""
        return self.index_repository(
            worktree(os.fspath(path), name, outputs), progress, cancel, rebuild
        )

    def index_package(
        self,
        import_name: str,
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
    ) -> IndexReport:
        """Index an installed package by its import name, whole: ignore files are not read."""
        return self.index_repository(package(import_name, name), progress, cancel, rebuild)

    def refresh(
        self,
        name: str,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
    ) -> IndexReport:
        """Bring a repository's index up to date; a package of which another version was installed goes by its new name then."""
        repository, now = self.repository(name), self.current(name)
        return (
            self._built(repository, progress, cancel, rebuild)
            if now == repository
            else self.index_repository(now, progress, cancel, rebuild)
        )

    def index_repository(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        only: Sequence[str] | None = None,
        requested: bool = True,
    ) -> IndexReport:
        """Index a repository, or bring its index up to date; SourceError where its name stands for another.

        With ``only`` those paths, and what is below them, are all that is looked at. Only a ``requested`` run resumes a
        stopped one; a watcher's does not.
        """
        check_is_indexable(
            repository.root, self.settings.home
        )  # before a description of it is stored
        former = None
        for stored in self._roster.all():
            known = stored.repository
            if (
                known.source == repository.source == "package"
                and known.record
                and not rebuild
                and known.root != repository.root
                and (known.name, known.record) == (repository.name, repository.record)
            ):
                snapshot = self._roster.snapshot(stored)
                if (
                    snapshot.complete and snapshot.shards and Path(known.root).is_dir()
                ):  # the same files in another environment
                    return unchanged(
                        known, snapshot, snapshot.files, snapshot.skipped, snapshot.secrets
                    )
            replaced = (
                known.name.startswith("pkg:") and known.version != repository.version
            )  # what a person named is not ours to drop
            if (
                known.source == repository.source == "package"
                and replaced
                and (known.root, known.distribution) == (repository.root, repository.distribution)
            ):
                former = known.name
            if (known.name, known.root) == (
                repository.name,
                repository.root,
            ) and known.outputs != repository.outputs:
                repository = msgspec.structs.replace(repository, outputs=True)
                rebuild = rebuild or not known.outputs  # once asked for they stay
            if (
                known.name == repository.name
                and known.root != repository.root
                and not (known.record and known.record == repository.record)
            ):
                raise SourceError(
                    f"The name {known.name!r} stands for {known.root} already. Give another: --name NAME, or remove it: codeintel remove {known.name}"
                )
        report = self._built(repository, progress, cancel, rebuild, only, requested)
        if (
            former is not None and former != repository.name
        ):  # the version that was installed there before
            self._store.note_renamed(
                former, repository.name
            )  # before the removal, so that scopes always find one of the two
            self.remove(former)
        return report

    def _built(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
        rebuild: bool,
        only: Sequence[str] | None = None,
        requested: bool = True,
    ) -> IndexReport:
        folder = self._store.folder_of(repository.name)
        rebuild = rebuild or (only is None and is_rebuild_due(folder))
        if only is None and not rebuild and self._is_unchanged(repository):
            only = ()
        if not requested and self.is_stopped(repository.name):
            raise IndexingCancelled(
                f"Indexing {repository.name!r} was stopped earlier. Resume with: codeintel refresh {repository.name}"
            )
        if cancel is not None and cancel.is_set():
            raise self._stopped(repository, cancel, None)
        clear_stop(folder)
        if rebuild:
            note_rebuild(folder)
        last: Progress | None = None

        def note(event: Progress) -> None:
            nonlocal last
            last = event if event.files_total or last is None else last
            if progress is not None:
                progress(msgspec.structs.replace(event, repository=repository.name))

        try:
            report = build(
                self.settings,
                repository,
                note,
                cancel,
                rebuild,
                self._look_here and only is None,
                only,
            )
        except InterruptedAtEnd:
            clear_rebuild(folder)
            raise
        except (KeyboardInterrupt, IndexingCancelled):
            raise self._stopped(repository, cancel, last) from None
        clear_rebuild(folder)
        self._compact(repository, progress, cancel)
        return report

    def _stopped(
        self, repository: Repository, cancel: threading.Event | None, last: Progress | None
    ) -> IndexingCancelled:
        """Record that a run was stopped; return the error to raise."""
        folder = self._store.folder_of(repository.name)
        if not (folder / "repository.json").exists():  # never indexed, or removed since
            return IndexingCancelled(
                f"Indexing {repository.name!r} was cancelled; it has no index."
            )
        if not getattr(cancel, "by_person", True):
            return IndexingCancelled(
                f"Indexing {repository.name!r} was cancelled. Resume with: codeintel refresh {repository.name}"
            )
        stop = (read_stop(folder) if last is None else None) or write_stop(folder, last)
        return IndexingCancelled(
            f"Indexing {repository.name!r} was stopped {stop.describe()}. {self._kept(repository)}; resume with: codeintel refresh {repository.name}"
        )

    def _kept(self, repository: Repository) -> str:
        """Return what a stopped run left of the index."""
        with suppress(ShardError):
            snapshot = self._roster.snapshot(self._store.stored(repository))
            if snapshot.complete:
                return "What was indexed before still answers"
            if snapshot.shards:
                return "What was read is kept"
        return "Nothing is indexed yet"

    def is_stopped(self, name: str) -> bool:
        """Whether the user stopped a repository's last run; it resumes only on request."""
        return read_stop(self._store.folder_of(name)) is not None

    def _is_unchanged(self, repository: Repository) -> bool:
        """Whether the system, which tells of changes, told of none since the index was made."""
        stored = next(
            (stored for stored in self._roster.all() if stored.repository == repository), None
        )
        if stored is None:
            return False
        snapshot = self._roster.snapshot(stored)
        try:
            return self._freshness.is_unchanged(
                stored,
                snapshot,
                [(ref, self._engine.shard(stored.shard(ref.id))) for ref in snapshot.shards],
            )
        except FileNotFoundError:  # it was replaced meanwhile
            return False

    def _compact(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """Merge shards where that is due: in the background if this process goes on, else now."""
        stored = self._store.stored(repository)
        if not to_merge(
            self._roster.snapshot(stored),
            lambda shard_id: self._engine.shard(stored.shard(shard_id)),
            self.settings.shard_bytes,
        ):
            return

        def note(event: Progress) -> None:
            if progress is not None:
                progress(msgspec.structs.replace(event, repository=repository.name))

        def compact() -> None:
            with suppress(EngineError):  # nothing is lost, and the next update tries again
                compact_in_child(self.settings, repository, note, cancel)

        if not self._follow:
            compact()
        elif not ((running := self._compacting.get(repository.name)) and running.is_alive()):
            progress, cancel = None, self._closing
            self._compacting[repository.name] = threading.Thread(
                target=compact, name=f"codeintel-compact-{repository.name}", daemon=True
            )
            self._compacting[repository.name].start()

    def watch(
        self,
        names: Sequence[str] = (),
        updated: Callable[[IndexReport], None] | None = None,
        failed: Callable[[str, str], None] | None = None,
    ) -> Watcher:
        """Follow repositories, all of them by default, and keep their indexes up to date until the watcher is closed.

        ``updated`` is told each run that found something to do, ``failed`` a name and what went wrong.
        """
        followed = [self.repository(name) for name in names] if names else self.repositories()
        if not followed:
            raise SourceError(NOTHING)

        def update(repository: Repository, paths: Sequence[str] | None) -> None:
            known, now = self.repository(repository.name), self.current(repository.name)
            if self.is_stopped(known.name) or self.is_stopped(now.name):
                return
            if now == known:
                report = build(
                    self.settings, now, look_here=False, only=paths
                )  # something did change
                self._compact(now)
            else:
                report = self.index_repository(now, requested=False)
            if updated is not None and (report.indexed or report.removed):
                updated(report)

        watcher = Watcher(self.settings, update, failed or (lambda name, said: None), self.differs)
        watcher.follow(followed)
        return watcher

    @property
    def failures(self) -> dict[str, str]:
        """Repositories that the last search could not compare with their folders, and the reasons."""
        names = {stored.repository.name for stored in self._roster.all()}
        return {name: said for name, said in self._roster.failures.items() if name in names}

    @property
    def unwatched(self) -> dict[str, str]:
        """Repositories with unwatched folders, and the reasons."""
        return self._freshness.unwatched()

    def differs(self, repository: Repository, paths: Sequence[str] | None) -> bool:
        """Whether a folder differs from its index, at some paths or anywhere, by the state of its files."""
        try:
            return not plan_update(
                self._store.stored(repository), self.settings, None, only=paths
            ).is_empty
        except FileNotFoundError:  # the snapshot was replaced meanwhile
            return True

    def remove(self, name: str) -> str:
        """Forget a repository and delete its index, not the repository itself; return its full name."""
        stored = self._roster.stored(name)
        removed = stored.folder.with_name(f"{REMOVED}{uuid4().hex}-{stored.folder.name}")
        with one_writer(stored):
            (stored.folder / "repository.json").unlink(missing_ok=True)
            try:
                stored.folder.rename(
                    removed
                )  # a writer waiting for the lock must not write into the deleted folder
            except OSError:  # Windows cannot rename a folder with an open lock
                removed = stored.folder
        shutil.rmtree(removed, ignore_errors=True)
        self._store.sweep_removed()
        return stored.repository.name

    def repository(self, name: str) -> Repository:
        """The repository of this name; ScopeError where none is, SourceError where its folder is gone."""
        repository = self._roster.stored(name).repository
        if not Path(repository.root).is_dir():
            raise SourceError(
                f"The folder {repository.root} of {name!r} is gone. Its index still answers; remove it with: codeintel remove {name}"
            )
        return repository

    def current(self, name: str) -> Repository:
        """The same; of a package that was indexed by its version, the version that is installed there now."""
        return renewed(self.repository(name))

    def repositories(self) -> list[Repository]:
        return [stored.repository for stored in self._roster.all()]

    def status(self) -> list[RepositoryStatus]:
        """Every repository with the size and age of its index."""
        found = []
        for stored in self._roster.all():
            repository, damaged = stored.repository, ""
            stop = read_stop(stored.folder)
            try:
                snapshot = self._roster.snapshot(stored)
            except ShardError as error:
                snapshot, damaged = Snapshot(), str(error)
            size = sum(
                file.stat().st_size
                for ref in snapshot.shards
                for file in (stored.shards / ref.id).glob("*")
            )
            found.append(
                RepositoryStatus(
                    repository.name, repository.root, repository.source, repository.version, snapshot.files, snapshot.chunks, snapshot.content_bytes,
                    size, snapshot.complete, snapshot.indexed_at, snapshot.skipped, snapshot.secrets, snapshot.examples, damaged,
                    self._state(stored, snapshot, stop), "" if stop is None else stop.describe(),
                )
            )  # fmt: skip
        return found

    def _state(self, stored: Stored, snapshot: Snapshot, stop: Stop | None) -> State:
        if snapshot.complete:
            return "indexed"
        if is_being_written(stored):
            return "indexing"
        return "unfinished" if stop is None else "stopped"

    def end_children(self) -> None:
        """Stop background work."""
        self._closing.set()
        for compacting in self._compacting.values():
            compacting.join()

    def close(self) -> None:
        """Stop background work and release the mapped files."""
        self.end_children()
        self._freshness.close()
        self._engine.close()
