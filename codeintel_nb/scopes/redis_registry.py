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
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ..errors import CodeIntelError, EngineError, ScopeError
from .redis_link import ANSWER_S, Command, Pipe, Tracker, close_client, make_client, shown
from .registry import MAX_AGE_S, MAX_SESSIONS, RegistryMetrics
from .scope import Scope, scope_from_wire
from .session import check_session_id

PREFIX = "codeintel:"
MOST_PAYLOAD = 512_000  # bytes of a stored scope
UNTRACKED_S = 1.0  # that a value is kept for where Redis does not tell of changes
STEPS = 50  # of its age in which the last use of a session is told to Redis
PINNED_S = 7 * 86_400.0  # that a live kernel's scope outlives its server
MOURNED_S = 7 * 86_400.0  # that it is known that a session had a scope
REREADS = 5  # of a value that changed while it was read
BATCH = 500  # keys of one command

_log = logging.getLogger(__name__)


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


class _Payload(msgspec.Struct):
    """What Redis holds of a session."""

    scope: msgspec.Raw
    at: int  # version: nanoseconds since 1970 of the write


class _Kept:
    """What was read of a session, or written: ``scope`` None says that there is none."""

    __slots__ = ("at", "epoch", "raw", "read_at", "scope", "used_at")

    def __init__(self, scope: Scope | None, at: int, raw: bytes, now: float, epoch: int) -> None:
        self.scope = scope
        self.at = at
        self.raw = raw
        self.read_at = self.used_at = now
        self.epoch = epoch  # good while the registry's is the same


class _Change:
    """Whether others changed a session's scope from when this was made until it is ``over``."""

    __slots__ = ("_session_id", "_waiting", "seen")

    def __init__(self, waiting: dict[str, list[_Change]], session_id: str) -> None:
        self.seen = False
        self._waiting, self._session_id = waiting, session_id
        waiting.setdefault(session_id, []).append(self)

    def over(self) -> None:
        changes = self._waiting[self._session_id]
        changes.remove(self)
        if not changes:
            del self._waiting[self._session_id]

    def __enter__(self) -> _Change:
        return self

    def __exit__(self, *error: object) -> None:
        self.over()


class _NotAskedError(EngineError):
    """Who was to ask Redis for all who wait was cancelled before."""


class _Asked(NamedTuple):
    """A question to Redis that is under way."""

    change: _Change
    epoch: int
    renews: bool  # the age of the scope
    answer: Awaitable[Any]


@lru_cache(1024)
def _scope(written: bytes) -> Scope:
    """A scope as it is stored; sessions share many."""
    return scope_from_wire(msgspec.json.decode(written)).interned()


def _lost_errors() -> tuple[type[Exception], ...]:
    """What is raised where Redis does not answer."""
    from redis.exceptions import RedisError

    return RedisError, OSError, TimeoutError


