"""Session id of the current call, in a context variable."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..errors import ScopeError, SessionError

_session_id: ContextVar[str] = ContextVar("codeintel_session_id")
_VALID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_VALID_NAME = re.compile(r"[A-Za-z0-9._-]{1,192}")


def get_session_id() -> str:
    """Return the current call's session id; SessionError outside of a session."""
    try:
        return _session_id.get()
    except LookupError:
        raise SessionError(
            "No session is set. Wrap the call in scopes.session.session_context(id). "
            "Over HTTP and MCP, check that the middleware that reads X-Session-ID is installed "
            "(mcp_server/server.py, SessionMiddleware)."
        ) from None


def check_session_id(session_id: str) -> str:
    """Return the id; ScopeError unless 1 to 128 of ``[A-Za-z0-9._-]``."""
    if not _VALID.fullmatch(session_id):
        raise ScopeError(
            f"The session id {session_id[:140]!r} is invalid. "
            "Use 1 to 128 of the characters A-Z a-z 0-9 . _ -"
        )
    return session_id


def check_name(name: str) -> str:
    """Return a registry name (id, perhaps prefixed); ScopeError if invalid."""
    if not _VALID_NAME.fullmatch(name):
        raise ScopeError(
            f"The session id {name[:140]!r} is invalid. "
            "Use 1 to 128 of the characters A-Z a-z 0-9 . _ -"
        )
    return name


def new_session_id() -> str:
    return str(uuid.uuid4())


@contextmanager
def session_context(session_id: str) -> Iterator[str]:
    """Run the block in the session, then restore the outer."""
    token = _session_id.set(check_session_id(session_id))
    try:
        yield session_id
    finally:
        _session_id.reset(token)
