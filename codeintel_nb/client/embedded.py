"""Client of an engine and a session in this process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..index.update.report import IndexReport, OnProgress
from ..operations.answers import ScopeAnswer
from ..operations.limits import Limits
from ..operations.requests import (
    ChangeScope,
    ClearScope,
    IndexRequest,
    RefreshRequest,
    RemoveRequest,
    SetScope,
)
from ..operations.runs import Call, checked, repository_of
from ..operations.table import operation_of
from ..scopes.registry import MemoryRegistry
from ..scopes.saved import NamedScopes
from ..scopes.scope import Scope, joined, left, patched
from ..scopes.session import new_session_id
from ..search.request import Request
from ..sources.project import current_folder
from ..workspace import Workspace
from .contract import Client

if TYPE_CHECKING:
    from ..index.watch.watcher import Watcher


class FixedClient(Client):
    """Client of this process's engine, with a fixed scope."""

    where = "local to this process"

    def __init__(
        self, workspace: Workspace, session: ScopeAnswer, limits: Limits | None = None
    ) -> None:
        self.workspace = workspace
        self._fixed = session
        self._limits = limits or Limits()
        self._saved = NamedScopes(workspace.settings.home)

    def session(self) -> ScopeAnswer:
        return self._fixed

    def _ask(
        self, request: Request[Any], progress: OnProgress, cancel: threading.Event | None
    ) -> Any:
        operation = operation_of(request)
        if operation.run is None:
            own = getattr(self, f"_{operation.name}", None)
            if own is None:
                raise EngineError(f"Only a server can {operation.summary}.")
            return own(request, progress, cancel)
        return operation.run(
            Call(
                request,
                self.session(),
                self.workspace,
                self._saved,
                self._limits,
                progress,
                cancel,
            )
        )

    def watch(self) -> tuple[str, ...]:
        return ()


class EmbeddedClient(FixedClient):
    """Client (client/contract.py) over its own workspace."""

    def __init__(
        self,
        workspace: Workspace,
        registry: MemoryRegistry | None = None,
        session_id: str | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start in the project containing ``folder`` (default: the current folder)."""
        super().__init__(workspace, ScopeAnswer(Scope(), session_id or f"local-{new_session_id()}"))
        self.session_id = self._fixed.session_id
        self._folder = folder or current_folder()
        self._joined: list[str] = []  # repositories added in this session
        self._registry = registry or MemoryRegistry(1)
        self._watcher: Watcher | None = None

    def session(self) -> ScopeAnswer:
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

    # scopes

    def adopt(self, scope: Scope) -> None:
        """Set a scope from another engine, unchecked.

        If it does not fit here, searches report that; they never search more.
        """
        self._registry.set(self.session_id, scope.interned())
        self._registry.pin(self.session_id)

    def _set_scope(
        self, request: SetScope, progress: OnProgress, cancel: threading.Event | None
    ) -> ScopeAnswer:
        self.adopt(checked(self.workspace, request.scope))
        return self.get_scope()

    def _change_scope(
        self, request: ChangeScope, progress: OnProgress, cancel: threading.Event | None
    ) -> ScopeAnswer:
        return self.set_scope(patched(self.session().scope, request.change))

    def _clear_scope(
        self, request: ClearScope, progress: OnProgress, cancel: threading.Event | None
    ) -> ScopeAnswer:
        self._registry.clear(self.session_id)
        return self.get_scope()

    # repositories

    def _add_repository(
        self, request: IndexRequest, progress: OnProgress, cancel: threading.Event | None
    ) -> IndexReport:
        report = self.workspace.indexer.index(
            repository_of(request, self.workspace), progress, cancel, request.rebuild
        )
        self._join(report.repository)
        return report

    def _join(self, name: str) -> None:
        """Add a repository to the scope, unless it covers all repositories."""
        if name not in self._joined:
            self._joined.append(name)
        scope = self._registry.get(self.session_id)
        if scope is not None:
            names = [repository.name for repository in self.workspace.repositories()]
            self.adopt(joined(scope, name, names))

    def _refresh_repository(
        self, request: RefreshRequest, progress: OnProgress, cancel: threading.Event | None
    ) -> IndexReport:
        return self.workspace.refresh(request.name, progress, cancel, request.rebuild)

    def _remove_repository(
        self, request: RemoveRequest, progress: OnProgress, cancel: threading.Event | None
    ) -> None:
        present = {one: self.workspace.present_name(one) for one in self._joined}
        removed = self.workspace.remove(request.name)
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
        self._watcher.follow(self.workspace.repositories(shared=False))
        return self._watcher.names
