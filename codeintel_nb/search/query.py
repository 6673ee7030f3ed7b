"""Queries as values, and the bounds they run under."""

from __future__ import annotations

import threading
import time
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from msgspec.structs import force_setattr

from ..errors import SearchError, check_text
from ..scopes.scope import Scope
from .request import Flag, ScopedRequest, described

Case = Literal["smart", "sensitive", "insensitive"]
Mode = Literal["hybrid", "dense", "lexical"]
Show = Literal["lines", "files", "counts"]
CASES: tuple[Case, ...] = ("smart", "sensitive", "insensitive")
SHOWS: tuple[Show, ...] = ("lines", "files", "counts")
MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
MAX_PATTERN_CHARACTERS = 10_000
MAX_QUERY_CHARACTERS = 10_000
MAX_HITS = 1_000_000  # per search; a limit of 0 means this many
DEFAULT_HITS = 10_000  # of a search whose hits are kept as a value
ALIKE = 0.5  # score of a similarly spelled name, if no definition has the exact one
MAX_RANKED_CHUNKS = 10_000  # ranked by a semantic search
MAX_NAME_CHARACTERS = 500


Limit = Annotated[int, described("maximum results; 0 for all", "--limit", "-n", metavar="N")]


class Query(ScopedRequest[Any], frozen=True, kw_only=True):
    """Search; its first hits are the same for every limit."""

    offset: Annotated[int, described("number of hits to skip, for later pages")] = 0

    def __post_init__(self) -> None:
        if self.replaces_scope:
            for name in Scope.__struct_fields__:  # hashable, for the caches of patterns
                if isinstance(value := getattr(self, name), list):
                    force_setattr(self, name, tuple(value))
        if self.offset < 0:
            raise SearchError(
                f"The offset is {self.offset}; give the number of hits to skip, 0 for none."
            )


class Options(TypedDict, total=False):
    """Keyword arguments of all searches; subclasses add a query's fields."""

    timeout_s: float | None
    deadline: float | None  # former name of timeout_s
    cancel: threading.Event | None


class TextOptions(Options, total=False):
    regex: bool
    case: Case
    word: bool
    limit: int
    context: int
    per_file: int | None
    rank: bool
    show: Show
    no_ignore: bool


class SemanticOptions(Options, total=False):
    limit: int
    mode: Mode
    why: bool
    why_not: str


class SymbolOptions(Options, total=False):
    limit: int


class PathOptions(Options, total=False):
    limit: int | None


class TextQuery(Query, frozen=True, tag="text"):
    """A pattern to find in lines of text."""

    pattern: Annotated[
        str,
        described("the text, or a regular expression in ripgrep's syntax", is_positional=True),
    ]
    regex: Annotated[bool, described("the pattern is a regular expression", "--regex", "-e")] = (
        False
    )
    case: Annotated[
        Case,
        described(
            "smart: match case only if the pattern contains an upper-case letter",
            flags=(
                Flag(("--ignore-case", "-i"), "ignore case", "insensitive"),
                Flag(
                    ("--case-sensitive", "-s"),
                    "match case; by default, only if the pattern contains an upper-case letter",
                    "sensitive",
                ),
            ),
        ),
    ] = "smart"
    word: Annotated[bool, described("match whole words only", "--word", "-w")] = False
    limit: Limit = DEFAULT_HITS
    context: Annotated[
        int, described("lines of context around each match", "--context", "-C", metavar="N")
    ] = 0
    per_file: Annotated[
        int | None, described("maximum matching lines per file", "--per-file", metavar="N")
    ] = None
    rank: Annotated[
        bool, described("show definitions and files with many matches first", "--rank")
    ] = False
    show: Annotated[
        Show,
        described(
            "lines: every matching line; files: each file with its first matching line; "
            "counts: the same, with the number of matching lines as the score",
            flags=(
                Flag(
                    ("--files", "-f"), "show each file once, with its first matching line", "files"
                ),
                Flag(
                    ("--count", "-c"), "show each file with its number of matching lines", "counts"
                ),
            ),
        ),
    ] = "lines"
    no_ignore: Annotated[
        bool,
        described(
            "also search ignored files, and folders of tools and environments", "--no-ignore"
        ),
    ] = False

    def __post_init__(self) -> None:
        Query.__post_init__(self)
        if not self.pattern:
            raise SearchError("The pattern is empty. Give a text to find: codeintel grep PATTERN")
        if len(self.pattern) > MAX_PATTERN_CHARACTERS:
            raise SearchError(
                f"The pattern has {len(self.pattern):,} characters; "
                f"the maximum is {MAX_PATTERN_CHARACTERS:,}."
            )
        check_text(self.pattern, "The pattern")
        if self.case not in CASES:
            raise SearchError(f"Unknown case {self.case!r}. Known: {', '.join(CASES)}.")
        force_setattr(self, "limit", checked_limit(self.limit))
        if self.show not in SHOWS:
            raise SearchError(f"Unknown value {self.show!r} of show. Known: {', '.join(SHOWS)}.")
        if self.per_file is not None and (
            not isinstance(self.per_file, int)
            or isinstance(self.per_file, bool)
            or self.per_file < 1
        ):
            raise SearchError(
                f"The maximum lines per file is {self.per_file!r}; "
                "give a whole number of at least 1."
            )
        if not 0 <= self.context <= 100:
            raise SearchError(f"The context must be 0 to 100 lines, not {self.context}.")

    @property
    def by_line(self) -> bool:
        """Whether every matching line is a hit."""
        return self.show == "lines" and self.per_file is None