class RedisRegistry:
    """Scopes that many servers share; a ScopeRegistry, of one event loop.

    Parameters
    ----------
    url : where Redis is, as ``redis_link.make_client`` reads it; Redis 6 or newer for reads from memory beyond a second.
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
        self.url, self.prefix = url, prefix
        self.max_sessions, self.max_age_s, self.l1_size = max_sessions, max_age_s, l1_size
        self._used = prefix + "used"
        self._client: Any = make_client(url)
        self._pipe: Pipe | None = None  # while changes are told
        self._clock = clock
        self._prune_interval_s = prune_interval_s
        self._step_s = max_age_s / STEPS
        self._mourned_ms = round((MOURNED_S + max_age_s) * 1000)
        self._age_ms = max(1, round((max_age_s + self._step_s) * 1000))
        self._l1: OrderedDict[str, _Kept] = OrderedDict()
        self._renewed: OrderedDict[str, float] = OrderedDict()  # when the use of a session was told to Redis
        self._due: set[str] = set()  # sessions of which it is to be told
        self._flights: dict[str, list[asyncio.Future[_Kept]]] = {}  # by session, who waits for its value
        self._waiting: dict[str, list[_Change]] = {}  # by session, who is in the middle of a call
        self._pinned: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._began = False
        self._closed = False
        self._met = asyncio.Event()  # Redis, or that it is away
        self._tracking: bool | None = None  # None while the connection is down, False where Redis does not track
        self._epoch = 0
        self._identity: str | None = None  # of the Redis process that was spoken to last
        self._why_away = ""
        self._answers = True
        self._warned: OrderedDict[str, None] = OrderedDict()
        self._l1_hits = self._l2_hits = self._misses = self._sets = self._expiries = self._evictions = 0
        self._invalidations = self._flushes = self._restored = self._failures = 0
        self._sessions = 0

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
            if now - kept.used_at <= self.max_age_s and (self._tracking or now - kept.read_at <= UNTRACKED_S):
                kept.used_at = now
                self._l1.move_to_end(session_id)
                if kept.scope is None:
                    self._misses += 1
                    return None
                self._l1_hits += 1
                if now - self._renewed.get(session_id, 0.0) > self._step_s:
                    self._renew(session_id)
                return kept.scope
        try:
            found = await self._flight(session_id)
        except EngineError:
            known = self._l1.get(session_id)
            if known is None or self._is_old(session_id, known):
                raise
            found = known
        found.used_at = self._clock()
        if found.scope is None:
            self._misses += 1
        else:
            self._l2_hits += 1
        return found.scope

    async def _flight(self, session_id: str) -> _Kept:
        """What Redis holds of a session, asked once for all who ask at a time; who stops waiting stops nobody else."""
        waiters = self._flights.get(session_id)
        mine: asyncio.Future[_Kept] = asyncio.get_running_loop().create_future()
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
            self._landed(session_id, waiters, None, error if isinstance(error, EngineError) else _NotAskedError())
            raise
        self._task(self._fetch(session_id, waiters, asked))  # Redis is at work meanwhile
        return await mine

    async def _sent(self, session_id: str) -> _Asked:
        """A question to Redis that is under way."""
        key, epoch = self._key(session_id), self._epoch
        renews = self._clock() - self._renewed.get(session_id, 0.0) > self._step_s
        command: Command = ("GETEX", key, "PX", self._ttl_ms(session_id)) if renews else ("GET", key)
        change = _Change(self._waiting, session_id)
        try:
            return _Asked(change, epoch, renews, (await self._send([command]))[0])
        except BaseException:
            change.over()
            raise

    async def _fetch(self, session_id: str, waiters: list[asyncio.Future[_Kept]], asked: _Asked) -> None:
        kept, failed = None, None
        try:
            for left in reversed(range(REREADS)):
                try:
                    raw = self._value(await asked.answer, session_id)
                except _lost_errors() as error:
                    raise self._failed(error) from error
                finally:
                    asked.change.over()
                if asked.renews:
                    self._told(session_id)
                    if raw is not None:
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

    def _landed(self, session_id: str, waiters: list[asyncio.Future[_Kept]], kept: _Kept | None, failed: EngineError) -> None:
        if self._flights.get(session_id) is waiters:
            del self._flights[session_id]
        for waiter in waiters:
            if not waiter.done():
                if kept is not None:
                    waiter.set_result(kept)
                else:
                    waiter.set_exception(failed)
                    waiter.exception()  # who asked first hears of it by itself

    def _is_old(self, session_id: str, kept: _Kept) -> bool:
        return self._clock() - kept.used_at > self.max_age_s and session_id not in self._pinned

    def _read(self, session_id: str, raw: bytes | None) -> _Kept:
        now = self._clock()
        if raw is None:
            return _Kept(None, 0, b"", now, self._epoch)
        try:
            if len(raw) > MOST_PAYLOAD:
                raise ValueError(f"it has {len(raw):,} bytes")
            said = msgspec.json.decode(raw, type=_Payload)
            return _Kept(_scope(bytes(said.scope)), said.at, raw, now, self._epoch)
        except (ValueError, RecursionError, CodeIntelError) as error:  # msgspec's are ValueErrors
            self._drop(session_id, str(error) or type(error).__name__)
            return _Kept(None, 0, b"", now, self._epoch)

    def _drop(self, session_id: str, why: str) -> None:
        """Delete what no scope can be read from."""
        if session_id not in self._warned:
            _log.warning("What Redis holds as the scope of session %s cannot be read (%s); it is dropped, and the session has no scope.", session_id, why[:200])
            self._warned[session_id] = None
            while len(self._warned) > self.l1_size:
                self._warned.popitem(last=False)
        self._task(self._quietly([("UNLINK", self._key(session_id))]))

    def _keep(self, session_id: str, kept: _Kept) -> None:
        self._l1[session_id] = kept
        self._l1.move_to_end(session_id)
        while len(self._l1) > self.l1_size:
            self._l1.popitem(last=False)

    def evict_l1(self, session_id: str | None = None) -> None:
        """Forget what this process remembers of a session, or of all: the next read asks Redis."""
        if session_id is None:
            self._l1.clear()
        else:
            self._l1.pop(session_id, None)

    # writes

    async def set(self, session_id: str, scope: Scope) -> None:
        """Give the session a scope, in Redis first; others are evicted when there are too many.

        Raises
        ------
        ScopeError : the session id or the scope cannot be kept.
        EngineError : Redis is away; the scope from before still applies.
        """
        check_session_id(session_id)
        known = self._l1.get(session_id)
        at = max(time.time_ns(), known.at + 1 if known is not None else 0)
        raw = msgspec.json.encode(_Payload(msgspec.Raw(msgspec.json.encode(scope)), at))
        if len(raw) > MOST_PAYLOAD:
            raise ScopeError(f"The scope takes {len(raw):,} bytes; the most is {MOST_PAYLOAD:,}. Use globs in place of long lists.")
        now, epoch = self._clock(), self._epoch

        with _Change(self._waiting, session_id) as change:
            try:
                *_, sessions = await self._ask([*self._writes(session_id, raw, now), ("ZCARD", self._used)])
            except EngineError as error:
                raise EngineError(f"The scope was not set: {error}") from error.__cause__
        self._sets += 1
        self._told(session_id)
        if not change.seen:
            self._keep(session_id, _Kept(scope.interned(), at, raw, now, epoch))
        else:
            self._l1.pop(session_id, None)
        if sessions > self.max_sessions:
            await self._evict(session_id)

    def _writes(self, session_id: str, raw: bytes, used_at: float) -> list[Command]:
        return [
            ("SET", self._key(session_id), raw, "PX", self._ttl_ms(session_id)),
            ("ZADD", self._used, self._score(session_id, used_at), session_id),
            ("SET", self._had(session_id), b"1", "PX", self._mourned_ms),
        ]

    async def clear(self, session_id: str) -> bool:
        """Forget the session, pinned or not; whether it had a scope. EngineError where Redis is away."""
        self._pinned.discard(session_id)

        epoch = self._epoch
        with _Change(self._waiting, session_id) as change:
            try:
                had, *_ = await self._ask([("UNLINK", self._key(session_id)), ("ZREM", self._used, session_id), ("UNLINK", self._had(session_id))])
            except EngineError as error:
                raise EngineError(f"The scope was not cleared: {error}") from error.__cause__
        if not change.seen:
            self._keep(session_id, _Kept(None, time.time_ns(), b"", self._clock(), epoch))
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

    async def _tell_pinned(self, sessions: Iterable[str]) -> None:
        now = self._clock()
        for session_id in sessions:
            score = self._score(session_id, now)
            await self._quietly([("PEXPIRE", self._key(session_id), self._ttl_ms(session_id)), ("ZADD", self._used, "XX", score, session_id)])

    async def take_expired(self, session_id: str) -> bool:
        """Whether the session's scope was dropped for age or number since it was last asked: true once a loss, on whichever server."""
        kept = self._l1.get(session_id)
        if kept is not None and kept.scope is None and kept.at and kept.epoch == self._epoch and self._tracking:
            return False  # it was cleared, or this was asked before
        told = await self._quietly([("EXISTS", self._key(session_id)), ("EXISTS", self._had(session_id))])
        if told is None:
            return False  # Redis is away: it is told when it is back
        if kept is not None and kept.scope is None and self._l1.get(session_id) is kept:
            kept.at = time.time_ns()
        if told != [0, 1]:
            return False
        gone = await self._quietly([("UNLINK", self._had(session_id)), ("ZREM", self._used, session_id)]) or [0, 0]
        self._expiries += gone[1]
        return bool(gone[0])

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

        loose, total = await self._quietly([("ZCOUNT", self._used, "-inf", "(inf"), ("ZCARD", self._used)]) or (0, 0)
        batch = min(total - self.max_sessions + self.max_sessions // 32, loose - 1)
        if batch > 0:
            (found,) = await self._quietly([("ZRANGE", self._used, 0, batch - 1)]) or ([],)
            self._evictions += await self._dropped([session for session in found if session != kept.encode()])

    async def _dropped(self, sessions: list[bytes]) -> int:
        """Delete the scopes of these sessions; how many this call dropped, as others may prune too."""
        dropped = 0
        for first in range(0, len(sessions), BATCH):
            some = sessions[first : first + BATCH]

            commands = [command for session in some for command in (("ZREM", self._used, session), ("UNLINK", self._key("").encode() + session))]
            dropped += sum((await self._ask(commands))[::2])
            for session in some:
                self._l1.pop(session.decode(), None)
        return dropped

    # the whole

    async def session_count(self) -> int:
        """Sessions with a scope, on all servers; as it was known last where Redis is away."""
        oldest = self._clock() - self.max_age_s - self._step_s
        (self._sessions,) = await self._quietly([("ZCOUNT", self._used, oldest, "+inf")]) or (self._sessions,)
        return self._sessions

    async def snapshot(self) -> dict[str, Scope]:
        """Every session's scope at this moment; reading them here keeps none alive."""
        (members,) = await self._ask([("ZRANGEBYSCORE", self._used, self._clock() - self.max_age_s - self._step_s, "+inf")])
        found: dict[str, Scope] = {}
        for first in range(0, len(members), BATCH):
            names = [member.decode() for member in members[first : first + BATCH]]
            for name, raw in zip(names, await self._values(names), strict=True):
                if (scope := self._read(name, raw).scope) is not None:
                    found[name] = scope
        return found

    async def _values(self, sessions: list[str]) -> list[bytes | None]:
        return [value if isinstance(value, bytes) else None for value in await self._ask([("GET", self._key(session)) for session in sessions], strict=False)]

    async def metrics(self) -> RedisMetrics:
        await self.session_count()
        hits = self._l1_hits + self._l2_hits
        rate = self._l1_hits / (hits + self._misses) if hits else 0.0
        return RedisMetrics(
            hits, self._misses, self._sets, self._expiries, self._evictions, self._sessions,
            self._l1_hits, self._l2_hits, round(rate, 4), self._invalidations, self._flushes, self._restored, self._failures, self.state(),
        )  # fmt: skip

    def state(self) -> str:
        """How it is with Redis, for a person."""
        if not self._began:
            return f"{shown(self.url)} was not asked yet"
        if self.is_away():
            return f"{shown(self.url)} is away: {self._why_away}"
        if self._tracking is None:
            return f"{shown(self.url)} is being connected to"
        return f"{shown(self.url)} answers" + ("" if self._tracking else f", but does not tell of changes ({self._why_away}): scopes set on other servers apply here within {UNTRACKED_S:.0f} s")

    def is_away(self) -> bool:
        return self._began and bool(self._why_away) and (self._tracking is None or not self._answers)

    async def close(self) -> None:
        """End the connections and the background's work; the scopes stay in Redis."""
        self._closed = True
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks), timeout=0.1)  # again, as redis-py may miss it while it connects
        await close_client(self._client)

    # what Redis says

    def _begin(self) -> None:
        if not self._began and not self._closed:
            self._began = True
            tracker = Tracker(self._client, self.prefix + "scope:", self._up, self._changed, self._down, self._untracked)
            self._task(tracker.run())
            if self._prune_interval_s is not None:
                self._task(self._prune_forever(self._prune_interval_s))

    def _changed(self, key: bytes | None) -> None:
        """A key changed, or all may have."""
        self._invalidations += 1
        if key is None:
            self._forget_all()
            return
        session_id = key.decode("utf-8", "replace").removeprefix(self.prefix + "scope:")
        self._l1.pop(session_id, None)
        self._flights.pop(session_id, None)  # who asks from now on gets what is there now
        for change in self._waiting.get(session_id, ()):
            change.seen = True

    def _forget_all(self) -> None:
        self._epoch += 1
        self._l1.clear()
        self._flights.clear()
        for changes in self._waiting.values():
            for change in changes:
                change.seen = True

    def _down(self, why: str) -> None:
        """What is kept may be old from now on: it is for the case that Redis does not answer."""
        if self._tracking is not None or not self._why_away:
            _log.warning("Redis at %s is away (%s); scopes that are known go on, none can be set until it is back.", shown(self.url), why)
        if self._tracking is not None:
            self._flushes += 1
            self._epoch += 1
            self._flights.clear()
        self._tracking, self._why_away, self._pipe = None, why, None
        self._met.set()

    def _untracked(self, why: str) -> None:
        _log.warning("Redis at %s does not tell of changes (%s): a scope that is set on another server applies here within %.0f s.", shown(self.url), why, UNTRACKED_S)
        self._forget_all()
        self._tracking, self._why_away = False, why
        self._met.set()

    async def _up(self, identity: str, pipe: Pipe) -> None:
        """Changes are told from now on: give a Redis that lost writes what is known here, then start afresh."""
        another = self._identity is not None and (not identity or identity != self._identity)
        await self._reconcile(pipe, another)
        self._identity = identity
        if self._why_away:
            _log.warning("Redis at %s answers again.", shown(self.url))
        self._tracking, self._why_away, self._pipe = True, "", pipe
        self._met.set()
        if self._pinned:
            await self._tell_pinned(list(self._pinned))

    async def _reconcile(self, pipe: Pipe, another: bool) -> None:
        """Compare what is known here with Redis, which may be ``another`` process, without its last writes. Nothing else
        uses the pipe meanwhile."""
        known = list(self._l1.items())
        for first in range(0, len(known), BATCH):
            some = known[first : first + BATCH]
            values = await pipe.ask([("GET", self._key(session_id)) for session_id, _ in some])
            for (session_id, kept), raw in zip(some, values, strict=True):
                held = self._read(session_id, raw if isinstance(raw, bytes) else None)
                if another and kept.at > held.at and not (kept.scope is None and raw is None) and not self._is_old(session_id, kept):
                    held = await self._restored_to(pipe, session_id, kept)
                if self._l1.get(session_id) is kept:  # nothing was heard of it since it was read just now
                    held.used_at, held.epoch = kept.used_at, self._epoch
                    self._l1[session_id] = held

    async def _restored_to(self, pipe: Pipe, session_id: str, kept: _Kept) -> _Kept:
        """Write again what is newer here than in Redis, or delete what was cleared; what Redis holds then."""
        key = self._key(session_id)
        _, raw = await pipe.ask([("WATCH", key), ("GET", key)])
        held = self._read(session_id, raw if isinstance(raw, bytes) else None)
        if held.at >= kept.at:
            await pipe.ask([("UNWATCH",)])
            return held
        commands: list[Command] = [("UNLINK", key)] if kept.scope is None else self._writes(session_id, kept.raw, kept.used_at)
        *_, done = await pipe.ask([("MULTI",), *commands, ("EXEC",)])
        if done is None:  # somebody set it meanwhile
            (raw,) = await pipe.ask([("GET", key)])
            return self._read(session_id, raw if isinstance(raw, bytes) else None)
        self._restored += 1
        return _Kept(kept.scope, kept.at, kept.raw, kept.read_at, self._epoch)

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
                if self._clock() - self._renewed.get(session_id, 0.0) > self._step_s / 2:  # else a read did
                    commands.append(("PEXPIRE", self._key(session_id), self._ttl_ms(session_id)))
                commands.append(("ZADD", self._used, "XX", self._score(session_id, self._used_at(session_id)), session_id))
                commands.append(("PEXPIRE", self._had(session_id), self._mourned_ms))
            if await self._quietly(commands) is None:
                return
            for session_id in some:
                self._told(session_id)

    async def _tell_used(self) -> None:
        """Tell Redis the last uses that it does not know yet."""
        uses = {session_id: kept.used_at for session_id, kept in self._l1.items() if kept.scope is not None and session_id not in self._pinned}

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

    def _score(self, session_id: str, used_at: float) -> float:
        return float("inf") if session_id in self._pinned else used_at

    def _ttl_ms(self, session_id: str) -> int:
        return max(self._age_ms, round(PINNED_S * 1000)) if session_id in self._pinned else self._age_ms

    async def _prune_forever(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            with suppress(EngineError):
                await self.prune_expired()
                await self._tell_pinned(list(self._pinned))

    # calls

    def _key(self, session_id: str) -> str:
        return f"{self.prefix}scope:{session_id}"

    def _had(self, session_id: str) -> str:
        return f"{self.prefix}had:{session_id}"

    def _value(self, met: Any, session_id: str) -> bytes | None:
        """What a key holds; None where it is nothing that a registry wrote."""
        if isinstance(met, Exception):
            if not str(met).startswith("WRONGTYPE"):
                raise self._failed(met) from met
            self._drop(session_id, "it is of another type")
            return None
        return None if met is None else bytes(met)

    async def _send(self, commands: Sequence[Command]) -> Sequence[Awaitable[Any]]:
        """Where the answers of Redis will be, which may be errors; EngineError where there will be none."""
        self._begin()
        try:
            if not self._met.is_set():
                await asyncio.wait_for(self._met.wait(), ANSWER_S)
            if self._pipe is not None:
                return await self._pipe.send(commands)
            if self._tracking is None:
                raise self._away()
            async with self._client.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return [_done(answer) for answer in await pipe.execute(raise_on_error=False)]
        except _lost_errors() as error:
            raise self._failed(error) from error

    async def _ask(self, commands: Sequence[Command], strict: bool = True) -> list[Any]:
        """The answers of Redis; where one is an error, or there is none, EngineError. An error is among the answers where
        it is not ``strict``."""
        try:
            answers = [await answer for answer in await self._send(commands)]
        except _lost_errors() as error:
            raise self._failed(error) from error
        self._answers = True
        if strict and (wrong := next((answer for answer in answers if isinstance(answer, Exception)), None)) is not None:
            raise self._failed(wrong) from wrong
        return answers

    def _failed(self, error: Exception) -> EngineError:
        self._failures += 1
        self._answers = False
        self._why_away = self._why_away or str(error) or type(error).__name__
        return self._away(str(error) or type(error).__name__)

    def _away(self, why: str = "") -> EngineError:
        return EngineError(f"Redis at {shown(self.url)}, which holds the scopes, does not answer ({why or self._why_away}). It is tried again by itself; where it stays away, look at its log, or at c.CodeIntelApp.registry_url.")

    async def _quietly(self, commands: Sequence[Command]) -> list[Any] | None:
        """The answers of Redis; None where there are none."""
        try:
            return await self._ask(commands)
        except EngineError:
            return None

    def _task(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _done(answer: Any) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future
