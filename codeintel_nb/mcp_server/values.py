"""Arguments and answers of the MCP tools; their schemas are made from these."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..index.update.report import RepositoryStatus
from ..operations.values import SearchAnswer
from ..scopes.scope import Scope
from ..search.hit import Coverage, FileText, Hit, Reason
from ..search.query import Case, Mode, Show

MAX_LINES = 400  # of a file, if no last line is given

Names = tuple[str, ...] | None
Repos = Annotated[
    Names,
    Meta(
        description=(
            "Only these repositories, by name or glob such as pkg:scikit*. "
            "For this call, in place of the scope's; [] for all."
        )
    ),
]
Revisions = Annotated[
    Names,
    Meta(
        description=(
            "Only these revisions; 'worktree' is the folder as it is. In place of the scope's."
        )
    ),
]
Includes = Annotated[
    Names,
    Meta(
        description=(
            "Only paths that match one of these globs, written as lines of a .gitignore, plus "
            "{a,b}: src/**, *.py. In place of the scope's."
        )
    ),
]
Excludes = Annotated[
    Names,
    Meta(
        description="No path that matches one of these globs: **/tests/**. In place of the scope's."
    ),
]
Languages = Annotated[
    Names,
    Meta(description="Only these languages: python, typescript, c++, ... In place of the scope's."),
]
Kinds = Annotated[
    Names,
    Meta(
        description=(
            "Only chunks of these kinds: function, class, method, module, cell, markdown, text. "
            "In place of the scope's."
        )
    ),
]
SessionId = Annotated[
    str | None,
    Meta(
        description=(
            "The session whose scope applies: 1 to 128 of A-Z a-z 0-9 . _ -, "
            "as an answer named it, or a kernel's id."
        )
    ),
]
Positive = Annotated[int, Meta(ge=1)]
Deadline = Annotated[
    Annotated[float, Meta(gt=0)] | None,
    Meta(description="Seconds after which the call answers with what it has found by then."),
]


class SessionArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session_id: SessionId = None


class ScopeArguments(SessionArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: Annotated[
        Scope | None,
        Meta(description="A scope as returned by get_scope; the other fields override its own."),
    ] = None
    repos: Annotated[
        tuple[str, ...],
        Meta(description="Repositories by name or glob, such as pkg:scikit*; none for all."),
    ] = ()
    revisions: Annotated[tuple[str, ...], Meta(description="Revisions; none for all.")] = ()
    include_globs: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Globs of which a path must match one, as lines of a .gitignore, plus {a,b}; "
                "none for all."
            )
        ),
    ] = ()
    exclude_globs: Annotated[
        tuple[str, ...], Meta(description="Globs of which a path may match none.")
    ] = ()
    languages: Annotated[
        tuple[str, ...], Meta(description="Languages: python, typescript, c++, ...; none for all.")
    ] = ()
    kinds: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Kinds of chunks: function, class, method, module, cell, markdown, text; "
                "none for all."
            )
        ),
    ] = ()


class NarrowedArguments(SessionArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    repos: Repos = None
    revisions: Revisions = None
    include_globs: Includes = None
    exclude_globs: Excludes = None
    languages: Languages = None
    kinds: Kinds = None


class PagedArguments(NarrowedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    offset: Annotated[
        int, Meta(description="Hits to skip: those of the pages before this one.", ge=0)
    ] = 0


class PathsArguments(PagedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(description="Most paths.", ge=1, le=10_000)] = 200


class TextArguments(PagedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[
        str,
        Meta(description="The text, or with regex=true a regular expression as ripgrep reads it."),
    ]
    regex: bool = False
    case: Annotated[
        Case,
        Meta(description="smart: letters match in either case unless the pattern has a capital."),
    ] = "smart"
    word: Annotated[bool, Meta(description="Only whole words.")] = False
    limit: Annotated[
        int, Meta(description="Most lines (or files) in the answer.", ge=1, le=1_000)
    ] = 30
    context: Annotated[int, Meta(description="Lines before and after each.", ge=0, le=50)] = 0
    per_file: Annotated[Positive | None, Meta(description="Most lines of one file.")] = None
    rank: Annotated[
        bool,
        Meta(description="Definitions and files with many matches first, in place of path order."),
    ] = False
    show: Annotated[
        Show,
        Meta(
            description=(
                "lines; files: each file with its first line; "
                "counts: the same with the number of lines as score."
            )
        ),
    ] = "lines"
    no_ignore: Annotated[
        bool,
        Meta(
            description=(
                "Search what ignore files leave out too, and folders of tools and environments."
            )
        ),
    ] = False
    deadline: Deadline = None


class SemanticArguments(PagedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[
        str, Meta(description="What the code does, in plain words, or a symbol's name.")
    ]
    limit: Annotated[int, Meta(description="Most chunks in the answer.", ge=1, le=200)] = 10
    mode: Annotated[Mode, Meta(description="hybrid joins meaning (dense) and words (lexical).")] = (
        "hybrid"
    )
    deadline: Deadline = None


class SymbolsArguments(PagedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[
        str,
        Meta(
            description=(
                "A definition's name or glob: read_csv, DataFrame.merge, read_*. "
                "Names spelled much like it are found where it is not there."
            )
        ),
    ]
    limit: Annotated[int, Meta(description="Most definitions in the answer.", ge=1, le=1_000)] = 20
    deadline: Deadline = None


class FileArguments(SessionArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    repo: Annotated[str, Meta(description="The repository's name, as a hit gives it.")]
    path: Annotated[str, Meta(description="The path in it, with /.")]
    start_line: Annotated[int, Meta(description="First line, from 1.", ge=1)] = 1
    end_line: Annotated[
        Positive | None,
        Meta(description=f"Last line, inclusive; {MAX_LINES} lines from the first one by default."),
    ] = None


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

    @classmethod
    def of(cls, hit: Hit) -> FoundHit:
        column, cell = (
            msgspec.UNSET if value is None else value for value in (hit.column, hit.cell)
        )
        return cls(
            repo=hit.repo, path=hit.path, start_line=hit.start_line, end_line=hit.end_line,
            snippet=hit.snippet, language=hit.language, kind=hit.kind, symbol=hit.symbol,
            column=column, cell=cell, score=hit.score, signature=hit.signature, doc=hit.doc,
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

    @classmethod
    def of(cls, answer: SearchAnswer) -> FoundAnswer:
        results = answer.results
        return cls(
            hits=tuple(map(FoundHit.of, results.hits)), total=results.total,
            truncated=results.truncated, total_exact=results.total_exact, reason=results.reason,
            scope=results.scope, coverage=results.coverage, session_id=answer.session_id,
            scope_expired=answer.scope_expired, timings_ms=results.timings_ms,
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
    """Return the JSON Schema of a struct, an object at its root.

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
