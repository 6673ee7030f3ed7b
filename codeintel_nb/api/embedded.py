"""The operations in this process: one session, whose scope lives as long as the process."""

from __future__ import annotations

import threading

from ..index.report import IndexReport, RepositoryStatus
from ..index.watcher import Watcher
from ..scopes.registry import MemoryRegistry
from ..scopes.scope import EVERYTHING, Scope
from ..scopes.session import new_session_id
from ..search.hit import FileText
from ..search.table import Table
from ..workspace import Workspace
from .contract import OnProgress
from .operations import Operations
from .wire import FileRequest, IndexRequest, PathsRequest, ScopeAnswer, SearchAnswer, SemanticRequest, SqlRequest, TextRequest


class EmbeddedClient:
    """A Client (api/contract.py) over a workspace of its own."""

    where = "local to this process"

    def __init__(self, workspace: Workspace, registry: MemoryRegistry | None = None, session_id: str | None = None) -> None:
        self.operations = Operations(workspace)
        self.workspace = workspace
        self.session_id = session_id or f"local-{new_session_id()}"
        self._registry = registry or MemoryRegistry(1)
        self._watcher: Watcher | None = None

    def get_scope(self) -> ScopeAnswer:
        return self.operations.counted(self._held())

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

    def saved_scopes(self) -> dict[str, Scope]:
        return self.operations.named.all()

    def save_scope(self, name: str, scope: Scope) -> None:
        self.operations.named.save(name, scope)

    def load_scope(self, name: str) -> Scope:
        return self.operations.named.load(name)

    def search_text(self, request: TextRequest, cancel: threading.Event | None = None) -> SearchAnswer:
        return self.operations.search_text(request, self._held(), cancel)

    def semantic_search(self, request: SemanticRequest, cancel: threading.Event | None = None) -> SearchAnswer:
        return self.operations.semantic_search(request, self._held(), cancel)

    def list_paths(self, request: PathsRequest, cancel: threading.Event | None = None) -> SearchAnswer:
        return self.operations.list_paths(request, self._held(), cancel)

    def sql(self, request: SqlRequest, cancel: threading.Event | None = None) -> Table:
        return self.operations.sql(request, self._held(), cancel)

    def open_file(self, request: FileRequest) -> FileText:
        return self.operations.open_file(request)

    def status(self) -> list[RepositoryStatus]:
        return self.workspace.status()

    def index(self, request: IndexRequest, progress: OnProgress | None = None) -> IndexReport:
        return self.workspace.index_repository(self.operations.repository(request), progress, rebuild=request.rebuild)

    def refresh(self, name: str, rebuild: bool = False, progress: OnProgress | None = None) -> IndexReport:
        return self.workspace.refresh(name, progress, rebuild=rebuild)

    def remove(self, name: str) -> None:
        self.workspace.remove(name)

    def watch(self) -> tuple[str, ...]:
        if self._watcher is None:
            self._watcher = self.workspace.watch(failed=lambda name, said: print(f"codeintel: {said}"))
        self._watcher.follow(self.workspace.repositories())
        return self._watcher.names

    def _held(self) -> ScopeAnswer:
        scope = self._registry.get(self.session_id)
        return ScopeAnswer(scope or EVERYTHING, self.session_id)
