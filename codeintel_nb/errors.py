"""Errors raised on purpose by codeintel-nb.

CodeIntelError
├── ScopeError      unknown name in a scope, or unreadable scope
│   └── SessionError    session id requested outside of any session (also a RuntimeError)
├── SourceError     unreadable repository, package or file
├── ShardError      stored parts missing, corrupt, of another format, or not writable
├── SearchError     query that cannot be understood
├── EngineError     failure of the work itself: a killed child, a lost worker
│   ├── IndexingCancelled   cancelled indexing run; finished work is kept
│   ├── EmbeddingError      embedding endpoint unavailable or misconfigured
│   └── BucketError         object storage unavailable or misconfigured
└── MissingExtra    optional part not installed

A message says what happened, to what, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CodeIntelError(Exception):
    """Base of the tree: catch it to catch all errors."""


class ScopeError(CodeIntelError):
    """Unknown name in a scope, or unreadable scope."""


class SessionError(ScopeError, RuntimeError):
    """Session id requested outside of any session."""


class SourceError(CodeIntelError):
    """Unreadable repository, package or file."""


class ShardError(CodeIntelError):
    """Stored parts missing, corrupt, of another format, or not writable."""


class SearchError(CodeIntelError):
    """Query that cannot be understood."""


class EngineError(CodeIntelError):
    """Failure of the work itself: a killed child, a lost worker."""


class IndexingCancelled(EngineError):
    """Cancelled indexing run; finished work is kept."""


class EmbeddingError(EngineError):
    """Embedding endpoint unavailable or misconfigured."""


class BucketError(EngineError):
    """Object storage unavailable or misconfigured."""


class MissingExtra(CodeIntelError):
    """Optional part not installed."""

    def __init__(self, extra: str, needed_by: str) -> None:
        super().__init__(
            f"{needed_by} requires an optional dependency. Run: pip install 'codeintel-nb[{extra}]'"
        )


def named_error(name: str, message: str) -> CodeIntelError:
    """Return an error by class name; EngineError if unknown.

    For an error reported by another process.
    """
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, CodeIntelError)):
        kind = EngineError
    error: CodeIntelError = kind.__new__(kind)
    Exception.__init__(error, message)  # not __init__: MissingExtra's takes other arguments
    return error


def check_text(text: str, what: str) -> str:
    """Return the text; CodeIntelError if it cannot be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CodeIntelError(f"{what} {text!a} is not valid UTF-8. Use valid UTF-8 text.") from None
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return advice: the nearest known name, else the first few."""
    names = sorted(known)
    if near := difflib.get_close_matches(name, names, n=1, cutoff=0.6 if len(name) > 3 else 0.5):
        return f" Did you mean {near[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:8])
    return f" Known: {shown}{', ...' if len(names) > 8 else ''}."
