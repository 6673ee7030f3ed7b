"""Backends for assistants and scripts; each call is for the session of ``get_session_id()``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

from ..client.http import ServerClient
from ..client.kernel import NoServer
from ..errors import EngineError, ScopeError
from ..index.update.report import RepositoryStatus
from ..operations.operations import HeldSession
from ..operations.values import FileRequest, ScopeAnswer, SearchAnswer
from ..scopes.scope import Scope
from ..scopes.session import get_session_id
from ..search.hit import FileText
from .service import SharedService

Kind = Literal["search_text", "semantic_search", "symbols", "list_paths"]

_T = TypeVar("_T")


class Backend(Protocol):
    """Operations on the current session."""

    default_session: str

    async def get_scope(self) -> ScopeAnswer: ...
    async def set_scope(self, scope: Scope) -> ScopeAnswer: ...
    async def clear_scope(self) -> ScopeAnswer: ...
    async def search(self, kind: Kind, request: Any, cancel: threading.Event) -> SearchAnswer: ...
    async def open_file(self, request: FileRequest) -> FileText: ...
    async def status(self) -> list[RepositoryStatus]: ...


class ServiceBackend:
    """Backend over the index of this process."""

    def __init__(self, service: SharedService, default_session: str = "") -> None:
        self._service = service
        self.default_session = default_session

    async def get_scope(self) -> ScopeAnswer:
        current = await self._service.sessions.get()
        return await self._service.run_in_thread(lambda: self._service.operations.counted(current))

    async def set_scope(self, scope: Scope) -> ScopeAnswer:
        checked = await self._service.run_in_thread(lambda: self._service.operations.checked(scope))
        answer = await self._service.sessions.set(checked)
        return await self._service.run_in_thread(lambda: self._service.operations.counted(answer))

    async def clear_scope(self) -> ScopeAnswer:
        cleared = await self._service.sessions.clear()
        return await self._service.run_in_thread(lambda: self._service.operations.counted(cleared))

    async def search(self, kind: Kind, request: Any, cancel: threading.Event) -> SearchAnswer:
        session = HeldSession(self._service.operations, await self._service.sessions.get())
        return await self._service.run_in_thread(lambda: getattr(session, kind)(request, cancel))

    async def open_file(self, request: FileRequest) -> FileText:
        return await self._service.run_in_thread(
            lambda: self._service.operations.open_file(request)
        )

    async def status(self) -> list[RepositoryStatus]:
        return await self._service.run_in_thread(self._service.workspace.status)


class KernelBackend:
    """Backend over a Jupyter server, as one of its kernels: the scope is its notebook's."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client
        self.default_session = client.kernel.id

    async def get_scope(self) -> ScopeAnswer:
        return await self._ask(self._client.get_scope)

    async def set_scope(self, scope: Scope) -> ScopeAnswer:
        return await self._ask(lambda: self._client.set_scope(scope))

    async def clear_scope(self) -> ScopeAnswer:
        return await self._ask(self._client.clear_scope)

    async def search(self, kind: Kind, request: Any, cancel: threading.Event) -> SearchAnswer:
        return await self._ask(lambda: getattr(self._client, kind)(request, cancel))

    async def open_file(self, request: FileRequest) -> FileText:
        return await self._ask(lambda: self._client.open_file(request))

    async def status(self) -> list[RepositoryStatus]:
        return await self._ask(self._client.status)

    async def _ask(self, call: Callable[[], _T]) -> _T:
        if (session_id := get_session_id()) != self.default_session:
            raise ScopeError(
                f"This server speaks for the session {self.default_session} alone, "
                f"not for {session_id!r}. Leave session_id out, or start another: "
                "codeintel mcp --server URL --session ID"
            )
        try:
            return await asyncio.to_thread(call)
        except NoServer as gone:
            raise EngineError(
                f"{gone}. If the notebook's kernel has ended, "
                "print the settings of another: %scope mcp"
            ) from None
