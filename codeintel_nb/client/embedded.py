"""Client of an engine in this process, with one session; its scope ends with the process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ..index.update.report import IndexReport, OnProgress
from ..index.watch.watcher import Watcher
from ..operations.operations import Operations, Session
from ..operations.values import IndexRequest, ScopeAnswer
from ..scopes.registry import MemoryRegistry
from ..scopes.scope import Scope, joined, left
from ..scopes.session import new_session_id
from ..sources.project import current_folder
from ..workspace import Workspace


class EmbeddedClient(Session):
    """Client (client/contract.py) over its own workspace."""

    where = "local to this process"

    def __init__(
        self,
        workspace: Workspace,
        registry: MemoryRegistry | None = None,
        session_id: str | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start in the project that contains ``folder``; by default the current folder."""
        super().__init__(Operations(workspace))
        self._folder = folder or current_folder()
        self._joined: list[str] = []  # repositories added in this session
        self.workspace = workspace
        self.session_id = session_id or f"local-{new_session_id()}"
        self._registry = registry or MemoryRegistry(1)
        self._watcher: Watcher | None = None

    def set_scope(self, scope: Scope) -> ScopeAnswer:
        self.adopt(self.operations.checked(scope))
        return self.get_scope()

    def adopt(self, scope: Scope) -> None:
        """Set a scope from another engine, unchecked.

        If it does not fit here, searches report that; they never search more.
        """
        self._registry.set(self.session_id, scope.interned())
        self._registry.pin(self.session_id)

    def clear_scope(self) -> ScopeAnswer:
        self._registry.clear(self.session_id)
        return self.get_scope()

    def save_scope(self, name: str, scope: Scope) -> None:
        self.operations.named.save(name, scope)

    def load_scope(self, name: str) -> Scope:
        return self.operations.named.load(name)

    def index(
        self,
        request: IndexRequest,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> IndexReport:
        report = self.workspace.index_repository(
            self.operations.repository(request), progress, cancel, request.rebuild
        )
        self._join(report.repository)
        return report

    def _join(self, name: str) -> None:
        """Add a repository to the scope, unless it covers all repositories."""
        if name not in self._joined:
            self._joined.append(name)
        scope = self._registry.get(self.session_id)
        if scope is not None:
            self.adopt(joined(scope, name, self._names()))

    def _names(self) -> list[str]:
        return [repository.name for repository in self.workspace.repositories()]

    def refresh(
        self,
        name: str,
        rebuild: bool = False,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> IndexReport:
        return self.workspace.refresh(name, progress, cancel, rebuild)

    def remove(self, name: str) -> None:
        present = {one: self.workspace.present_name(one) for one in self._joined}
        removed = self.workspace.remove(name)
        names = {one for one in self._joined if present[one] == removed}
        self._joined = [one for one in self._joined if one not in names]
        scope = self._registry.get(self.session_id)
        if names and scope is not None:
            self.adopt(left(scope, {*names, removed}))

    def watch(self) -> tuple[str, ...]:
        if self._watcher is None:
            self._watcher = self.workspace.watch(
                failed=lambda name, message: print(f"codeintel: {message}")
            )
        self._watcher.follow(self.workspace.repositories())
        return self._watcher.names

    def held(self) -> ScopeAnswer:
        scope = self._registry.get(self.session_id)
        if scope is not None and (present := self.workspace.present_scope(scope)) is not None:
            return ScopeAnswer(present, self.session_id)
        project = self.workspace.project_scope(
            self._folder, os.environ.get("JUPYTER_SERVER_ROOT"), self._joined
        )
        return (
            ScopeAnswer(project, self.session_id, is_default=True)
            if scope is None
            else ScopeAnswer(scope, self.session_id)
        )
