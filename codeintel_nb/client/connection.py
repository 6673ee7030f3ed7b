"""Connection to the Jupyter server, else to this process's engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CodeIntelError, EngineError
from ..index.update.report import OnProgress
from ..operations.answers import ScopeAnswer, SearchAnswer
from ..operations.requests import GetScope
from ..scopes.scope import EVERYTHING
from ..search.request import Request, ScopedRequest
from .contract import Client
from .http import WHERE, ServerClient
from .kernel import Kernel, NoServer, this_kernel

if TYPE_CHECKING:
    from .embedded import EmbeddedClient

RETRY_S = 5.0  # after which a lost server is tried again

_T = TypeVar("_T")


def embedded() -> EmbeddedClient:
    """Return a client of an engine in this process.

    Raises
    ------
    EngineError : the engine is not installed.
    """
    try:
        from ..workspace import Workspace
        from .embedded import EmbeddedClient
    except ImportError as error:
        raise EngineError(
            f"The engine is not installed in this environment (no module {error.name!r}). "
            "Run: %pip install codeintel-nb"
        ) from error
    return EmbeddedClient(Workspace.open())


class Connection(Client):
    """Client (client/contract.py) that is always available, with the last known scope.

    ``say`` is called once for each change between the server and this process.
    """

    def __init__(
        self,
        say: Callable[[str], None] = print,
        find: Callable[[], Kernel] = this_kernel,
        make_embedded: Callable[[], EmbeddedClient] = embedded,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._find = find
        self._make_embedded = make_embedded
        self._clock = clock
        self._lock = threading.RLock()
        self._server: ServerClient | None = None
        self._local: EmbeddedClient | None = None
        self._is_kernel = True  # of a server that may return
        self._asked_at: float | None = None  # when the server last failed
        self._scope = EVERYTHING  # last known
        self._is_default = True  # not set explicitly
        self._changed_here = False  # since the server's last answer

    @property
    def where(self) -> str:
        client = self._server or self._local
        return WHERE if client is None else client.where

    def _ask(
        self, request: Request[Any], progress: OnProgress, cancel: threading.Event | None
    ) -> Any:
        answer = self._call(lambda client: client.ask(request, progress=progress, cancel=cancel))
        if isinstance(answer, ScopeAnswer):
            self._note(answer, changed=not isinstance(request, GetScope))
        elif (
            isinstance(answer, SearchAnswer)
            and isinstance(request, ScopedRequest)
            and not request.replaces_scope
        ):
            # a panel may have changed it
            self._scope, self._is_default = answer.results.scope, answer.is_default
        return answer

    def watch(self) -> tuple[str, ...]:
        return self._call(lambda client: client.watch())

    def _note(self, answer: ScopeAnswer, changed: bool = False) -> None:
        """Remember the session's scope, for a change of engines."""
        self._scope, self._is_default = answer.scope, answer.is_default
        self._changed_here = (self._changed_here or changed) and self._server is None

    # choice of the engine

    def _call(self, ask: Callable[[Client], _T]) -> _T:
        with self._lock:
            client = self._answering()
        if isinstance(client, ServerClient):
            try:
                return ask(client)
            except NoServer as gone:
                with self._lock:
                    client = self._fall_back(str(gone))
        return ask(client)

    def _answering(self) -> Client:
        """Reconnect if due; return the server's or the local client."""
        if self._server is not None:
            return self._server
        due = self._asked_at is None or (
            self._is_kernel and self._clock() - self._asked_at >= RETRY_S
        )
        if due:
            first = self._asked_at is None
            try:
                self._join(ServerClient(self._find()), first)
            except NoServer as reason:
                self._asked_at = self._clock()
                if first:
                    return self._fall_back(str(reason))
        return self._server or self._local or self._fall_back("")

    def _join(self, server: ServerClient, first: bool) -> None:
        """Switch to the server, keeping a scope changed here."""
        current = server.get_scope()
        if self._changed_here or (
            not self._is_default and current.is_default and not current.scope_expired
        ):
            try:
                current = (
                    server.clear_scope() if self._is_default else server.set_scope(self._scope)
                )
            except NoServer:
                raise
            except CodeIntelError as error:
                self._say(f"codeintel: the scope cannot be restored on the Jupyter server: {error}")
        self._server, self._asked_at = server, None
        self._note(current)
        if not first:
            self._say(
                f"codeintel: reconnected to the Jupyter server; scope: {self._scope.describe()}"
            )

    def _fall_back(self, reason: str) -> EmbeddedClient:
        """Fall back to this process, keeping the last known scope."""
        try:
            self._find()
        except NoServer:
            self._is_kernel = False
        was_there, self._server, self._asked_at = self._server is not None, None, self._clock()
        if self._local is None:
            try:
                self._local = self._make_embedded()
            except EngineError as error:
                self._asked_at = None  # nothing else can answer: ask the server again at once
                raise EngineError(
                    f"{error} Until then, searches need the Jupyter server: {reason}."
                ) from error.__cause__
        if not self._is_default:
            self._local.adopt(self._scope)
        elif was_there:
            self._local.clear_scope()
        outcome = (
            f"continuing in this process with the same scope: {self._scope.describe()}"
            if was_there
            else "searches run in this process, and the side panel does not share the scope"
        )
        self._say(f"codeintel: {reason}; {outcome}")
        return self._local
