"""Live kernels: the end of scopes, and offers to successors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jupyter_core.utils import ensure_async

from codeintel_nb.errors import EngineError
from codeintel_nb.scopes.registry import ScopeRegistry
from codeintel_nb.scopes.scope import Scope

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"


class Kernels:
    """Live kernels of a server, and the end of their scopes.

    The shutdown, culling or replacement of a kernel emits an event. A kernel that keeps dying emits
    none in the end; ``reap`` finds that it is missing.
    """

    def __init__(
        self,
        registry: ScopeRegistry,
        kernel_manager: Any,
        session_manager: Any,
        offering: Callable[[str], None] = lambda kernel_id: None,
    ) -> None:
        self._registry = registry
        self._kernels = kernel_manager
        self._sessions = session_manager
        self._offering = offering  # called with the id of a kernel to which a scope is offered
        # kernel id -> id of the Jupyter session that it serves; empty while unknown
        self._holders: dict[str, str] = {}
        self._folders: dict[str, str] = {}  # kernel id -> folder of its notebook
        self._offers: dict[str, Scope] = {}  # kernel id -> scope of the kernel it replaced

    def is_live(self, session_id: str) -> bool:
        return session_id in self._kernels

    async def folder(self, kernel_id: str) -> str | None:
        """Return the notebook's folder, relative to the server's root.

        Return None for a kernel without a notebook.
        """
        if kernel_id not in self._folders and self.is_live(kernel_id):
            await self._learn_sessions()
        return self._folders.get(kernel_id)

    def key(self, kernel_id: str) -> bytes:
        """Return the key of the kernel's connection file.

        It is empty if there is no such kernel, or if the kernel does not sign its messages.
        """
        try:
            return bytes(self._kernels.get_kernel(kernel_id).session.key)
        except Exception:  # the error for an unknown kernel depends on the kernel manager
            return b""

    def offered(self, session_id: str) -> Scope | None:
        return self._offers.get(session_id)

    async def has_scope(self, session_id: str) -> None:
        """Record that a session, if a kernel's, has a scope."""
        if self.is_live(session_id):
            self._offers.pop(session_id, None)
            self._holders.setdefault(session_id, "")
            await self._learn_sessions()

    async def on_action(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        """Clear a kernel's scope on the event of its shutdown."""
        if data.get("action") == "shutdown" and data.get("status") == "success":
            kernel_id = str(data.get("kernel_id"))
            self._holders.setdefault(kernel_id, "")
            with suppress(EngineError):
                await self._ended(kernel_id)

    async def ask_gateway(self) -> None:
        """Refresh the kernel list, which under a gateway becomes stale."""
        with suppress(Exception):  # the gateway is unreachable
            await ensure_async(self._kernels.list_kernels())

    async def reap(self) -> None:
        """Clear the scopes of kernels that ended without an event."""
        for kernel_id in [
            kernel_id
            for kernel_id in {*self._holders, *self._offers}
            if not self.is_live(kernel_id)
        ]:
            with suppress(EngineError):  # the registry is unreachable
                await self._ended(kernel_id)
        if self._holders or self._folders:
            await self._learn_sessions()

    async def labels(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return live kernels' names, and paths of notebooks and consoles."""
        labels: dict[str, tuple[str, tuple[str, ...]]] = {
            str(kernel_id): (str(self._kernels.get_kernel(kernel_id).kernel_name), ())
            for kernel_id in self._kernels.list_kernel_ids()
        }
        for session in await self._sessions.list_sessions():
            name, paths = labels.get(session["kernel"]["id"], (session["kernel"]["name"], ()))
            labels[session["kernel"]["id"]] = (name, (*paths, str(session["path"])))
        return labels

    async def _ended(self, kernel_id: str) -> None:
        scope = await self._registry.get(kernel_id)
        await self._registry.clear(kernel_id)  # if it fails, the next reap retries
        holder = self._holders.pop(kernel_id, "")
        self._offers.pop(kernel_id, None)
        if scope and holder:
            try:
                successor = (await self._sessions.get_session(session_id=holder))["kernel"]["id"]
            except Exception:  # the session ended with its kernel
                return
            if (
                successor != kernel_id
                and self.is_live(successor)
                and await self._registry.get(successor) is None
            ):
                self._offers[successor] = scope
                self._offering(successor)

    async def _learn_sessions(self) -> None:
        folders = dict[str, str]()
        for session in await self._sessions.list_sessions():
            kernel_id = str(session["kernel"]["id"])
            folders.setdefault(kernel_id, str(session["path"]).strip("/").rpartition("/")[0])
            if kernel_id in self._holders:
                self._holders[kernel_id] = session["id"]
        self._folders = folders
