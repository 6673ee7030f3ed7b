"""Workspace: repositories and an engine, the one object that every face reaches."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

from .engines.engine import Answer, Target
from .engines.indexing import Indexing
from .engines.projects import Projects
from .engines.roster import Current, Now
from .errors import SearchError, ShardError, SourceError, did_you_mean
from .index.embedder import Embedder, default_embedder
from .index.projection import Projection
from .index.report import Progress
from .scopes.scope import EVERYTHING, Scope
from .search.facets import Facets
from .search.hit import Coverage, FileText, Hit, Results
from .search.loose import LooseTarget, read_document
from .search.points import Points
from .search.query import (
    DEFAULT_HITS,
    Bounds,
    Case,
    Mode,
    PathQuery,
    SemanticQuery,
    Show,
    SymbolQuery,
    TextQuery,
)
from .search.sql import MEMORY_LIMIT, MOST_ROWS, InScope, run_sql
from .search.table import Table
from .settings import Settings
from .sources.worktree import Walk

MAX_SUGGESTED = 10_000  # files of an unindexed folder that a wrong path is compared with


class Workspace(Indexing):
    """Searches and indexes the repositories of one home; safe to share between threads.

    Every search takes ``deadline`` (seconds) and ``cancel`` (an event): what was found by then comes back with
    ``truncated`` set.
    """

    def __init__(
        self,
        settings: Settings,
        embedder: Callable[[], Embedder] = default_embedder,
        look_here: bool = True,
        here: str | None = "",
        follow: bool = True,
    ) -> None:
        """``here`` is what a text search reads while nothing is indexed: the current folder by default, None for nothing.

        ``follow`` says that the process goes on: changes of files are told to it, and it compacts shards in the background.
        """
        super().__init__(settings, look_here, here, follow)
        self._embedder = embedder
        self._projection = Projection(self._store.root.parent / "map")
        self._projects = Projects(self._roster)
        self._mapping = threading.Lock()  # its points are computed once

    @classmethod
    def open(cls, home: str | os.PathLike[str] | None = None, follow: bool = True) -> Workspace:
        """The workspace in ``home``, else ``$CODEINTEL_HOME``, else the platform's user data folder."""
        return cls(
            Settings.from_environment(None if home is None else os.fspath(home)), follow=follow
        )

    def search_text(
        self,
        pattern: str,
        scope: Scope | None = None,
        regex: bool = False,
        case: Case = "smart",
        word: bool = False,
        limit: int = DEFAULT_HITS,
        context: int = 0,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
        per_file: int | None = None,
        rank: bool = False,
        show: Show = "lines",
        no_ignore: bool = False,
    ) -> Results:
        """Lines that hold the pattern, in path order: the lines that ``rg --no-config`` prints of the same files.

        They are those of the files as they are at this moment: what is newer than the index, or not in it, is read. Kinds are
        known of indexed files alone: with kinds in scope, changed files are left out and counted (``coverage.unindexed``).

        With ``rank`` definitions and files with many matches come first. ``show="files"`` gives a hit for each file, with
        its first line; ``show="counts"`` the same with the number of its lines as the score. With ``no_ignore`` the files that
        ignore rules leave out and those in the folders of tools and environments are read too, as by ``rg --no-ignore``.
        """
        query = TextQuery(
            pattern, regex, case, word, limit, context, per_file, rank, show, no_ignore
        )
        bounds = Bounds.within(deadline, cancel)
        return self._search(
            scope,
            query,
            lambda targets, loose: self._engine.search_text(query, targets, bounds, loose),
            fresh=True,
            no_ignore=no_ignore,
        )

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
        return self._search(
            scope,
            asked,
            lambda targets, _: self._engine.semantic_search(
                asked, targets, bounds, self._embedder()
            ),
        )

    def symbols(
        self,
        name: str,
        kind: str | Sequence[str] | None = None,
        scope: Scope | None = None,
        limit: int = DEFAULT_HITS,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Results:
        """Definitions by name or glob, ``DataFrame.merge`` or ``read_*``: the same name first, then names that begin with it
        or hold it, and where there are none, names spelled much like it.

        ``kind`` is function, class, method, module or text (a key of data), or several of them, in place of the scope's own.
        Each hit says its ``signature`` and ``doc``.
        """
        if kind is not None:
            scope = (scope or EVERYTHING).merged(
                kinds=(kind,) if isinstance(kind, str) else tuple(kind)
            )
        query, bounds = SymbolQuery(name, limit), Bounds.within(deadline, cancel)
        return self._search(
            scope, query, lambda targets, _: self._engine.symbols(query, targets, bounds)
        )

    def list_paths(self, scope: Scope | None = None, limit: int | None = None) -> Results:
        """The files in scope, one hit each."""
        query = PathQuery(limit)
        return self._search(
            scope, query, lambda targets, _: self._engine.list_paths(query, targets)
        )

    def count(self, scope: Scope | None = None) -> Coverage:
        """Count files and chunks in scope, and warm the caches for later searches.

        An unindexed project is not counted, but named in ``building``.
        """
        try:
            return self._roster.retrying(
                scope, lambda now: self._roster.coverage(Current(now, now.targets, []))
            )
        except SearchError:
            names = self._roster.without_index(scope or EVERYTHING)
            if not names:
                raise
            return Coverage(names, building=names)

    def project_scope(
        self,
        folder: str | os.PathLike[str],
        limit: str | os.PathLike[str] | None = None,
        joined: Sequence[str] = (),
    ) -> Scope:
        """Return a notebook's initial scope: its project, indexed or not, plus ``joined`` repositories.

        It also makes an unindexed project's name known to scopes.
        """
        return self._projects.scope(os.fspath(folder), os.fspath(limit or ""), joined)

    def offered_name(self, root: str) -> str | None:
        """Return the name under which scopes know an unindexed folder; None if they do not."""
        return self._roster.offered_name(root)

    def present_scope(self, scope: Scope) -> Scope | None:
        """Return a scope with the repositories' current names; None if a name is unknown.

        ``project_scope`` registers unindexed projects.
        """
        return self._roster.present_scope(scope)

    def present_name(self, name: str) -> str:
        """Return a repository's current name; an upgraded package has a new one."""
        return self._roster.present_name(name)

    def indexed_part(self, scope: Scope) -> Scope:
        """Return a scope without its unindexed projects, for a process that does not know them.

        Raises
        ------
        SearchError : it names nothing else.
        """
        return self._roster.indexed_part(scope)

    def facets(self, scope: Scope | None = None, most_folders: int = 12) -> Facets:
        """What is in scope, counted by language, kind and folder."""
        applied = (scope or EVERYTHING).interned()
        without = {field: applied.merged(**{field: ()}) for field in ("languages", "kinds")}

        def run(now: Now) -> Facets:
            return self._engine.facets(
                now.targets, without["languages"], without["kinds"], most_folders
            )

        return self._roster.retrying(applied, run)

    def points(
        self,
        scope: Scope | None = None,
        most: int = 100_000,
        progress: Callable[[Progress], None] = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> Points:
        """Return up to ``most`` chunks in scope, evenly spread, on a map of the whole index.

        The first call lays out the map in a child process, in some ten seconds; ``cancel`` stops it.
        MissingExtra if openTSNE is not installed.
        """

        def run(now: Now) -> Points:
            shards = [
                self._engine.shard(target.folder) for target in self._roster.now(EVERYTHING).targets
            ]
            while not self._mapping.acquire(timeout=0.1):
                if cancel is not None and cancel.is_set():
                    raise SearchError("Drawing the map was interrupted.")
            try:
                if any(shard.manifest.chunks for shard in shards):
                    self._projection.prepare(shards, progress, cancel)
                return self._engine.points(now.targets, self._projection, most)
            finally:
                self._mapping.release()

        return self._roster.retrying(scope, run)

    def prepare(self) -> None:
        """Load what the first search would have to wait for, if there is anything to search."""
        if self._roster.all():
            self._embedder().embed_query("prepare")
            with suppress(SearchError):  # no shard is finished yet
                self._roster.retrying(
                    EVERYTHING,
                    lambda now: self._roster.coverage(self._roster.with_changes(now, EVERYTHING)),
                )

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

        def run(now: Now) -> Table:
            if now.failed:  # a table has no place to say that some of its rows are missing
                raise ShardError(next(iter(now.failed.values())))
            shards = [
                InScope(t.repo, self._engine.shard(t.folder), self._engine.mask(t))
                for t in now.targets
            ]
            return run_sql(statement, shards, bounds, most_rows, memory_bytes, hits)

        return self._roster.retrying(scope, run)

    def open_file(
        self, repo: str, path: str, start_line: int = 1, end_line: int | None = None
    ) -> FileText:
        """Lines of a file, as it is now where it changed since it was indexed; of a notebook, the text of its cells."""
        wanted = path.replace("\\", "/") if os.sep == "\\" else path
        if wanted.startswith("/") or ".." in re.split(r"[/\\]", wanted) or "\0" in wanted:
            raise SourceError(
                f"The path {path!r} leads out of the repository {repo!r}. Give a path relative to its root."
            )
        if start_line < 1 or (end_line is not None and end_line < start_line):
            raise SourceError(
                f"Lines {start_line} to {end_line} are no range: lines count from 1, and the first comes first."
            )
        name = self._roster.full_name(repo)
        scope = Scope(repos=(name,))

        def run(now: Now) -> FileText:
            _, targets, loose, _ = self._roster.with_changes(now, scope)
            known = list[str]()
            for target in targets:
                shard = self._engine.shard(target.folder)
                number = shard.file_numbers.get(wanted)
                if number is not None and number not in target.dead:
                    return FileText.cut(
                        name,
                        wanted,
                        shard.file_content(number),
                        shard.language(number),
                        start_line,
                        end_line,
                    )
            for files in loose:
                is_there = (
                    files.files.find(wanted) is not None
                    if isinstance(files.files, Walk)
                    else any(stat.path == wanted for stat in files.files)
                )
                if is_there and (document := read_document(files, wanted)) is not None:
                    content = (
                        document.content if document.ends_with_newline else document.content[:-1]
                    )
                    return FileText.cut(
                        name, wanted, content, document.language, start_line, end_line
                    )
                known += [stat.path for stat in islice(files.files, MAX_SUGGESTED)]
            known += [
                path
                for t in targets
                for number, path in enumerate(self._engine.shard(t.folder).paths)
                if number not in t.dead
            ]
            raise SourceError(
                f"There is no {'indexed ' if now.chosen else ''}file {path!r} in {repo!r}.{did_you_mean(wanted, known)}"
            )

        return self._roster.retrying(scope, run, fresh=True)

    def _search(
        self,
        scope: Scope | None,
        query: TextQuery | SemanticQuery | PathQuery | SymbolQuery,
        run: Callable[[list[Target], list[LooseTarget]], Answer],
        fresh: bool = False,
        no_ignore: bool = False,
    ) -> Results:
        began = time.perf_counter()
        applied = (scope or EVERYTHING).interned()

        def search(now: Now) -> Results:
            current = (
                self._roster.with_changes(now, applied, no_ignore)
                if fresh
                else Current(now, now.targets, [])
            )
            now, loose = current.now, current.unindexed
            coverage = self._roster.coverage(current)
            scoped = time.perf_counter()
            answer = run(
                current.targets, [] if applied.kinds else loose
            )  # a changed file has no kinds before it is indexed
            if fresh and not applied.kinds:
                coverage = coverage.with_unindexed(answer.files_read)
            timings = {
                "scope": (scoped - began) * 1000,
                **answer.timings_ms,
                "total": (time.perf_counter() - began) * 1000,
            }
            rounded = {name: round(ms, 3) for name, ms in timings.items()}
            met = {hit.repo for hit in answer.hits}
            roots = {
                stored.repository.name: stored.repository.root
                for stored, _ in now.chosen
                if stored.repository.name in met
            }
            roots |= {files.repo: files.root for files in loose if files.repo in met}
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

        return self._roster.retrying(applied, search, fresh)
