"""Redis connections: clients by URL, and notifications of changed keys."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, urlsplit, urlunsplit

from ...errors import EngineError, MissingExtra, ScopeError

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
MAX_CONNECTIONS = 32
ANSWER_S = 2.0  # timeout of connecting and of each reply
ALIVE_S = 0.5  # between checks that a connection is alive
FIRST_WAIT_S, MAX_WAIT_S = 0.02, 0.5  # backoff between attempts to connect
CHANNEL = b"__redis__:invalidate"

Command = tuple[str | bytes | int | float, ...]


def make_client(url: str) -> Redis:
    """Return a client for a URL.

    redis-py parses ``redis://``, ``rediss://`` and ``unix://``, with user, password and database.
    ``redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB`` and ``redis+cluster://HOST:PORT`` (with
    TLS: ``rediss+...``) are accepted too.

    Raises
    ------
    MissingExtra : redis-py is not installed.
    ScopeError : the URL is invalid.
    """
    try:
        from redis.asyncio import Redis, RedisCluster
        from redis.asyncio.connection import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise MissingExtra("redis", needed_by="A scope registry in Redis") from None
    scheme = urlsplit(url).scheme
    # one retry, for a connection closed by the server; no wait for an absent Redis
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_S,
        "socket_connect_timeout": ANSWER_S,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 1),
    }
    try:
        if scheme in ("redis", "rediss", "unix"):
            pool = BlockingConnectionPool.from_url(
                url, max_connections=MAX_CONNECTIONS, timeout=ANSWER_S, **options
            )
            return Redis.from_pool(pool)
        parts = urlsplit(url)
        if scheme.endswith("+cluster"):
            cluster: Any = RedisCluster.from_url(
                urlunsplit(parts._replace(scheme=scheme.partition("+")[0])), **options
            )
            return cluster  # type: ignore[no-any-return]
        if scheme.endswith("+sentinel"):
            return _sentinel_master(parts, options)
    except (ValueError, TypeError) as error:
        raise ScopeError(f"The Redis address {shown(url)} is invalid: {error}.") from None
    raise ScopeError(
        f"The scope registry's address {shown(url)} must begin with one of memory://, "
        f"{', '.join(f'{name}://' for name in SCHEMES)}."
    )


def _sentinel_master(parts: SplitResult, options: dict[str, Any]) -> Redis:
    """Return a client of the master that sentinels name.

    Raises
    ------
    ValueError : the URL has no service, or a port is no number.
    """
    from redis.asyncio.sentinel import Sentinel

    sentinel: Any = Sentinel  # untyped
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("it has no service; use redis+sentinel://HOST:PORT,HOST:PORT/SERVICE")
    credentials, _, places = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    options = {
        **options,
        "db": int(database or 0),
        "username": user or None,
        "password": password or None,
        "ssl": parts.scheme.startswith("rediss"),
    }
    sentinels = [
        (host, int(port or 26379))
        for host, _, port in (
            place.rpartition(":") if ":" in place else (place, "", "")
            for place in places.split(",")
        )
    ]
    login = {"password": query["sentinel_password"]} if "sentinel_password" in query else {}
    master: Redis = sentinel(
        sentinels,
        sentinel_kwargs={
            "socket_timeout": ANSWER_S,
            "socket_connect_timeout": ANSWER_S,
            **login,
        },
        **options,
    ).master_for(service)
    return master


async def close_client(client: Any) -> None:
    await client.aclose()
    if (pool := getattr(client, "connection_pool", None)) is not None:
        await pool.disconnect()
        for sentinel in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
            await sentinel.aclose()
            await sentinel.connection_pool.disconnect()


def shown(url: str) -> str:
    """Return the URL without its password and query."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    user = credentials.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host, query=""))


