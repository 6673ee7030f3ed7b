"""Session to scope, in memory: bounded (approximate LRU), sliding expiry, reads without a lock."""

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
    """Counts since the registry was made."""

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

    Neither a read nor a write to a session that is there takes a lock: a dictionary look-up and a load or store of a
    field are each atomic, so a reader sees the old scope or the new one. Who drops a session takes it out first and looks
    then whether it was used meanwhile, in which case it is put back; who finds it out looks again under the lock.
    Evictions go in batches, oldest use first.

    Parameters
    ----------
    max_sessions : most sessions kept; pinned ones (live kernels) are never evicted and may exceed it.
    max_age_s : seconds since the last access after which a session's scope expires.
    prune_interval_s : seconds between background sweeps; None for no background thread.
    clock : monotonic seconds; passed in by tests.
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
        self._expired: dict[
            str, None
        ] = {}  # sessions to tell once that their scope is gone, oldest first
        self._lock = threading.Lock()
        self._hits = self._misses = self._sets = (
            0  # exact where threads share one interpreter lock, else nearly so
        )
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
        """The session's scope, kept alive by this access; None when it has none."""
        try:
            entry = self._entries[session_id]
        except KeyError:
            found = self._find(session_id)
            if found is None:
                self._misses += 1
                return None
            entry = found
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
        """The entry after all, if it was out for a moment only."""
        with self._lock:
            return self._entries.get(session_id)

    def set(self, session_id: str, scope: Scope) -> None:
        """Give the session a scope; another session is evicted when there are too many."""
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
        """Forget the session, pinned or not; whether it had a scope."""
        with self._lock:
            self._expired.pop(session_id, None)
            return self._entries.pop(session_id, None) is not None

    def pin(self, session_id: str, pinned: bool = True) -> None:
        """Mark a session with a scope as a live kernel's: neither age nor number drops it until it is cleared."""
        if entry := self._entries.get(session_id):
            entry.pinned = pinned

    def take_expired(self, session_id: str) -> bool:
        """Whether the session's scope was dropped for age or number since it was last asked: true once a loss."""
        if session_id in self._expired:
            return self._expired.pop(session_id, self) is None
        return False

    def prune_expired(self, max_age_s: float | None = None) -> int:
        """Drop every session unused for longer than ``max_age_s`` seconds; how many there were."""
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
        """Every session's scope at this moment; reading them here keeps none alive."""
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
        """Take an entry out for good if it was not used since ``limit``. The lock is held."""
        del self._entries[session_id]
        if entry.used_at >= limit or entry.pinned:  # by one who had found it before it was out
            self._entries[session_id] = entry
            return False
        self._expired[session_id] = None
        while len(self._expired) > _REMEMBERED_EXPIRIES:
            self._expired.pop(next(iter(self._expired)), None)
        return True

    def _evict(self) -> None:
        """Drop the surplus and a batch more, so that the sort is paid for once in many writes. The lock is held."""
        batch = len(self._entries) - self.max_sessions + self.max_sessions // 32
        loose = sorted(
            (entry.used_at, key) for key, entry in self._entries.copy().items() if not entry.pinned
        )  # a copy: others go on setting
        for used_at, key in loose[
            : min(batch, max(0, len(loose) - 1))
        ]:  # never the one that was just set
            self._evictions += self._drop(
                key, self._entries[key], math.nextafter(used_at, math.inf)
            )

    def _prune_forever(self, interval_s: float) -> None:
        while not self._closed.wait(interval_s):
            self.prune_expired()


class ScopeRegistry(Protocol):
    """What async faces speak to, whichever registry stands behind."""

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
        """Where the scopes are, and how it is with that, for a person."""
        ...

    def is_away(self) -> bool:
        """Whether scopes can neither be set nor shared now."""
        ...


class AsyncMemoryRegistry:
    """A MemoryRegistry behind the async protocol; nothing in it waits."""

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


def open_registry(
    url: str,
    max_sessions: int = MAX_SESSIONS,
    max_age_s: float = MAX_AGE_S,
    prune_interval_s: float | None = None,
    prefix: str = "codeintel:",
) -> ScopeRegistry:
    """The registry at a URL: ``memory://``, or Redis as ``redis_link.make_client`` reads it; ScopeError where it is neither.

    ``prefix`` is that of all keys in Redis.
    """
    if url == "memory://":
        return AsyncMemoryRegistry(MemoryRegistry(max_sessions, max_age_s, prune_interval_s))
    from .redis_registry import RedisRegistry

    return RedisRegistry(
        url,
        prefix,
        max_sessions=max_sessions,
        max_age_s=max_age_s,
        l1_size=max_sessions,
        prune_interval_s=prune_interval_s,
    )
