"""Coherent cache of the scopes in Redis.

Redis notifies this process of changes by others. While the connections for this are down, reads
fall back to the cache and writes fail. After reconnecting, cached values are compared with Redis
before they count as current again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ...errors import CodeIntelError, EngineError
from .client import ANSWER_S, Command, Pipe, Tracker, close_client, make_client, shown
from .values import STALE, CachedScope, Change, Payload, scope_of

MAX_PAYLOAD = 512_000  # maximum bytes of a stored scope
UNTRACKED_S = 0.025  # lifetime of a cached value if Redis does not track changes
STEPS = 50  # parts of a session's maximum age; its use is reported once in each
PINNED_S = 7 * 86_400.0  # how long a live kernel's scope outlives its server
TOMBSTONE_TTL_S = 7 * 86_400.0  # how long Redis remembers the loss of a scope
BATCH = 500  # sessions in one batch of commands

_log = logging.getLogger(__name__)


def lost_errors() -> tuple[type[Exception], ...]:
    """Return the errors raised when Redis does not answer."""
    from redis.exceptions import RedisError

    return RedisError, OSError, TimeoutError


class RedisMemory:
    """Cache of scopes for a registry, used from one event loop."""

    def __init__(
        self, url: str, prefix: str, max_age_s: float, l1_size: int, clock: Callable[[], float]
    ) -> None:
        self.url, self.prefix = url, prefix
        self.max_age_s, self.l1_size = max_age_s, l1_size
        self._used = prefix + "used"
        self._client: Any = make_client(url)
        self._pipe: Pipe | None = None  # set while Redis tracks changes
        self._clock = clock
        self._step_s = max_age_s / STEPS
        self._mourned_ms = round((TOMBSTONE_TTL_S + max_age_s) * 1000)
        self._age_ms = max(1, round((max_age_s + self._step_s) * 1000))
        self._l1: OrderedDict[str, CachedScope] = OrderedDict()
        # by session: futures of the callers waiting for its value
        self._fetches: dict[str, list[asyncio.Future[CachedScope]]] = {}
        self._waiting: dict[str, list[Change]] = {}  # by session: watches of the calls in flight
        self._pinned: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._began = False
        self._closed = False
        # set after the first attempt to connect; a loss clears it until the next attempt ends
        self._met = asyncio.Event()
        # None while the connection is down, False if Redis does not track changes
        self._tracking: bool | None = None
        self._epoch = 0
        self._identity: str | None = None  # of the last connected Redis process
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
        """Close the connections and cancel tasks; scopes stay in Redis."""
        self._closed = True
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            # in a loop, as redis-py may miss a cancellation while it connects
            await asyncio.wait(list(self._tasks), timeout=0.1)
        await close_client(self._client)

    def state(self) -> str:
        """Describe the state of Redis, for people."""
        if not self._began:
            return f"{shown(self.url)} has not been contacted yet"
        if self.is_away():
            return f"{shown(self.url)} is unreachable: {self._why_away}"
        if self._tracking is None:
            return f"{shown(self.url)} is connecting"
        return f"{shown(self.url)} is reachable" + (
            ""
            if self._tracking
            else f", but sends no change notifications ({self._why_away}): "
            f"scopes set on other servers apply here within {2 * UNTRACKED_S * 1000:.0f} ms"
        )

    def is_away(self) -> bool:
        return (
            self._began and bool(self._why_away) and (self._tracking is None or not self._answers)
        )

    def _keep(self, session_id: str, cached: CachedScope) -> None:
        self._l1[session_id] = cached
        self._l1.move_to_end(session_id)
        while len(self._l1) > self.l1_size:
            self._l1.popitem(last=False)

    def evict_l1(self, session_id: str | None = None) -> None:
        """Evict one session or all from this process's cache."""
        if session_id is None:
            self._l1.clear()
        else:
            self._l1.pop(session_id, None)

    def _is_old(self, session_id: str, cached: CachedScope) -> bool:
        return self._clock() - cached.used_at > self.max_age_s and session_id not in self._pinned

    def _read(self, session_id: str, raw: bytes | None) -> CachedScope:
        now = self._clock()
        if raw is None:
            return CachedScope(None, 0, b"", now, self._epoch)
        try:
            if len(raw) > MAX_PAYLOAD:
                raise ValueError(f"it has {len(raw):,} bytes")
            payload = msgspec.json.decode(raw, type=Payload)
            return CachedScope(scope_of(bytes(payload.scope)), payload.at, raw, now, self._epoch)
        except (ValueError, RecursionError, CodeIntelError) as error:  # msgspec's are ValueErrors
            self._drop(session_id, str(error) or type(error).__name__, raw)
            return CachedScope(None, 0, b"", now, self._epoch)

    def _drop(self, session_id: str, why: str, raw: bytes | None) -> None:
        """Delete an unreadable value, and warn once per session.

        ``raw`` is None for a value of another Redis type.
        """
        if session_id not in self._warned:
            _log.warning(
                "The scope of session %s in Redis cannot be read (%s). It was deleted; "
                "the session has no scope now.",
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
            _, current = await self._ask([("WATCH", key), ("GET", key)], strict=False)
            same = isinstance(current, Exception) if raw is None else current == raw
            await self._ask([("MULTI",), ("UNLINK", key), ("EXEC",)] if same else [("UNWATCH",)])

    def _changed(self, key: bytes | None) -> None:
        """Invalidate a changed key, or all keys if None."""
        self._invalidations += 1
        if key is None:
            self._forget_all()
            return
        self._invalidate(key.decode("utf-8", "replace").removeprefix(self.prefix + "scope:"))

    def _invalidate(self, session_id: str) -> None:
        """Invalidate a session's cached value."""
        if (cached := self._l1.get(session_id)) is not None:
            cached.epoch = STALE
        self._fetches.pop(session_id, None)  # later calls read the new value
        for change in self._waiting.get(session_id, ()):
            change.seen = True

    def _forget_all(self) -> None:
        self._epoch += 1
        self._l1.clear()
        self._fetches.clear()
        for changes in self._waiting.values():
            for change in changes:
                change.seen = True

    def _down(self, why: str) -> None:
        """Mark the cache as stale, used only while Redis fails."""
        if self._tracking is not None or not self._why_away:
            _log.warning(
                "Redis at %s is unreachable (%s). Cached scopes still apply; "
                "setting a scope fails until it is back.",
                shown(self.url),
                why,
            )
        if self._tracking is not None:
            self._flushes += 1
            self._epoch += 1
            self._fetches.clear()
            self._met.clear()  # calls wait for the first attempt to reconnect, which is soon
        else:
            self._met.set()
        self._tracking, self._why_away, self._pipe = None, why, None

    def _untracked(self, why: str) -> None:
        _log.warning(
            "Redis at %s sends no change notifications (%s): "
            "scopes set on other servers apply here within %.0f ms.",
            shown(self.url),
            why,
            2 * UNTRACKED_S * 1000,
        )
        self._forget_all()
        self._tracking, self._why_away = False, why
        self._met.set()

    async def _up(self, identity: str, pipe: Pipe) -> None:
        """Reconcile the cache with Redis, then rely on its tracking."""
        another = self._identity is not None and (not identity or identity != self._identity)
        await self._reconcile(pipe, another)
        self._identity = identity
        if self._why_away:
            _log.warning("Redis at %s is reachable again.", shown(self.url))
        self._tracking, self._why_away, self._pipe = True, "", pipe
        self._met.set()
        if self._pinned:
            await self._tell_pinned(list(self._pinned))

    async def _reconcile(self, pipe: Pipe, another: bool) -> None:
        """Compare the cache with Redis, and restore lost writes.

        ``another`` says that Redis is another process, which may lack its last writes. Nothing else
        uses the pipe meanwhile.
        """
        entries = list(self._l1.items())
        for first in range(0, len(entries), BATCH):
            some = entries[first : first + BATCH]
            values = await pipe.ask([("GET", self._key(session_id)) for session_id, _ in some])
            for (session_id, cached), raw in zip(some, values, strict=True):
                current = self._read(session_id, raw if isinstance(raw, bytes) else None)
                if (
                    another
                    and cached.epoch != STALE
                    and cached.at > current.at
                    and not (cached.scope is None and raw is None)
                    and not self._is_old(session_id, cached)
                ):
                    current = await self._restored_to(pipe, session_id, cached)
                # unless a change was reported since the read
                if self._l1.get(session_id) is cached:
                    current.used_at, current.epoch = cached.used_at, self._epoch
                    self._l1[session_id] = current

    async def _restored_to(self, pipe: Pipe, session_id: str, cached: CachedScope) -> CachedScope:
        """Restore the cached state if newer; return the final one."""
        key = self._key(session_id)
        _, raw = await pipe.ask([("WATCH", key), ("GET", key)])
        current = self._read(session_id, raw if isinstance(raw, bytes) else None)
        if current.at >= cached.at:
            await pipe.ask([("UNWATCH",)])
            return current
        commands: list[Command] = (
            [("UNLINK", key)]
            if cached.scope is None
            else self._writes(session_id, cached.raw, cached.used_at)
        )
        *_, results = await pipe.ask([("MULTI",), *commands, ("EXEC",)])
        if results is None:  # another client set it meanwhile
            (raw,) = await pipe.ask([("GET", key)])
            return self._read(session_id, raw if isinstance(raw, bytes) else None)
        self._restored += 1
        return CachedScope(cached.scope, cached.at, cached.raw, cached.read_at, self._epoch)

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

    def _value(self, reply: Any, session_id: str) -> bytes | None:
        """Return the reply's value; None if missing or wrongly typed."""
        if isinstance(reply, Exception):
            if not str(reply).startswith("WRONGTYPE"):
                raise self._failed(reply) from reply
            self._drop(session_id, "its Redis type is not string", None)
            return None
        return None if reply is None else bytes(reply)

    async def _send(self, commands: Sequence[Command]) -> Sequence[Awaitable[Any]]:
        """Send commands, and return awaitables of the replies, some perhaps errors.

        Raises EngineError if Redis is away.
        """
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
        """Return the replies of Redis.

        Raises EngineError if there are none, or if one is an error. If not ``strict``, errors are
        returned among the replies.
        """
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
        """Return the replies of Redis, or None on failure."""
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
            f"Redis at {shown(self.url)}, which stores the scopes, does not answer "
            f"({(why or self._why_away).rstrip('.')}). Retrying automatically. "
            "If this persists, check the Redis log and this server's registry_url."
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
