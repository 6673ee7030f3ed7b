"""Client over HTTP: a kernel's signed requests to its server."""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from ..errors import CodeIntelError, named_error
from ..index.update.report import IndexReport, OnProgress, Progress
from ..operations.answers import JobState, Problem, TableAnswer
from ..operations.requests import CancelJobRequest, EndSearch, HealthRequest, JobEventsRequest
from ..operations.table import Operation, operation_of
from ..operations.wire import encode_request
from ..search.request import Request
from .contract import Client
from .kernel import Kernel, NoServer
from .transport import (
    EVENT_STREAM,
    HEARTBEAT_S,
    REQUEST_ID,
    Transport,
    accepted,
    events,
    raised,
)

SEARCH_S = 60.0  # for a search without a time limit of its own
SLACK_S = 10.0  # beyond a search's own time limit
ANSWER_S = 15.0  # for every other call
WHERE = "kept by the Jupyter server"
POLL_S = 0.05  # between checks of a cancel event


class ServerClient(Client):
    """Client (client/contract.py) of one kernel.

    It raises NoServer if the server is gone, refuses the request, or has another version.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._transport = Transport(kernel)

    @property
    def where(self) -> str:
        return WHERE

    def watch(self) -> tuple[str, ...]:
        return self.ask(HealthRequest()).watching

    def public_url(self) -> str:
        """Return the server's public address; empty if unknown."""
        return self.ask(HealthRequest()).url

    def _ask(
        self, request: Request[Any], progress: OnProgress, cancel: threading.Event | None
    ) -> Any:
        operation = operation_of(request)
        if operation.kind == "search":
            return self._search(operation, request, cancel)
        if operation.kind == "long":
            return self._long_call(operation, request, progress, cancel)
        with self._send(operation, request, ANSWER_S) as connection:
            answer = _decoded(connection, operation)
        return answer if operation.kind != "job" else self._follow(answer, progress, cancel)

    def _search(
        self, operation: Operation, request: Request[Any], cancel: threading.Event | None
    ) -> Any:
        """Search; ``cancel`` stops the server's search, with partial results."""
        request_id = str(uuid.uuid4())
        timeout_s = (getattr(request, "timeout_s", None) or SEARCH_S) + SLACK_S
        with (
            self._send(operation, request, timeout_s, {REQUEST_ID: request_id}) as connection,
            self._cancelling(cancel, EndSearch(request_id=request_id), repeat=True),
        ):
            return _decoded(connection, operation)

    def _long_call(
        self,
        operation: Operation,
        request: Request[Any],
        progress: OnProgress,
        cancel: threading.Event | None,
    ) -> Any:
        """Make a long call; setting ``cancel`` cancels it on the server."""
        request_id = str(uuid.uuid4())
        headers = {REQUEST_ID: request_id, "Accept": EVENT_STREAM}
        with (
            self._send(operation, request, HEARTBEAT_S, headers) as connection,
            self._cancelling(cancel, EndSearch(request_id=request_id), repeat=True),
        ):
            for name, data in events(accepted(connection)):
                if name == "progress":
                    progress(msgspec.json.decode(data, type=Progress))
                elif name == "problem":
                    raise raised(msgspec.json.decode(data, type=Problem))
                elif name == "answer":
                    answer = msgspec.json.decode(data, type=operation.answer)
                    return answer.table() if isinstance(answer, TableAnswer) else answer
        raise NoServer("the Jupyter server stopped in the middle of an answer")

    def _follow(
        self, job: JobState, progress: OnProgress, cancel: threading.Event | None
    ) -> IndexReport:
        """Follow a job until it ends; ``cancel`` cancels it."""
        request = JobEventsRequest(name=job.repository)
        with (
            self._send(operation_of(request), request, HEARTBEAT_S) as connection,
            self._cancelling(cancel, CancelJobRequest(name=job.repository)),
        ):
            for _, data in events(accepted(connection)):
                state = msgspec.json.decode(data, type=JobState)
                if state.progress is not None:
                    progress(state.progress)
                if state.ended:
                    return _report(state)
        raise NoServer("the Jupyter server stopped during an indexing run")

    @contextmanager
    def _cancelling(
        self, cancel: threading.Event | None, request: Request[Any], repeat: bool = False
    ) -> Iterator[None]:
        """Send ``request`` when ``cancel`` is set, or on Ctrl-C.

        With ``repeat``, send it until the call ends, as the first may arrive before the server has
        started the call. It is not repeated for an indexing run: a second DELETE could cancel
        another client's run.
        """
        over = threading.Event()

        def end() -> bool:
            with suppress(NoServer, CodeIntelError):  # the call or the server has already ended
                self.ask(request)
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

    def _send(
        self,
        operation: Operation,
        request: Request[Any],
        timeout_s: float,
        headers: dict[str, str] | None = None,
    ) -> AbstractContextManager[http.client.HTTPConnection]:
        """Return the connection on which a request is sent."""
        body, query = encode_request(operation, request)
        names = {
            name: self.kernel.id if name == "session_id" else getattr(request, name)
            for name in operation.parameters
        }
        path = operation.path.format(**{name: quote(text, safe="") for name, text in names.items()})
        place = f"{path}?{urlencode(query)}" if query else path
        return self._transport.request(operation.method, place, body, timeout_s, headers)


def _decoded(connection: http.client.HTTPConnection, operation: Operation) -> Any:
    body = accepted(connection).read()
    if operation.answer is None:
        return None
    try:
        return msgspec.json.decode(body, type=operation.answer)
    except msgspec.DecodeError as error:
        raise NoServer(f"the Jupyter server's answer cannot be read ({error})") from None


def _report(state: JobState) -> IndexReport:
    if state.report is None:
        raise named_error(state.error, state.detail)
    return state.report
