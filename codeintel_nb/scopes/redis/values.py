"""Scopes as stored and as cached, and watches for changes."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from ..scope import Scope, scope_from_wire

STALE = -1  # epoch of a value that another server has touched


class Payload(msgspec.Struct):
    """Cached value of a session."""

    scope: msgspec.Raw
    at: int  # version: time of the write, in nanoseconds since 1970


class CachedScope:
    """Cached value of a session, with or without a scope.

    A value that another server has touched since is stale: it is read again, and used only while
    Redis is away. It may be outdated, so it is never restored to Redis.
    """

    __slots__ = ("at", "epoch", "raw", "read_at", "scope", "used_at")

    def __init__(self, scope: Scope | None, at: int, raw: bytes, now: float, epoch: int) -> None:
        self.scope = scope
        self.at = at
        self.raw = raw
        self.read_at = self.used_at = now
        self.epoch = epoch  # valid while it equals the registry's


class Change:
    """Watch for changes of a session's scope by others.

    ``seen`` tells whether there was one between creation and ``over``.
    """

    __slots__ = ("_session_id", "_waiting", "seen")

    def __init__(self, waiting: dict[str, list[Change]], session_id: str) -> None:
        self.seen = False
        self._waiting, self._session_id = waiting, session_id
        waiting.setdefault(session_id, []).append(self)

    def over(self) -> None:
        changes = self._waiting[self._session_id]
        changes.remove(self)
        if not changes:
            del self._waiting[self._session_id]

    def __enter__(self) -> Change:
        return self

    def __exit__(self, *error: object) -> None:
        self.over()


@lru_cache(1024)
def scope_of(raw: bytes) -> Scope:
    """Decode a stored scope; cached, as many sessions share one."""
    return scope_from_wire(msgspec.json.decode(raw)).interned()
