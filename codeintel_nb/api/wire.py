"""Values that cross to a client: the same names for REST, MCP, the command line and the magics."""

from __future__ import annotations

from typing import Any

import msgspec

from ..scopes.scope import Scope
from ..search.hit import Results
from ..search.query import Case, Mode


class ScopedRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields that every search takes: None keeps the session's value, anything else replaces it for this call."""

    repos: tuple[str, ...] | None = None
    revisions: tuple[str, ...] | None = None
    include_globs: tuple[str, ...] | None = None
    exclude_globs: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    deadline: float | None = None  # seconds

    def narrowed(self, scope: Scope) -> Scope:
        """The session's scope with the fields given here in place of its own."""
        return scope.merged(self.repos, self.revisions, self.include_globs, self.exclude_globs, self.languages, self.kinds)


class TextRequest(ScopedRequest, frozen=True, kw_only=True, omit_defaults=True):
    pattern: str
    regex: bool = False
    case: Case = "smart"
    word: bool = False
    limit: int = 100
    context: int = 0


class SemanticRequest(ScopedRequest, frozen=True, kw_only=True, omit_defaults=True):
    query: str
    limit: int = 10
    mode: Mode = "hybrid"


class PathsRequest(ScopedRequest, frozen=True, kw_only=True, omit_defaults=True):
    limit: int | None = None


class SqlRequest(ScopedRequest, frozen=True, kw_only=True, omit_defaults=True):
    statement: str


class FileRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    repo: str
    path: str
    start_line: int = 1
    end_line: int | None = None


class SearchAnswer(msgspec.Struct, frozen=True):
    """A search's results and what the session must know with them."""

    results: Results
    session_id: str
    scope_expired: bool = False  # the session's scope was dropped for age since its last call: nothing limits it now


class ScopeAnswer(msgspec.Struct, frozen=True):
    scope: Scope
    session_id: str
    scope_expired: bool = False


def to_wire(value: Any) -> bytes:
    """JSON, tuples as lists, text that is not valid Unicode made so."""
    return msgspec.json.encode(value)
