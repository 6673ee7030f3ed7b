"""Registry of scopes in memory: approximate LRU with lock-free reads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from .scope import Scope
from .session import check_name

MAX_AGE_S = 3600.0
MAX_SESSIONS = 10_000
_REMEMBERED_EXPIRIES = 100_000


class RegistryMetrics(msgspec.Struct, frozen=True):
    """Counts since the registry's creation."""

    hits: int
    misses: int
    sets: int
    expiries: int
    evictions: int
    sessions: int


class _Entry:
    __slots__ = ("pinned", "scope", "used_at")

    def __init__(self, scope: Scope, used_at: float, pinned: bool) -> None:
        self.scope = scope
        self.used_at = used_at
        self.pinned = pinned


class MemoryRegistry:
    """Scopes by session id for one process.

    Reads, and writes to an existing session, take no lock: a dictionary look-up and a load or store
    of a field are each atomic, so a reader sees the old scope or the new one. A thread that drops a
    session removes it first, and puts it back if it was used meanwhile. A thread that misses it
    looks again under the lock. Evictions go in batches, oldest use first.

    Parameters
    ----------
    max_sessions : maximum sessions; pinned ones (live kernels) are never evicted and may exceed it.
    max_age_s : seconds since the last access after which a session's scope expires.
    prune_interval_s : seconds between background sweeps; None for no background thread.
    clock : monotonic seconds; tests pass their own.
    """

    def __init__(
        self,
        max_sessions: int = MAX_SESSIONS,
        max_age_s: float = MAX_AGE_S,
        prune_interval_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_sessions = max_sessions
        self.max_age_s = max_age_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        # sessions to notify once that their scope is lost, oldest first
        self._expired: dict[str, None] = {}
        self._lock = threading.Lock()
        # exact with a GIL, else nearly so
        self._hits = self._misses = self._sets = 0
        self._expiries = self._evictions = 0
        self._closed = threading.Event()
        if prune_interval_s is not None:
            threading.Thread(
                target=self._prune_forever,
                args=(prune_interval_s,),
                name="codeintel-prune",
                daemon=True,
            ).start()

    def get(self, session_id: str) -> Scope | None:
        """Return the session's scope, or None; the access keeps it alive."""
        try:
            entry = self._entries[session_id]
        except KeyError:
            existing = self._find(session_id)
            if existing is None:
                self._misses += 1
                return None
            entry = existing
        now = self._clock()
        if (
            now - entry.used_at > self.max_age_s
            and not entry.pinned
            and self._expire(session_id, entry, now - self.max_age_s)
        ):
            self._misses += 1
            return None
        entry.used_at = now
        self._hits += 1
        return entry.scope

    def _find(self, session_id: str) -> _Entry | None:
        """Look again, under the lock, for an entry put back."""
        with self._lock:
            return self._entries.get(session_id)

    def set(self, session_id: str, scope: Scope) -> None:
        """Set the session's scope; a surplus of sessions is evicted."""
        self._sets += 1
        try:
            entry = self._entries[session_id]
            entry.scope = scope
            entry.used_at = self._clock()
            if self._entries[session_id] is entry:
                return
        except KeyError:
            pass
        with self._lock:
            again = self._entries.get(session_id)
            if again is not None:
                again.scope = scope
                again.used_at = self._clock()
                return
            check_name(session_id)
            self._entries[session_id] = _Entry(scope, self._clock(), False)
            self._expired.pop(session_id, None)
            if len(self._entries) > self.max_sessions:
                self._evict()

    def clear(self, session_id: str) -> bool:
        """Remove the session's scope, even pinned; return whether it existed."""
        with self._lock:
            self._expired.pop(session_id, None)
            return self._entries.pop(session_id, None) is not None

    def pin(self, session_id: str, pinned: bool = True) -> None:
        """Mark a session with a scope as a live kernel's.

        It neither expires nor is evicted until it is cleared.
        """
        if entry := self._entries.get(session_id):
            entry.pinned = pinned

    def take_expired(self, session_id: str) -> bool:
        """Whether the session's scope has newly expired or been evicted.

        Each loss is reported once.
        """
        if session_id in self._expired:
            return self._expired.pop(session_id, self) is None
        return False

    def prune_expired(self, max_age_s: float | None = None) -> int:
        """Drop sessions unused for ``max_age_s`` seconds; return their number."""
        limit = self._clock() - (self.max_age_s if max_age_s is None else max_age_s)
        stale = [
            (key, entry)
            for key, entry in self._entries.copy().items()
            if entry.used_at < limit and not entry.pinned
        ]
        return sum(self._expire(key, entry, limit) for key, entry in stale)

    def session_count(self) -> int:
        return len(self._entries)

    def snapshot(self) -> dict[str, Scope]:
        """Return every session's scope now; the access keeps none alive."""
        return {key: entry.scope for key, entry in self._entries.copy().items()}

    def metrics(self) -> RegistryMetrics:
        return RegistryMetrics(
            self._hits,
            self._misses,
            self._sets,
            self._expiries,
            self._evictions,
            len(self._entries),
        )

    def close(self) -> None:
        """Stop the background sweep; the scopes stay readable."""
        self._closed.set()

    def _expire(self, session_id: str, entry: _Entry, limit: float) -> bool:
        """Drop an entry, unless another thread renewed or dropped it meanwhile."""
        with self._lock:
            if self._entries.get(session_id) is not entry or not self._drop(
                session_id, entry, limit
            ):
                return False
            self._expiries += 1
            return True

    def _drop(self, session_id: str, entry: _Entry, limit: float) -> bool:
        """Remove an entry unless pinned or used since ``limit``.

        The caller holds the lock.
        """
        del self._entries[session_id]
        if entry.used_at >= limit or entry.pinned:  # by a thread with the entry from before
            self._entries[session_id] = entry
            return False
        self._expired[session_id] = None
        while len(self._expired) > _REMEMBERED_EXPIRIES:
            self._expired.pop(next(iter(self._expired)), None)
        return True

    def _evict(self) -> None:
        """Evict the surplus and a batch more, to sort rarely.

        The caller holds the lock.
        """
        batch = len(self._entries) - self.max_sessions + self.max_sessions // 32
        # copied, as other threads go on
        unpinned = sorted(
            (entry.used_at, key) for key, entry in self._entries.copy().items() if not entry.pinned
        )
        # never the newest, which was just set
        for used_at, key in unpinned[: min(batch, max(0, len(unpinned) - 1))]:
            self._evictions += self._drop(
                key, self._entries[key], math.nextafter(used_at, math.inf)
            )

    def _prune_forever(self, interval_s: float) -> None:
        while not self._closed.wait(interval_s):
            self.prune_expired()


class ScopeRegistry(Protocol):
    """Registry behind the async faces."""

    async def get(self, session_id: str) -> Scope | None: ...
    async def set(self, session_id: str, scope: Scope) -> None: ...
    async def clear(self, session_id: str) -> bool: ...
    async def take_expired(self, session_id: str) -> bool: ...
    async def pin(self, session_id: str, pinned: bool = True) -> None: ...
    async def prune_expired(self, max_age_s: float | None = None) -> int: ...
    async def session_count(self) -> int: ...
    async def snapshot(self) -> dict[str, Scope]: ...
    async def metrics(self) -> RegistryMetrics: ...
    async def close(self) -> None: ...

    def state(self) -> str:
        """Describe the place of the scopes and its state, for people."""
        ...

    def is_away(self) -> bool:
        """Whether scopes can neither be set nor shared now."""
        ...


class AsyncMemoryRegistry:
    """MemoryRegistry with the async protocol; no call waits."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self.registry = registry

    async def get(self, session_id: str) -> Scope | None:
        return self.registry.get(session_id)

    async def set(self, session_id: str, scope: Scope) -> None:
        self.registry.set(session_id, scope)

    async def clear(self, session_id: str) -> bool:
        return self.registry.clear(session_id)

    async def take_expired(self, session_id: str) -> bool:
        return self.registry.take_expired(session_id)

    async def pin(self, session_id: str, pinned: bool = True) -> None:
        self.registry.pin(session_id, pinned)

    async def prune_expired(self, max_age_s: float | None = None) -> int:
        return self.registry.prune_expired(max_age_s)

    async def session_count(self) -> int:
        return self.registry.session_count()

    async def snapshot(self) -> dict[str, Scope]:
        return self.registry.snapshot()

    async def metrics(self) -> RegistryMetrics:
        return self.registry.metrics()

    async def close(self) -> None:
        self.registry.close()

    def state(self) -> str:
        return "this process's memory"

    def is_away(self) -> bool:
        return False
