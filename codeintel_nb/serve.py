"""Server for REST and MCP without Jupyter, with one token."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from .client.transport import BASE, VERSION_HEADER
from .engines.memory import keep_freed_memory
from .errors import CodeIntelError, MissingExtra
from .mcp_server.server import make_server
from .operations.table import OPERATIONS, Operation
from .operations.wire import to_wire
from .scopes.registries import open_registry
from .scopes.session import session_context
from .server.openapi import description
from .server.problems import Refused, problem, refusal
from .server.starlette import LOOPBACK, Call, Options, Rest
from .version import __version__

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

GRACE_S = 2  # for requests in flight at shutdown, which has 5 seconds in all
END_CALLS_S = 1.0  # of them, after which calls in flight return partial results
# host name or address, with an optional port
_PLACE = re.compile(r"(\[[0-9a-f:.]+\]|[^:@/\[\]]+)(?::[0-9]{1,5})?")
OPTIONS = "CODEINTEL_SERVE"  # environment variable with the options for worker processes


class Guard:
    """Middleware refusing requests with a wrong token, Host or Origin."""

    def __init__(self, app: Any, options: Options) -> None:
        self._app, self._options = app, options

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (
            refused := self._refusal(
                {
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in scope["headers"]
                }
            )
        ):
            await _problem(refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: dict[str, str]) -> Refused | None:
        if not self._is_ours(headers.get("host", "")):
            return Refused(
                421,
                f"The host name {headers.get('host', '')!r} is not allowed. To allow it, run: "
                "codeintel serve --allow-host NAME",
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_ours(origin.partition("://")[2]):
            return Refused(403, f"Pages of {origin} may not use this server.")
        if self._options.token:
            kind, _, token = headers.get("authorization", "").partition(" ")
            if kind.lower() not in ("bearer", "token") or not hmac.compare_digest(
                token.strip().encode(), self._options.token.encode()
            ):
                return Refused(
                    401,
                    "Send the token that codeintel serve printed: Authorization: Bearer TOKEN",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        return None

    def _is_ours(self, place: str) -> bool:
        match = _PLACE.fullmatch(place.lower())
        return match is not None and match[1] in self._options.hosts


def make_app(options: Options) -> Starlette:
    """Return the application, which keeps the index open while running."""
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.responses import Response
        from starlette.routing import Route
    except ImportError:
        raise MissingExtra("mcp", needed_by="codeintel serve") from None
    rest = Rest(options)
    mcp: Any = make_server(rest)
    from mcp.server.transport_security import TransportSecuritySettings

    hosts = [value for name in options.hosts for value in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
    mcp_app = mcp.streamable_http_app(
        stateless_http=options.workers > 1, json_response=True, transport_security=security
    )

    async def describe(request: Request) -> Response:
        headers = {VERSION_HEADER: __version__}
        return Response(description(OPERATIONS), 200, headers, "application/yaml")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(rest.running())
            await stack.enter_async_context(mcp.session_manager.run())
            yield

    async def unknown(request: Request, error: Exception) -> Response:
        status = int(getattr(error, "status_code", 500))
        return _problem(
            Refused(
                status,
                f"There is nothing at {request.url.path}."
                if status == 404
                else HTTPStatus(status).phrase,
            )
        )

    app = Starlette(
        routes=[
            *(_route(rest, operation) for operation in OPERATIONS),
            Route(f"/{BASE}openapi.yml", describe),
            *mcp_app.routes,
        ],
        middleware=[Middleware(Guard, options=options)],
        lifespan=lifespan,
        exception_handlers={404: unknown, 405: unknown},
    )
    app.state.end_calls = rest.end_calls
    return app


def _route(rest: Rest, operation: Operation) -> Route:
    """Return the route of an operation."""
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    async def endpoint(request: Request) -> Response:
        call = Call(request)
        headers = {VERSION_HEADER: __version__}
        try:
            await call.read()
            headers["X-Session-ID"] = call.session_id
            with session_context(call.session_id):
                result = await rest.answer(operation, call)
        except (Refused, CodeIntelError) as error:
            return _problem(refusal(error, operation.errors), headers)
        if isinstance(result, AsyncIterator):
            return StreamingResponse(
                result,
                media_type="text/event-stream",
                headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        if result is None:
            return Response(status_code=204, headers=headers)
        return Response(result, operation.status, headers, "application/json")

    return Route(f"/{BASE}{operation.path}", endpoint, methods=[operation.method])


def _problem(refused: Refused, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import Response

    return Response(
        to_wire(problem(refused)),
        refused.status,
        {VERSION_HEADER: __version__, **(headers or {}), **refused.headers},
        "application/problem+json",
    )


def app_of_worker() -> Starlette:
    """Return a worker process's application; its options are in the environment."""
    keep_freed_memory()
    return make_app(msgspec.json.decode(os.environ[OPTIONS], type=Options))


