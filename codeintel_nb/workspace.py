"""Workspace: repositories and an engine, the one object that every face reaches."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from .engines.engine import Answer, Target
from .engines.local import LocalEngine
from .errors import EngineError, ScopeError, SearchError, ShardError, SourceError, did_you_mean
from .index.build import build, unchanged
from .index.compact import compact_in_child, to_merge
from .index.embedder import Embedder, default_embedder
from .index.freshness import Freshness
from .index.plan import CLOCK_STEP_NS
from .index.projection import Projection
from .index.report import NOTHING, IndexReport, Progress, RepositoryStatus
from .index.snapshot import Snapshot, Store, Stored, read_snapshot
from .index.updater import one_writer
from .index.watcher import Watcher
from .scopes.scope import EVERYTHING, Scope, fits
from .search.facets import Facets
from .search.hit import Coverage, FileText, Hit, Results
from .search.loose import LooseTarget, read_document
from .search.points import Points
from .search.query import Bounds, Case, Mode, PathQuery, SemanticQuery, Show, SymbolQuery, TextQuery
from .search.sql import MEMORY_LIMIT, MOST_ROWS, InScope, run_sql
from .search.table import Table
from .settings import Settings
from .sources.repository import WORKTREE, Repository, how_to_index, package, renewed, worktree
from .sources.worktree import Walk

MOST_CHOICES = 1000  # of repositories by a scope that are remembered
RETRIES = 5  # of a search whose shard was replaced under it

_T = TypeVar("_T")


class _Now(NamedTuple):
    """What there is to search while a call runs."""

    chosen: list[tuple[Stored, Snapshot]]  # the repositories in scope
    targets: list[Target]
    failed: dict[str, str] = {}  # repositories in scope that cannot be read, and why


class Workspace:
    """Searches and indexes the repositories of one home; safe to share between threads.

    Every search takes ``deadline`` (seconds) and ``cancel`` (an event): what was found by then comes back with
    ``truncated`` set.
    """

    def __init__(self, settings: Settings, embedder: Callable[[], Embedder] = default_embedder, look_here: bool = True, here: str | None = "", follow: bool = True) -> None:
        """``here`` is what a text search reads while nothing is indexed: the current folder by default, None for nothing.

        ``follow`` says that the process goes on: changes of files are told to it, and it compacts shards in the background.
        """
        self.settings = settings
        self.here = here
        self._look_here = look_here  # as index/build.py says
        self._embedder = embedder
        self._store = Store(settings.home)
        self._engine = LocalEngine()
        self._freshness = Freshness(settings, follow)
        self._follow = follow
        self._projection = Projection(self._store.root.parent / "map")
        self._mapping = threading.Lock()  # its points are computed once
        self._closing = threading.Event()
        self._compacting: dict[str, threading.Thread] = {}
        self._damaged: dict[Path, str] = {}  # shards with a part that could not be read, and why
        self._snapshots: dict[Path, tuple[tuple[int, int], Snapshot]] = {}
        # stamps of their descriptions, they themselves, and what their folder was like, if that says whether any came or went: one
        # value, as threads read and replace it
        self._repositories: tuple[tuple[tuple[str, int, int], ...], list[Stored], tuple[int, int] | None] = ((), [], None)
        self._chosen: tuple[list[Stored], dict[tuple[str, ...], list[Stored]]] = ([], {})  # of the repositories those that a scope names

    @classmethod
    def open(cls, home: str | os.PathLike[str] | None = None, follow: bool = True) -> Workspace:
        """The workspace in ``home``, else ``$CODEINTEL_HOME``, else the platform's user data folder."""
        return cls(Settings.from_environment(None if home is None else os.fspath(home)), follow=follow)

    # indexing

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
        return self.index_repository(worktree(os.fspath(path), name, outputs), progress, cancel, rebuild)

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
        return self._built(repository, progress, cancel, rebuild) if now == repository else self.index_repository(now, progress, cancel, rebuild)

    def index_repository(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        only: Sequence[str] | None = None,
    ) -> IndexReport:
        """Index a repository, or bring its index up to date; SourceError where its name stands for another.

        With ``only`` those paths, and what is below them, are all that is looked at.
        """
        former = None
        for stored in self._all():
            known = stored.repository
            if known.source == repository.source == "package" and known.record and not rebuild and known.root != repository.root and (known.name, known.record) == (repository.name, repository.record):
                snapshot = self._snapshot(stored)
                if snapshot.complete and snapshot.shards and Path(known.root).is_dir():  # the same files in another environment
                    return unchanged(known, snapshot, snapshot.files, snapshot.skipped, snapshot.secrets)
            replaced = known.name.startswith("pkg:") and known.version != repository.version  # what a person named is not ours to drop
            if known.source == repository.source == "package" and replaced and (known.root, known.distribution) == (repository.root, repository.distribution):
                former = known.name
            if (known.name, known.root) == (repository.name, repository.root) and known.outputs != repository.outputs:
                repository = msgspec.structs.replace(repository, outputs=True)
                rebuild = rebuild or not known.outputs  # once asked for they stay
            if known.name == repository.name and known.root != repository.root and not (known.record and known.record == repository.record):
                raise SourceError(f"The name {known.name!r} stands for {known.root} already. Give another: --name NAME, or remove it: codeintel remove {known.name}")
        report = self._built(repository, progress, cancel, rebuild, only)
        if former is not None and former != repository.name:  # the version that was installed there before
            self.remove(former)
        return report

    def _built(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
        rebuild: bool,
        only: Sequence[str] | None = None,
    ) -> IndexReport:
        if only is None and not rebuild and self._is_unchanged(repository):
            only = ()
        report = build(self.settings, repository, progress, cancel, rebuild, self._look_here and only is None, only)
        self._compact(repository, progress, cancel)
        return report

    def _is_unchanged(self, repository: Repository) -> bool:
        """Whether the system, which tells of changes, told of none since the index was made."""
        stored = next((stored for stored in self._all() if stored.repository == repository), None)
        if stored is None:
            return False
        snapshot = self._snapshot(stored)
        try:
            return self._freshness.is_unchanged(stored, snapshot, [(ref, self._engine.shard(stored.shard(ref.id))) for ref in snapshot.shards])
        except FileNotFoundError:  # it was replaced meanwhile
            return False

    def _compact(self, repository: Repository, progress: Callable[[Progress], None] | None = None, cancel: threading.Event | None = None) -> None:
        """Merge shards where that is due: in the background if this process goes on, else now."""
        stored = self._store.stored(repository)
        if not to_merge(self._snapshot(stored), lambda shard_id: self._engine.shard(stored.shard(shard_id)), self.settings.shard_bytes):
            return

        def compact() -> None:
            with suppress(EngineError):  # nothing is lost, and the next update tries again
                compact_in_child(self.settings, repository, progress, cancel)

        if not self._follow:
            compact()
        elif not ((running := self._compacting.get(repository.name)) and running.is_alive()):
            progress, cancel = None, self._closing
            self._compacting[repository.name] = threading.Thread(target=compact, name=f"codeintel-compact-{repository.name}", daemon=True)
            self._compacting[repository.name].start()

    def watch(self, names: Sequence[str] = (), updated: Callable[[IndexReport], None] | None = None, failed: Callable[[str, str], None] | None = None) -> Watcher:
        """Follow repositories, all of them by default, and keep their indexes up to date until the watcher is closed.

        ``updated`` is told each run that found something to do, ``failed`` a name and what went wrong.
        """
        followed = [self.repository(name) for name in names] if names else self.repositories()
        if not followed:
            raise SourceError(NOTHING)

        def update(repository: Repository, paths: Sequence[str] | None) -> None:
            known, now = self.repository(repository.name), self.current(repository.name)
            if now == known:
                report = build(self.settings, now, look_here=False, only=paths)  # something did change
                self._compact(now)
            else:
                report = self.index_repository(now)
            if updated is not None and (report.indexed or report.removed):
                updated(report)

        watcher = Watcher(update, failed or (lambda name, said: None))
        watcher.follow(followed)
        return watcher

    def remove(self, name: str) -> None:
        """Forget a repository and delete its index; the repository itself is not touched."""
        stored = self._stored(name)
        with one_writer(stored):
            (stored.folder / "repository.json").unlink(missing_ok=True)
        shutil.rmtree(stored.folder, ignore_errors=True)

    def repository(self, name: str) -> Repository:
        """The repository of this name; ScopeError where none is, SourceError where its folder is gone."""
        repository = self._stored(name).repository
        if not Path(repository.root).is_dir():
            raise SourceError(f"The folder {repository.root} of {name!r} is gone. Its index still answers; remove it with: codeintel remove {name}")
        return repository

    def current(self, name: str) -> Repository:
        """The same; of a package that was indexed by its version, the version that is installed there now."""
        return renewed(self.repository(name))

    def repositories(self) -> list[Repository]:
        return [stored.repository for stored in self._all()]

    def status(self) -> list[RepositoryStatus]:
        """Every repository with the size and age of its index."""
        found = []
        for stored in self._all():
            repository, damaged = stored.repository, ""
            try:
                snapshot = self._snapshot(stored)
            except ShardError as error:
                snapshot, damaged = Snapshot(), str(error)
            size = sum(file.stat().st_size for ref in snapshot.shards for file in (stored.shards / ref.id).glob("*"))
            found.append(
                RepositoryStatus(
                    repository.name, repository.root, repository.source, repository.version, snapshot.files, snapshot.chunks, snapshot.content_bytes,
                    size, snapshot.complete, snapshot.indexed_at, snapshot.skipped, snapshot.secrets, snapshot.examples, damaged,
                )
            )  # fmt: skip
        return found

    # searching

    def search_text(
        self,
        pattern: str,
        scope: Scope | None = None,
        regex: bool = False,
        case: Case = "smart",
        word: bool = False,
        limit: int = 100,
        context: int = 0,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
        per_file: int | None = None,
        rank: bool = False,
        show: Show = "lines",
    ) -> Results:
        """Lines that hold the pattern, in path order: the lines that ``rg --no-config`` prints of the same files.

        They are those of the files as they are at this moment: what is newer than the index, or not in it, is read. A scope
        of kinds or revisions asks for what only the index knows.

        With ``rank`` definitions and files with many matches come first. ``show="files"`` gives a hit for each file, with
        its first line; ``show="counts"`` the same with the number of its lines as the score.
        """
        query = TextQuery(pattern, regex, case, word, limit, context, per_file, rank, show)
        bounds = Bounds.within(deadline, cancel)
        return self._search(scope, query, lambda targets, loose: self._engine.search_text(query, targets, bounds, loose), fresh=True)

    def semantic_search(
        self,
        query: str,
        scope: Scope | None = None,
        limit: int = 10,
        mode: Mode = "hybrid",
        deadline: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Results:
        """Chunks that answer a question, best first."""
        asked = SemanticQuery(query, limit, mode)
        bounds = Bounds.within(deadline, cancel)
        return self._search(scope, asked, lambda targets, _: self._engine.semantic_search(asked, targets, bounds, self._embedder()))

    def symbols(
        self,
        name: str,
        kind: str | Sequence[str] | None = None,
        scope: Scope | None = None,
        limit: int = 20,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Results:
        """Definitions by name or glob, ``DataFrame.merge`` or ``read_*``: the same name first, then names that begin with it
        or hold it, and where there are none, names spelled much like it.

        ``kind`` is function, class, method, module or text (a key of data), or several of them, in place of the scope's own.
        Each hit says its ``signature`` and ``doc``.
        """
        if kind is not None:
            scope = (scope or EVERYTHING).merged(kinds=(kind,) if isinstance(kind, str) else tuple(kind))
        query, bounds = SymbolQuery(name, limit), Bounds.within(deadline, cancel)
        return self._search(scope, query, lambda targets, _: self._engine.symbols(query, targets, bounds))

    def list_paths(self, scope: Scope | None = None, limit: int | None = None) -> Results:
        """The files in scope, one hit each."""
        query = PathQuery(limit)
        return self._search(scope, query, lambda targets, _: self._engine.list_paths(query, targets))

    def count(self, scope: Scope | None = None) -> Coverage:
        """How much is in scope; makes ready what the next searches need."""
        return self._retrying(scope, self._coverage)

    def facets(self, scope: Scope | None = None, most_folders: int = 12) -> Facets:
        """What is in scope, counted by language, kind and folder."""
        applied = (scope or EVERYTHING).interned()
        without = {field: applied.merged(**{field: ()}) for field in ("languages", "kinds")}

        def run(now: _Now) -> Facets:
            return self._engine.facets(now.targets, without["languages"], without["kinds"], most_folders)

        return self._retrying(applied, run)

    def points(self, scope: Scope | None = None, most: int = 100_000) -> Points:
        """The chunks in scope on a map of all that is indexed, at most so many of them, evenly spread.

        The map is laid out when it is first asked for, which takes some ten seconds; MissingExtra where that cannot be.
        """

        def run(now: _Now) -> Points:
            shards = [self._engine.shard(target.folder) for target in self._now(EVERYTHING).targets]
            with self._mapping:
                if any(shard.manifest.chunks for shard in shards):
                    self._projection.prepare(shards)
                return self._engine.points(now.targets, self._projection, most)

        return self._retrying(scope, run)

    def prepare(self) -> None:
        """Load what the first search would have to wait for, if there is anything to search."""
        if self._all():
            self._embedder().embed_query("prepare")
            with suppress(SearchError):  # no shard is finished yet
                self._retrying(EVERYTHING, lambda now: self._coverage(now, self._with_changes(now, EVERYTHING)[1]))

    def sql(
        self,
        statement: str,
        scope: Scope | None = None,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
        most_rows: int = MOST_ROWS,
        memory_bytes: int = MEMORY_LIMIT,
        hits: Sequence[Hit] = (),
    ) -> Table:
        """Rows of the tables repositories, files, chunks, symbols and cells, as far as they are in scope; and of hits, which
        are those of a search that is given."""
        bounds = Bounds.within(deadline, cancel)

        def run(now: _Now) -> Table:
            if now.failed:  # a table has no place to say that some of its rows are missing
                raise ShardError(next(iter(now.failed.values())))
            shards = [InScope(t.repo, self._engine.shard(t.folder), self._engine.mask(t)) for t in now.targets]
            return run_sql(statement, shards, bounds, most_rows, memory_bytes, hits)

        return self._retrying(scope, run)

    def open_file(self, repo: str, path: str, start_line: int = 1, end_line: int | None = None) -> FileText:
        """Lines of a file, as it is now where it changed since it was indexed; of a notebook, the text of its cells."""
        wanted = path.replace("\\", "/") if os.sep == "\\" else path
        if wanted.startswith("/") or ".." in re.split(r"[/\\]", wanted) or "\0" in wanted:
            raise SourceError(f"The path {path!r} leads out of the repository {repo!r}. Give a path relative to its root.")
        if start_line < 1 or (end_line is not None and end_line < start_line):
            raise SourceError(f"Lines {start_line} to {end_line} are no range: lines count from 1, and the first comes first.")
        self._stored(repo)

        def run(now: _Now) -> FileText:
            targets, loose = self._with_changes(now, Scope(repos=(repo,)))
            for target in targets:
                shard = self._engine.shard(target.folder)
                number = shard.file_numbers.get(wanted)
                if number is not None and number not in target.dead:
                    return FileText.cut(repo, wanted, shard.file_content(number), shard.language(number), start_line, end_line)
            for files in loose:
                if any(stat.path == wanted for stat in files.files) and (document := read_document(files, wanted)) is not None:
                    content = document.content if document.ends_with_newline else document.content[:-1]
                    return FileText.cut(repo, wanted, content, document.language, start_line, end_line)
            known = [p for t in targets for p in self._engine.shard(t.folder).paths]
            raise SourceError(f"There is no indexed file {path!r} in {repo!r}.{did_you_mean(wanted, known)}")

        return self._retrying(Scope(repos=(repo,)), run)

    def close(self) -> None:
        """End what runs in the background, and let go of the mapped files."""
        self._closing.set()
        for compacting in self._compacting.values():
            compacting.join()
        self._freshness.close()
        self._engine.close()

    # the way down

    def _search(self, scope: Scope | None, query: TextQuery | SemanticQuery | PathQuery | SymbolQuery, run: Callable[[list[Target], list[LooseTarget]], Answer], fresh: bool = False) -> Results:
        began = time.perf_counter()
        applied = (scope or EVERYTHING).interned()

        def search(now: _Now) -> Results:
            current, loose = self._with_changes(now, applied) if fresh else (now.targets, [])
            coverage = self._coverage(now, loose)
            scoped = time.perf_counter()
            answer = run(current, loose)
            timings = {"scope": (scoped - began) * 1000, **answer.timings_ms, "total": (time.perf_counter() - began) * 1000}
            rounded = {name: round(ms, 3) for name, ms in timings.items()}
            met = {hit.repo for hit in answer.hits}
            roots = {stored.repository.name: stored.repository.root for stored, _ in now.chosen if stored.repository.name in met}
            roots |= {files.repo: files.root for files in loose if files.repo in met}
            return Results(tuple(answer.hits), applied, answer.total, answer.truncated, answer.exact, coverage, rounded, query, roots)

        return self._retrying(applied, search, fresh)

    def _with_changes(self, now: _Now, scope: Scope) -> tuple[list[Target], list[LooseTarget]]:
        """The targets without what changed since, and the files to read instead."""
        if scope.kinds or (scope.revisions and WORKTREE not in scope.revisions):
            return now.targets, []
        if not now.chosen:
            return [], [self._unindexed(scope)]
        current, loose = [], []
        for stored, snapshot in now.chosen:
            shards = [(ref, self._engine.shard(stored.shard(ref.id))) for ref in snapshot.shards]
            changes = self._freshness.changes(stored, snapshot, shards)
            repository = stored.repository
            current += [Target(repository.name, shard.folder, changes.dead(ref, shard), scope) for ref, shard in shards]
            if changes.files:
                loose.append(LooseTarget(repository.name, repository.root, changes.files, scope, self.settings.max_file_bytes))
        return current, loose

    def _unindexed(self, scope: Scope) -> LooseTarget:
        """The files of the folder that this is about while nothing is indexed."""
        if self.here is None:
            raise SearchError(NOTHING)
        repository = worktree(self.here or os.getcwd())
        if not scope.admits(repository.name):
            raise SearchError(NOTHING)
        return LooseTarget(repository.name, repository.root, Walk(repository, self.settings.max_file_bytes), scope, self.settings.max_file_bytes)

    def _coverage(self, now: _Now, loose: Sequence[LooseTarget] = ()) -> Coverage:
        if not now.chosen:
            return Coverage(folder=loose[0].root if loose else "")
        counts = self._engine.count(now.targets)
        unindexed = {files.repo: len(files.files) for files in loose if isinstance(files.files, tuple)}
        repositories = tuple(stored.repository.name for stored, snapshot in now.chosen if snapshot.shards or stored.repository.name in unindexed)
        building = tuple(stored.repository.name for stored, snapshot in now.chosen if stored.repository.name in repositories and not snapshot.complete)
        return Coverage(repositories, counts.files_in_scope, counts.files, counts.chunks_in_scope, counts.chunks, building, sum(unindexed.values()), failed=now.failed)

    def _retrying(self, scope: Scope | None, work: Callable[[_Now], _T], fresh: bool = False) -> _T:
        """Run on the shards that answer now; when one was swept away meanwhile, on those that do then."""
        attempt = 0
        while True:
            try:
                return work(self._now(scope or EVERYTHING, fresh))
            except FileNotFoundError:
                self._snapshots.clear()
                attempt += 1
                if attempt == RETRIES:
                    raise
                time.sleep(0.01 * attempt)
            except ShardError as error:  # met in a part that is opened when it is needed
                met = [s.shard(ref.id) for s in self._all() for ref in self._snapshots.get(s.folder, ((0, 0), Snapshot()))[1].shards if ref.id in str(error)]
                if not met or met[0] in self._damaged:
                    raise
                self._damaged[met[0]] = str(error)

    def _targets(self, scope: Scope) -> list[Target]:
        return self._now(scope).targets

    def _now(self, scope: Scope, fresh: bool = False) -> _Now:
        """The repositories in scope and the shards that answer; ``fresh`` if what is in none may be read."""
        stored = self._known(scope)
        if not stored:
            if fresh and not scope.kinds and not scope.revisions:
                return _Now([], [])
            raise SearchError(NOTHING)
        chosen, failed = self._readable(self._admitted(stored, scope))
        if not chosen and failed:
            raise ShardError(next(iter(failed.values())))
        targets = [Target(s.repository.name, s.shard(ref.id), ref.dead, scope) for s, snapshot in chosen for ref in snapshot.shards]
        if not targets and not fresh and not any(snapshot.generation for _, snapshot in chosen):
            raise SearchError(f"The index of {', '.join(s.repository.name for s, _ in chosen)} has no finished part yet. Wait for it, or run: codeintel status")
        self._check_revisions(scope, targets)
        return _Now(chosen, targets, failed)

    def _readable(self, stored: list[Stored]) -> tuple[list[tuple[Stored, Snapshot]], dict[str, str]]:
        """The repositories whose shards can be opened, and what is wrong with the others: one that is damaged spoils no search
        of the rest."""
        chosen, failed = list[tuple[Stored, Snapshot]](), dict(self._store.damaged)
        for one in stored:
            try:
                snapshot = self._snapshot(one)
                for ref in snapshot.shards:
                    folder = one.shard(ref.id)
                    if folder in self._damaged:
                        raise ShardError(self._damaged[folder])
                    self._engine.shard(folder)
                chosen.append((one, snapshot))
            except ShardError as error:
                failed[one.repository.name] = str(error)
        return chosen, failed

    def _check_revisions(self, scope: Scope, targets: list[Target]) -> None:
        if not scope.revisions:
            return
        known = {revision for target in targets for revision in self._engine.shard(target.folder).manifest.revisions}
        for name in scope.revisions:
            if name not in known:
                raise ScopeError(f"No revision {name!r} is indexed.{did_you_mean(name, known)}")

    def _known(self, scope: Scope) -> list[Stored]:
        """The stored repositories, of which those in scope are as they are described now: a search need not look at the others."""
        try:
            folder = os.stat(self._store.root)
        except OSError:
            return self._all()
        stamps, stored, listed = self._repositories
        if listed != (folder.st_mtime_ns, folder.st_ino):
            return self._all()
        try:
            admitted = self._admitted(stored, scope)
        except ScopeError:  # it may have come since
            return self._all()
        for one in admitted:
            try:
                state = os.stat(f"{one.folder}/repository.json")
            except OSError:
                return self._all()
            if (one.folder.name, state.st_mtime_ns, state.st_ino) not in stamps:
                return self._all()
        return stored

    def _admitted(self, stored: list[Stored], scope: Scope) -> list[Stored]:
        """The repositories in scope; ScopeError where one that it names is not indexed."""
        if not scope.repos:
            return stored
        known, choices = self._chosen
        if known is not stored or len(choices) > MOST_CHOICES:
            choices = {}
            self._chosen = stored, choices
        chosen = choices.get(scope.repos)
        if chosen is None:
            names = [s.repository.name for s in stored]
            for name in scope.repos:
                if not any(fits(known, name) for known in names):
                    raise ScopeError(f"No repository {name!r} is indexed.{did_you_mean(name, names)} Index it: {how_to_index(name)}")
            chosen = choices[scope.repos] = [s for s in stored if scope.admits(s.repository.name)]
        return chosen

    def _all(self) -> list[Stored]:
        """The stored repositories, read again only when their descriptions changed."""
        stamps, whole = [], True
        try:
            folder = os.stat(self._store.root)
            with os.scandir(self._store.root) as entries:
                for entry in entries:
                    try:
                        state = os.stat(os.path.join(entry.path, "repository.json"))
                    except OSError:
                        whole = False  # it is being made
                        continue
                    stamps.append((entry.name, state.st_mtime_ns, state.st_ino))
        except OSError:
            return self._store.repositories()
        key = tuple(sorted(stamps))
        before, stored, _ = self._repositories
        if key != before:
            stored = self._store.repositories()
        settled = whole and not self._store.damaged and time.time_ns() - folder.st_mtime_ns > CLOCK_STEP_NS
        self._repositories = key, stored, (folder.st_mtime_ns, folder.st_ino) if settled else None
        return stored

    def _stored(self, name: str) -> Stored:
        stored = self._all()
        for one in stored:
            if one.repository.name == name:
                return one
        if not stored:
            raise ScopeError(NOTHING)
        raise ScopeError(f"No repository {name!r} is indexed.{did_you_mean(name, [s.repository.name for s in stored])}")

    def _snapshot(self, stored: Stored) -> Snapshot:
        try:
            state = os.stat(stored.folder / "snapshot.json")
        except FileNotFoundError:
            return Snapshot()
        stamp = state.st_mtime_ns, state.st_ino
        known = self._snapshots.get(stored.folder)
        if known is not None and known[0] == stamp:
            return known[1]
        snapshot = read_snapshot(stored.folder)
        self._snapshots[stored.folder] = (stamp, snapshot)
        if known is not None:  # shards may have gone
            live = {s.shard(ref.id) for s in self._all() for ref in (self._snapshots.get(s.folder, (None, Snapshot()))[1]).shards}
            self._engine.keep_only(live)
        return snapshot
