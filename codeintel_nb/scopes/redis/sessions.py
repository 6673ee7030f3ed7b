"""All sessions in Redis: their last uses, expiry, eviction and number."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ...errors import EngineError
from ..scope import Scope
from .cache import BATCH, RedisMemory
from .client import Command
from .values import Change


class RedisSessions(RedisMemory):
    """Cache of scopes, reporting used sessions and dropping unused ones."""

    def __init__(
        self,
        url: str,
        prefix: str,
        max_age_s: float,
        l1_size: int,
        clock: Callable[[], float],
        max_sessions: int,
        prune_interval_s: float | None,
    ) -> None:
        super().__init__(url, prefix, max_age_s, l1_size, clock)
        self.max_sessions = max_sessions
        self._prune_interval_s = prune_interval_s
        # by session: when its use was last reported to Redis
        self._renewed: OrderedDict[str, float] = OrderedDict()
        self._due: set[str] = set()  # sessions whose use is to be reported
        self._renewing: asyncio.Task[None] | None = None
        self._expiries = self._evictions = self._sessions = 0

    def _begin(self) -> None:
        if not self._began and not self._closed and self._prune_interval_s is not None:
            self._task(self._prune_forever(self._prune_interval_s))
        super()._begin()

    async def prune_expired(self, max_age_s: float | None = None) -> int:
        """Drop sessions unused for ``max_age_s`` seconds; return their number."""
        await self._tell_used()
        limit = self._clock() - (self.max_age_s + self._step_s if max_age_s is None else max_age_s)
        (stale,) = await self._ask([("ZRANGEBYSCORE", self._used, "-inf", f"({limit!r}")])
        dropped = await self._dropped(stale)
        self._expiries += dropped
        return dropped

    async def _evict(self, current: str) -> None:
        """Evict the surplus and a batch, oldest first, except ``current``."""
        await self._tell_used()
        unpinned, total = await self._quietly(
            [("ZCOUNT", self._used, "-inf", "(inf"), ("ZCARD", self._used)]
        ) or (0, 0)
        batch = min(total - self.max_sessions + self.max_sessions // 32, unpinned - 1)
        if batch > 0:
            (candidates,) = await self._quietly([("ZRANGE", self._used, 0, batch - 1)]) or ([],)
            self._evictions += await self._dropped(
                [session for session in candidates if session != current.encode()]
            )

    async def _dropped(self, sessions: list[bytes]) -> int:
        """Delete the sessions' scopes; return how many this call deleted.

        Other servers may prune at the same time.
        """
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
            try:
                dropped += sum((await self._ask(commands))[::2])
            finally:  # even if cancelled: Redis may have dropped them
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
        """Return the number of sessions with a scope, on all servers.

        It is the last known one if Redis is away.
        """
        oldest = self._clock() - self.max_age_s - self._step_s
        (self._sessions,) = await self._quietly([("ZCOUNT", self._used, oldest, "+inf")]) or (
            self._sessions,
        )
        return self._sessions

    async def snapshot(self) -> dict[str, Scope]:
        """Return every session's scope now; the access keeps none alive."""
        (members,) = await self._ask(
            [("ZRANGEBYSCORE", self._used, self._clock() - self.max_age_s - self._step_s, "+inf")]
        )
        scopes: dict[str, Scope] = {}
        for first in range(0, len(members), BATCH):
            names = [member.decode() for member in members[first : first + BATCH]]
            for name, raw in zip(names, await self._values(names), strict=True):
                if (scope := self._read(name, raw).scope) is not None:
                    scopes[name] = scope
        return scopes

    async def _values(self, sessions: list[str]) -> list[bytes | None]:
        return [
            value if isinstance(value, bytes) else None
            for value in await self._ask(
                [("GET", self._key(session)) for session in sessions], strict=False
            )
        ]

    # last uses of sessions

    def _renew(self, session_id: str) -> None:
        """Schedule a report to Redis that a session was used."""
        self._due.add(session_id)
        if self._renewing is None or self._renewing.done():
            self._renewing = self._task(self._tell_due())

    async def _tell_due(self) -> None:
        while self._due:
            some = [self._due.pop() for _ in range(min(BATCH, len(self._due)))]
            commands = list[Command]()
            for session_id in some:
                # otherwise a read has extended the expiry
                if self._clock() - self._renewed.get(session_id, 0.0) > self._step_s / 2:
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
        """Report cached sessions' uses to Redis, which keeps the latest."""
        uses = {
            session_id: cached.used_at
            for session_id, cached in self._l1.items()
            if cached.scope is not None and session_id not in self._pinned
        }
        names = list(uses)
        for first in range(0, len(names), BATCH):
            some = [part for name in names[first : first + BATCH] for part in (uses[name], name)]
            await self._quietly([("ZADD", self._used, "XX", "GT", *some)])

    def _used_at(self, session_id: str) -> float:
        cached = self._l1.get(session_id)
        return self._clock() if cached is None else cached.used_at

    @contextmanager
    def _writing(self, session_id: str) -> Iterator[Change]:
        """Watch a write of a session's scope.

        If it fails or is cancelled, the cached value is read again: the write may have reached
        Redis, which does not report this process's own writes.
        """
        with Change(self._waiting, session_id) as change:
            try:
                yield change
            except BaseException:
                if self._tracking is not None:  # else reconnecting compares the cache with Redis
                    self._invalidate(session_id)
                raise

    def _told(self, session_id: str) -> None:
        self._renewed[session_id] = self._clock()
        self._renewed.move_to_end(session_id)
        while len(self._renewed) > 2 * self.l1_size:
            self._renewed.popitem(last=False)
