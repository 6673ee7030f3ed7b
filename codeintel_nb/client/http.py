"""Client over HTTP: a kernel's requests to its Jupyter server, signed with its own key."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from .. import __version__, errors
from ..errors import CodeIntelError, named_error
from ..index.update.report import IndexReport, OnProgress, Progress, RepositoryStatus
from ..operations.values import (
    FacetsRequest,
    FileRequest,
    Health,
    IndexRequest,
    JobState,
    MapRequest,
    PathsRequest,
    Problem,
    RefreshRequest,
    RepositoriesAnswer,
    SavedScopes,
    ScopeAnswer,
    SearchAnswer,
    SemanticRequest,
    SqlRequest,
    SymbolsRequest,
    TableAnswer,
    TextRequest,
    to_wire,
)
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.hit import FileText
from ..search.table import Table
from .kernel import Kernel, NoServer
from .signature import credential

BASE = "codeintel/v1/"
VERSION_HEADER = "X-CodeIntel-Version"
REQUEST_ID = "X-Request-ID"
EVENT_STREAM = "text/event-stream"
CONNECT_S = 3.0
SEARCH_S = 60.0  # for a search without a deadline of its own
SLACK_S = 10.0  # beyond a search's own deadline
ANSWER_S = 15.0  # for every other call
HEARTBEAT_S = 45.0  # an event stream sends something more often than this
POLL_S = 0.05  # between checks of a cancel event

_T = TypeVar("_T")


class ServerClient:
    """Client (client/contract.py) of one kernel.

    It raises NoServer if the server is gone, refuses the request, or has another version.
    """

    where = "kept by the Jupyter server"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._address = urlsplit(kernel.url)
        self._base = self._address.path.rstrip("/") + "/" + BASE
        self._scope = f"sessions/{kernel.id}/scope"

    def get_scope(self) -> ScopeAnswer:
        return self._call("GET", self._scope, ScopeAnswer)

    def set_scope(self, scope: Scope) -> ScopeAnswer:
        return self._call("PUT", self._scope, ScopeAnswer, scope)

    def clear_scope(self) -> ScopeAnswer:
        return self._call("DELETE", self._scope, ScopeAnswer)

    def saved_scopes(self) -> dict[str, Scope]:
        return self._call("GET", "scopes", SavedScopes).scopes

    def save_scope(self, name: str, scope: Scope) -> None:
        self._call("PUT", f"scopes/{quote(name, safe='')}", Scope, scope)

    def load_scope(self, name: str) -> Scope:
        return self._call("GET", f"scopes/{quote(name, safe='')}", Scope)

    def search_text(
        self, request: TextRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self._search("search/text", request, SearchAnswer, request.deadline, cancel)

    def semantic_search(
        self, request: SemanticRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self._search("search/semantic", request, SearchAnswer, request.deadline, cancel)

    def symbols(
        self, request: SymbolsRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self._search("search/symbols", request, SearchAnswer, request.deadline, cancel)

    def list_paths(
        self, request: PathsRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer:
        return self._search("paths", request, SearchAnswer, request.deadline, cancel)

    def facets(self, request: FacetsRequest) -> Facets:
        return self._call("POST", "facets", Facets, request)

    def code_map(
        self,
        request: MapRequest,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> Points:
        return self._long_call("map", request, Points, progress, cancel)

    def sql(self, request: SqlRequest, cancel: threading.Event | None = None) -> Table:
        return self._long_call("sql", request, TableAnswer, None, cancel).table()

    def open_file(self, request: FileRequest) -> FileText:
        query = {
            name: value
            for name, value in msgspec.structs.asdict(request).items()
            if value is not None
        }
        return self._call("GET", f"files?{urlencode(query)}", FileText)

    def status(self) -> list[RepositoryStatus]:
        return list(self._call("GET", "repositories", RepositoriesAnswer).repositories)

    def index(
        self,
        request: IndexRequest,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> IndexReport:
        return self._follow(self._call("POST", "repositories", JobState, request), progress, cancel)

    def refresh(
        self,
        name: str,
        rebuild: bool = False,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> IndexReport:
        return self._follow(
            self._call(
                "POST",
                f"repositories/{quote(name, safe='')}/refresh",
                JobState,
                RefreshRequest(rebuild=rebuild),
            ),
            progress,
            cancel,
        )

    def remove(self, name: str) -> None:
        self._call("DELETE", f"repositories/{quote(name, safe='')}", None)

    def watch(self) -> tuple[str, ...]:
        return self._call("GET", "health", Health).watching

    def public_url(self) -> str:
        """Return the server's public address; empty if the server does not know it."""
        return self._call("GET", "health", Health).url

    # requests

    def _call(self, method: str, place: str, kind: type[_T] | None, payload: Any = None) -> _T:
        with self._request(method, place, payload, ANSWER_S) as connection:
            return self._answer(connection, kind)

    def _search(
        self,
        place: str,
        request: Any,
        kind: type[_T],
        deadline: float | None,
        cancel: threading.Event | None,
    ) -> _T:
        """Search; setting ``cancel`` stops the search on the server, with partial results."""
        request_id, timeout_s = str(uuid.uuid4()), (deadline or SEARCH_S) + SLACK_S
        with (
            self._request(
                "POST", place, request, timeout_s, {REQUEST_ID: request_id}
            ) as connection,
            self._cancelling(cancel, f"searches/{request_id}", repeat=True),
        ):
            return self._answer(connection, kind)

    def _long_call(
        self,
        place: str,
        request: Any,
        kind: type[_T],
        progress: OnProgress | None,
        cancel: threading.Event | None,
    ) -> _T:
        """Make a long call; setting ``cancel`` cancels it on the server."""
        request_id = str(uuid.uuid4())
        headers = {REQUEST_ID: request_id, "Accept": EVENT_STREAM}
        with (
            self._request("POST", place, request, HEARTBEAT_S, headers) as connection,
            self._cancelling(cancel, f"searches/{request_id}", repeat=True),
        ):
            for name, data in _events(self._accepted(connection)):
                if name == "progress" and progress is not None:
                    progress(msgspec.json.decode(data, type=Progress))
                elif name == "problem":
                    raise _raised(msgspec.json.decode(data, type=Problem))
                elif name == "answer":
                    return msgspec.json.decode(data, type=kind)
        raise NoServer("the server ended in the middle of an answer")

    def _follow(
        self, job: JobState, progress: OnProgress | None, cancel: threading.Event | None = None
    ) -> IndexReport:
        """Follow a job's events until it ends; setting ``cancel`` cancels the job."""
        place = f"repositories/{quote(job.repository, safe='')}"
        with (
            self._request("GET", f"{place}/events", None, HEARTBEAT_S) as connection,
            self._cancelling(cancel, f"{place}/job"),
        ):
            for _, data in _events(self._accepted(connection)):
                state = msgspec.json.decode(data, type=JobState)
                if state.progress is not None and progress is not None:
                    progress(state.progress)
                if state.ended:
                    return _report(state)
        raise NoServer("the server ended in the middle of an indexing run")

    @contextmanager
    def _cancelling(
        self, cancel: threading.Event | None, place: str, repeat: bool = False
    ) -> Iterator[None]:
        """Send a DELETE to ``place`` when ``cancel`` is set, or on Ctrl-C.

        With ``repeat``, send it until the call ends, as the first may arrive before the server has
        started the call. It is not repeated for an indexing run: a second DELETE could cancel
        another client's run.
        """
        over = threading.Event()

        def end() -> bool:
            with suppress(NoServer, CodeIntelError):  # the call or the server has already ended
                self._call("DELETE", place, None)
                return True
            return False

        def watch(cancelled: threading.Event) -> None:
            while not over.wait(POLL_S):
                if cancelled.is_set() and end() and not repeat:
                    return

        if cancel is not None:
            threading.Thread(
                target=watch, args=(cancel,), name="codeintel-cancel", daemon=True
            ).start()
        try:
            yield
        except KeyboardInterrupt:
            end()
            raise
        finally:
            over.set()

    @contextmanager
    def _request(
        self,
        method: str,
        place: str,
        payload: Any,
        timeout_s: float,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPConnection]:
        """Yield a connection on which a signed request was sent.

        Raises
        ------
        NoServer : the connection failed or timed out.
        """
        uri = self._base + place
        body = b"" if payload is None else to_wire(payload)
        sent = {
            **self._credential(method, uri, body),
            "Content-Type": "application/json",
            VERSION_HEADER: __version__,
            **(headers or {}),
        }
        connection = self._connection()
        try:
            try:
                connection.connect()
            except TimeoutError:
                raise NoServer(
                    f"the Jupyter server took no connection within {CONNECT_S:.0f} s"
                ) from None
            connection.sock.settimeout(timeout_s)
            connection.request(method, uri, body=body, headers=sent)
            yield connection
        except TimeoutError:
            raise NoServer(f"the Jupyter server did not answer within {timeout_s:.0f} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise NoServer(f"the Jupyter server does not answer ({type(error).__name__})") from None
        finally:
            connection.close()

    def _credential(self, method: str, uri: str, body: bytes) -> dict[str, str]:
        if self.kernel.token:
            return {"Authorization": f"token {self.kernel.token}", "X-Session-ID": self.kernel.id}
        return {"Authorization": credential(self.kernel.key, self.kernel.id, method, uri, body)}

    def _connection(self) -> http.client.HTTPConnection:
        """Return a connection, not yet open; proxy variables are ignored."""
        address = self._address
        if address.scheme == "http+unix":
            return _UnixConnection(unquote(address.netloc))
        host = address.hostname or "127.0.0.1"
        if address.scheme == "https":
            context = ssl.create_default_context(cafile=os.environ.get("CODEINTEL_SERVER_CA"))
            return http.client.HTTPSConnection(
                host, address.port, timeout=CONNECT_S, context=context
            )
        return http.client.HTTPConnection(host, address.port, timeout=CONNECT_S)

    def _accepted(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        """Return a successful response; raise the server's own error otherwise."""
        response = connection.getresponse()
        if response.status < 300:
            check_version(response.headers.get(VERSION_HEADER, ""))
            return response
        body = response.read()
        try:
            problem = msgspec.json.decode(body, type=Problem)
        except msgspec.DecodeError:
            raise NoServer(
                f"the Jupyter server refuses ({response.status} {response.reason}): "
                "is codeintel-nb enabled there?"
            ) from None
        raise _raised(problem)

    def _answer(self, connection: http.client.HTTPConnection, kind: type[_T] | None) -> _T:
        body = self._accepted(connection).read()
        if kind is None:
            return cast(_T, None)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise NoServer(f"the Jupyter server's answer cannot be read ({error})") from None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def check_version(theirs: str) -> None:
    """Raise NoServer unless the server and this kernel have the same minor version.

    The message contains a command to make them equal.
    """
    if theirs.split(".")[:2] != __version__.split(".")[:2]:
        difference = (
            f"the Jupyter server runs codeintel-nb {theirs}"
            if theirs
            else "the Jupyter server does not tell its version of codeintel-nb"
        )
        command = (
            f"%pip install codeintel-nb=={theirs}"
            if theirs
            else "%pip install --upgrade codeintel-nb"
        )
        raise NoServer(
            f"{difference}, this kernel {__version__}. "
            f"To join them: {command}, then restart the kernel"
        )


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the data of each event of a stream."""
    name = ""
    for line in response:
        if line.startswith(b"event:"):
            name = line[6:].strip().decode()
        elif line.startswith(b"data:"):
            yield name, line[5:]


def _raised(problem: Problem) -> Exception:
    """Return a problem document as an exception."""
    kind = getattr(errors, problem.error, None)
    if isinstance(kind, type) and issubclass(kind, CodeIntelError):
        return named_error(problem.error, problem.detail)
    return NoServer(f"the Jupyter server refuses ({problem.status}): {problem.detail}")


def _report(state: JobState) -> IndexReport:
    if state.report is None:
        raise named_error(state.error, state.detail)
    return state.report