def run(options: Options, announce: Callable[[str], None], tell_token: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are answered first.

    ``announce`` gets the address, warnings, and the token with ``tell_token``.

    Raises
    ------
    MissingExtra : Starlette, uvicorn or the MCP SDK is not installed.
    CodeIntelError : several workers without a shared registry; the address is taken.
    """
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("mcp", needed_by="codeintel serve") from None
    if options.workers > 1 and options.registry_url == "memory://":
        raise CodeIntelError(
            "Several workers need a shared registry of scopes. Run: "
            "codeintel serve --workers N --registry-url redis://HOST"
        )
    open_registry(options.registry_url)  # report an unreadable address now
    try:
        listener = listening(options.host, options.port)
    except (OSError, OverflowError) as error:
        raise CodeIntelError(
            f"Port {options.port} of {options.host} cannot be opened "
            f"({getattr(error, 'strerror', None) or error}). "
            "Choose another port: codeintel serve --port N"
        ) from None
    if tell_token:
        announce(f"token: {options.token}")
    port = listener.getsockname()[1]  # chosen by the system for 0
    where = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}"
    announce(f"REST at {where}/{BASE}, MCP at {where}/mcp. Press Ctrl-C to stop.")
    if options.host not in LOOPBACK:
        announce(
            "Warning: this is not the loopback address. Anyone with the token can read everything "
            "that is indexed, and nothing is encrypted. Put a proxy with TLS in front."
        )
    if not options.token:
        announce(
            "Warning: no token is required. "
            "Anyone who can reach this address can read everything that is indexed."
        )
    settings: dict[str, Any] = {
        "host": options.host,
        "port": port,
        "log_level": "warning",
        "timeout_graceful_shutdown": GRACE_S,
        "server_header": False,
    }
    if options.workers > 1:
        listener.close()  # each worker opens its own socket
        os.environ[OPTIONS] = msgspec.json.encode(options).decode()
        uvicorn.run(
            "codeintel_nb.serve:app_of_worker", factory=True, workers=options.workers, **settings
        )
    else:
        _run(options, settings, listener)


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; OSError if the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    created = socket.create_server((host, port), family=family)
    # asyncio sends without delay (TCP_NODELAY) only on sockets with an explicit protocol; else an
    # answer in two parts takes 40 ms
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=created.detach())


def _run(options: Options, settings: dict[str, Any], listener: socket.socket) -> None:
    """Serve in this process; at shutdown, calls may briefly continue."""
    import uvicorn

    keep_freed_memory()
    app = make_app(options)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            timer = threading.Timer(END_CALLS_S, app.state.end_calls)
            timer.daemon = True  # an idle server exits at once
            timer.start()
            super().handle_exit(sig, frame)

    server = Server(uvicorn.Config(app, **settings))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # raised again by uvicorn after shutdown


def new_token() -> str:
    return secrets.token_urlsafe(32)
