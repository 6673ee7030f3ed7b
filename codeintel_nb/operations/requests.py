"""Requests of operations other than searches (see search/query.py)."""

from __future__ import annotations

from typing import Annotated, Any

from ..index.update.report import IndexReport
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.file_text import FileText
from ..search.hit import Hit
from ..search.request import Request, ScopedRequest, described
from ..search.table import Table
from .answers import (
    Health,
    JobState,
    RepositoriesAnswer,
    SavedScopes,
    ScopeAnswer,
    SessionsAnswer,
)

Name = Annotated[str, described("a repository's name")]
ScopeName = Annotated[str, described("a saved scope's name")]
Rebuild = Annotated[bool, described("index everything again", "--rebuild")]


class SqlRequest(ScopedRequest[Table], frozen=True):
    """One SQL query over the tables of the code in scope."""

    statement: Annotated[str, described("the query, in DuckDB's SQL", is_positional=True)]
    hits: Annotated[
        tuple[Hit, ...],
        described("rows of the table hits, such as those of a search"),
    ] = ()


class FacetsRequest(ScopedRequest[Facets], frozen=True):
    folders: Annotated[int, described("maximum folders to count")] = 12


class MapRequest(ScopedRequest[Points], frozen=True):
    most: Annotated[int, described("maximum points; more chunks are sampled evenly")] = 100_000


class FileRequest(Request[FileText], frozen=True):
    """Lines of a file, 1-based and inclusive."""

    repo: Annotated[str, described("the repository's name, as in a hit")]
    path: Annotated[str, described("the path in the repository, with /")]
    start_line: Annotated[int, described("first line, from 1")] = 1
    end_line: Annotated[int | None, described("last line, inclusive")] = None


class StatusRequest(Request[RepositoriesAnswer], frozen=True):
    """All indexed repositories."""


class IndexRequest(Request[IndexReport], frozen=True):
    """A folder or an installed package; with both, the package installed in that folder."""

    path: Annotated[str | None, described("the folder")] = None
    package: Annotated[
        str | None,
        described("an installed package instead of a folder", "--package", "-p", metavar="PACKAGE"),
    ] = None
    name: Annotated[
        str | None,
        described("name of the repository; by default the folder's", "--name", metavar="NAME"),
    ] = None
    rebuild: Rebuild = False
    outputs: Annotated[bool, described("also index cell outputs, from now on", "--outputs")] = False
    allow: Annotated[
        bool,
        described("the user allowed a folder outside the server's"),
    ] = False


class RefreshRequest(Request[IndexReport], frozen=True):
    name: Name
    rebuild: Rebuild = False


class RemoveRequest(Request[None], frozen=True):
    name: Name


class JobRequest(Request[JobState], frozen=True):
    """The last indexing run of a repository."""

    name: Name


class JobEventsRequest(JobRequest, frozen=True):
    """Events of an indexing run, until it ends."""


class CancelJobRequest(JobRequest, frozen=True):
    """Cancellation of an indexing run."""


class GetScope(Request[ScopeAnswer], frozen=True):
    """The session's scope."""


class SetScope(Request[ScopeAnswer], frozen=True):
    scope: Annotated[Scope, described("the new scope")]


class ChangeScope(Request[ScopeAnswer], frozen=True):
    """JSON merge patch (RFC 7396) of the scope."""

    change: Annotated[Any, described("fields to change; null removes a limit")]


class ClearScope(Request[ScopeAnswer], frozen=True):
    """The way back to the default scope."""


class ListSavedScopes(Request[SavedScopes], frozen=True):
    """All saved scopes."""


class GetSavedScope(Request[Scope], frozen=True):
    name: ScopeName


class SaveScope(Request[Scope], frozen=True):
    name: ScopeName
    scope: Annotated[Scope, described("the scope to save")]


class RemoveSavedScope(Request[None], frozen=True):
    name: ScopeName


class SessionsRequest(Request[SessionsAnswer], frozen=True):
    """All sessions with a scope."""


class EndSearch(Request[None], frozen=True):
    """End of a search in flight, which returns partial results."""

    request_id: Annotated[str, described("the X-Request-ID of the search")]


class HealthRequest(Request[Health], frozen=True):
    """The state of the server."""
