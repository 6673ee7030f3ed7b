"""REST without Jupyter: requests of Starlette, answered by the shared service."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from ..client.transport import EVENT_STREAM, REQUEST_ID
from ..engines.choice import has_processes, server_engine
from ..operations.limits import Limits
from ..operations.table import Operation
from ..operations.wire import decode_request
from ..scopes.namespaces import of_scripts
from ..scopes.registries import open_registry
from ..scopes.session import check_session_id, new_session_id
from ..search.cancel import Cancel
from ..search.request import Request
from ..settings import Settings
from ..workspace import Workspace
from .backend import ServiceBackend
from .caller import Caller
from .problems import MAX_BODY_BYTES, MAX_SQL_BODY_BYTES, Refused
from .service import SharedService

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

FOLLOW_S = 5.0  # between checks for new repositories to watch
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES  # of an oversized body, read and discarded


class Options(msgspec.Struct, frozen=True):
    """Settings of the server."""

    home: str | None = None
    host: str = "127.0.0.1"
    port: int = 8787
    token: str = ""  # empty: none is required
    registry_url: str = "memory://"
    registry_prefix: str = "codeintel:"
    workers: int = 1
    roots: tuple[str, ...] = ()  # folders below which clients may index, besides those of packages
    allowed_hosts: tuple[str, ...] = ()  # host names of the server, besides its address
    watch: bool = True
    timeout_s: float = 30.0
    search_threads: int = 4

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the accepted values of the Host header."""
        names = {
            *self.allowed_hosts,
            *(LOOPBACK if self.host in (*LOOPBACK, "0.0.0.0", "::") else ()),
            self.host,
        }
        return tuple(sorted(f"[{name}]" if ":" in name else name for name in names))


class Call:
    """A request: its session, its body, its parameters."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.body = b""
        self.session_id = ""
        self.cancel = Cancel()

    async def read(self) -> None:
        received, parts = 0, list[bytes]()
        most = MAX_SQL_BODY_BYTES if self.request.url.path.endswith("/sql") else MAX_BODY_BYTES
        async for part in self.request.stream():
            received += len(part)
            if received <= most:
                parts.append(part)
            elif received > max(most, MAX_DRAINED_BYTES):
                break
        self.body = b"".join(parts)
        # after reading it all: a client still sending would see a closed connection
        if received > most:
            raise Refused(
                413,
                f"The body has {'more than ' * (received > max(most, MAX_DRAINED_BYTES))}"
                f"{received:,} bytes; the maximum is {most:,}.",
                "SearchError",
            )
        kind = self.request.headers.get("content-type", "")
        if self.body and not kind.partition(";")[0].strip().lower().endswith("json"):
            raise Refused(415, f"The body's content type is {kind!r}. Send application/json.")
        session_id = self.request.path_params.get("session_id") or self.request.headers.get(
            "x-session-id"
        )
        self.session_id = (
            check_session_id(session_id) if session_id is not None else new_session_id()
        )

    def named(self, name: str) -> str:
        return str(self.request.path_params[name])

    def decoded(self, operation: Operation) -> Request[Any]:
        parameters = {name: self.named(name) for name in operation.parameters}
        return decode_request(operation, self.body, parameters, dict(self.request.query_params))

    @asynccontextmanager
    async def cancelling(self) -> AsyncIterator[threading.Event]:
        """Set ``cancel`` when the client disconnects."""

        async def watch() -> None:
            while not await self.request.is_disconnected():
                await asyncio.sleep(0.1)
            self.cancel.set()

        watching = asyncio.ensure_future(watch())
        try:
            yield self.cancel
        finally:
            watching.cancel()


class Rest(ServiceBackend):
    """REST, and backend of MCP's tools, while the application runs."""

    default_session = ""

    def __init__(self, options: Options) -> None:
        self.options = options

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        options, settings = self.options, Settings.from_environment(self.options.home)
        # not the folder in which the server happens to run
        workspace = Workspace(
            settings,
            look_here=False,
            here=options.roots[0] if options.roots else None,
            engine=server_engine(settings),
        )
        registry = of_scripts(
            open_registry(
                options.registry_url,
                settings.max_sessions,
                settings.session_max_age_s,
                settings.prune_interval_s,
                options.registry_prefix,
            )
        )
        limits = Limits(
            options.timeout_s, hits=100_000, rows=100_000, sql_memory_bytes=1_500_000_000
        )
        watch = options.watch and options.workers == 1
        self._service = SharedService(
            workspace,
            registry,
            limits,
            options.roots,
            options.search_threads,
            watch,
            lambda name, message: print(f"codeintel: {message}", file=sys.stderr, flush=True),
        )
        self._service.calls.has_processes = has_processes(settings)
        self._service.indexes_here = options.workers == 1
        self._service.calls.searching.submit(self._service.prepare)
        following = asyncio.ensure_future(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await registry.close()
            await asyncio.to_thread(self._service.close)

    def end_calls(self) -> None:
        """End all calls in flight; they return partial results."""
        self._service.calls.end_all()

    async def _follow(self) -> None:
        while True:
            await self._service.follow()
            await asyncio.sleep(FOLLOW_S)

    async def answer(self, operation: Operation, call: Call) -> Any:
        """Answer a request; a stream of events is an async iterator."""
        request_id = call.request.headers.get(REQUEST_ID, str(id(call)))
        wants_events = EVENT_STREAM in call.request.headers.get("accept", "")
        caller = Caller(call.session_id, request_id, wants_events=wants_events, cancel=call.cancel)

        async def run() -> Any:
            return await self._service.answer(operation, lambda: call.decoded(operation), caller)

        if operation.run is None or (operation.kind == "long" and wants_events):
            return await run()
        async with call.cancelling():
            return await run()
