"""Base of the handlers: the client, its session, and errors as RFC 9457 problem documents."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from codeintel_nb import __version__
from codeintel_nb.client.http import EVENT_STREAM, REQUEST_ID, VERSION_HEADER
from codeintel_nb.client.signature import SCHEME
from codeintel_nb.errors import CodeIntelError, ScopeError
from codeintel_nb.index.update.report import Progress
from codeintel_nb.operations.values import Problem, ScopeAnswer, from_wire, to_wire
from codeintel_nb.output.wording import in_panel
from codeintel_nb.scopes.session import check_session_id, new_session_id, session_context
from codeintel_nb.server.problems import MAX_BODY_BYTES, decode_or_bad_request, status_of

from .credentials import RESOURCE, Refused, refused

SETTING = "codeintel_service"  # key of the service in the web application's settings
SESSION_HEADER = "X-Session-ID"

_T = TypeVar("_T")


class CodeIntelHandler(APIHandler):
    """Base of every handler."""

    # those that differ from server/problems.py
    statuses: ClassVar[dict[type[CodeIntelError], HTTPStatus]] = {}
    auth_resource = RESOURCE
    max_body_bytes: ClassVar[int] = MAX_BODY_BYTES
    kernel_id: str | None = None
    session_id = ""
    cancel: threading.Event
    _is_gone = False  # whether the client has disconnected

    @property
    def service(self) -> Any:
        return self.settings[SETTING]

    async def prepare(self) -> None:
        self.cancel = threading.Event()
        self.set_header(VERSION_HEADER, __version__)
        header = self.request.headers.get("Authorization", "")
        if header.startswith(SCHEME + " "):
            self.kernel_id = self.service.signatures.kernel_of(
                header, self.request.method, self.request.uri, self.request.body
            )
            if self.kernel_id is None:
                raise refused(
                    "The kernel's signature is not good: "
                    "of an unknown kernel, forged, used before or too old."
                )
        await super().prepare()
        if len(self.request.body) > self.max_body_bytes:
            raise Refused(
                413,
                f"The body has {len(self.request.body):,} bytes; "
                f"the maximum is {self.max_body_bytes:,}.",
                "SearchError",
            )
        if self.request.body and not self.request.headers.get("Content-Type", "").partition(";")[
            0
        ].strip().lower().endswith("json"):
            raise Refused(
                415,
                f"The body is {self.request.headers.get('Content-Type', 'of no type')!r}; "
                "send application/json.",
            )
        self.session_id = self._session()
        self.set_header(SESSION_HEADER, self.session_id)

    def _session(self) -> str:
        header = self.request.headers.get(SESSION_HEADER)
        if self.kernel_id is not None:
            if header not in (None, self.kernel_id):
                raise refused("A kernel's signature is good for its own session alone.")
            return self.kernel_id
        try:
            return check_session_id(header) if header is not None else new_session_id()
        except ScopeError as error:
            raise Refused(400, str(error), "ScopeError") from None

    def check_xsrf_cookie(self) -> None:
        # a signature is no ambient credential: there is nothing to forge
        if self.kernel_id is None:
            super().check_xsrf_cookie()

    # requests

    def decoded(self, kind: type[_T]) -> _T:
        """Return the body, decoded as this type."""
        return decode_or_bad_request(lambda: from_wire(self.request.body or b"{}", kind))

    def queried(self, kind: type[_T]) -> _T:
        """Return the query string, decoded as this type."""
        arguments = {
            name: self.get_query_argument(name)
            for name in self.request.query_arguments
            if name != "token"
        }
        return decode_or_bad_request(lambda: msgspec.convert(arguments, kind, strict=False))

    def call_id(self, request_id: str = "") -> str:
        """Return a call's id, by default this call's.

        It includes the owner, so that only the owner can end the call.
        """
        request_id = request_id or self.request.headers.get(REQUEST_ID, str(id(self)))
        # Jupyter invents a user name for each request with a token
        by_token = bool(getattr(self, "token_authenticated", False))
        return f"{self.kernel_id or ('' if by_token else self.current_user.username)} {request_id}"

    # work

    async def run_in_thread(self, work: Callable[[], _T]) -> _T:
        """Run on a thread, so that no other request waits for it."""
        result: _T = await self.service.run_in_thread(work)
        return result

    async def held(self) -> ScopeAnswer:
        with session_context(self.session_id):
            answer: ScopeAnswer = await self.service.sessions.get()
            return answer

    def on_connection_close(self) -> None:
        self._is_gone = True
        self.cancel.set()

    # answers

    @property
    def is_page(self) -> bool:
        """Whether the request is from a page of this server in a browser.

        A script can claim it, but not by accident.
        """
        return (
            self.kernel_id is None and self.request.headers.get("Sec-Fetch-Site") == "same-origin"
        )

    @property
    def wants_events(self) -> bool:
        """Whether the client requests server-sent events in place of one answer."""
        return EVENT_STREAM in self.request.headers.get("Accept", "")

    async def answer_long(
        self,
        held: ScopeAnswer,
        work: Callable[[Callable[[Progress], None], threading.Event], bytes],
    ) -> None:
        """Run a long call and answer it, as server-sent events if the client accepts them."""
        if self.wants_events:
            await self.send_events(self.service.stream(held, self.cancel, self.call_id(), work))
        else:
            self.answer(await self.service.long_call(held, self.cancel, self.call_id(), work))

    async def send_events(self, events: AsyncGenerator[bytes, None]) -> None:
        """Send server-sent events until the stream ends or the client disconnects."""
        self.set_header("Content-Type", EVENT_STREAM)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")  # a proxy must not buffer them
        try:
            async for event in events:
                if self.cancel.is_set() and self._is_gone:
                    break
                self.write(event)
                await self.flush()
            await self.finish(set_content_type=EVENT_STREAM)
        except StreamClosedError:
            pass  # the client disconnected
        finally:
            await events.aclose()

    def answer(self, value: Any, status: int = 200) -> None:
        # only authenticated requests come here
        if self.kernel_id is None and "X-Forwarded-For" in self.request.headers:
            self.service.note_address(
                self.current_user.username, self.request.protocol, self.request.host
            )
        self.set_status(status)
        self.finish(value if isinstance(value, bytes) else to_wire(value))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        if not isinstance(value, HTTPError | CodeIntelError):
            super().log_exception(kind, value, trace)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, CodeIntelError):
            status_code = status_of(error, self.statuses)
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        detail, name, question = HTTPStatus(status_code).phrase, "", ""
        if isinstance(error, Refused):
            detail, name, question = error.detail, error.error, error.question
        elif isinstance(error, CodeIntelError):
            detail, name = str(error), type(error).__name__
        elif isinstance(error, HTTPError):
            detail = error.log_message or error.reason or detail
        if self.is_page:
            detail = in_panel(detail)
        self.set_header(VERSION_HEADER, __version__)
        if self.session_id:
            self.set_header(SESSION_HEADER, self.session_id)
        problem = Problem(
            HTTPStatus(status_code).phrase, status_code, detail, error=name, question=question
        )
        self.finish(to_wire(problem), set_content_type="application/problem+json")
