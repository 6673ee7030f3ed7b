"""Arguments and answers of MCP tools, sources of their schemas."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, cast, get_type_hints

import msgspec
from msgspec import Meta

from ..index.update.report import RepositoryStatus
from ..operations.answers import SearchAnswer
from ..operations.table import Operation
from ..scopes.scope import Scope
from ..search.file_text import FileText
from ..search.hit import Hit
from ..search.request import ScopedRequest
from ..search.results import Coverage, Reason
from ..search.why import Why

MAX_LINES = 400  # of a file, if no last line is given

SessionId = Annotated[
    str | None,
    Meta(
        description=(
            "The session whose scope applies: the session_id of an answer, or a kernel's id; "
            "1 to 128 of the characters A-Z a-z 0-9 . _ -"
        )
    ),
]


class SessionArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session_id: SessionId = None


def arguments_of(operation: Operation) -> type[SessionArguments]:
    """Return the tool's arguments: the request's fields and the session."""
    request, tool = operation.request, operation.tool
    hints = get_type_hints(request, include_extras=True)
    fields: list[Any] = []
    for field in msgspec.structs.fields(request):
        hint, default = hints[field.name], field.default
        if field.name == "limit" and tool is not None:  # never all, as an assistant reads it
            hint = Annotated[int, Meta(description="Maximum results.", ge=1, le=tool.max_limit)]
            default = tool.limit
        fields.append(
            (field.name, hint) if default is msgspec.NODEFAULT else (field.name, hint, default)
        )
    return _with_session(f"{request.__name__}Arguments", fields)


def _with_session(name: str, fields: list[Any]) -> type[SessionArguments]:
    made = msgspec.defstruct(name, fields, bases=(SessionArguments,), frozen=True, kw_only=True)
    return cast(type[SessionArguments], made)


_SCOPE_HINTS = get_type_hints(ScopedRequest, include_extras=True)
ScopeArguments = _with_session(
    "ScopeArguments",
    [
        (
            "scope",
            Annotated[
                Scope | None,
                Meta(
                    description="A scope as returned by get_scope; the other fields override "
                    "its own."
                ),
            ],
            None,
        ),
        *((name, _SCOPE_HINTS[name], None) for name in Scope.__struct_fields__),
    ],
)


class FoundHit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hit for an assistant, without default values: every field is read, checked and paid for."""

    repo: str
    path: str
    start_line: int  # 1-based, inclusive
    end_line: int
    snippet: str = ""
    language: str = ""
    kind: str = ""
    symbol: str = ""
    column: int | msgspec.UnsetType = msgspec.UNSET  # 1-based, characters
    cell: int | msgspec.UnsetType = msgspec.UNSET  # of a notebook, from 0
    score: float = 1.0
    signature: str = ""
    doc: str = ""
    why: Why | None = None  # of a search by meaning that asks: the parts of the score
    also: tuple[str, ...] = ()  # places of near copies and overloads

    @classmethod
    def of(cls, hit: Hit) -> FoundHit:
        column, cell = (
            msgspec.UNSET if value is None else value for value in (hit.column, hit.cell)
        )
        return cls(
            repo=hit.repo, path=hit.path, start_line=hit.start_line, end_line=hit.end_line,
            snippet=hit.snippet, language=hit.language, kind=hit.kind, symbol=hit.symbol,
            column=column, cell=cell, score=hit.score, signature=hit.signature, doc=hit.doc,
            why=hit.why, also=hit.also,
        )  # fmt: skip


class FoundAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hits of a search, and its scope."""

    hits: tuple[FoundHit, ...]
    total: int  # all matches, returned or not
    truncated: bool  # hits are missing, for ``reason``
    total_exact: bool = True  # False: a lower bound
    reason: Reason = ""
    scope: Scope
    coverage: Coverage
    session_id: str
    scope_expired: bool = False
    timings_ms: dict[str, float] = {}
    # of a search by meaning: the chance that its best hit answers; low: nothing fits well
    confidence: float | None = None
    why_not: str = ""  # why the lines that the query asks about are not the first hit

    @classmethod
    def of(cls, answer: SearchAnswer) -> FoundAnswer:
        results = answer.results
        return cls(
            hits=tuple(map(FoundHit.of, results.hits)), total=results.total,
            truncated=results.truncated, total_exact=results.total_exact, reason=results.reason,
            scope=results.scope, coverage=results.coverage, session_id=answer.session_id,
            scope_expired=answer.scope_expired, timings_ms=results.timings_ms,
            confidence=results.confidence, why_not=results.why_not,
        )  # fmt: skip


class FileAnswer(msgspec.Struct, frozen=True):
    """Lines of a file; ``truncated`` if there are more."""

    file: FileText
    truncated: bool
    scope: Scope
    session_id: str


class StatusAnswer(msgspec.Struct, frozen=True):
    repositories: tuple[RepositoryStatus, ...]
    scope: Scope
    session_id: str


@cache
def schema_of(kind: type) -> dict[str, Any]:
    """Return a struct's JSON Schema, with an object as root.

    References are inlined: clients check every answer against it, a hit at a time.
    """
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    whole: dict[str, Any] = _resolved(root, parts)
    return whole


def _resolved(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(value, parts) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(parts[str(schema["$ref"]).rpartition("/")[2]], parts)
    return {key: _resolved(value, parts) for key, value in schema.items()}
