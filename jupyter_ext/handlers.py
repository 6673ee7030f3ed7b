"""REST: each handler reads a request, calls one operation off the event loop, and writes its answer.

``openapi.yml`` describes all of it; a test holds the two against each other.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from codeintel_nb import __version__
from codeintel_nb.api.client import BASE, HEARTBEAT_S, REQUEST_ID, VERSION_HEADER
from codeintel_nb.api.health import health
from codeintel_nb.api.signature import SCHEME
from codeintel_nb.api.wire import (
    FileRequest,
    IndexRequest,
    JobState,
    PathsRequest,
    Problem,
    RefreshRequest,
    RepositoriesAnswer,
    SavedScopes,
    ScopeAnswer,
    SearchAnswer,
    SemanticRequest,
    SessionsAnswer,
    SessionState,
    SqlRequest,
    TableAnswer,
    TextRequest,
    to_wire,
)
from codeintel_nb.errors import CodeIntelError, EngineError, MissingExtra, ScopeError, SearchError, ShardError, SourceError
from codeintel_nb.scopes.scope import Scope, patched, scope_from_wire
from codeintel_nb.scopes.session import check_session_id, new_session_id, session_context
from codeintel_nb.search.query import Bounds

from .credentials import RESOURCE, Refused, kernel_or_user, refused
from .metrics import SEARCH_SECONDS, SEARCHES

SESSION_HEADER = "X-Session-ID"
MOST_BODY_BYTES = 1_000_000
MOST_EVENT_STREAMS = 64
STATUS = {  # the nearest class decides
    ScopeError: HTTPStatus.BAD_REQUEST,
    SearchError: HTTPStatus.BAD_REQUEST,
    SourceError: HTTPStatus.BAD_REQUEST,
    EngineError: HTTPStatus.SERVICE_UNAVAILABLE,
    ShardError: HTTPStatus.SERVICE_UNAVAILABLE,
    MissingExtra: HTTPStatus.NOT_IMPLEMENTED,
    CodeIntelError: HTTPStatus.BAD_REQUEST,
}

_T = TypeVar("_T")


class CodeIntelHandler(APIHandler):
    """What all have in common: who asks, for which session, and errors as RFC 9457 problem documents."""

    statuses: ClassVar[dict[type[CodeIntelError], HTTPStatus]] = {}  # where they differ from STATUS
    auth_resource = RESOURCE
    kernel_id: str | None = None
    session_id = ""
    cancel: threading.Event

    @property
    def service(self) -> Any:
        return self.settings["codeintel_service"]

    async def prepare(self) -> None:
        self.cancel = threading.Event()
        self.set_header(VERSION_HEADER, __version__)
        header = self.request.headers.get("Authorization", "")
        if header.startswith(SCHEME + " "):
            self.kernel_id = self.service.signatures.kernel_of(header, self.request.method, self.request.uri, self.request.body)
            if self.kernel_id is None:
                raise refused("The kernel's signature is not good: of an unknown kernel, forged, used before or too old.")
        await super().prepare()
        if len(self.request.body) > MOST_BODY_BYTES:
            raise Refused(413, f"The body has {len(self.request.body):,} bytes; the most is {MOST_BODY_BYTES:,}.")
        if self.request.body and not self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower().endswith("json"):
            raise Refused(415, f"The body is {self.request.headers.get('Content-Type', 'of no type')!r}; send application/json.")
        self.session_id = self._session()
        self.set_header(SESSION_HEADER, self.session_id)

    def _session(self) -> str:
        asked = self.request.headers.get(SESSION_HEADER)
        if self.kernel_id is not None:
            if asked not in (None, self.kernel_id):
                raise refused("A kernel's signature is good for its own session alone.")
            return self.kernel_id
        try:
            return check_session_id(asked) if asked is not None else new_session_id()
        except ScopeError as error:
            raise Refused(400, str(error), "ScopeError") from None

    def check_xsrf_cookie(self) -> None:
        if self.kernel_id is None:  # a signature is no ambient credential: there is nothing to forge
            super().check_xsrf_cookie()

    # requests

    def decoded(self, kind: type[_T]) -> _T:
        """The body as a value of this type."""
        return _read(lambda: msgspec.json.decode(self.request.body or b"{}", type=kind))

    def queried(self, kind: type[_T]) -> _T:
        """The query string as a value of this type."""
        given = {name: self.get_query_argument(name) for name in self.request.query_arguments if name != "token"}
        return _read(lambda: msgspec.convert(given, kind, strict=False))

    # work

    async def off_loop(self, work: Callable[[], _T]) -> _T:
        """Run on a thread, so that no other request waits for it."""
        return await asyncio.get_running_loop().run_in_executor(self.service.searching, self.service.in_turn, work)

    async def held(self) -> ScopeAnswer:
        with session_context(self.session_id):
            answer: ScopeAnswer = await self.service.sessions.get()
            return answer

    def on_connection_close(self) -> None:
        self.cancel.set()

    # answers

    def answer(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.finish(value if isinstance(value, bytes) else to_wire(value))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        if not isinstance(value, HTTPError | CodeIntelError):
            super().log_exception(kind, value, trace)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, CodeIntelError):
            status_code = self._status(error)
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        detail, name = HTTPStatus(status_code).phrase, ""
        if isinstance(error, Refused):
            detail, name = error.detail, error.error
        elif isinstance(error, CodeIntelError):
            detail, name = str(error), type(error).__name__
        elif isinstance(error, HTTPError):
            detail = error.log_message or error.reason or detail
        self.set_header(VERSION_HEADER, __version__)
        if self.session_id:
            self.set_header(SESSION_HEADER, self.session_id)
        problem = Problem(HTTPStatus(status_code).phrase, status_code, detail, error=name)
        self.finish(to_wire(problem), set_content_type="application/problem+json")

    def _status(self, error: CodeIntelError) -> int:
        for kind in type(error).__mro__:
            if (status := self.statuses.get(kind) or STATUS.get(kind)) is not None:
                return int(status)
        return int(HTTPStatus.BAD_REQUEST)


def _read(decode: Callable[[], _T]) -> _T:
    try:
        return decode()
    except CodeIntelError:
        raise
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"The request cannot be read: {str(error) or 'it is nested too deeply'}.".replace("..", "."), "SearchError") from None


class UnknownHandler(CodeIntelHandler):
    """Every path that is none of the others."""

    @kernel_or_user("read")
    async def get(self, *path: str) -> None:
        raise Refused(404, f"There is nothing at {self.request.path}.")

    head = post = put = patch = delete = get


# scopes


class SessionsHandler(CodeIntelHandler):
    @kernel_or_user("read", kernels="none")
    async def get(self) -> None:
        labels = await self.service.kernels.labels()
        scopes = await self.service.sessions.registry.snapshot()
        states = [SessionState(session_id, scope, *labels.get(session_id, ("", ()))) for session_id, scope in sorted(scopes.items())]
        self.answer(SessionsAnswer(tuple(states)))


class ScopeHandler(CodeIntelHandler):
    async def prepare(self) -> None:
        await super().prepare()
        try:
            self.session_id = check_session_id(self.path_args[0])
        except ScopeError as error:
            raise Refused(400, str(error), "ScopeError") from None
        self.set_header(SESSION_HEADER, self.session_id)

    @kernel_or_user("read", kernels="own")
    async def get(self, session_id: str) -> None:
        await self._tell(await self.held())

    @kernel_or_user("write", kernels="own")
    async def put(self, session_id: str) -> None:
        await self._set(_read(lambda: scope_from_wire(self.decoded(object))))

    @kernel_or_user("write", kernels="own")
    async def patch(self, session_id: str) -> None:
        change = self.decoded(object)
        held = await self.held()
        await self._set(_read(lambda: patched(held.scope, change)))

    @kernel_or_user("write", kernels="own")
    async def delete(self, session_id: str) -> None:
        with session_context(self.session_id):
            cleared = await self.service.sessions.clear()
        await self._tell(cleared)

    async def _set(self, scope: Scope) -> None:
        checked = await self.off_loop(lambda: self.service.operations.checked(scope))
        with session_context(self.session_id):
            kept = await self.service.sessions.set(checked)
        await self.service.kernels.has_scope(self.session_id)
        await self._tell(kept)

    async def _tell(self, held: ScopeAnswer) -> None:
        offered = None if held.scope else self.service.kernels.offered(self.session_id)
        counted = await self.off_loop(lambda: self.service.operations.counted(held))
        self.answer(msgspec.structs.replace(counted, offered=offered))


class SavedScopesHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self) -> None:
        self.answer(SavedScopes(await self.off_loop(self.service.operations.named.all)))


class SavedScopeHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self, name: str) -> None:
        self.answer(await self._saved(lambda: self.service.operations.named.load(name)))

    @kernel_or_user("write")
    async def put(self, name: str) -> None:
        scope = _read(lambda: scope_from_wire(self.decoded(object)))
        await self.off_loop(lambda: self.service.operations.named.save(name, scope))
        self.answer(scope)

    @kernel_or_user("write")
    async def delete(self, name: str) -> None:
        await self._saved(lambda: self.service.operations.named.remove(name))
        self.set_status(204)
        self.finish()

    async def _saved(self, work: Callable[[], _T]) -> _T:
        try:
            return await self.off_loop(work)
        except ScopeError as error:
            raise Refused(404, str(error), "ScopeError") from None


# searches

class SearchHandler(CodeIntelHandler):
    """A search: bounded by a deadline, ended when its client goes or asks for it, counted."""

    kind = ""

    async def search(self, request: _T, work: Callable[[_T, ScopeAnswer, threading.Event], SearchAnswer | TableAnswer]) -> None:
        arrived = time.monotonic()
        held = await self.held()
        limit = self.service.operations.deadline(getattr(request, "deadline", None))
        running = f"{self.session_id} {self.request.headers.get(REQUEST_ID, id(self))}"
        self.service.running[running] = self.cancel

        def run() -> tuple[bytes, str]:
            waited = time.monotonic() - arrived  # for a thread: part of the deadline
            bounded = request if limit is None or not limit > 0 else msgspec.structs.replace(request, deadline=max(limit - waited, 0.001))  # type: ignore[type-var]
            found = work(bounded, held, self.cancel)
            return to_wire(found), _outcome(found, self.cancel)

        outcome = "error"
        try:
            said, outcome = await self.off_loop(run)
            self.answer(said)
        finally:
            self.service.running.pop(running, None)
            SEARCHES.labels(self.kind, outcome).inc()
            SEARCH_SECONDS.labels(self.kind).observe(time.monotonic() - arrived)


def _outcome(found: SearchAnswer | TableAnswer, cancel: threading.Event) -> str:
    if cancel.is_set():
        return "cancelled"
    if isinstance(found, TableAnswer):
        return "truncated" if found.truncated else "found"
    return "none" if not found.results.hits else "truncated" if found.results.truncated else "found"


class TextHandler(SearchHandler):
    kind = "text"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(TextRequest), self.service.operations.search_text)


class SemanticHandler(SearchHandler):
    kind = "semantic"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(SemanticRequest), self.service.operations.semantic_search)


class PathsHandler(SearchHandler):
    kind = "paths"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(PathsRequest), self.service.operations.list_paths)


class SqlHandler(SearchHandler):
    kind = "sql"

    @kernel_or_user("read")
    async def post(self) -> None:
        limits = self.service.limits

        def run(request: SqlRequest, held: ScopeAnswer, cancel: threading.Event) -> TableAnswer:
            bounds = Bounds.within(request.deadline, cancel)
            found: TableAnswer = self.service.sql.run(request.statement, request.narrowed(held.scope), held.session_id, bounds, limits.rows, limits.sql_memory_bytes)
            return msgspec.structs.replace(found, scope_expired=held.scope_expired)

        await self.search(self.decoded(SqlRequest), run)


class RunningSearchHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def delete(self, request_id: str) -> None:
        """End a search of this session early: it answers with what it has."""
        if (cancel := self.service.running.get(f"{self.session_id} {request_id}")) is not None:
            cancel.set()
        self.set_status(204)
        self.finish()


class FilesHandler(CodeIntelHandler):
    statuses: ClassVar = {SourceError: HTTPStatus.NOT_FOUND, ScopeError: HTTPStatus.NOT_FOUND}

    @kernel_or_user("read")
    async def get(self) -> None:
        request = self.queried(FileRequest)
        self.answer(await self.off_loop(lambda: to_wire(self.service.operations.open_file(request))))


# repositories


class RepositoriesHandler(CodeIntelHandler):
    statuses: ClassVar = {SourceError: HTTPStatus.FORBIDDEN}

    @kernel_or_user("read")
    async def get(self) -> None:
        self.answer(RepositoriesAnswer(tuple(await self.off_loop(self.service.workspace.status))))

    @kernel_or_user("write")
    async def post(self) -> None:
        request = self.decoded(IndexRequest)
        if request.path is not None:  # a relative one is meant as the server shows it
            request = msgspec.structs.replace(request, path=os.path.join(self.settings["server_root_dir"], os.path.expanduser(request.path)))
        try:
            repository = await self.off_loop(lambda: self.service.operations.repository(request))
        except SourceError as error:
            raise Refused(400, str(error), "SourceError") from None
        await self.off_loop(lambda: self.service.checked_root(repository, self._kernel_python()))
        self.answer(self.service.jobs.start(repository, request.rebuild), 202)

    def _kernel_python(self) -> str:
        """The interpreter of the kernel that asks, whose packages it may have indexed."""
        if self.kernel_id is None:
            return ""
        try:
            return str(self.kernel_manager.get_kernel(self.kernel_id).kernel_spec.argv[0])
        except Exception:  # no such kernel spec any more
            return ""


class RepositoryHandler(CodeIntelHandler):
    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND, EngineError: HTTPStatus.CONFLICT}

    @kernel_or_user("write")
    async def delete(self, name: str) -> None:
        await self.off_loop(lambda: self.service.workspace.remove(name))
        self.set_status(204)
        self.finish()


class RefreshHandler(CodeIntelHandler):
    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND}

    @kernel_or_user("write")
    async def post(self, name: str) -> None:
        request = self.decoded(RefreshRequest)
        repository = await self.off_loop(lambda: self.service.workspace.repository(name))
        self.answer(self.service.jobs.start(repository, request.rebuild), 202)


class JobHandler(CodeIntelHandler):
    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND}

    @kernel_or_user("read")
    async def get(self, name: str) -> None:
        self.answer(self.service.jobs.state(name))

    @kernel_or_user("write")
    async def delete(self, name: str) -> None:
        self.answer(self.service.jobs.cancel(name), 202)


class EventsHandler(CodeIntelHandler):
    """An indexing run as server-sent events, one JobState each, until it ends."""

    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND}
    _open = 0

    @kernel_or_user("read")
    async def get(self, name: str) -> None:
        if EventsHandler._open >= MOST_EVENT_STREAMS:
            raise Refused(429, f"{MOST_EVENT_STREAMS} clients follow indexing runs already. Ask for repositories/NAME/job now and then instead.")
        states: asyncio.Queue[JobState] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        stop = self.service.jobs.follow(name, lambda state: loop.call_soon_threadsafe(states.put_nowait, state))
        EventsHandler._open += 1
        try:
            await self._stream(states)
        except StreamClosedError:
            pass  # the client has gone
        finally:
            EventsHandler._open -= 1
            stop()

    async def _stream(self, states: asyncio.Queue[JobState]) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")  # a proxy in front must not collect them
        while not self.cancel.is_set():
            try:
                state = await asyncio.wait_for(states.get(), HEARTBEAT_S / 3)
                while not states.empty():  # a slow client needs the newest alone
                    state = states.get_nowait()
            except TimeoutError:
                self.write(": still here\n\n")
            else:
                self.write(b"event: " + state.state.encode() + b"\ndata: " + to_wire(state) + b"\n\n")
                if state.ended:
                    break
            await self.flush()
        await self.finish(set_content_type="text/event-stream")


# the service itself


class HealthHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self) -> None:
        sessions = await self.service.sessions.registry.session_count()
        self.answer(await self.off_loop(lambda: health(self.service.workspace, sessions, self.service.jobs)))


class DescriptionHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self) -> None:
        self.finish((Path(__file__).parent / "openapi.yml").read_bytes(), set_content_type="application/yaml")


ROUTES: tuple[tuple[str, type[CodeIntelHandler]], ...] = (
    ("sessions", SessionsHandler),
    ("sessions/{session_id}/scope", ScopeHandler),
    ("scopes", SavedScopesHandler),
    ("scopes/{name}", SavedScopeHandler),
    ("search/text", TextHandler),
    ("search/semantic", SemanticHandler),
    ("paths", PathsHandler),
    ("sql", SqlHandler),
    ("searches/{request_id}", RunningSearchHandler),
    ("files", FilesHandler),
    ("repositories", RepositoriesHandler),
    ("repositories/{name}", RepositoryHandler),
    ("repositories/{name}/refresh", RefreshHandler),
    ("repositories/{name}/job", JobHandler),
    ("repositories/{name}/events", EventsHandler),
    ("health", HealthHandler),
    ("openapi.yml", DescriptionHandler),
)


def routes() -> list[tuple[str, type[CodeIntelHandler]]]:
    """Patterns for Jupyter's web application, below its base URL."""
    import re

    found = [(BASE + re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path)), handler) for path, handler in ROUTES]
    return [*found, (BASE + "(.*)", UnknownHandler)]