class SemanticQuery(Query, frozen=True, tag="semantic"):
    """A question in plain words, or the name of a symbol."""

    query: Annotated[
        str,
        described("what the code does, in plain words, or a symbol's name", is_positional=True),
    ]
    limit: Limit = 10
    mode: Annotated[
        Mode,
        described(
            "hybrid, dense (by meaning) or lexical (by words)", "--mode", "-m", metavar="MODE"
        ),
    ] = "hybrid"
    why: Annotated[bool, described("say what made up each score", "--why")] = False
    why_not: Annotated[
        str,
        described(
            "say why the lines at PATH:LINE are not the first hit", "--why-not", metavar="PATH:LINE"
        ),
    ] = ""

    def __post_init__(self) -> None:
        Query.__post_init__(self)
        if not self.query.strip():
            raise SearchError(
                "The query is empty. Describe the code to find: "
                "codeintel search where are retries counted"
            )
        if len(self.query) > MAX_QUERY_CHARACTERS:
            raise SearchError(
                f"The query has {len(self.query):,} characters; "
                f"the maximum is {MAX_QUERY_CHARACTERS:,}."
            )
        check_text(self.query, "The query")
        if self.mode not in MODES:
            raise SearchError(f"Unknown mode {self.mode!r}. Known: {', '.join(MODES)}.")
        force_setattr(self, "limit", checked_limit(self.limit, MAX_RANKED_CHUNKS))


class SymbolQuery(Query, frozen=True, tag="symbols"):
    """The name of a definition, or a glob: ``merge``, ``DataFrame.merge``, ``read_*``."""

    name: Annotated[
        str,
        described(
            "a definition's name or glob: read_csv, DataFrame.merge, read_*; "
            "if none matches, similar names are found",
            is_positional=True,
        ),
    ]
    limit: Limit = 20

    def __post_init__(self) -> None:
        Query.__post_init__(self)
        if not self.name.strip(" .:#"):
            raise SearchError(
                "The name is empty. Give a definition's name: "
                "codeintel symbols NAME, or a glob such as read_*"
            )
        if len(self.name) > MAX_NAME_CHARACTERS:
            raise SearchError(
                f"The name has {len(self.name):,} characters; "
                f"the maximum is {MAX_NAME_CHARACTERS:,}."
            )
        check_text(self.name, "The name")
        force_setattr(self, "limit", checked_limit(self.limit))

    @property
    def is_glob(self) -> bool:
        return any(mark in self.name for mark in "*?[")


class PathQuery(Query, frozen=True, tag="paths"):
    """All files in scope."""

    limit: Annotated[
        int | None, described("maximum paths; 0 for all", "--limit", "-n", metavar="N")
    ] = None

    def __post_init__(self) -> None:
        Query.__post_init__(self)
        if self.limit is not None:
            force_setattr(self, "limit", checked_limit(self.limit))


AnyQuery = TextQuery | SemanticQuery | SymbolQuery | PathQuery


def checked_limit(limit: int, most: int = MAX_HITS) -> int:
    """Return the limit, ``most`` for 0; SearchError if invalid."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= most:
        raise SearchError(
            f"The limit is {limit!r}; give a whole number from 1 to {most:,}, or 0 for all."
        )
    return limit or most


class Bounds(NamedTuple):
    """Deadline and cancellation of a search; it then returns partial results."""

    ends_at: float | None = None  # time.monotonic() seconds
    cancel: threading.Event | None = None

    @classmethod
    def within(cls, timeout_s: float | None, cancel: threading.Event | None) -> Bounds:
        """Return bounds that end after this many seconds."""
        if timeout_s is not None and not timeout_s > 0:
            raise SearchError(
                f"The time limit is {timeout_s!r}; give a positive number of seconds."
            )
        return cls(None if timeout_s is None else time.monotonic() + timeout_s, cancel)

    def reached(self) -> bool:
        return (self.cancel is not None and self.cancel.is_set()) or (
            self.ends_at is not None and time.monotonic() >= self.ends_at
        )

    def reason(self) -> Literal["cancelled", "time"]:
        """Return the reason for ending a search by these bounds."""
        return "cancelled" if self.cancel is not None and self.cancel.is_set() else "time"

    def left_s(self) -> float | None:
        """Return the seconds left, above 0; None without a limit."""
        return None if self.ends_at is None else max(1e-6, self.ends_at - time.monotonic())
