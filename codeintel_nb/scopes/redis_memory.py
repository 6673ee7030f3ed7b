"""What this process remembers of the scopes in Redis, and whether that is still true.

What was read is kept, and Redis says which of it others changed; while the connections that this needs are down, what is
kept answers and nothing can be set. When they are back it is compared with Redis before it is believed again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec

from ..errors import CodeIntelError, EngineError
from .redis_link import ANSWER_S, Command, Pipe, Tracker, close_client, make_client, shown
from .scope import Scope, scope_from_wire

MOST_PAYLOAD = 512_000  # bytes of a stored scope
UNTRACKED_S = 1.0  # that a value is kept for where Redis does not tell of changes
STEPS = 50  # of its age in which the last use of a session is told to Redis
PINNED_S = 7 * 86_400.0  # that a live kernel's scope outlives its server
MOURNED_S = 7 * 86_400.0  # that it is known that a session had a scope
BATCH = 500  # keys of one command

_log = logging.getLogger(__name__)


class Payload(msgspec.Struct):
    """What Redis holds of a session."""

    scope: msgspec.Raw
    at: int  # version: nanoseconds since 1970 of the write


class Kept:
    """What was read of a session, or written: ``scope`` None says that there is none."""

    __slots__ = ("at", "epoch", "raw", "read_at", "scope", "used_at")

    def __init__(self, scope: Scope | None, at: int, raw: bytes, now: float, epoch: int) -> None:
        self.scope = scope
        self.at = at
        self.raw = raw
        self.read_at = self.used_at = now
        self.epoch = epoch  # good while the registry's is the same


class Change:
    """Whether others changed a session's scope from when this was made until it is ``over``."""

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
def _scope(written: bytes) -> Scope:
    """A scope as it is stored; sessions share many."""
    return scope_from_wire(msgspec.json.decode(written)).interned()


def lost_errors() -> tuple[type[Exception], ...]:
    """What is raised where Redis does not answer."""
    from redis.exceptions import RedisError

    return RedisError, OSError, TimeoutError


