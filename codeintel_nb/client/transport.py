"""Signed HTTP requests of a kernel to its Jupyter server."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import msgspec

from .. import errors
from ..errors import CodeIntelError, named_error
from ..operations.answers import Problem
from ..version import __version__
from .kernel import Kernel, NoServer
from .signature import credential

BASE = "codeintel/v1/"
VERSION_HEADER = "X-CodeIntel-Version"
REQUEST_ID = "X-Request-ID"
EVENT_STREAM = "text/event-stream"
CONNECT_S = 3.0
HEARTBEAT_S = 45.0  # an event stream sends something more often than this


class Transport:
    """Sender of requests to the server of one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._address = urlsplit(kernel.url)
        self._base = self._address.path.rstrip("/") + "/" + BASE

    @contextmanager
    def request(
        self,
        method: str,
        place: str,
        body: bytes,
        timeout_s: float,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPConnection]:
        """Yield a connection on which a signed request was sent.

        Raises
        ------
        NoServer : the connection failed or timed out.
        """
        uri = self._base + place
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
                    f"the Jupyter server did not accept a connection within {CONNECT_S:.0f} s"
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
        if self._kernel.token:
            return {"Authorization": f"token {self._kernel.token}", "X-Session-ID": self._kernel.id}
        return {"Authorization": credential(self._kernel.key, self._kernel.id, method, uri, body)}

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


def accepted(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
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
            f"the Jupyter server refused the request ({response.status} {response.reason}), "
            "perhaps because codeintel-nb is not enabled there"
        ) from None
    raise raised(problem)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def check_version(theirs: str) -> None:
    """Raise NoServer unless server and kernel share a minor version.

    The message contains a command to make them equal.
    """
    if theirs.split(".")[:2] != __version__.split(".")[:2]:
        difference = (
            f"the Jupyter server runs codeintel-nb {theirs}"
            if theirs
            else "the Jupyter server does not report its version of codeintel-nb"
        )
        command = (
            f"%pip install codeintel-nb=={theirs}"
            if theirs
            else "%pip install --upgrade codeintel-nb"
        )
        raise NoServer(
            f"{difference}, and this kernel has {__version__}. "
            f"Run: {command}, then restart the kernel"
        )


def events(response: http.client.HTTPResponse) -> Iterator[tuple[str, bytes]]:
    """Yield each event's name and data."""
    name = ""
    for line in response:
        if line.startswith(b"event:"):
            name = line[6:].strip().decode()
        elif line.startswith(b"data:"):
            yield name, line[5:]


def raised(problem: Problem) -> Exception:
    """Return a problem document as an exception."""
    kind = getattr(errors, problem.error, None)
    if isinstance(kind, type) and issubclass(kind, CodeIntelError):
        return named_error(problem.error, problem.detail)
    return NoServer(f"the Jupyter server refused the request ({problem.status}): {problem.detail}")
