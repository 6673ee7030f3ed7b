"""Workspace: repositories and an engine, the one object that every face reaches."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from .engines.engine import Answer, Target
from .engines.local import LocalEngine
from .errors import ScopeError, SearchError, SourceError, did_you_mean
from .index.build import build
from .index.embedder import Embedder, default_embedder
from .index.report import NOTHING, IndexReport, Progress, RepositoryStatus
from .index.snapshot import Snapshot, Store, Stored, read_snapshot
from .index.updater import one_writer
from .index.watcher import Watcher
from .scopes.scope import EVERYTHING, Scope
from .search.hit import Coverage, FileText, Results
from .search.query import Bounds, Case, Mode, PathQuery, SemanticQuery, Show, TextQuery
from .search.sql import MEMORY_LIMIT, MOST_ROWS, InScope, run_sql
from .search.table import Table
from .settings import Settings
from .sources.chunk import decoded
from .sources.repository import Repository, package, worktree

RETRIES = 5  # of a search whose shard was replaced under it

_T = TypeVar("_T")


class Workspace:
    """Searches and indexes the repositories of one home; safe to share between threads.

    Every search takes ``deadline`` (seconds) and ``cancel`` (an event): what was found by then comes back with
    ``truncated`` set.
    """

    def __init__(self, settings: Settings, embedder: Callable[[], Embedder] = default_embedder, look_here: bool = True) -> None:
        self.settings = settings
        self._look_here = look_here  # as index/build.py says
        self._embedder = embedder
        self._store = Store(settings.home)
        self._engine = LocalEngine()
        self._snapshots: dict[Path, tuple[tuple[int, int], Snapshot]] = {}
        self._repositories: tuple[tuple[tuple[str, int, int], ...], list[Stored]] = ((), [])

    @classmethod
    def open(cls, home: str | os.PathLike[str] | None = None) -> Workspace:
        """The workspace in ``home``, else ``$CODEINTEL_HOME``, else the platform's user data folder."""
        return cls(Settings.from_environment(None if home is None else os.fspath(home)))

    # indexing

    def index(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
    ) -> IndexReport:
        """Index a folder, or bring its index up to date."""
        return self.index_repository(worktree(os.fspath(path), name), progress, cancel, rebuild)

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
        """Bring a repository's index up to date."""
        return build(self.settings, self.repository(name), progress, cancel, rebuild, self._look_here)

    def index_repository(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
    ) -> IndexReport:
        """Index a repository, or bring its index up to date; SourceError where its name stands for another."""
        for stored in self._all():
            known = stored.repository
            if known.name == repository.name and known.root != repository.root:
                raise SourceError(f"The name {known.name!r} stands for {known.root} already. Give another: --name NAME, or remove it: codeintel remove {known.name}")
        return build(self.settings, repository, progress, cancel, rebuild, self._look_here)

    def watch(self, names: Sequence[str] = (), updated: Callable[[IndexReport], None] | None = None, failed: Callable[[str, str], None] | None = None) -> Watcher:
        """Follow repositories, all of them by default, and keep their indexes up to date until the watcher is closed.

        ``updated`` is told each run that found something to do, ``failed`` a name and what went wrong.
        """
        followed = [self.repository(name) for name in names] if names else self.repositories()
        if not followed:
            raise SourceError(NOTHING)

        def update(repository: Repository) -> None:
            report = build(self.settings, self.repository(repository.name), look_here=False)  # something did change
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

    def repositories(self) -> list[Repository]:
        return [stored.repository for stored in self._all()]

    def status(self) -> list[RepositoryStatus]:
        """Every repository with the size and age of its index."""
        found = []
        for stored in self._all():
            repository, snapshot = stored.repository, self._snapshot(stored)
            size = sum(file.stat().st_size for ref in snapshot.shards for file in (stored.shards / ref.id).glob("*"))
            found.append(
                RepositoryStatus(
                    repository.name, repository.root, repository.source, repository.version, snapshot.files, snapshot.chunks, snapshot.content_bytes,
                    size, snapshot.complete, snapshot.indexed_at, snapshot.skipped, snapshot.secrets,
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

        With ``rank`` definitions and files with many matches come first. ``show="files"`` gives a hit for each file, with
        its first line; ``show="counts"`` the same with the number of its lines as the score.
        """
        query = TextQuery(pattern, regex, case, word, limit, context, per_file, rank, show)
        bounds = Bounds.within(deadline, cancel)
        return self._search(scope, query, lambda targets: self._engine.search_text(query, targets, bounds))

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
        return self._search(scope, asked, lambda targets: self._engine.semantic_search(asked, targets, bounds, self._embedder()))

    def list_paths(self, scope: Scope | None = None, limit: int | None = None) -> Results:
        """The files in scope, one hit each."""
        query = PathQuery(limit)
        return self._search(scope, query, lambda targets: self._engine.list_paths(query, targets))

    def count(self, scope: Scope | None = None) -> Coverage:
        """How much is in scope; makes ready what the next searches need."""
        return self._retrying(scope, self._coverage)

    def prepare(self) -> None:
        """Load what the first search would have to wait for, if there is anything to search."""
        if self._all():
            self._embedder().embed_query("prepare")
            with suppress(SearchError):  # no shard is finished yet
                self.count()

    def sql(
        self,
        statement: str,
        scope: Scope | None = None,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
        most_rows: int = MOST_ROWS,
        memory_bytes: int = MEMORY_LIMIT,
    ) -> Table:
        """Rows of the tables repositories, files, chunks and symbols, as far as they are in scope."""
        bounds = Bounds.within(deadline, cancel)

        def run(targets: list[Target]) -> Table:
            shards = [InScope(t.repo, self._engine.shard(t.folder), self._engine.mask(t)) for t in targets]
            return run_sql(statement, shards, bounds, most_rows, memory_bytes)

        return self._retrying(scope, run)

    def open_file(self, repo: str, path: str, start_line: int = 1, end_line: int | None = None) -> FileText:
        """Lines of a file as it was indexed; of a notebook, the text of its cells."""
        wanted = path.replace("\\", "/")
        if wanted.startswith("/") or ".." in wanted.split("/") or "\0" in wanted:
            raise SourceError(f"The path {path!r} leads out of the repository {repo!r}. Give a path relative to its root.")
        if start_line < 1 or (end_line is not None and end_line < start_line):
            raise SourceError(f"Lines {start_line} to {end_line} are no range: lines count from 1, and the first comes first.")
        self._stored(repo)

        def run(targets: list[Target]) -> FileText:
            for target in targets:
                shard = self._engine.shard(target.folder)
                dead = set(target.dead)
                for file, found in enumerate(shard.paths):
                    if found == wanted and file not in dead:
                        lines = decoded(shard.file_content(file)).split("\n")
                        if len(lines) > 1 and not lines[-1]:
                            lines.pop()  # what stands behind the last newline is no line
                        last = min(len(lines), end_line or len(lines))
                        if start_line > max(1, len(lines)):
                            raise SourceError(f"{path} has {len(lines)} lines, so there is no line {start_line}.")
                        return FileText(repo, found, start_line, last, len(lines), shard.language(file), "\n".join(lines[start_line - 1 : last]))
            known = [p for t in targets for p in self._engine.shard(t.folder).paths]
            raise SourceError(f"There is no indexed file {path!r} in {repo!r}.{did_you_mean(wanted, known)}")

        return self._retrying(Scope(repos=(repo,)), run)

    def close(self) -> None:
        """Let go of the mapped files."""
        self._engine.close()

    # the way down

    def _search(self, scope: Scope | None, query: TextQuery | SemanticQuery | PathQuery, run: Callable[[list[Target]], Answer]) -> Results:
        began = time.perf_counter()
        applied = (scope or EVERYTHING).interned()

        def search(targets: list[Target]) -> Results:
            coverage = self._coverage(targets)
            scoped = time.perf_counter()
            answer = run(targets)
            timings = {"scope": (scoped - began) * 1000, **answer.timings_ms, "total": (time.perf_counter() - began) * 1000}
            rounded = {name: round(ms, 3) for name, ms in timings.items()}
            met = {hit.repo for hit in answer.hits}
            roots = {s.repository.name: s.repository.root for s in self._all() if s.repository.name in met}
            return Results(tuple(answer.hits), applied, answer.total, answer.truncated, answer.exact, coverage, rounded, query, roots)

        return self._retrying(applied, search)

    def _coverage(self, targets: list[Target]) -> Coverage:
        counts = self._engine.count(targets)
        repositories = tuple(dict.fromkeys(target.repo for target in targets))
        building = tuple(s.repository.name for s in self._all() if s.repository.name in repositories and not self._snapshot(s).complete)
        return Coverage(repositories, counts.files_in_scope, counts.files, counts.chunks_in_scope, counts.chunks, building)

    def _retrying(self, scope: Scope | None, work: Callable[[list[Target]], _T]) -> _T:
        """Run on the shards that answer now; when one was swept away meanwhile, on those that do then."""
        for attempt in range(RETRIES):
            try:
                return work(self._targets(scope or EVERYTHING))
            except FileNotFoundError:
                self._snapshots.clear()
                if attempt == RETRIES - 1:
                    raise
                time.sleep(0.01 * (attempt + 1))
        raise AssertionError("unreachable")

    def _targets(self, scope: Scope) -> list[Target]:
        stored = self._all()
        if not stored:
            raise SearchError(NOTHING)
        names = [s.repository.name for s in stored]
        for name in scope.repos:
            if name not in names:
                raise ScopeError(f"No repository {name!r} is indexed.{did_you_mean(name, names)} Index it: codeintel index PATH --name {name}")
        chosen = [s for s in stored if not scope.repos or s.repository.name in scope.repos]
        snapshots = [(s, self._snapshot(s)) for s in chosen]
        targets = [
            Target(s.repository.name, s.shards / ref.id, ref.dead, scope) for s, snapshot in snapshots for ref in snapshot.shards
        ]
        if not targets and not any(snapshot.generation for _, snapshot in snapshots):
            raise SearchError(f"The index of {', '.join(s.repository.name for s in chosen)} has no finished part yet. Wait for it, or run: codeintel status")
        self._check_revisions(scope, targets)
        return targets

    def _check_revisions(self, scope: Scope, targets: list[Target]) -> None:
        if not scope.revisions:
            return
        known = {revision for target in targets for revision in self._engine.shard(target.folder).manifest.revisions}
        for name in scope.revisions:
            if name not in known:
                raise ScopeError(f"No revision {name!r} is indexed.{did_you_mean(name, known)}")

    def _all(self) -> list[Stored]:
        """The stored repositories, read again only when their descriptions changed."""
        stamps = []
        try:
            with os.scandir(self._store.root) as entries:
                for entry in entries:
                    try:
                        state = os.stat(os.path.join(entry.path, "repository.json"))
                    except OSError:
                        continue
                    stamps.append((entry.name, state.st_mtime_ns, state.st_ino))
        except OSError:
            return self._store.repositories()
        key = tuple(sorted(stamps))
        if key != self._repositories[0]:
            self._repositories = (key, self._store.repositories())
        return self._repositories[1]

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
            live = {s.shards / ref.id for s in self._all() for ref in (self._snapshots.get(s.folder, (None, Snapshot()))[1]).shards}
            self._engine.keep_only(live)
        return snapshot