class RedisMemory:
    """Scopes as they were read, for a registry; of one event loop."""

    def __init__(
        self, url: str, prefix: str, max_age_s: float, l1_size: int, clock: Callable[[], float]
    ) -> None:
        self.url, self.prefix = url, prefix
        self.max_age_s, self.l1_size = max_age_s, l1_size
        self._used = prefix + "used"
        self._client: Any = make_client(url)
        self._pipe: Pipe | None = None  # while changes are told
        self._clock = clock
        self._step_s = max_age_s / STEPS
        self._mourned_ms = round((MOURNED_S + max_age_s) * 1000)
        self._age_ms = max(1, round((max_age_s + self._step_s) * 1000))
        self._l1: OrderedDict[str, Kept] = OrderedDict()
        self._flights: dict[
            str, list[asyncio.Future[Kept]]
        ] = {}  # by session, who waits for its value
        self._waiting: dict[str, list[Change]] = {}  # by session, who is in the middle of a call
        self._pinned: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._began = False
        self._closed = False
        self._met = (
            asyncio.Event()
        )  # Redis, or that it is away; not while a lost connection is tried again
        self._tracking: bool | None = (
            None  # None while the connection is down, False where Redis does not track
        )
        self._epoch = 0
        self._identity: str | None = None  # of the Redis process that was spoken to last
        self._why_away = ""
        self._answers = True
        self._warned: OrderedDict[str, None] = OrderedDict()
        self._invalidations = self._flushes = self._restored = self._failures = 0

    def _begin(self) -> None:
        if not self._began and not self._closed:
            self._began = True
            tracker = Tracker(
                self._client,
                self.prefix + "scope:",
                self._up,
                self._changed,
                self._down,
                self._untracked,
            )
            self._task(tracker.run())

    async def close(self) -> None:
        """End the connections and the background's work; the scopes stay in Redis."""
        self._closed = True
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(
                list(self._tasks), timeout=0.1
            )  # again, as redis-py may miss it while it connects
        await close_client(self._client)

    def state(self) -> str:
        """How it is with Redis, for a person."""
        if not self._began:
            return f"{shown(self.url)} was not asked yet"
        if self.is_away():
            return f"{shown(self.url)} is away: {self._why_away}"
        if self._tracking is None:
            return f"{shown(self.url)} is being connected to"
        return f"{shown(self.url)} answers" + (
            ""
            if self._tracking
            else f", but does not tell of changes ({self._why_away}): scopes set on other servers apply here within {UNTRACKED_S:.0f} s"
        )

    def is_away(self) -> bool:
        return (
            self._began and bool(self._why_away) and (self._tracking is None or not self._answers)
        )

    def _keep(self, session_id: str, kept: Kept) -> None:
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

    def _is_old(self, session_id: str, kept: Kept) -> bool:
        return self._clock() - kept.used_at > self.max_age_s and session_id not in self._pinned

    def _read(self, session_id: str, raw: bytes | None) -> Kept:
        now = self._clock()
        if raw is None:
            return Kept(None, 0, b"", now, self._epoch)
        try:
            if len(raw) > MOST_PAYLOAD:
                raise ValueError(f"it has {len(raw):,} bytes")
            said = msgspec.json.decode(raw, type=Payload)
            return Kept(_scope(bytes(said.scope)), said.at, raw, now, self._epoch)
        except (ValueError, RecursionError, CodeIntelError) as error:  # msgspec's are ValueErrors
            self._drop(session_id, str(error) or type(error).__name__, raw)
            return Kept(None, 0, b"", now, self._epoch)

    def _drop(self, session_id: str, why: str, raw: bytes | None) -> None:
        """Delete what no scope can be read from; ``raw`` None for a value of another type."""
        if session_id not in self._warned:
            _log.warning(
                "What Redis holds as the scope of session %s cannot be read (%s); it is dropped, and the session has no scope.",
                session_id,
                why[:200],
            )
            self._warned[session_id] = None
            while len(self._warned) > self.l1_size:
                self._warned.popitem(last=False)
        self._task(self._unlink(session_id, raw))

    async def _unlink(self, session_id: str, raw: bytes | None) -> None:
        """Delete a value, unless another was set meanwhile."""
        key = self._key(session_id)
        if self._pipe is None:
            await self._quietly([("UNLINK", key)])
            return
        with suppress(EngineError):
            _, met = await self._ask([("WATCH", key), ("GET", key)], strict=False)
            same = isinstance(met, Exception) if raw is None else met == raw
            await self._ask([("MULTI",), ("UNLINK", key), ("EXEC",)] if same else [("UNWATCH",)])

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
            _log.warning(
                "Redis at %s is away (%s); scopes that are known go on, none can be set until it is back.",
                shown(self.url),
                why,
            )
        if self._tracking is not None:
            self._flushes += 1
            self._epoch += 1
            self._flights.clear()
            self._met.clear()  # a new connection is tried at once: who must ask waits for that
        else:
            self._met.set()
        self._tracking, self._why_away, self._pipe = None, why, None

    def _untracked(self, why: str) -> None:
        _log.warning(
            "Redis at %s does not tell of changes (%s): a scope that is set on another server applies here within %.0f s.",
            shown(self.url),
            why,
            UNTRACKED_S,
        )
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
                if (
                    another
                    and kept.at > held.at
                    and not (kept.scope is None and raw is None)
                    and not self._is_old(session_id, kept)
                ):
                    held = await self._restored_to(pipe, session_id, kept)
                if (
                    self._l1.get(session_id) is kept
                ):  # nothing was heard of it since it was read just now
                    held.used_at, held.epoch = kept.used_at, self._epoch
                    self._l1[session_id] = held

    async def _restored_to(self, pipe: Pipe, session_id: str, kept: Kept) -> Kept:
        """Write again what is newer here than in Redis, or delete what was cleared; what Redis holds then."""
        key = self._key(session_id)
        _, raw = await pipe.ask([("WATCH", key), ("GET", key)])
        held = self._read(session_id, raw if isinstance(raw, bytes) else None)
        if held.at >= kept.at:
            await pipe.ask([("UNWATCH",)])
            return held
        commands: list[Command] = (
            [("UNLINK", key)]
            if kept.scope is None
            else self._writes(session_id, kept.raw, kept.used_at)
        )
        *_, done = await pipe.ask([("MULTI",), *commands, ("EXEC",)])
        if done is None:  # somebody set it meanwhile
            (raw,) = await pipe.ask([("GET", key)])
            return self._read(session_id, raw if isinstance(raw, bytes) else None)
        self._restored += 1
        return Kept(kept.scope, kept.at, kept.raw, kept.read_at, self._epoch)

    async def _tell_pinned(self, sessions: Iterable[str]) -> None:
        now = self._clock()
        for session_id in sessions:
            score = self._score(session_id, now)
            await self._quietly(
                [
                    ("PEXPIRE", self._key(session_id), self._ttl_ms(session_id)),
                    ("ZADD", self._used, "XX", score, session_id),
                ]
            )

    def _writes(self, session_id: str, raw: bytes, used_at: float) -> list[Command]:
        return [
            ("SET", self._key(session_id), raw, "PX", self._ttl_ms(session_id)),
            ("ZADD", self._used, self._score(session_id, used_at), session_id),
            ("SET", self._had(session_id), b"1", "PX", self._mourned_ms),
        ]

    def _score(self, session_id: str, used_at: float) -> float:
        return float("inf") if session_id in self._pinned else used_at

    def _ttl_ms(self, session_id: str) -> int:
        return (
            max(self._age_ms, round(PINNED_S * 1000))
            if session_id in self._pinned
            else self._age_ms
        )

    def _key(self, session_id: str) -> str:
        return f"{self.prefix}scope:{session_id}"

    def _had(self, session_id: str) -> str:
        return f"{self.prefix}had:{session_id}"

    def _value(self, met: Any, session_id: str) -> bytes | None:
        """What a key holds; None where it is nothing that a registry wrote."""
        if isinstance(met, Exception):
            if not str(met).startswith("WRONGTYPE"):
                raise self._failed(met) from met
            self._drop(session_id, "it is of another type", None)
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
        except lost_errors() as error:
            raise self._failed(error) from error

    async def _ask(self, commands: Sequence[Command], strict: bool = True) -> list[Any]:
        """The answers of Redis; where one is an error, or there is none, EngineError. An error is among the answers where
        it is not ``strict``."""
        try:
            answers = [await answer for answer in await self._send(commands)]
        except lost_errors() as error:
            raise self._failed(error) from error
        self._answers = True
        if (
            strict
            and (
                wrong := next((answer for answer in answers if isinstance(answer, Exception)), None)
            )
            is not None
        ):
            raise self._failed(wrong) from wrong
        return answers

    async def _quietly(self, commands: Sequence[Command]) -> list[Any] | None:
        """The answers of Redis; None where there are none."""
        try:
            return await self._ask(commands)
        except EngineError:
            return None

    def _failed(self, error: Exception) -> EngineError:
        self._failures += 1
        self._answers = False
        self._why_away = self._why_away or str(error) or type(error).__name__
        return self._away(str(error) or type(error).__name__)

    def _away(self, why: str = "") -> EngineError:
        return EngineError(
            f"Redis at {shown(self.url)}, which holds the scopes, does not answer ({(why or self._why_away).rstrip('.')}). It is tried again by itself; where it stays away, look at its log, or at the address that this server was given."
        )

    def _task(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _done(answer: Any) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future
