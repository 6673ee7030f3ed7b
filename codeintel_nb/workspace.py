"""Workspace: repositories and an engine, the one object behind every face."""

from __future__ import annotations

import importlib
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

from .current_files import Current
from .embedding.embedder import Embedder, default_embedder
from .engines.engine import Answer, Engine, Limit, Target
from .errors import SearchError, ShardError, SourceError, did_you_mean
from .index.update.report import Progress
from .indexer import Indexer
from .projects import Projects
from .repositories import View
from .scopes.scope import EVERYTHING, Scope
from .search.cancel import calling
from .search.code_map.points import Points
from .search.facets import Facets
from .search.hit import Coverage, FileText, Hit, Results
from .search.query import Bounds, PathQuery, Query, SemanticQuery, SymbolQuery, TextQuery
from .search.sql import MAX_ROWS, MEMORY_LIMIT
from .search.table import Table
from .search.text.unindexed import UnindexedTarget, read_document
from .searches import Searches
from .settings import Settings
from .sources.chunk import Document

_T = TypeVar("_T")

MAX_SUGGESTED = 10_000  # files of an unindexed folder compared with a wrong path


class Workspace(Indexer, Searches):
    """Search and indexing of the repositories in one home; safe to share between threads."""

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
        super().__init__(settings, embedder, look_here, here, follow, engine)
        self._projects = Projects(self._repositories)
        self._mapping = threading.Lock()  # one thread lays out the map

    @classmethod
    def open(cls, home: str | os.PathLike[str] | None = None, follow: bool = True) -> Workspace:
        """Open the workspace in ``home``.

        The default is ``$CODEINTEL_HOME``, else the platform's user data folder.
        """
        return cls(
            Settings.from_environment(None if home is None else os.fspath(home)), follow=follow
        )

    @classmethod
    def current(cls) -> Searches:
        """Return this kernel's searches: under its ``%scope``, on its server's index if it has one.

        ``open`` returns the whole index without a session, so it knows no scope but those given.
        """
        # imported when it is used, as a client is above a workspace
        module: Any = importlib.import_module("codeintel_nb.client.kernel_workspace")
        kernel: Searches = module.current()
        return kernel

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        names = [repository.name for repository in self.repositories()]
        listed = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
        return f"Workspace({str(self.settings.home)!r}: {listed or 'nothing indexed'})"

    def search(self, query: Query, scope: Scope | None, bounds: Bounds) -> Results:
        """Return the hits of a query in a scope; the query's own limits of scope do not apply."""
        engine, run = self._engine, self._run_search
        match query:
            case TextQuery() as text:
                return run(
                    scope,
                    text,
                    bounds,
                    lambda targets, files, limit: engine.search_text(text, targets, limit, files),
                )
            case SemanticQuery() as question:
                return run(
                    scope,
                    question,
                    bounds,
                    lambda targets, _, limit: engine.semantic_search(question, targets, limit),
                )
            case SymbolQuery() as name:
                return run(
                    scope,
                    name,
                    bounds,
                    lambda targets, _, limit: engine.symbols(name, targets, limit),
                )
            case PathQuery() as paths:
                return run(
                    scope, paths, bounds, lambda targets, *_: engine.list_paths(paths, targets)
                )
        raise SearchError(f"Unknown query type: {type(query).__name__}.")

    def _results(
        self, query: Query, scope: Scope | None, cancel: threading.Event | None
    ) -> Results:
        narrowed = query.narrowed(EVERYTHING if scope is None else scope)
        return self.search(query, narrowed, Bounds.within(query.timeout_s, cancel))

    def count(self, scope: Scope | None = None) -> Coverage:
        """Count files and chunks in scope, and warm the caches for later searches.

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
        """Return a scope with the repositories' current names; None if a name is unknown.

        ``project_scope`` registers unindexed projects.
        """
        return self._repositories.present_scope(scope)

    def present_name(self, name: str) -> str:
        """Return a repository's current name; an upgraded package has a new one."""
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
        """Return counts by language, kind and folder of the code in scope."""
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
        """Return up to ``most`` chunks in scope, evenly spread, on a map of the index.

        The map covers the whole index. The first call lays it out in a child process, in some ten
        seconds; ``cancel`` stops it. MissingExtra if openTSNE is not installed.
        """

        def run(view: View) -> Points:
            targets = self._repositories.view(EVERYTHING).targets
            shards = [self._shards.open(target.shard) for target in targets]
            while not self._mapping.acquire(timeout=0.1):
                if cancel is not None and cancel.is_set():
                    raise SearchError("Drawing the map was interrupted.")
            try:
                if any(shard.manifest.chunks for shard in shards):
                    self._code_map.prepare(shards, progress, cancel)
                return self._engine.points(view.targets, most)
            finally:
                self._mapping.release()

        return self._repositories.with_view(scope, run)

    def prepare(self) -> None:
        """Load the data for the first search in advance, if there is anything to search."""
        if self._repositories.all():
            self._embedder().embed_query("prepare")
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
        """Return the rows of one SQL query over the code in scope.

        The tables are repositories, files, chunks, symbols and cells, limited to the scope; and
        hits, with the rows of ``hits``, such as those of a search. ``deadline`` is the former name
        of ``timeout_s``.
        """
        bounds = Bounds.within(deadline if timeout_s is None else timeout_s, cancel)

        def run(view: View) -> Table:
            if view.failed:  # a table cannot report missing rows
                raise ShardError(next(iter(view.failed.values())))
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
        """Return lines of a file; of a notebook, the text of its cells.

        A file changed since indexing is read as it is now.
        """
        inner_path = _checked_path(repo, path)
        if start_line < 1 or (end_line is not None and end_line < start_line):
            raise SourceError(
                f"Lines {start_line} to {end_line} are not a valid range: "
                "line numbers start at 1, and the first comes before the last."
            )
        name = self._repositories.full_name(repo)
        scope = Scope(repos=(name,))

        def run(view: View) -> FileText:
            _, targets, unindexed, _ = self._files.with_changes(view, scope)
            indexed = self._engine.read(targets, inner_path)
            if indexed is not None:
                return FileText.cut(name, inner_path, *indexed, start_line, end_line)
            candidates = list[str]()
            for files in unindexed:
                document = _read(files, inner_path)
                if document is not None:
                    content = (
                        document.content if document.ends_with_newline else document.content[:-1]
                    )
                    return FileText.cut(
                        name, inner_path, content, document.language, start_line, end_line
                    )
                candidates += [stat.path for stat in islice(files.listed(), MAX_SUGGESTED)]
            candidates += self._engine.paths(targets)
            raise SourceError(
                f"{repo!r} contains no {'indexed ' if view.chosen else ''}file "
                f"{path!r}.{did_you_mean(inner_path, candidates)}"
            )

        return self._repositories.with_view(scope, run, fresh=True)

    def _run_search(
        self,
        scope: Scope | None,
        query: TextQuery | SemanticQuery | PathQuery | SymbolQuery,
        bounds: Bounds,
        run: Callable[[list[Target], list[UnindexedTarget], Limit], Answer],
    ) -> Results:
        began = time.perf_counter()
        applied = (EVERYTHING if scope is None else scope).interned()
        fresh = isinstance(query, TextQuery)
        no_ignore = isinstance(query, TextQuery) and query.no_ignore

        def search(view: View) -> Results:
            current = (
                self._files.with_changes(view, applied, no_ignore)
                if fresh
                else Current(view, view.targets, [])
            )
            view, unindexed = current.view, current.unindexed
            coverage = self._files.coverage(current)
            scoped = time.perf_counter()
            # a changed file has no kinds until it is indexed
            readable = [] if applied.kinds else unindexed
            answer = self._within(bounds, lambda limit: run(current.targets, readable, limit))
            if fresh and not applied.kinds:
                coverage = coverage.with_unindexed(answer.files_read)
            timings = {
                "scope": (scoped - began) * 1000,
                **answer.timings_ms,
                "total": (time.perf_counter() - began) * 1000,
            }
            rounded = {name: round(ms, 3) for name, ms in timings.items()}
            repos = {hit.repo for hit in answer.hits}
            roots = {
                stored.repository.name: stored.repository.root
                for stored, _ in view.chosen
                if stored.repository.name in repos
            }
            roots |= {files.repo: files.source.folder for files in unindexed if files.repo in repos}
            return Results(
                tuple(answer.hits),
                applied,
                answer.total,
                bool(answer.reason),
                answer.exact,
                coverage,
                rounded,
                query,
                roots,
                answer.reason,
                answer.more,
            )

        return self._repositories.with_view(applied, search, fresh)

    def _within(self, bounds: Bounds, call: Callable[[Limit], _T]) -> _T:
        """Return the answer to an engine's call, which is ended when the bounds are cancelled."""
        if bounds.cancel is None:
            return call(Limit(bounds.left_s()))
        limit = Limit(bounds.left_s(), uuid4().hex)
        with calling(bounds.cancel, lambda: self._engine.end(limit.call)):
            return call(limit)


def _read(files: UnindexedTarget, path: str) -> Document | None:
    """Return the document of an unindexed file, if it is one of these."""
    is_there = (
        files.source.files(no_ignore=files.no_ignore).find(path) is not None
        if files.files is None
        else any(stat.path == path for stat in files.files)
    )
    return read_document(files, path) if is_there else None


def _checked_path(repo: str, path: str) -> str:
    """Return a path with ``/``; SourceError if it leads out of its repository."""
    inner_path = path.replace("\\", "/") if os.sep == "\\" else path
    if inner_path.startswith("/") or ".." in re.split(r"[/\\]", inner_path) or "\0" in inner_path:
        raise SourceError(
            f"The path {path!r} is outside the repository {repo!r}. "
            "Give a path relative to the repository's root."
        )
    return inner_path
