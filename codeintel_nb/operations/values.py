"""Requests and answers: the same names for REST, MCP, the command line and the magics."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from ..index.update.report import IndexReport, Progress, RepositoryStatus
from ..scopes.scope import OLD_NAMES, Scope
from ..search.hit import Coverage, Hit, Results
from ..search.query import Case, Mode, Show
from ..search.table import Table

# requests


class ScopedRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Fields of every search: None keeps the session's value, another replaces it in this call."""

    repos: tuple[str, ...] | None = None
    revisions: tuple[str, ...] | None = None
    include_globs: tuple[str, ...] | None = None
    exclude_globs: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    deadline: float | None = None  # seconds

    @property
    def replaces_scope(self) -> bool:
        return any(getattr(self, field) is not None for field in Scope.__struct_fields__)

    def narrowed(self, scope: Scope) -> Scope:
        """Return the session's scope, with this request's fields in place of its own."""
        return scope.merged(
            self.repos,
            self.revisions,
            self.include_globs,
            self.exclude_globs,
            self.languages,
            self.kinds,
        )


class PagedRequest(
    ScopedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Search request with paging; the first hits are the same for every limit."""

    offset: int = 0  # hits to skip


class TextRequest(
    PagedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    pattern: str
    regex: bool = False
    case: Case = "smart"
    word: bool = False
    limit: int = 100
    context: int = 0
    per_file: int | None = None
    rank: bool = False
    show: Show = "lines"
    no_ignore: bool = False


class SemanticRequest(
    PagedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    query: str
    limit: int = 10
    mode: Mode = "hybrid"


class SymbolsRequest(
    PagedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    name: str
    limit: int = 20


class PathsRequest(
    PagedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    limit: int | None = None


class SqlRequest(
    ScopedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    statement: str
    hits: tuple[Hit, ...] = ()  # of a search, for the table hits


class FacetsRequest(
    ScopedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    folders: int = 12  # most of them


class MapRequest(
    ScopedRequest, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    most: int = 100_000  # points


class FileRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    repo: str
    path: str
    start_line: int = 1
    end_line: int | None = None


class IndexRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A folder or an installed package; with both, the package installed in that folder."""

    path: str | None = None
    package: str | None = None
    name: str | None = None
    rebuild: bool = False
    outputs: bool = False  # index the printed outputs of notebook cells too, from now on
    allow: bool = False  # the user confirmed a folder outside the server's


class RefreshRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    rebuild: bool = False


# answers


class SearchAnswer(msgspec.Struct, frozen=True):
    """Results of a search, with the state of the session's scope."""

    results: Results
    session_id: str
    # the session's scope was dropped for age since its last call: nothing limits it now
    scope_expired: bool = False
    is_default: bool = False  # the scope was not set explicitly


class TableAnswer(msgspec.Struct, frozen=True):
    """Rows of an SQL query; values without a JSON type are DuckDB's text."""

    columns: list[str]
    types: list[str]  # DuckDB's
    rows: msgspec.Raw  # an array of arrays
    truncated: bool
    scope: Scope
    session_id: str
    scope_expired: bool = False
    timings_ms: dict[str, float] = {}

    def table(self) -> Table:
        return Table(
            self.columns,
            self.types,
            msgspec.json.decode(self.rows),
            self.truncated,
            self.timings_ms,
        )


class ScopeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session's scope."""

    scope: Scope
    session_id: str
    scope_expired: bool = False
    coverage: Coverage | None = None  # None while nothing is indexed
    offered: Scope | None = None  # the scope of the kernel that this one replaced
    is_default: bool = False  # not set explicitly: the notebook's project, or everything


class SessionState(msgspec.Struct, frozen=True):
    """A session with a scope, and the notebooks that use it."""

    session_id: str
    scope: Scope
    kernel_name: str = ""  # empty: a client that is no kernel
    paths: tuple[str, ...] = ()  # of the notebooks and consoles that use the kernel


class SessionsAnswer(msgspec.Struct, frozen=True):
    sessions: tuple[SessionState, ...]


class SavedScopes(msgspec.Struct, frozen=True):
    scopes: dict[str, Scope]


class RepositoriesAnswer(msgspec.Struct, frozen=True):
    repositories: tuple[RepositoryStatus, ...]


class JobState(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of an indexing run."""

    repository: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: Progress | None = None
    report: IndexReport | None = None
    error: str = ""  # name of a class in errors.py
    detail: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class Health(msgspec.Struct, frozen=True):
    """Health of the service, with advice if it is degraded."""

    status: Literal["ok", "degraded"]
    reasons: tuple[str, ...]
    version: str
    sessions: int
    repositories: int
    jobs: tuple[JobState, ...]
    watching: tuple[str, ...] = ()  # repositories whose files are followed
    registry: str = ""  # place and state of the scope registry
    url: str = ""  # the server's public address; empty if unknown


class Finding(msgspec.Struct, frozen=True):
    """Result of one check, with advice if it failed."""

    level: Literal["ok", "warning", "error"]
    subject: str
    said: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An RFC 9457 problem document."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    error: str = ""  # name of a class in errors.py, if it says more than the status
    # for the user; if they agree, the client repeats the request with ``allow``
    question: str = ""


_T = TypeVar("_T")


def from_wire(said: bytes, kind: type[_T]) -> _T:
    """Decode a request from JSON; its scope's fields may have their old names.

    Raises
    ------
    msgspec.DecodeError, msgspec.ValidationError : it is no such request.
    """
    try:
        return msgspec.json.decode(said, type=kind)
    except msgspec.ValidationError:
        value = msgspec.json.decode(said)
        if not isinstance(value, dict) or OLD_NAMES.keys().isdisjoint(value):
            raise
        return from_builtins(value, kind)


def from_builtins(value: dict[str, Any], kind: type[_T]) -> _T:
    """Convert a request from decoded JSON; its scope's fields may have their old names."""
    if not OLD_NAMES.keys().isdisjoint(value) and "revisions" in getattr(
        kind, "__struct_fields__", ()
    ):
        value = dict(value)
        for old in OLD_NAMES.keys() & value.keys():
            revisions = value.pop(old)
            values = [revisions] if isinstance(revisions, str) else revisions
            value["revisions"] = [*(value.get("revisions") or ()), *(values or ())]
    return msgspec.convert(value, kind)


def to_wire(value: Any) -> bytes:
    """Return the value as JSON, with tuples as lists."""
    return msgspec.json.encode(value)
