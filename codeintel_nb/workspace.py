"""Workspace: repositories and an engine, the one object behind every face."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

from .embedding.embedder import Embedder, default_embedder
from .engines.engine import Answer, Target
from .errors import SearchError, ShardError, SourceError, did_you_mean
from .index.update.report import Progress
from .indexer import Indexer
from .projects import Projects
from .repositories import Current, View
from .scopes.scope import EVERYTHING, Scope
from .search.code_map.layout import Projection
from .search.code_map.points import Points
from .search.facets import Facets
from .search.hit import Coverage, FileText, Hit, Results
from .search.query import Bounds, PathQuery, Query, SemanticQuery, SymbolQuery, TextQuery
from .search.sql import MAX_ROWS, MEMORY_LIMIT, InScope, run_sql
from .search.table import Table
from .search.text.unindexed import UnindexedTarget, read_document
from .searches import Searches
from .settings import Settings
from .sources.walk import Walk

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
    ) -> None:
        """Open the workspace of a home.

        ``here`` is the folder for text search while nothing is indexed: the current one by default,
        none if None. ``follow`` is for a lasting process: it reads file-change events, and compacts
        shards in the background.
        """
        super().__init__(settings, look_here, here, follow)
        self._embedder = embedder
        self._projection = Projection(self._store.root.parent / "map")
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

    def search(self, query: Query, scope: Scope | None, bounds: Bounds) -> Results:
        """Return the hits of a query in a scope; the query's own limits of scope do not apply."""
        engine, run = self._engine, self._run_search
        match query:
            case TextQuery() as text:
                return run(
                    scope,
                    text,
                    lambda targets, unindexed: engine.search_text(text, targets, bounds, unindexed),
                    fresh=True,
                    no_ignore=text.no_ignore,
                )
            case SemanticQuery() as question:
                return run(
                    scope,
                    question,
                    lambda targets, _: engine.semantic_search(
                        question, targets, bounds, self._embedder()
                    ),
                )
            case SymbolQuery() as name:
                return run(scope, name, lambda targets, _: engine.symbols(name, targets, bounds))
            case PathQuery() as paths:
                return run(scope, paths, lambda targets, _: engine.list_paths(paths, targets))
        raise SearchError(f"Unknown query type: {type(query).__name__}.")

    def _results(
        self, query: Query, scope: Scope | None, cancel: threading.Event | None
    ) -> Results:
        narrowed = query.narrowed(scope or EVERYTHING)
        return self.search(query, narrowed, Bounds.within(query.timeout_s, cancel))

    def count(self, scope: Scope | None = None) -> Coverage:
        """Count files and chunks in scope, and warm the caches for later searches.

        An unindexed project is not counted, but listed in ``building``.
        """
        try:
            return self._repositories.with_view(
                scope, lambda view: self._repositories.coverage(Current(view, view.targets, []))
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

    def facets(self, scope: Scope | None = None, most_folders: int = 12) -> Facets:
        """Return counts by language, kind and folder of the code in scope."""
        applied = (scope or EVERYTHING).interned()
        without = {field: applied.merged(**{field: ()}) for field in ("languages", "kinds")}

        def run(view: View) -> Facets:
            return self._engine.facets(
                view.targets, without["languages"], without["kinds"], most_folders
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
            shards = [
                self._engine.shard(target.folder)
                for target in self._repositories.view(EVERYTHING).targets
            ]
            while not self._mapping.acquire(timeout=0.1):
                if cancel is not None and cancel.is_set():
                    raise SearchError("Drawing the map was interrupted.")
            try:
                if any(shard.manifest.chunks for shard in shards):
                    self._projection.prepare(shards, progress, cancel)
                return self._engine.points(view.targets, self._projection, most)
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
                    lambda view: self._repositories.coverage(
                        self._repositories.with_changes(view, EVERYTHING)
                    ),
                )

    def sql(
        self,
        statement: str,
        scope: Scope | None = None,
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
            shards = [
                InScope(t.repo, self._engine.shard(t.folder), self._engine.mask(t))
                for t in view.targets
            ]
            return run_sql(statement, shards, bounds, most_rows, memory_bytes, hits)

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
            _, targets, loose, _ = self._repositories.with_changes(view, scope)
            candidates = list[str]()
            for target in targets:
                shard = self._engine.shard(target.folder)
                number = shard.file_numbers.get(inner_path)
                if number is not None and number not in target.dead:
                    return FileText.cut(
                        name,
                        inner_path,
                        shard.file_content(number),
                        shard.language(number),
                        start_line,
                        end_line,
                    )
            for files in loose:
                is_there = (
                    files.files.find(inner_path) is not None
                    if isinstance(files.files, Walk)
                    else any(stat.path == inner_path for stat in files.files)
                )
                if is_there and (document := read_document(files, inner_path)) is not None:
                    content = (
                        document.content if document.ends_with_newline else document.content[:-1]
                    )
                    return FileText.cut(
                        name, inner_path, content, document.language, start_line, end_line
                    )
                candidates += [stat.path for stat in islice(files.files, MAX_SUGGESTED)]
            candidates += [
                path
                for t in targets
                for number, path in enumerate(self._engine.shard(t.folder).paths)
                if number not in t.dead
            ]
            raise SourceError(
                f"{repo!r} contains no {'indexed ' if view.chosen else ''}file "
                f"{path!r}.{did_you_mean(inner_path, candidates)}"
            )

        return self._repositories.with_view(scope, run, fresh=True)

    def _run_search(
        self,
        scope: Scope | None,
        query: TextQuery | SemanticQuery | PathQuery | SymbolQuery,
        run: Callable[[list[Target], list[UnindexedTarget]], Answer],
        fresh: bool = False,
        no_ignore: bool = False,
    ) -> Results:
        began = time.perf_counter()
        applied = (scope or EVERYTHING).interned()

        def search(view: View) -> Results:
            current = (
                self._repositories.with_changes(view, applied, no_ignore)
                if fresh
                else Current(view, view.targets, [])
            )
            view, loose = current.view, current.unindexed
            coverage = self._repositories.coverage(current)
            scoped = time.perf_counter()
            # a changed file has no kinds until it is indexed
            answer = run(current.targets, [] if applied.kinds else loose)
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
            roots |= {files.repo: files.root for files in loose if files.repo in repos}
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


def _checked_path(repo: str, path: str) -> str:
    """Return a path with ``/``; SourceError if it leads out of its repository."""
    inner_path = path.replace("\\", "/") if os.sep == "\\" else path
    if inner_path.startswith("/") or ".." in re.split(r"[/\\]", inner_path) or "\0" in inner_path:
        raise SourceError(
            f"The path {path!r} is outside the repository {repo!r}. "
            "Give a path relative to the repository's root."
        )
    return inner_path
