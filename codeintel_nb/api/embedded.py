"""The operations in this process: one session, whose scope lives as long as the process."""

from __future__ import annotations

import threading

from ..index.report import IndexReport
from ..index.watcher import Watcher
from ..scopes.registry import MemoryRegistry
from ..scopes.scope import EVERYTHING, Scope
from ..scopes.session import new_session_id
from ..workspace import Workspace
from .contract import OnProgress
from .operations import Operations, Session
from .wire import IndexRequest, ScopeAnswer


class EmbeddedClient(Session):
    """A Client (api/contract.py) over a workspace of its own."""

    where = "local to this process"

    def __init__(self, workspace: Workspace, registry: MemoryRegistry | None = None, session_id: str | None = None) -> None:
        super().__init__(Operations(workspace))
        self.workspace = workspace
        self.session_id = session_id or f"local-{new_session_id()}"
        self._registry = registry or MemoryRegistry(1)
        self._watcher: Watcher | None = None

    def set_scope(self, scope: Scope) -> ScopeAnswer:
        self.adopt(self.operations.checked(scope))
        return self.get_scope()

    def adopt(self, scope: Scope) -> None:
        """Take over a scope that applied elsewhere; where it does not fit here, searches say so and none is wider."""
        self._registry.set(self.session_id, scope.interned())
        self._registry.pin(self.session_id)

    def clear_scope(self) -> ScopeAnswer:
        self._registry.clear(self.session_id)
        return self.get_scope()

    def save_scope(self, name: str, scope: Scope) -> None:
        self.operations.named.save(name, scope)

    def load_scope(self, name: str) -> Scope:
        return self.operations.named.load(name)

    def index(self, request: IndexRequest, progress: OnProgress | None = None, cancel: threading.Event | None = None) -> IndexReport:
        return self.workspace.index_repository(self.operations.repository(request), progress, cancel, request.rebuild)

    def refresh(self, name: str, rebuild: bool = False, progress: OnProgress | None = None, cancel: threading.Event | None = None) -> IndexReport:
        return self.workspace.refresh(name, progress, cancel, rebuild)

    def remove(self, name: str) -> None:
        self.workspace.remove(name)

    def watch(self) -> tuple[str, ...]:
        if self._watcher is None:
            self._watcher = self.workspace.watch(failed=lambda name, said: print(f"codeintel: {said}"))
        self._watcher.follow(self.workspace.repositories())
        return self._watcher.names

    def held(self) -> ScopeAnswer:
        scope = self._registry.get(self.session_id)
        return ScopeAnswer(scope or EVERYTHING, self.session_id)
