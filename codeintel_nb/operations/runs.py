"""Operations run with just a workspace and a session's scope."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from ..errors import CodeIntelError, SearchError, SourceError
from ..index.update.report import OnProgress, ignore
from ..scopes.saved import NamedScopes
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.file_text import FileText
from ..search.query import (
    MAX_HITS,
    MAX_RANKED_CHUNKS,
    AnyQuery,
    Bounds,
    PathQuery,
    SemanticQuery,
    SymbolQuery,
    TextQuery,
)
from ..search.table import Table
from .answers import RepositoriesAnswer, SavedScopes, ScopeAnswer, SearchAnswer
from .limits import MAX_POINTS, Limits
from .requests import (
    FacetsRequest,
    FileRequest,
    GetSavedScope,
    GetScope,
    IndexRequest,
    ListSavedScopes,
    MapRequest,
    RemoveSavedScope,
    SaveScope,
    SqlRequest,
    StatusRequest,
)

if TYPE_CHECKING:
    from ..sources.repository import Repository
    from ..workspace import Workspace

R = TypeVar("R")


def _sql_here(call: Call[SqlRequest], scope: Scope, bounds: Bounds) -> Table:
    """Run SQL in this process."""
    return call.workspace.sql(
        call.request.statement,
        scope,
        timeout_s=bounds.left_s(),
        cancel=bounds.cancel,
        most_rows=call.limits.rows,
        memory_bytes=call.limits.sql_memory_bytes,
        hits=call.request.hits,
    )


class Call(NamedTuple, Generic[R]):
    """One request of a session, and what it runs on."""

    request: R
    session: ScopeAnswer  # the session's scope
    workspace: Workspace
    saved: NamedScopes
    limits: Limits = Limits()
    progress: OnProgress = ignore
    cancel: threading.Event | None = None
    run_sql: Callable[[Call[SqlRequest], Scope, Bounds], Any] = _sql_here

    def bounds(self, timeout_s: float | None) -> Bounds:
        return Bounds.within(self.limits.within(timeout_s), self.cancel)


# searches


def search_text(call: Call[TextQuery]) -> SearchAnswer:
    return _search(call, call.request.limit)


def semantic_search(call: Call[SemanticQuery]) -> SearchAnswer:
    return _search(call, call.request.limit, MAX_RANKED_CHUNKS)


def search_symbols(call: Call[SymbolQuery]) -> SearchAnswer:
    return _search(call, call.request.limit)


def list_paths(call: Call[PathQuery]) -> SearchAnswer:
    limit = call.request.limit
    if limit is None and call.limits.hits is None:
        return _page(call, call.request)
    return _search(call, MAX_HITS if limit is None else limit)


def _search(call: Call[Any], limit: int, most: int = MAX_HITS) -> SearchAnswer:
    """Search for the hits up to the end of the page."""
    count = min(call.limits.hits_of(limit, call.request.offset), most)
    return _page(call, msgspec.structs.replace(call.request, limit=count))


def _page(call: Call[Any], query: AnyQuery) -> SearchAnswer:
    """Search, and leave out the hits before the offset."""
    session, request = call.session, call.request
    results = call.workspace.search(
        query, request.narrowed(session.scope), call.bounds(request.timeout_s)
    )
    hits = results.hits[request.offset :] if request.offset else results.hits
    results = msgspec.structs.replace(results, hits=hits, query=request)
    return SearchAnswer(results, session.session_id, session.scope_expired, session.is_default)


def count_facets(call: Call[FacetsRequest]) -> Facets:
    request = call.request
    return call.workspace.facets(request.narrowed(call.session.scope), max(0, request.folders))


def draw_map(call: Call[MapRequest]) -> Points:
    scope = call.request.narrowed(call.session.scope)
    most = max(1, min(call.request.most, MAX_POINTS))
    return call.workspace.points(scope, most, call.progress, call.cancel)


def run_sql(call: Call[SqlRequest]) -> Any:
    request = call.request
    bounds = Bounds.within(call.limits.sql_within(request.timeout_s), call.cancel)
    return call.run_sql(call, request.narrowed(call.session.scope), bounds)


def open_file(call: Call[FileRequest]) -> FileText:
    request = call.request
    return call.workspace.open_file(
        request.repo, request.path, request.start_line, request.end_line
    )


# scopes


def get_scope(call: Call[GetScope]) -> ScopeAnswer:
    """Return the session's scope, with its coverage if known."""
    workspace, scope = call.workspace, call.session.scope
    coverage = None
    # a repository of the scope was removed, or its first shard is not written yet
    with suppress(CodeIntelError):
        if workspace.repositories() or scope.repos:
            coverage = workspace.count(scope)
    return msgspec.structs.replace(call.session, coverage=coverage)


def checked(workspace: Workspace, scope: Scope) -> Scope:
    """Return the scope, checked against the index; warm the caches."""
    if workspace.repositories() or scope.repos:
        with suppress(SearchError):  # nothing is indexed yet
            workspace.count(scope)
    return scope.interned()


def list_saved_scopes(call: Call[ListSavedScopes]) -> SavedScopes:
    return SavedScopes(call.saved.all())


def get_saved_scope(call: Call[GetSavedScope]) -> Scope:
    return call.saved.load(call.request.name)


def save_scope(call: Call[SaveScope]) -> Scope:
    call.saved.save(call.request.name, call.request.scope)
    return call.request.scope


def remove_saved_scope(call: Call[RemoveSavedScope]) -> None:
    call.saved.remove(call.request.name)


# repositories


def repository_status(call: Call[StatusRequest]) -> RepositoriesAnswer:
    return RepositoriesAnswer(tuple(call.workspace.status()))


def repository_of(request: IndexRequest, workspace: Workspace) -> Repository:
    """Return the repository of an index request.

    Raises
    ------
    SourceError : it names neither a folder nor a package, or one that is not there.
    """
    from ..sources.repository import package, package_at, worktree

    if request.package is not None:
        if request.path is not None:
            return package_at(request.path, request.package, request.name)
        return package(request.package, request.name)
    if request.path is None:
        raise SourceError(
            "Nothing to index. Give a folder (path) or an installed package (package)."
        )
    repository = worktree(request.path, request.name, request.outputs)
    name = None if request.name else workspace.offered_name(repository.root)
    return repository if name is None else msgspec.structs.replace(repository, name=name)


Run = Callable[[Call[Any]], Any]
