"""Base of handlers: client, session and RFC 9457 problem documents."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, ClassVar

from jupyter_server.base.handlers import APIHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from codeintel_nb.client.signature import SCHEME
from codeintel_nb.client.transport import EVENT_STREAM, REQUEST_ID, VERSION_HEADER
from codeintel_nb.errors import CodeIntelError, ScopeError
from codeintel_nb.operations.table import Errors, Operation
from codeintel_nb.operations.wire import decode_request, to_wire
from codeintel_nb.output.wording import in_panel
from codeintel_nb.scopes.session import check_session_id, new_session_id
from codeintel_nb.search.cancel import Cancel
from codeintel_nb.search.request import Request
from codeintel_nb.server.caller import Caller
from codeintel_nb.server.problems import MAX_BODY_BYTES, Refused, problem, refusal
from codeintel_nb.version import __version__

from .credentials import RESOURCE

SETTING = "codeintel_service"  # key of the service in the web application's settings
SESSION_HEADER = "X-Session-ID"


class CodeIntelHandler(APIHandler):
    """Base of every handler."""

    errors: Errors = {}  # statuses that differ from those of server/problems.py
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
        self.cancel = Cancel()
        self.set_header(VERSION_HEADER, __version__)
        header = self.request.headers.get("Authorization", "")
        if header.startswith(SCHEME + " "):
            self.kernel_id = self.service.signatures.kernel_of(
                header, self.request.method, self.request.uri, self.request.body
            )
            if self.kernel_id is None:
                raise Refused(
                    403,
                    "Invalid kernel signature: unknown kernel, wrong key, replayed, or older than "
                    "60 s.",
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
                f"The body's content type is {self.request.headers.get('Content-Type', '')!r}. "
                "Send application/json.",
            )
        self.session_id = self._session()
        self.set_header(SESSION_HEADER, self.session_id)

    def _session(self) -> str:
        header = self.request.headers.get(SESSION_HEADER)
        if self.kernel_id is not None:
            if header not in (None, self.kernel_id):
                raise Refused(403, "A kernel's signature is valid for its own session only.")
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

    def decoded(self, operation: Operation, *path: str) -> Request[Any]:
        """Return the request of an operation."""
        query = {
            name: self.get_query_argument(name)
            for name in self.request.query_arguments
            if name != "token"
        }
        parameters = dict(zip(operation.parameters, path, strict=True))
        return decode_request(operation, self.request.body, parameters, query)

    def caller(self) -> Caller:
        """Return the client of this request."""
        # Jupyter invents a user name for each request with a token
        by_token = bool(getattr(self, "token_authenticated", False))
        return Caller(
            self.session_id,
            self.request.headers.get(REQUEST_ID, str(id(self))),
            self.kernel_id or ("" if by_token else self.current_user.username),
            self.kernel_id or "",
            self._kernel_python,  # read from the disk only where it matters
            self.is_page,
            self.is_page and "X-Forwarded-For" not in self.request.headers,
            EVENT_STREAM in self.request.headers.get("Accept", ""),
            self.cancel,
        )

    def _kernel_python(self) -> str:
        """Return the interpreter of the requesting kernel, or an empty string.

        The kernel may have its packages indexed.
        """
        if self.kernel_id is None:
            return ""
        try:
            return str(self.kernel_manager.get_kernel(self.kernel_id).kernel_spec.argv[0])
        except Exception:  # the kernel spec no longer exists
            return ""

    def on_connection_close(self) -> None:
        self._is_gone = True
        self.cancel.set()

    # answers

    @property
    def is_page(self) -> bool:
        """Whether a page of this server sent the request.

        A script can claim it, but not by accident.
        """
        return (
            self.kernel_id is None and self.request.headers.get("Sec-Fetch-Site") == "same-origin"
        )

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
        if not isinstance(value, HTTPError | CodeIntelError | Refused):
            super().log_exception(kind, value, trace)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, CodeIntelError | Refused):
            status_code = refusal(error, self.errors).status
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, CodeIntelError | Refused):
            refused = refusal(error, self.errors)
        else:
            detail = HTTPStatus(status_code).phrase
            if isinstance(error, HTTPError):
                detail = error.log_message or error.reason or detail
            refused = Refused(status_code, detail)
        if self.is_page:
            refused.detail = in_panel(refused.detail)
        self.set_header(VERSION_HEADER, __version__)
        if self.session_id:
            self.set_header(SESSION_HEADER, self.session_id)
        self.finish(to_wire(problem(refused)), set_content_type="application/problem+json")
