"""REST without Jupyter: each path reads a request, runs one operation on a thread, and answers."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..client.http import EVENT_STREAM, REQUEST_ID
from ..errors import CodeIntelError, EngineError, ScopeError, SourceError
from ..index.update.report import Progress
from ..operations.operations import HeldSession, Limits, Operations
from ..operations.values import (
    FacetsRequest,
    FileRequest,
    IndexRequest,
    JobState,
    MapRequest,
    PathsRequest,
    RefreshRequest,
    RepositoriesAnswer,
    SavedScopes,
    ScopeAnswer,
    SemanticRequest,
    SessionsAnswer,
    SessionState,
    SqlRequest,
    SymbolsRequest,
    TextRequest,
    from_wire,
    to_wire,
)
from ..scopes.namespaces import of_scripts
from ..scopes.registry import open_registry
from ..scopes.scope import Scope, patched, scope_from_wire
from ..scopes.session import check_session_id, new_session_id
from ..settings import Settings
from ..workspace import Workspace
from .backend import ServiceBackend
from .health import health
from .problems import MAX_BODY_BYTES, MAX_SQL_BODY_BYTES, decode_or_bad_request, status_of
from .service import SharedService

if TYPE_CHECKING:
    from starlette.requests import Request

FOLLOW_S = 5.0  # between checks for new repositories to watch
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_T = TypeVar("_T")
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
    deadline_s: float = 30.0
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


class Refused(Exception):
    """Rejection of a request, with its status and reason."""

    def __init__(
        self, status: int, detail: str, error: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.error, self.headers = status, detail, error, headers or {}


class Call:
    """A request: its session, its body, its parameters."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.body = b""
        self.session_id = ""
        self.cancel = threading.Event()

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
            raise Refused(415, f"The body is {kind or 'of no type'!r}; send application/json.")
        session_id = self.request.path_params.get("session_id") or self.request.headers.get(
            "x-session-id"
        )
        self.session_id = (
            check_session_id(session_id) if session_id is not None else new_session_id()
        )

    def named(self, name: str) -> str:
        return str(self.request.path_params[name])

    def decoded(self, kind: type[_T]) -> _T:
        return decode_or_bad_request(lambda: from_wire(self.body or b"{}", kind))

    def queried(self, kind: type[_T]) -> _T:
        return decode_or_bad_request(
            lambda: msgspec.convert(dict(self.request.query_params), kind, strict=False)
        )

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
    """Handlers of REST, and backend of MCP's tools.

    The service exists while the application runs.
    """

    default_session = ""

    def __init__(self, options: Options) -> None:
        self.options = options

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        options, settings = self.options, Settings.from_environment(self.options.home)
        # not the folder in which the server happens to run
        workspace = Workspace(
            settings, look_here=False, here=options.roots[0] if options.roots else None
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
            options.deadline_s, hits=100_000, rows=100_000, sql_memory_bytes=1_500_000_000
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
        self._service.searching.submit(self._service.prepare)
        following = asyncio.ensure_future(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await registry.close()
            await asyncio.to_thread(self._service.close)

    def end_calls(self) -> None:
        """Cancel all calls in flight; they return partial results."""
        self._service.end_calls()

    async def _follow(self) -> None:
        while True:
            await self._service.follow()
            await asyncio.sleep(FOLLOW_S)

    def routes(self) -> list[tuple[str, str, Callable[[Call], Awaitable[Any]], int]]:
        def operations() -> Operations:
            return self._service.operations  # missing until the application runs

        searches: list[tuple[str, type, Callable[..., Any]]] = [
            ("search/text", TextRequest, lambda *args: operations().search_text(*args)),
            (
                "search/semantic",
                SemanticRequest,
                lambda *args: operations().semantic_search(*args),
            ),
            ("search/symbols", SymbolsRequest, lambda *args: operations().symbols(*args)),
            ("paths", PathsRequest, lambda *args: operations().list_paths(*args)),
            (
                "facets",
                FacetsRequest,
                lambda request, current, cancel: operations().facets(request, current),
            ),
        ]
        return [
            *((path, "POST", self._searching(kind, work), 200) for path, kind, work in searches),
            (
                "sql",
                "POST",
                self._long(
                    SqlRequest,
                    lambda request, current, progress, cancel: self._service.run_sql(
                        request, current, cancel
                    ),
                ),
                200,
            ),
            (
                "map",
                "POST",
                self._long(MapRequest, lambda *args: operations().code_map(*args)),
                200,
            ),
            ("searches/{request_id}", "DELETE", self._end_search, 200),
            ("sessions", "GET", self._sessions, 200),
            ("sessions/{session_id}/scope", "GET", lambda call: self.get_scope(), 200),
            (
                "sessions/{session_id}/scope",
                "PUT",
                lambda call: self.set_scope(
                    decode_or_bad_request(lambda: scope_from_wire(call.decoded(object)))
                ),
                200,
            ),
            ("sessions/{session_id}/scope", "PATCH", self._patch_scope, 200),
            ("sessions/{session_id}/scope", "DELETE", lambda call: self.clear_scope(), 200),
            ("scopes", "GET", self._saved, 200),
            (
                "scopes/{name}",
                "GET",
                lambda call: self._found(lambda: operations().named.load(call.named("name"))),
                200,
            ),
            ("scopes/{name}", "PUT", self._save, 200),
            (
                "scopes/{name}",
                "DELETE",
                lambda call: self._found(lambda: operations().named.remove(call.named("name"))),
                200,
            ),
            ("files", "GET", self._file, 200),
            ("repositories", "GET", self._repositories, 200),
            ("repositories", "POST", self._index, 202),
            ("repositories/{name}", "DELETE", self._remove, 200),
            ("repositories/{name}/refresh", "POST", self._refresh, 202),
            ("repositories/{name}/job", "GET", self._job, 200),
            ("repositories/{name}/job", "DELETE", self._cancel_job, 202),
            ("repositories/{name}/events", "GET", self._events, 200),
            ("health", "GET", self._health, 200),
        ]

    # scopes

    async def _sessions(self, call: Call) -> SessionsAnswer:
        scopes = await self._service.sessions.registry.snapshot()
        return SessionsAnswer(
            tuple(SessionState(session_id, scope) for session_id, scope in sorted(scopes.items()))
        )

    async def _patch_scope(self, call: Call) -> ScopeAnswer:
        change = call.decoded(object)
        current = await self._service.sessions.get()
        return await self.set_scope(decode_or_bad_request(lambda: patched(current.scope, change)))

    async def _saved(self, call: Call) -> SavedScopes:
        return SavedScopes(await self._service.run_in_thread(self._service.operations.named.all))

    async def _save(self, call: Call) -> Scope:
        scope = decode_or_bad_request(lambda: scope_from_wire(call.decoded(object)))
        await self._service.run_in_thread(
            lambda: self._service.operations.named.save(call.named("name"), scope)
        )
        return scope

    async def _found(self, work: Callable[[], _T]) -> _T:
        """Run on a thread; an unknown name in the path becomes a 404."""
        try:
            return await self._service.run_in_thread(work)
        except (ScopeError, SourceError) as error:
            raise Refused(404, str(error), type(error).__name__) from None

    # searches

    def _searching(
        self, kind: type[Any], work: Callable[..., Any]
    ) -> Callable[[Call], Awaitable[bytes]]:
        async def search(call: Call) -> bytes:
            request, current = call.decoded(kind), await self._service.sessions.get()
            request_id = call.request.headers.get(REQUEST_ID, id(call))
            async with call.cancelling() as cancel:
                return await self._service.search(
                    request, current, cancel, request_id, lambda *args: to_wire(work(*args))
                )

        return search

    def _long(
        self, kind: type[Any], work: Callable[..., Any]
    ) -> Callable[[Call], Awaitable[bytes | AsyncIterator[bytes]]]:
        """Return a handler for long calls; it streams events to clients that accept them."""

        async def answer(call: Call) -> bytes | AsyncIterator[bytes]:
            current = await self._service.sessions.get()
            request_id = call.request.headers.get(REQUEST_ID, id(call))

            def run(progress: Callable[[Progress], None], cancel: threading.Event) -> bytes:
                return to_wire(work(call.decoded(kind), current, progress, cancel))

            if EVENT_STREAM in call.request.headers.get("accept", ""):
                return self._service.stream(current, call.cancel, request_id, run)
            async with call.cancelling() as cancel:
                return await self._service.long_call(current, cancel, request_id, run)

        return answer

    async def _end_search(self, call: Call) -> None:
        self._service.end_search(call.session_id, call.named("request_id"))

    async def _file(self, call: Call) -> Any:
        request = call.queried(FileRequest)
        return await self._found(
            lambda: HeldSession(
                self._service.operations, ScopeAnswer(Scope(), call.session_id)
            ).open_file(request)
        )

    # repositories

    async def _repositories(self, call: Call) -> RepositoriesAnswer:
        return RepositoriesAnswer(tuple(await self.status()))

    def _alone(self) -> None:
        if self.options.workers > 1:
            raise Refused(
                409,
                "A server of several workers indexes nothing by itself. "
                "Index beside it: codeintel index PATH, or codeintel watch",
                "EngineError",
            )

    async def _index(self, call: Call) -> JobState:
        self._alone()
        request = call.decoded(IndexRequest)
        if request.path is not None and not os.path.isabs(os.path.expanduser(request.path)):
            raise Refused(
                400, f"The path {request.path!r} is relative; give a whole one.", "SourceError"
            )
        repository = await self._service.run_in_thread(
            lambda: self._service.operations.repository(request)
        )
        try:
            await self._service.run_in_thread(lambda: self._service.checked_root(repository))
        except SourceError as error:
            raise Refused(403, str(error), "SourceError") from None
        return self._service.jobs.start(repository, request.rebuild)

    async def _remove(self, call: Call) -> None:
        try:
            await self._found(lambda: self._service.workspace.remove(call.named("name")))
        except EngineError as error:
            raise Refused(409, str(error), "EngineError") from None

    async def _refresh(self, call: Call) -> JobState:
        self._alone()
        request = call.decoded(RefreshRequest)
        repository = await self._found(lambda: self._service.workspace.current(call.named("name")))
        return self._service.jobs.start(repository, request.rebuild)

    async def _job(self, call: Call) -> JobState:
        return await self._found(lambda: self._service.jobs.state(call.named("name")))

    async def _cancel_job(self, call: Call) -> JobState:
        return await self._found(lambda: self._service.jobs.cancel(call.named("name")))

    async def _events(self, call: Call) -> AsyncIterator[bytes]:
        await self._job(call)
        return await self._service.job_events(call.named("name"))

    async def _health(self, call: Call) -> Any:
        registry = self._service.sessions.registry
        sessions = await registry.session_count()
        watching = self._service.watcher.names if self._service.watcher else ()
        return await self._service.run_in_thread(
            lambda: health(
                self._service.workspace, sessions, self._service.jobs, watching, registry=registry
            )
        )


def refusal(error: Refused | CodeIntelError) -> Refused:
    if isinstance(error, Refused):
        return error
    return Refused(status_of(error), str(error), type(error).__name__)
