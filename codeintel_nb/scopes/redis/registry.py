"""Registry of scopes shared by servers: Redis behind a cache.

The keys in Redis, below a prefix, are ``scope:ID`` (the scope, expiring with its session),
``had:ID`` (a mark of having had one, which outlives it) and ``used`` (sessions by their last use).

Redis notifies this process of changes by others (``CLIENT TRACKING``, broadcast by prefix, without
this process's own changes). A value that changes during a read is read again. While the
connections for this are down, reads return the last known scope and writes fail. After
reconnecting, cached values are compared with Redis, and the newer of two wins. So a Redis without
its last writes gets them again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ...errors import EngineError, ScopeError
from ..registry import MAX_AGE_S, MAX_SESSIONS, RegistryMetrics
from ..scope import Scope
from ..session import check_name
from .cache import MAX_PAYLOAD, UNTRACKED_S, lost_errors
from .client import Command
from .sessions import RedisSessions
from .values import CachedScope, Change, Payload

PREFIX = "codeintel:"
REREADS = 5  # maximum reads of a value that changes meanwhile


class RedisMetrics(RegistryMetrics, frozen=True):
    """Counts since the registry's creation; a hit is of either level."""

    l1_hits: int
    l2_hits: int
    l1_rate: float  # l1 hits per read
    invalidations: int
    flushes: int  # invalidations of the whole cache, by loss of the tracking connection
    restored: int  # values written again, after Redis had lost them
    failures: int  # failed calls of Redis
    state: str


class _NotAskedError(EngineError):
    """Cancellation of the task fetching on behalf of all waiters."""


class _Asked(NamedTuple):
    """Pending read of a session."""

    change: Change
    epoch: int
    is_due: bool  # whether to report the session's use to Redis
    renews: bool  # whether the read also extends the scope's expiry
    answer: Awaitable[Any]


