"""Queries as values, and the bounds they run under."""

from __future__ import annotations

import threading
import time
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import force_setattr

from ..errors import SearchError, check_text

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


class TextQuery(msgspec.Struct, frozen=True, tag="text"):
    """A pattern to find in lines of text."""

    pattern: str
    regex: bool = False
    case: Case = "smart"
    word: bool = False  # only without a word character before or after it
    limit: int = DEFAULT_HITS
    context: int = 0  # lines shown before and after a match
    per_file: int | None = None  # maximum lines of one file
    rank: bool = False  # definitions and files with many matches first, instead of path order
    # a hit for each line, for each file with its first line, or for each file with its line count
    show: Show = "lines"
    no_ignore: bool = False  # also ignored files, and files in folders of tools and environments

    def __post_init__(self) -> None:
        if not self.pattern:
            raise SearchError("The pattern is empty. Say what to look for: codeintel grep PATTERN")
        if len(self.pattern) > MAX_PATTERN_CHARACTERS:
            raise SearchError(
                f"The pattern has {len(self.pattern):,} characters; "
                f"the maximum is {MAX_PATTERN_CHARACTERS:,}."
            )
        check_text(self.pattern, "The pattern")
        if self.case not in CASES:
            raise SearchError(f"There is no case {self.case!r}. Known: {', '.join(CASES)}.")
        force_setattr(self, "limit", checked_limit(self.limit))
        if self.show not in SHOWS:
            raise SearchError(
                f"There is no way {self.show!r} to show matches. Known: {', '.join(SHOWS)}."
            )
        if self.per_file is not None and (
            not isinstance(self.per_file, int)
            or isinstance(self.per_file, bool)
            or self.per_file < 1
        ):
            raise SearchError(
                f"The most lines of a file is {self.per_file!r}; give a whole number from 1."
            )
        if not 0 <= self.context <= 100:
            raise SearchError(f"The context is {self.context} lines; give 0 to 100.")

    @property
    def by_line(self) -> bool:
        """Whether every matching line is a hit."""
        return self.show == "lines" and self.per_file is None


class SemanticQuery(msgspec.Struct, frozen=True, tag="semantic"):
    """A question in plain words, or the name of a symbol."""

    text: str
    limit: int = 10
    mode: Mode = "hybrid"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SearchError(
                "The question is empty. Say what to look for: "
                "codeintel search where are retries counted"
            )
        if len(self.text) > MAX_QUERY_CHARACTERS:
            raise SearchError(
                f"The question has {len(self.text):,} characters; "
                f"the maximum is {MAX_QUERY_CHARACTERS:,}."
            )
        check_text(self.text, "The question")
        if self.mode not in MODES:
            raise SearchError(f"There is no mode {self.mode!r}. Known: {', '.join(MODES)}.")
        force_setattr(self, "limit", checked_limit(self.limit, MAX_RANKED_CHUNKS))


class SymbolQuery(msgspec.Struct, frozen=True, tag="symbols"):
    """The name of a definition, or a glob: ``merge``, ``DataFrame.merge``, ``read_*``."""

    name: str  # with or without its containers
    limit: int = 20

    def __post_init__(self) -> None:
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


class PathQuery(msgspec.Struct, frozen=True, tag="paths"):
    """All files in scope."""

    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None:
            force_setattr(self, "limit", checked_limit(self.limit))


def checked_limit(limit: int, most: int = MAX_HITS) -> int:
    """Return the limit, or ``most`` for 0; raise SearchError unless it is from 0 to ``most``."""
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
    def within(cls, deadline: float | None, cancel: threading.Event | None) -> Bounds:
        """Return bounds with a deadline in seconds from now."""
        if deadline is not None and not deadline > 0:
            raise SearchError(f"The deadline is {deadline!r}; give a positive number of seconds.")
        return cls(None if deadline is None else time.monotonic() + deadline, cancel)

    def reached(self) -> bool:
        return (self.cancel is not None and self.cancel.is_set()) or (
            self.ends_at is not None and time.monotonic() >= self.ends_at
        )

    def reason(self) -> Literal["cancelled", "time"]:
        """Return the reason for ending a search by these bounds."""
        return "cancelled" if self.cancel is not None and self.cancel.is_set() else "time"

    def left_s(self) -> float | None:
        return None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())
