"""Backends for assistants; each call is for the session of ``get_session_id()``."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Protocol

from ..client.http import ServerClient
from ..client.kernel import NoServer
from ..errors import EngineError, ScopeError
from ..operations.table import operation_of
from ..scopes.session import get_session_id
from ..search.cancel import Cancel
from ..search.request import Request
from .caller import Caller
from .service import SharedService


class Backend(Protocol):
    """Operations on the current session."""

    @property
    def default_session(self) -> str: ...

    async def ask(self, request: Request[Any], cancel: threading.Event | None = None) -> Any:
        """Return the answer to a request."""
        ...


class ServiceBackend:
    """Backend over the index of this process."""

    def __init__(self, service: SharedService, default_session: str = "") -> None:
        self._service = service
        self.default_session = default_session

    async def ask(self, request: Request[Any], cancel: threading.Event | None = None) -> Any:
        caller = Caller(get_session_id(), str(id(request)), cancel=cancel or Cancel())
        return await self._service.answer(
            operation_of(request), lambda: request, caller, finish=lambda answer: answer
        )


class KernelBackend:
    """Backend over a Jupyter server, as one of its kernels."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client
        self.default_session = client.kernel.id

    async def ask(self, request: Request[Any], cancel: threading.Event | None = None) -> Any:
        if (session_id := get_session_id()) != self.default_session:
            raise ScopeError(
                f"This server serves only the session {self.default_session}, "
                f"not {session_id!r}. Omit session_id, or start another server: "
                "codeintel mcp --server URL --session ID"
            )
        try:
            return await asyncio.to_thread(lambda: self._client.ask(request, cancel=cancel))
        except NoServer as gone:
            raise EngineError(
                f"{gone}. If the notebook's kernel has ended, "
                "print the settings of another notebook: %scope mcp"
            ) from None
