"""Workspace: repositories and an engine, the one object behind every face."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

import msgspec

from .current_files import Current, CurrentFiles, checked_place
from .embedding.embedder import Embedder, default_embedder
from .embedding.embedders import Embedders
from .engines.engine import Engine, Limit
from .engines.local import LocalEngine
from .errors import SearchError, ShardError
from .index.shard.cache import CHECK_S, Shards
from .index.shared_homes import shared_homes
from .index.store import Store
from .index.update.report import IndexReport, Progress, RepositoryStatus
from .index.watch.tree import Freshness
from .indexer import Indexer
from .projects import Projects
from .repositories import Repositories, View
from .scopes.scope import EVERYTHING, Scope
from .search.cancel import calling
from .search.code_map.maps import CodeMaps
from .search.code_map.points import Points
from .search.facets import Facets
from .search.file_text import FileText
from .search.hit import Hit
from .search.lazy_hits import repos_of, tuple_or_lazy
from .search.query import AnyQuery, Bounds, TextQuery
from .search.results import Coverage, Results
from .search.table import MAX_ROWS, MEMORY_LIMIT, Table
from .searches import Searches
from .settings import Settings
from .sources.repository import Repository, embedded_by, package, worktree
from .statuses import status_of

if TYPE_CHECKING:
    from .index.watch.watcher import Watcher

_T = TypeVar("_T")


class Workspace(Searches):
    """Thread-safe search and indexing of one home's repositories."""

    def __init__(
        self,
        settings: Settings,
        embedder: Callable[[], Embedder] = default_embedder,
        look_here: bool = True,
        here: str | None = "",
        follow: bool = True,
        engine: Callable[[Engine], Engine] | None = None,
    ) -> None:
        """Open the workspace of a home.

        ``here`` is the folder for text search while nothing is indexed: the current one by default,
        none if None. ``follow`` is for a lasting process: it reads file-change events, and compacts
        shards in the background. ``engine`` returns the engine to search with, given the local one.
        """
        self.settings = settings
        self._embedders = Embedders(settings.home, embedder)
        self.store = store = Store(settings.home, shared_homes(settings, follow))
        self._shards = shards = Shards(store.root, CHECK_S if engine is None else 0.0)
        self._code_map = CodeMaps(store.root.parent / "map")
        local: Engine = LocalEngine(shards, self._code_map, self._embedders, settings)
        self._engine = local if engine is None else engine(local)
        self.problems = self._engine.problems
        self._freshness = Freshness(settings, follow)
        self._repositories = Repositories(settings, store, self._engine, shards, here)
        self._files = CurrentFiles(settings, self._engine, shards, self._freshness, here)
        self._projects = Projects(self._repositories)
        self.indexer = Indexer(
            settings, store, self._repositories, shards, self._freshness, look_here, follow
        )

    @classmethod
    def open(cls, home: str | os.PathLike[str] | None = None, follow: bool = True) -> Workspace:
        """Open the workspace in ``home``: ``$CODEINTEL_HOME``, else the user's data folder."""
        settings = Settings.from_environment(None if home is None else os.fspath(home))
        return cls(settings, follow=follow)

    @classmethod
    def current(cls) -> Searches:
        """Return this kernel's searches, under its ``%scope``.

        They use its server's index, if it has one. ``open`` returns the whole index without a
        session, so it knows no scope but those given.
        """
        # imported when it is used, as a client is above a workspace
        module: Any = importlib.import_module("codeintel_nb.client.kernel_workspace")
        kernel: Searches = module.current()
        return kernel

    # indexing

    def index(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        outputs: bool = False,
        embed: str = "",
        allow_host: str = "",
    ) -> IndexReport:
        """Index a folder, or bring its index up to date.

        With ``outputs``, text printed by notebook cells is searched too, from then on. ``embed``
        names an entry of ``embedders.toml``, or ``builtin``; by default the embedder stays.
        ``allow_host`` consents to sending the code to that host.
        """
        folder = worktree(os.fspath(path), name, outputs)
        source = embedded_by(folder, embed, allow_host)
        return self.indexer.index(source, progress, cancel, rebuild)

    def index_package(
        self,
        import_name: str,
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        embed: str = "",
        allow_host: str = "",
    ) -> IndexReport:
        """Index an installed package by its import name.

        It is indexed whole: ignore files are not read. For ``embed`` and ``allow_host`` see
        ``index``.
        """
        source = embedded_by(package(import_name, name), embed, allow_host)
        return self.indexer.index(source, progress, cancel, rebuild)

    def refresh(
        self,
        name: str,
        progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
    ) -> IndexReport:
        """Bring a repository's index up to date."""
        return self.indexer.refresh(name, progress, cancel, rebuild)

    def watch(
        self,
        names: Sequence[str] = (),
        updated: Callable[[IndexReport], None] | None = None,
        failed: Callable[[str, str], None] | None = None,
    ) -> Watcher:
        """Watch repositories, all by default, and update their indexes; see ``Indexer.watch``."""
        return self.indexer.watch(names, updated, failed)

    def remove(self, name: str) -> str:
        """Remove a repository and its index, but not its files."""
        return self.indexer.remove(name)

    # repositories

    def repository(self, name: str) -> Repository:
        """Return a repository by name, raising like ``Indexer.repository``."""
        return self.indexer.repository(name)

    def repositories(self, *, shared: bool = True) -> list[Repository]:
        return [one.repository for one in self._repositories.all() if shared or not one.shared]

    def status(self) -> list[RepositoryStatus]:
        """Return every repository with the size and age of its index."""
        snapshot = self._repositories.snapshot
        return [status_of(stored, snapshot) for stored in self._repositories.all()]

    @property
    def failures(self) -> dict[str, str]:
        """Return why the last search could not compare repositories' folders."""
        names, failures = {one.name for one in self.repositories()}, self._files.failures
        return {name: reason for name, reason in failures.items() if name in names}

    @property
    def unwatched(self) -> dict[str, str]:
        """Return repositories with unwatched folders, and the reasons."""
        return self._freshness.unwatched()

    def close(self) -> None:
        """Stop background work and release the mapped files."""
        self.indexer.close()
        self._freshness.close()
        self._engine.close()
        self._embedders.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = [repository.name for repository in self.repositories()]
        listed = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
        return f"Workspace({str(self.settings.home)!r}: {listed or 'nothing indexed'})"

    def search(self, query: AnyQuery, scope: Scope | None, bounds: Bounds) -> Results:
        """Return a query's hits in ``scope``, ignoring the query's own."""
        began = time.perf_counter()
        applied = (EVERYTHING if scope is None else scope).interned()
        fresh = isinstance(query, TextQuery)
        no_ignore = isinstance(query, TextQuery) and query.no_ignore

        def run(view: View) -> Results:
            current = (
                self._files.with_changes(view, applied, no_ignore)
                if fresh
                else Current(view, view.targets, [])
            )
            coverage = self._files.coverage(current)
            scoped = time.perf_counter()
            # a changed file has no kinds until it is indexed
            readable = [] if applied.kinds else current.unindexed
            engine, targets = self._engine, current.targets
            answer = self._within(bounds, lambda one: engine.search(query, targets, one, readable))
            if fresh and not applied.kinds:
                coverage = coverage.with_unindexed(answer.files_read)
            coverage = msgspec.structs.replace(coverage, by_words=answer.by_words)
            total = (time.perf_counter() - began) * 1000
            timings = {"scope": (scoped - began) * 1000, **answer.timings_ms, "total": total}
            rounded = {name: round(ms, 3) for name, ms in timings.items()}
            return Results(
                tuple_or_lazy(answer.hits), applied, answer.total, bool(answer.reason),
                answer.exact, coverage, rounded, query, current.roots(repos_of(answer.hits)),
                answer.reason, answer.more, answer.confidence, answer.why_not,
            )  # fmt: skip

        return self._repositories.with_view(applied, run, fresh)

    def _results(
        self, query: AnyQuery, scope: Scope | None, cancel: threading.Event | None
    ) -> Results:
        narrowed = query.narrowed(EVERYTHING if scope is None else scope)
        return self.search(query, narrowed, Bounds.within(query.timeout_s, cancel))

    def count(self, scope: Scope | None = None) -> Coverage:
        """Count files and chunks in scope, and warm the caches.

        An unindexed project is not counted, but listed in ``building``.
        """
        try:
            return self._repositories.with_view(
                scope, lambda view: self._files.coverage(Current(view, view.targets, []))
            )
        except SearchError:
            names = self._repositories.without_index(scope or EVERYTHING)
            if not names:
                raise
            return Coverage(names, building=names)

    def project_scope(
        self,
        folder: str | os.PathLike[str],
        limit: str | os.PathLike[str] | None = None,
        joined: Sequence[str] = (),
    ) -> Scope:
        """Return a notebook's initial scope: its project, plus ``joined`` repositories.

        The project need not be indexed: its name is registered for use in scopes.
        """
        return self._projects.scope(os.fspath(folder), os.fspath(limit or ""), joined)

    def offered_name(self, root: str) -> str | None:
        """Return an unindexed folder's name in scopes; None without one."""
        return self._repositories.offered_name(root)

    def present_scope(self, scope: Scope) -> Scope | None:
        """Return a scope with current repository names; None if unknown.

        ``project_scope`` registers unindexed projects.
        """
        return self._repositories.present_scope(scope)

    def present_name(self, name: str) -> str:
        """Return a repository's current name, new after a package upgrade."""
        return self._repositories.present_name(name)

    def indexed_part(self, scope: Scope) -> Scope:
        """Return a scope without its unindexed projects.

        For another process, which does not know them.

        Raises
        ------
        SearchError : it names nothing else.
        """
        return self._repositories.indexed_part(scope)

    def facets(self, scope: Scope | None = None, folders: int = 12) -> Facets:
        """Count the code in scope by language, kind and folder."""
        applied = (scope or EVERYTHING).interned()
        without = {field: applied.merged(**{field: ()}) for field in ("languages", "kinds")}

        def run(view: View) -> Facets:
            return self._engine.facets(
                view.targets, without["languages"], without["kinds"], folders
            )

        return self._repositories.with_view(applied, run)

    def points(
        self,
        scope: Scope | None = None,
        most: int = 100_000,
        progress: Callable[[Progress], None] = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> Points:
        """Return up to ``most`` evenly spread chunks, on a map.

        The map covers the whole index. The first call lays it out in a child process, in some ten
        seconds; ``cancel`` stops it. MissingExtra if scikit-learn is not installed.
        """

        def run(view: View) -> Points:
            targets = self._repositories.view(EVERYTHING).targets
            shards = [self._shards.open(target.shard) for target in targets]
            with self._code_map.laid_out(shards, progress, cancel):
                return self._engine.points(view.targets, most)

        return self._repositories.with_view(scope, run)

    def prepare(self) -> None:
        """Load any data for the first search in advance."""
        if self._repositories.all():
            self._embedders.default().embed_query("prepare")
            with suppress(SearchError):  # no shard is finished yet
                self._repositories.with_view(
                    EVERYTHING,
                    lambda view: self._files.coverage(self._files.with_changes(view, EVERYTHING)),
                )

    def sql(
        self,
        statement: str,
        scope: Scope | None = None,
        *,
        timeout_s: float | None = None,
        cancel: threading.Event | None = None,
        most_rows: int = MAX_ROWS,
        memory_bytes: int = MEMORY_LIMIT,
        hits: Sequence[Hit] = (),
        deadline: float | None = None,
    ) -> Table:
        """Return the rows of one SQL query in a scope.

        The tables are repositories, files, chunks, symbols and cells in the scope; and hits, the
        rows of ``hits``. ``deadline`` is the former name of ``timeout_s``.
        """
        bounds = Bounds.within(deadline if timeout_s is None else timeout_s, cancel)

        def run(view: View) -> Table:
            optional = self.store.shared_names if scope is not None and scope.repos else set()
            for name in view.failed.keys() - optional:  # a table cannot report missing rows
                raise ShardError(view.failed[name])
            return self._within(
                bounds,
                lambda limit: self._engine.sql(
                    statement, view.targets, limit, most_rows, memory_bytes, hits
                ),
            )

        return self._repositories.with_view(scope, run)

    def open_file(
        self, repo: str, path: str, start_line: int = 1, end_line: int | None = None
    ) -> FileText:
        """Return lines of a file, or of a notebook's cells.

        A file changed since indexing is read as it is now.
        """
        inner_path = checked_place(repo, path, start_line, end_line)
        name = self._repositories.full_name(repo)
        return self._repositories.with_view(
            Scope(repos=(name,)),
            lambda view: self._files.text(view, name, inner_path, start_line, end_line),
            fresh=True,
        )

    def _within(self, bounds: Bounds, call: Callable[[Limit], _T]) -> _T:
        """Return an engine's answer; end the call if cancelled."""
        if bounds.cancel is None:
            return call(Limit(bounds.left_s()))
        limit = Limit(bounds.left_s(), uuid4().hex)
        with calling(bounds.cancel, lambda: self._engine.end(limit.call)):
            return call(limit)
