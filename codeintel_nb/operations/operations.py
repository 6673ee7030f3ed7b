"""Operations on one workspace, for all interfaces; the caller passes the scope."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress

import msgspec

from ..errors import CodeIntelError, SearchError, SourceError
from ..index.update.report import OnProgress, RepositoryStatus
from ..scopes.saved import NamedScopes
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.hit import FileText, Results
from ..search.query import MAX_RANKED_CHUNKS
from ..search.table import Table
from ..sources.repository import Repository, package, package_at, worktree
from ..workspace import Workspace
from .values import (
    FacetsRequest,
    FileRequest,
    IndexRequest,
    MapRequest,
    PagedRequest,
    PathsRequest,
    ScopeAnswer,
    SearchAnswer,
    SemanticRequest,
    SqlRequest,
    SymbolsRequest,
    TextRequest,
)

MAX_POINTS = 1_000_000  # of a map


class Limits(msgspec.Struct, frozen=True):
    """Limits of one call; None for no limit but the query's own."""

    deadline_s: float | None = None
    hits: int | None = None
    rows: int = 1_000_000  # of an answer to SQL
    # SQL has no partial results, but shows progress and can be cancelled
    sql_deadline_s: float = 600.0
    sql_memory_bytes: int = 1_000_000_000


class Operations:
    """Operations on a workspace; ``held`` is the session's scope, as in its registry."""

    def __init__(self, workspace: Workspace, limits: Limits | None = None) -> None:
        self.workspace = workspace
        self.limits = limits or Limits()
        self.named = NamedScopes(workspace.settings.home)

    def checked(self, scope: Scope) -> Scope:
        """Return the scope, checked against the index; warm the caches for later searches."""
        if self.workspace.repositories() or scope.repos:
            with suppress(SearchError):  # nothing is indexed yet
                self.workspace.count(scope)
        return scope.interned()

    def counted(self, held: ScopeAnswer) -> ScopeAnswer:
        """Return the answer with its coverage, or without if that is unknown now."""
        try:
            coverage = (
                self.workspace.count(held.scope)
                if self.workspace.repositories() or held.scope.repos
                else None
            )
        # a repository of the scope was removed, or its first shard is not written yet
        except CodeIntelError:
            coverage = None
        return msgspec.structs.replace(held, coverage=coverage)

    def search_text(
        self, request: TextRequest, held: ScopeAnswer, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        results = self.workspace.search_text(
            request.pattern, request.narrowed(held.scope), request.regex, request.case,
            request.word, self._limit(request), request.context, self.deadline(request.deadline),
            cancel, request.per_file, request.rank, request.show, request.no_ignore,
        )  # fmt: skip
        return _page(results, request, held)

    def semantic_search(
        self, request: SemanticRequest, held: ScopeAnswer, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        limit = self._limit(request)
        if request.offset or not request.limit:  # an explicit limit above it is rejected
            limit = min(limit, MAX_RANKED_CHUNKS)
        results = self.workspace.semantic_search(
            request.query,
            request.narrowed(held.scope),
            limit,
            request.mode,
            self.deadline(request.deadline),
            cancel,
        )
        return _page(results, request, held)

    def symbols(
        self, request: SymbolsRequest, held: ScopeAnswer, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        results = self.workspace.symbols(
            request.name,
            None,
            request.narrowed(held.scope),
            self._limit(request),
            self.deadline(request.deadline),
            cancel,
        )
        return _page(results, request, held)

    def list_paths(
        self, request: PathsRequest, held: ScopeAnswer, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        _check_offset(request)
        limit = self.limits.hits if request.limit is None else self._limit(request)
        return _page(self.workspace.list_paths(request.narrowed(held.scope), limit), request, held)

    def facets(self, request: FacetsRequest, held: ScopeAnswer) -> Facets:
        return self.workspace.facets(request.narrowed(held.scope), max(0, request.folders))

    def code_map(
        self,
        request: MapRequest,
        held: ScopeAnswer,
        progress: OnProgress = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> Points:
        return self.workspace.points(
            request.narrowed(held.scope), max(1, min(request.most, MAX_POINTS)), progress, cancel
        )

    def sql(
        self, request: SqlRequest, held: ScopeAnswer, cancel: threading.Event | None = None
    ) -> Table:
        scope, deadline = request.narrowed(held.scope), self.sql_deadline(request.deadline)
        return self.workspace.sql(
            request.statement,
            scope,
            deadline,
            cancel,
            self.limits.rows,
            self.limits.sql_memory_bytes,
            request.hits,
        )

    def open_file(self, request: FileRequest) -> FileText:
        return self.workspace.open_file(
            request.repo, request.path, request.start_line, request.end_line
        )

    def repository(self, request: IndexRequest) -> Repository:
        """Return the repository of an index request."""
        if request.package is None:
            if request.path is None:
                raise SourceError(
                    "Nothing to index was given. "
                    "Name a folder (path) or an installed package (package)."
                )
            repository = worktree(request.path, request.name, request.outputs)
            name = None if request.name else self.workspace.offered_name(repository.root)
            return repository if name is None else msgspec.structs.replace(repository, name=name)
        if request.path is not None:
            return package_at(request.path, request.package, request.name)
        return package(request.package, request.name)

    def deadline(self, asked: float | None) -> float | None:
        """Return a search's deadline in seconds: the requested one, within the limit."""
        return _within(asked, self.limits.deadline_s)

    def sql_deadline(self, asked: float | None) -> float | None:
        """Return an SQL query's deadline in seconds: the requested one, within the limit."""
        return _within(asked, self.limits.sql_deadline_s)

    def _limit(self, request: PagedRequest) -> int:
        """Return the number of hits to find: the page and those before it, within the limit.

        A limit of 0 means all.
        """
        limit: int = getattr(request, "limit")  # noqa: B009 (each kind has its own default)
        _check_offset(request)
        most = self.limits.hits
        count = limit + request.offset if limit > 0 else limit
        return count if most is None or 0 < count <= most or count < 0 else most


def _within(deadline: float | None, most: float | None) -> float | None:
    if deadline is None or most is None or not deadline > 0:
        return most if deadline is None else deadline  # an invalid one is rejected where it is used
    return min(deadline, most)


def _check_offset(request: PagedRequest) -> None:
    if request.offset < 0:
        raise SearchError(
            f"The offset is {request.offset}; give how many hits to leave out, 0 for none."
        )


def _page(results: Results, request: PagedRequest, answer: ScopeAnswer) -> SearchAnswer:
    page = (
        msgspec.structs.replace(results, hits=results.hits[request.offset :])
        if request.offset
        else results
    )
    return SearchAnswer(page, answer.session_id, answer.scope_expired, answer.is_default)


class Session(ABC):
    """Read operations of one session, under the scope returned by ``held``."""

    where = ""  # the place that keeps the scope

    def __init__(self, operations: Operations) -> None:
        self.operations = operations

    @abstractmethod
    def held(self) -> ScopeAnswer: ...

    def get_scope(self) -> ScopeAnswer:
        return self.operations.counted(self.held())

    def saved_scopes(self) -> dict[str, Scope]:
        return self.operations.named.all()

    def search_text(
        self, request: TextRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self.operations.search_text(request, self.held(), cancel)

    def semantic_search(
        self, request: SemanticRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self.operations.semantic_search(request, self.held(), cancel)

    def symbols(
        self, request: SymbolsRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self.operations.symbols(request, self.held(), cancel)

    def list_paths(
        self, request: PathsRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self.operations.list_paths(request, self.held(), cancel)

    def facets(self, request: FacetsRequest) -> Facets:
        return self.operations.facets(request, self.held())

    def code_map(
        self,
        request: MapRequest,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> Points:
        return self.operations.code_map(
            request, self.held(), progress or (lambda event: None), cancel
        )

    def sql(self, request: SqlRequest, cancel: threading.Event | None = None) -> Table:
        return self.operations.sql(request, self.held(), cancel)

    def open_file(self, request: FileRequest) -> FileText:
        return self.operations.open_file(request)

    def status(self) -> list[RepositoryStatus]:
        return self.operations.workspace.status()


class HeldSession(Session):
    """Session with its scope already read."""

    where = "kept by the Jupyter server"

    def __init__(self, operations: Operations, held: ScopeAnswer) -> None:
        super().__init__(operations)
        self._answer = held

    def held(self) -> ScopeAnswer:
        return self._answer
