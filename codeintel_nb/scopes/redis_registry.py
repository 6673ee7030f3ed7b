"""Session to scope for many servers: this process's memory in front of Redis.

Redis holds, below a prefix, ``scope:ID`` (the scope, expiring with its session), ``had:ID`` (that there was one, which
outlives it) and ``used`` (sessions by their last use). This process keeps what it read, and Redis says which of it
others changed (``CLIENT TRACKING``, broadcast by prefix, without the changes of this process); what was read before a
change was heard of is read again. While the connections that this needs are down, the last known scope answers and nothing
can be set. When they are back, what is known is compared with Redis: of two values the newer one counts, so that a Redis
that comes back without its last writes is given them again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ..errors import EngineError, ScopeError
from .redis_link import Command
from .redis_memory import (
    BATCH,
    MOST_PAYLOAD,
    UNTRACKED_S,
    Change,
    Kept,
    Payload,
    RedisMemory,
    lost_errors,
)
from .registry import MAX_AGE_S, MAX_SESSIONS, RegistryMetrics
from .scope import Scope
from .session import check_name

PREFIX = "codeintel:"
REREADS = 5  # of a value that changed while it was read


class RedisMetrics(RegistryMetrics, frozen=True):
    """Counts since the registry was made; a hit is of either level."""

    l1_hits: int
    l2_hits: int
    l1_rate: float  # of all reads
    invalidations: int
    flushes: int  # of all that was kept, as the connection that tells of changes was lost
    restored: int  # values that a Redis that came back lacked
    failures: int  # calls that Redis did not answer
    state: str


class _NotAskedError(EngineError):
    """Who was to ask Redis for all who wait was cancelled before."""


class _Asked(NamedTuple):
    """A question to Redis that is under way."""

    change: Change
    epoch: int
    is_due: bool  # that Redis is told of the use of the session
    renews: bool  # the age of the scope, by itself
    answer: Awaitable[Any]


class RedisRegistry(RedisMemory):
    """Scopes that many servers share; a ScopeRegistry, of one event loop.

    Parameters
    ----------
    url : where Redis is, as ``redis_link.make_client`` reads it; Redis 6 or newer.
    prefix : of all keys, so that several installations may share one Redis.
    max_sessions : most sessions kept in Redis, the least used going first; those of live kernels are not counted out.
    max_age_s : seconds since the last use after which a scope expires, to within a fiftieth of it.
    l1_size : most sessions of which this process remembers the scope.
    prune_interval_s : seconds between sweeps of what expired; None for none.
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
        super().__init__(url, prefix, max_age_s, l1_size, clock)
        self.max_sessions = max_sessions
        self._prune_interval_s = prune_interval_s
        self._renewed: OrderedDict[str, float] = (
            OrderedDict()
        )  # when the use of a session was told to Redis
        self._due: set[str] = set()  # sessions of which it is to be told
        self._renewing: asyncio.Task[None] | None = None
        self._has_getex = True  # which Redis has since 6.2; else the age is set after the read
        self._l1_hits = self._l2_hits = self._misses = self._sets = self._expiries = (
            self._evictions
        ) = 0
        self._sessions = 0

    def _begin(self) -> None:
        if not self._began and not self._closed and self._prune_interval_s is not None:
            self._task(self._prune_forever(self._prune_interval_s))
        super()._begin()

    # reads

    async def get(self, session_id: str) -> Scope | None:
        """The session's scope, kept alive by this access; None when it has none.

        Raises
        ------
        EngineError : Redis is away, and this process does not know the session.
        """
        kept = self._l1.get(session_id)
        if kept is not None and kept.epoch == self._epoch and self._tracking is not None:
            now = self._clock()
            if now - kept.used_at <= self.max_age_s and (
                self._tracking or now - kept.read_at <= UNTRACKED_S
            ):
                kept.used_at = now
                self._l1.move_to_end(session_id)
                if kept.scope is None:
                    self._misses += 1
                    return None
                self._l1_hits += 1
                if now - self._renewed.get(session_id, 0.0) > self._step_s:
                    self._renew(session_id)
                return kept.scope
        if kept is not None and self._tracking is None and not self._is_old(session_id, kept):
            found = kept  # as it was last known: no read waits for a connection
        else:
            found = await self._asked(session_id)
        found.used_at = self._clock()
        if found.scope is None:
            self._misses += 1
        else:
            self._l2_hits += 1
        return found.scope

    async def _asked(self, session_id: str) -> Kept:
        """What Redis holds of a session, or what is known of it where it does not answer."""
        try:
            return await self._flight(session_id)
        except EngineError:
            known = self._l1.get(session_id)
            if known is not None and not self._is_old(session_id, known):
                return known
            if self._met.is_set():
                raise
        return await self._flight(session_id)  # the connection was cut meanwhile: by the next one

    async def _flight(self, session_id: str) -> Kept:
        """What Redis holds of a session, asked once for all who ask at a time; who stops waiting stops nobody else."""
        waiters = self._flights.get(session_id)
        mine: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        if waiters is not None:
            waiters.append(mine)
            try:
                return await mine
            except _NotAskedError:
                return await self._flight(session_id)
        waiters = self._flights[session_id] = [mine]
        try:
            asked = await self._sent(session_id)
        except BaseException as error:
            self._landed(
                session_id,
                waiters,
                None,
                error if isinstance(error, EngineError) else _NotAskedError(),
            )
            raise
        self._task(self._fetch(session_id, waiters, asked))  # Redis is at work meanwhile
        return await mine

    async def _sent(self, session_id: str) -> _Asked:
        """A question to Redis that is under way."""
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
        self, session_id: str, waiters: list[asyncio.Future[Kept]], asked: _Asked
    ) -> None:
        kept, failed = None, None
        try:
            for left in reversed(range(REREADS)):
                try:
                    met = await asked.answer
                except lost_errors() as error:
                    raise self._failed(error) from error
                finally:
                    asked.change.over()
                if asked.renews and isinstance(met, Exception) and "unknown command" in str(met):
                    self._has_getex = False
                    asked = await self._sent(session_id)
                    continue
                raw = self._value(met, session_id)
                if asked.renews:
                    self._told(session_id)
                if asked.is_due and raw is not None:
                    self._renew(session_id)
                if not asked.change.seen or not left:
                    break
                asked = await self._sent(session_id)
            kept = self._read(session_id, raw)
            kept.epoch = asked.epoch
            if not asked.change.seen:
                self._keep(session_id, kept)
        except EngineError as error:
            failed = error
        finally:
            self._landed(session_id, waiters, kept, failed or self._away("the registry was closed"))

    def _landed(
        self,
        session_id: str,
        waiters: list[asyncio.Future[Kept]],
        kept: Kept | None,
        failed: EngineError,
    ) -> None:
        if self._flights.get(session_id) is waiters:
            del self._flights[session_id]
        for waiter in waiters:
            if not waiter.done():
                if kept is not None:
                    waiter.set_result(kept)
                else:
                    waiter.set_exception(failed)
                    waiter.exception()  # who asked first hears of it by itself

    # writes

    async def set(self, session_id: str, scope: Scope) -> None:
        """Give the session a scope, in Redis first; others are evicted when there are too many.

        Raises
        ------
        ScopeError : the session id or the scope cannot be kept.
        EngineError : Redis is away; the scope from before still applies.
        """
        check_name(session_id)
        known = self._l1.get(session_id)
        at = max(time.time_ns(), known.at + 1 if known is not None else 0)
        raw = msgspec.json.encode(Payload(msgspec.Raw(msgspec.json.encode(scope)), at))
        if len(raw) > MOST_PAYLOAD:
            raise ScopeError(
                f"The scope takes {len(raw):,} bytes; the most is {MOST_PAYLOAD:,}. Use globs in place of long lists."
            )
        now, epoch = self._clock(), self._epoch
        with Change(self._waiting, session_id) as change:
            try:
                *_, sessions = await self._ask(
                    [*self._writes(session_id, raw, now), ("ZCARD", self._used)]
                )
            except EngineError as error:
                raise EngineError(f"The scope was not set: {error}") from error.__cause__
        self._sets += 1
        self._told(session_id)
        if not change.seen:
            self._keep(session_id, Kept(scope.interned(), at, raw, now, epoch))
        else:
            self._l1.pop(session_id, None)
        if sessions > self.max_sessions:
            await self._evict(session_id)

    async def clear(self, session_id: str) -> bool:
        """Forget the session, pinned or not; whether it had a scope. EngineError where Redis is away."""
        self._pinned.discard(session_id)
        epoch = self._epoch
        with Change(self._waiting, session_id) as change:
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
            self._keep(session_id, Kept(None, time.time_ns(), b"", self._clock(), epoch))
        else:
            self._l1.pop(session_id, None)
        return bool(had)

    async def pin(self, session_id: str, pinned: bool = True) -> None:
        """Mark a session with a scope as a live kernel's of this server: neither age nor number drops it until it is cleared."""
        if pinned:
            self._pinned.add(session_id)
        else:
            self._pinned.discard(session_id)
        await self._tell_pinned([session_id])

    async def take_expired(self, session_id: str) -> bool:
        """Whether the session's scope was dropped for age or number since it was last asked: true once a loss, on whichever server."""
        kept = self._l1.get(session_id)
        if (
            kept is not None
            and kept.scope is None
            and kept.at
            and kept.epoch == self._epoch
            and self._tracking
        ):
            return False  # it was cleared, or this was asked before
        told = await self._quietly(
            [("EXISTS", self._key(session_id)), ("EXISTS", self._had(session_id))]
        )
        if told is None:
            return False  # Redis is away: it is told when it is back
        if kept is not None and kept.scope is None and self._l1.get(session_id) is kept:
            kept.at = time.time_ns()
        if told != [0, 1]:
            return False
        gone = await self._quietly(
            [("UNLINK", self._had(session_id)), ("ZREM", self._used, session_id)]
        ) or [0, 0]
        self._expiries += gone[1]
        return bool(gone[0])

    # the whole

    async def prune_expired(self, max_age_s: float | None = None) -> int:
        """Drop every session unused for longer than ``max_age_s`` seconds; how many there were."""
        await self._tell_used()
        limit = self._clock() - (self.max_age_s + self._step_s if max_age_s is None else max_age_s)
        (stale,) = await self._ask([("ZRANGEBYSCORE", self._used, "-inf", f"({limit!r}")])
        dropped = await self._dropped(stale)
        self._expiries += dropped
        return dropped

    async def _evict(self, kept: str) -> None:
        """Drop the surplus and a batch more, least used first."""
        await self._tell_used()
        loose, total = await self._quietly(
            [("ZCOUNT", self._used, "-inf", "(inf"), ("ZCARD", self._used)]
        ) or (0, 0)
        batch = min(total - self.max_sessions + self.max_sessions // 32, loose - 1)
        if batch > 0:
            (found,) = await self._quietly([("ZRANGE", self._used, 0, batch - 1)]) or ([],)
            self._evictions += await self._dropped(
                [session for session in found if session != kept.encode()]
            )

    async def _dropped(self, sessions: list[bytes]) -> int:
        """Delete the scopes of these sessions; how many this call dropped, as others may prune too."""
        dropped = 0
        for first in range(0, len(sessions), BATCH):
            some = sessions[first : first + BATCH]
            commands = [
                command
                for session in some
                for command in (
                    ("ZREM", self._used, session),
                    ("UNLINK", self._key("").encode() + session),
                )
            ]
            dropped += sum((await self._ask(commands))[::2])
            for session in some:
                self._l1.pop(session.decode(), None)
        return dropped

    async def _prune_forever(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            with suppress(EngineError):
                await self.prune_expired()
                await self._tell_pinned(list(self._pinned))

    async def session_count(self) -> int:
        """Sessions with a scope, on all servers; as it was known last where Redis is away."""
        oldest = self._clock() - self.max_age_s - self._step_s
        (self._sessions,) = await self._quietly([("ZCOUNT", self._used, oldest, "+inf")]) or (
            self._sessions,
        )
        return self._sessions

    async def snapshot(self) -> dict[str, Scope]:
        """Every session's scope at this moment; reading them here keeps none alive."""
        (members,) = await self._ask(
            [("ZRANGEBYSCORE", self._used, self._clock() - self.max_age_s - self._step_s, "+inf")]
        )
        found: dict[str, Scope] = {}
        for first in range(0, len(members), BATCH):
            names = [member.decode() for member in members[first : first + BATCH]]
            for name, raw in zip(names, await self._values(names), strict=True):
                if (scope := self._read(name, raw).scope) is not None:
                    found[name] = scope
        return found

    async def _values(self, sessions: list[str]) -> list[bytes | None]:
        return [
            value if isinstance(value, bytes) else None
            for value in await self._ask(
                [("GET", self._key(session)) for session in sessions], strict=False
            )
        ]

    async def metrics(self) -> RedisMetrics:
        await self.session_count()
        hits = self._l1_hits + self._l2_hits
        rate = self._l1_hits / (hits + self._misses) if hits else 0.0
        return RedisMetrics(
            hits, self._misses, self._sets, self._expiries, self._evictions, self._sessions,
            self._l1_hits, self._l2_hits, round(rate, 4), self._invalidations, self._flushes, self._restored, self._failures, self.state(),
        )  # fmt: skip

    # the last use of sessions

    def _renew(self, session_id: str) -> None:
        """Tell Redis soon that a session was used."""
        self._due.add(session_id)
        if self._renewing is None or self._renewing.done():
            self._renewing = self._task(self._tell_due())

    async def _tell_due(self) -> None:
        while self._due:
            some = [self._due.pop() for _ in range(min(BATCH, len(self._due)))]
            commands = list[Command]()
            for session_id in some:
                if (
                    self._clock() - self._renewed.get(session_id, 0.0) > self._step_s / 2
                ):  # else a read did
                    commands.append(("PEXPIRE", self._key(session_id), self._ttl_ms(session_id)))
                commands.append(
                    (
                        "ZADD",
                        self._used,
                        "XX",
                        self._score(session_id, self._used_at(session_id)),
                        session_id,
                    )
                )
                commands.append(("PEXPIRE", self._had(session_id), self._mourned_ms))
            if await self._quietly(commands) is None:
                return
            for session_id in some:
                self._told(session_id)

    async def _tell_used(self) -> None:
        """Tell Redis the last uses that it does not know yet."""
        uses = {
            session_id: kept.used_at
            for session_id, kept in self._l1.items()
            if kept.scope is not None and session_id not in self._pinned
        }
        names = list(uses)
        for first in range(0, len(names), BATCH):
            some = [part for name in names[first : first + BATCH] for part in (uses[name], name)]
            await self._quietly([("ZADD", self._used, "XX", "GT", *some)])

    def _used_at(self, session_id: str) -> float:
        kept = self._l1.get(session_id)
        return self._clock() if kept is None else kept.used_at

    def _told(self, session_id: str) -> None:
        self._renewed[session_id] = self._clock()
        self._renewed.move_to_end(session_id)
        while len(self._renewed) > 2 * self.l1_size:
            self._renewed.popitem(last=False)
