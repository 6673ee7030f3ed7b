"""Answers of the operations, as they travel."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..index.update.report import IndexReport, Progress, RepositoryStatus
from ..scopes.scope import Scope
from ..search.results import Coverage, Results
from ..search.table import Table


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

    @classmethod
    def of(cls, table: Table, scope: Scope, session: ScopeAnswer) -> TableAnswer:
        """Return a table of this process, as it travels."""
        return cls(
            table.columns,
            table.types,
            msgspec.Raw(table.wire_cells()),
            table.truncated,
            scope,
            session.session_id,
            session.scope_expired,
            table.timings_ms,
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
