"""Every error that codeintel-nb raises on purpose.

CodeIntelError
├── ScopeError      a scope names something that is not there, or cannot be read
│   └── SessionError    a session id was asked for outside of any session (also a RuntimeError)
├── SourceError     a repository, package or file cannot be read
├── ShardError      stored parts are missing, corrupt, of another format, or cannot be written
├── SearchError     a query cannot be understood
├── EngineError     the work itself failed: a killed child, a lost worker
│   └── IndexingCancelled   an indexing run was cancelled; finished work is kept
└── MissingExtra    an optional part is not installed

A message says what happened, to what, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CodeIntelError(Exception):
    """Base of the tree: catch this to catch them all."""


class ScopeError(CodeIntelError):
    """A scope names something that is not there, or cannot be read."""


class SessionError(ScopeError, RuntimeError):
    """A session id was asked for outside of any session."""


class SourceError(CodeIntelError):
    """A repository, package or file cannot be read."""


class ShardError(CodeIntelError):
    """Stored parts are missing, corrupt, of another format, or cannot be written."""


class SearchError(CodeIntelError):
    """A query cannot be understood."""


class EngineError(CodeIntelError):
    """The work itself failed: a killed child, a lost worker."""


class IndexingCancelled(EngineError):
    """An indexing run was cancelled; finished work is kept."""


class MissingExtra(CodeIntelError):
    """An optional part is not installed."""

    def __init__(self, extra: str, needed_by: str) -> None:
        super().__init__(f"{needed_by} needs an optional part: pip install 'codeintel-nb[{extra}]'")


def named_error(name: str, message: str) -> CodeIntelError:
    """Return an error by its class name, as another process reported it; an EngineError if the class is unknown."""
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, CodeIntelError)):
        kind = EngineError
    error: CodeIntelError = kind.__new__(kind)
    Exception.__init__(error, message)  # MissingExtra makes its own text of other arguments
    return error


def check_text(text: str, what: str) -> str:
    """Return the text; CodeIntelError if it cannot be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CodeIntelError(f"{what} {text!a} is not valid UTF-8. Use valid UTF-8 text.") from None
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, else the first few."""
    names = sorted(known)
    if near := difflib.get_close_matches(name, names, n=1, cutoff=0.6 if len(name) > 3 else 0.5):
        return f" Did you mean {near[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:8])
    return f" Known: {shown}{', ...' if len(names) > 8 else ''}."