class Pipe:
    """Pipelined connection.

    ``send`` queues commands; ``read`` resolves their futures until the connection is lost.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._lock = asyncio.Lock()
        self._lost: Exception | None = None

    async def send(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Send commands, and return futures of their replies.

        An error reply is the future's result. If the connection is lost, ``read`` fails the
        futures, after the Tracker has called ``down``.
        """
        from redis.exceptions import RedisError

        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in commands]
        packed = self._connection.pack_commands(commands)
        async with self._lock:
            if self._lost is not None:
                raise self._lost
            self._waiting.extend(answers)
            with suppress(RedisError, OSError):
                await self._connection.send_packed_command(packed, check_health=False)
        return answers

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to these commands."""
        return [await answer for answer in await self.send(commands)]

    async def read(self) -> None:
        from redis.exceptions import ConnectionError as Unconnected
        from redis.exceptions import RedisError, ResponseError

        try:
            while True:
                try:
                    reply = await self._connection.read_response()
                except ResponseError as error:
                    reply = error
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(reply)
        except (RedisError, OSError) as error:
            self._lost = error
            raise
        finally:
            self._lost = self._lost or Unconnected("The connection was closed.")
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(self._lost)
                    answer.exception()  # marks it as retrieved: its caller may be cancelled


class Tracker:
    """Notifications of changes by others to keys below a prefix.

    There are two connections. On one, Redis reports the changed keys. On the other, a Pipe, this
    process makes its own changes, which are not reported.

    ``up`` is called each time both are connected and no change can be missed from then on, with
    the identity of the Redis process and the Pipe. ``changed`` is called with a key, or None for
    any key. ``down`` is called once for each loss of a connection, before callers in flight get
    the error, and once for each failed attempt to connect. ``refused`` is called if Redis does not
    support tracking; no more attempts follow.
    """

    def __init__(
        self,
        client: Redis,
        prefix: str,
        up: Callable[[str, Pipe], Awaitable[None]],
        changed: Callable[[bytes | None], None],
        down: Callable[[str], None],
        refused: Callable[[str], None],
    ) -> None:
        self._client, self._prefix = client, prefix
        self._up, self._changed, self._down, self._refused = up, changed, down, refused
        self._is_lost = False  # whether ``down`` was called for these connections

    async def run(self) -> None:
        """Track until cancelled, reconnecting after each loss."""
        from redis.exceptions import RedisError, ResponseError

        pool = getattr(self._client, "connection_pool", None)
        if pool is None or not hasattr(pool, "connection_class"):
            self._refused("a cluster has no single connection for changes of all keys")
            return
        wait_s = FIRST_WAIT_S
        while True:
            events, own = (
                pool.connection_class(**{**pool.connection_kwargs, "socket_timeout": timeout_s})
                for timeout_s in (ANSWER_S, None)
            )
            self._is_lost = False
            try:
                await events.connect()
                await own.connect()
                identity = await self._subscribe(events, own)
                wait_s = FIRST_WAIT_S
                await self._follow(events, Pipe(own), identity)
            except ResponseError as error:
                if events.is_connected and own.is_connected:
                    self._refused(str(error))
                    return
                self._lost(error)
            except (RedisError, OSError, TimeoutError, EngineError) as error:
                self._lost(error)
            finally:
                for connection in (events, own):
                    with suppress(RedisError, OSError, TimeoutError):
                        await connection.disconnect()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_WAIT_S)

    def _lost(self, error: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._down(str(error) or type(error).__name__)

    async def _subscribe(self, events: Any, own: Any) -> str:
        from redis.exceptions import NoPermissionError

        async def ask(connection: Any, *command: str) -> Any:
            await connection.send_command(*command)
            return await asyncio.wait_for(connection.read_response(), ANSWER_S)

        try:
            about = bytes(await ask(events, "INFO", "server"))
            identity = next(
                (
                    line[7:].strip().decode()
                    for line in about.splitlines()
                    if line.startswith(b"run_id:")
                ),
                "",
            )
        except NoPermissionError:
            identity = ""  # counts as another process each time
        number = await ask(events, "CLIENT", "ID")
        await ask(events, "SUBSCRIBE", CHANNEL.decode())
        await ask(
            own,
            "CLIENT",
            "TRACKING",
            "ON",
            "REDIRECT",
            str(number),
            "BCAST",
            "PREFIX",
            self._prefix,
            "NOLOOP",
        )
        return identity

    async def _follow(self, events: Any, pipe: Pipe, identity: str) -> None:
        """Run until a connection is lost, and raise its error."""
        parts = [
            asyncio.ensure_future(self._while_up(part))
            for part in (self._listen(events), pipe.read(), self._stay(pipe, identity))
        ]
        try:
            completed, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in completed:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _while_up(self, part: Awaitable[None]) -> None:
        from redis.exceptions import RedisError, ResponseError

        try:
            await part
        except (RedisError, OSError, TimeoutError, EngineError) as error:
            if not isinstance(error, ResponseError):
                self._lost(error)
            raise

    async def _listen(self, events: Any) -> None:
        awaits_pong = False
        while True:
            message = await events.read_response(timeout=ALIVE_S)
            if message is None:
                if awaits_pong:
                    raise TimeoutError("Redis did not reply to PING")
                await events.send_command("PING")
                awaits_pong = True
                continue
            awaits_pong = False
            if message[0] == b"message" and message[1] == CHANNEL:
                for key in message[2] if message[2] is not None else (None,):
                    self._changed(key)

    async def _stay(self, pipe: Pipe, identity: str) -> None:
        await self._up(identity, pipe)
        while True:
            await asyncio.sleep(ALIVE_S)
            await asyncio.wait_for(pipe.ask([("PING",)]), ANSWER_S)