class RedisRegistry(RedisSessions):
    """ScopeRegistry shared by many servers, used from one event loop.

    Parameters
    ----------
    url : address of Redis 6 or newer, as ``make_client`` in client.py reads it.
    prefix : of all keys, so that several installations may share one Redis.
    max_sessions : maximum sessions in Redis; the least recently used are evicted first, those of
        live kernels never.
    max_age_s : seconds since the last use after which a scope expires, to within a fiftieth of it.
    l1_size : maximum sessions in this process's cache.
    prune_interval_s : seconds between sweeps of expired sessions; None for no sweeps.
    clock : seconds since 1970.
    """

    def __init__(
        self,
        url: str,
        prefix: str = PREFIX,
        max_sessions: int = MAX_SESSIONS,
        max_age_s: float = MAX_AGE_S,
        l1_size: int = MAX_SESSIONS,
        prune_interval_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(url, prefix, max_age_s, l1_size, clock, max_sessions, prune_interval_s)
        self._has_getex = True  # since Redis 6.2; without it, the expiry is set after the read
        self._l1_hits = self._l2_hits = self._misses = self._sets = 0

    # reads

    async def get(self, session_id: str) -> Scope | None:
        """Return the session's scope, or None; the access keeps it alive.

        Raises
        ------
        EngineError : Redis is away, and this process has not cached the session.
        """
        cached = self._l1.get(session_id)
        if cached is not None and cached.epoch == self._epoch and self._tracking is not None:
            now = self._clock()
            if now - cached.used_at <= self.max_age_s and (
                self._tracking or now - cached.read_at <= UNTRACKED_S
            ):
                cached.used_at = now
                self._l1.move_to_end(session_id)
                if cached.scope is None:
                    self._misses += 1
                    return None
                self._l1_hits += 1
                if now - self._renewed.get(session_id, 0.0) > self._step_s:
                    self._renew(session_id)
                return cached.scope
        if cached is not None and self._tracking is None and not self._is_old(session_id, cached):
            current = cached  # the last known value: no read waits for a connection
        else:
            current = await self._asked(session_id)
        current.used_at = self._clock()
        if current.scope is None:
            self._misses += 1
        else:
            self._l2_hits += 1
        return current.scope

    async def _asked(self, session_id: str) -> CachedScope:
        """Return a session's value from Redis, else from the cache."""
        try:
            return await self._fetch_once(session_id)
        except EngineError:
            cached = self._l1.get(session_id)
            if cached is not None and not self._is_old(session_id, cached):
                return cached
            if self._met.is_set():
                raise
        return await self._fetch_once(session_id)  # the connection was lost meanwhile: use the next

    async def _fetch_once(self, session_id: str) -> CachedScope:
        """Fetch a session's value, coalescing concurrent callers (single flight).

        Cancelling one caller does not cancel the fetch.
        """
        waiters = self._fetches.get(session_id)
        mine: asyncio.Future[CachedScope] = asyncio.get_running_loop().create_future()
        if waiters is not None:
            waiters.append(mine)
            try:
                return await mine
            except _NotAskedError:
                return await self._fetch_once(session_id)
        waiters = self._fetches[session_id] = [mine]
        try:
            request = await self._sent(session_id)
        except BaseException as error:
            self._resolve_waiters(
                session_id,
                waiters,
                None,
                error if isinstance(error, EngineError) else _NotAskedError(),
            )
            raise
        self._task(self._fetch(session_id, waiters, request))  # Redis is already working on it
        return await mine

    async def _sent(self, session_id: str) -> _Asked:
        """Send a read of a session's value to Redis."""
        key, epoch = self._key(session_id), self._epoch
        renews = self._clock() - self._renewed.get(session_id, 0.0) > self._step_s
        command: Command = (
            ("GETEX", key, "PX", self._ttl_ms(session_id))
            if renews and self._has_getex
            else ("GET", key)
        )
        change = Change(self._waiting, session_id)
        try:
            return _Asked(
                change, epoch, renews, command[0] == "GETEX", (await self._send([command]))[0]
            )
        except BaseException:
            change.over()
            raise

    async def _fetch(
        self, session_id: str, waiters: list[asyncio.Future[CachedScope]], request: _Asked
    ) -> None:
        value, failure = None, None
        try:
            for left in reversed(range(REREADS)):
                try:
                    reply = await request.answer
                except lost_errors() as error:
                    raise self._failed(error) from error
                finally:
                    request.change.over()
                if (
                    request.renews
                    and isinstance(reply, Exception)
                    and "unknown command" in str(reply)
                ):
                    self._has_getex = False
                    request = await self._sent(session_id)
                    continue
                raw = self._value(reply, session_id)
                if request.renews:
                    self._told(session_id)
                if request.is_due and raw is not None:
                    self._renew(session_id)
                if not request.change.seen or not left:
                    break
                request = await self._sent(session_id)
            value = self._read(session_id, raw)
            value.epoch = request.epoch
            if not request.change.seen:
                self._keep(session_id, value)
        except EngineError as error:
            failure = error
        finally:
            self._resolve_waiters(
                session_id, waiters, value, failure or self._away("the registry was closed")
            )

    def _resolve_waiters(
        self,
        session_id: str,
        waiters: list[asyncio.Future[CachedScope]],
        value: CachedScope | None,
        failure: EngineError,
    ) -> None:
        if self._fetches.get(session_id) is waiters:
            del self._fetches[session_id]
        for waiter in waiters:
            if not waiter.done():
                if value is not None:
                    waiter.set_result(value)
                else:
                    waiter.set_exception(failure)
                    waiter.exception()  # marks it as retrieved: the first caller may have raised it

    # writes

    async def set(self, session_id: str, scope: Scope) -> None:
        """Set the session's scope, in Redis first; evict surplus sessions.

        Raises
        ------
        ScopeError : the session id is invalid, or the scope too large.
        EngineError : Redis is away; the previous scope still applies.
        """
        check_name(session_id)
        cached = self._l1.get(session_id)
        at = max(time.time_ns(), cached.at + 1 if cached is not None else 0)
        raw = msgspec.json.encode(Payload(msgspec.Raw(msgspec.json.encode(scope)), at))
        if len(raw) > MAX_PAYLOAD:
            raise ScopeError(
                f"The scope takes {len(raw):,} bytes; the maximum is {MAX_PAYLOAD:,}. "
                "Use globs in place of long lists."
            )
        now, epoch = self._clock(), self._epoch
        with self._writing(session_id) as change:
            try:
                *_, sessions = await self._ask(
                    [*self._writes(session_id, raw, now), ("ZCARD", self._used)]
                )
            except EngineError as error:
                raise EngineError(f"The scope was not set: {error}") from error.__cause__
        self._sets += 1
        self._told(session_id)
        if not change.seen:
            self._keep(session_id, CachedScope(scope.interned(), at, raw, now, epoch))
        else:
            self._l1.pop(session_id, None)
        if sessions > self.max_sessions:
            with suppress(EngineError):  # the scope is set; the next one evicts
                await self._evict(session_id)

    async def clear(self, session_id: str) -> bool:
        """Remove the session's scope, even pinned; return whether it existed.

        Raises
        ------
        EngineError : Redis is away.
        """
        self._pinned.discard(session_id)
        epoch = self._epoch
        with self._writing(session_id) as change:
            try:
                had, *_ = await self._ask(
                    [
                        ("UNLINK", self._key(session_id)),
                        ("ZREM", self._used, session_id),
                        ("UNLINK", self._had(session_id)),
                    ]
                )
            except EngineError as error:
                raise EngineError(f"The scope was not cleared: {error}") from error.__cause__
        if not change.seen:
            self._keep(session_id, CachedScope(None, time.time_ns(), b"", self._clock(), epoch))
        else:
            self._l1.pop(session_id, None)
        return bool(had)

    async def pin(self, session_id: str, pinned: bool = True) -> None:
        """Mark a session as a live kernel's of this server.

        It neither expires nor is evicted until it is cleared.
        """
        if pinned:
            self._pinned.add(session_id)
        else:
            self._pinned.discard(session_id)
        await self._tell_pinned([session_id])

    async def take_expired(self, session_id: str) -> bool:
        """Whether the session's scope has newly expired or been evicted.

        Each loss is reported once, by whichever server is called first.
        """
        cached = self._l1.get(session_id)
        if (
            cached is not None
            and cached.scope is None
            and cached.at
            and cached.epoch == self._epoch
            and self._tracking
        ):
            return False  # cleared, or checked before
        replies = await self._quietly(
            [("EXISTS", self._key(session_id)), ("EXISTS", self._had(session_id))]
        )
        if replies is None:
            return False  # Redis is away: a loss is reported when it is back
        if cached is not None and cached.scope is None and self._l1.get(session_id) is cached:
            cached.at = time.time_ns()
        if replies != [0, 1]:
            return False
        counts = await self._quietly(
            [("UNLINK", self._had(session_id)), ("ZREM", self._used, session_id)]
        ) or [0, 0]
        self._expiries += counts[1]
        return bool(counts[0])

    async def metrics(self) -> RedisMetrics:
        await self.session_count()
        hits = self._l1_hits + self._l2_hits
        rate = self._l1_hits / (hits + self._misses) if hits else 0.0
        return RedisMetrics(
            hits, self._misses, self._sets, self._expiries, self._evictions, self._sessions,
            self._l1_hits, self._l2_hits, round(rate, 4),
            self._invalidations, self._flushes, self._restored, self._failures, self.state(),
        )  # fmt: skip
