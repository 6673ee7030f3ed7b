"""What a client can ask for, in process; each call resolves its session to a scope and goes through the workspace."""

from __future__ import annotations

import threading

from ..scopes.named import NamedScopes
from ..scopes.registry import MemoryRegistry
from ..scopes.scope import EVERYTHING, Scope
from ..scopes.session import get_session_id
from ..search.hit import Coverage
from ..search.sql import Table
from ..workspace import FileText, Workspace
from .wire import FileRequest, PathsRequest, ScopeAnswer, SearchAnswer, SemanticRequest, SqlRequest, TextRequest


class Operations:
    """The operations of one workspace for the sessions of one registry.

    Every method runs as the session of ``scopes.session.session_context``. ``pin`` keeps a session's scope for as long
    as the session lives, as a live kernel's must be.
    """

    def __init__(self, workspace: Workspace, registry: MemoryRegistry, pin: bool = False) -> None:
        self.workspace = workspace
        self.registry = registry
        self.named = NamedScopes(workspace.settings.home)
        self._pin = pin

    def get_scope(self) -> ScopeAnswer:
        session_id = get_session_id()
        scope = self.registry.get(session_id)
        return ScopeAnswer(scope or EVERYTHING, session_id, scope is None and self.registry.take_expired(session_id))

    def set_scope(self, scope: Scope) -> ScopeAnswer:
        """Apply a scope to the session, after it has been held against what is indexed; it makes the masks ready."""
        session_id = get_session_id()
        if self.workspace.repositories():
            self.workspace.count(scope)
        self.registry.set(session_id, scope.interned())
        if self._pin:
            self.registry.pin(session_id)
        return ScopeAnswer(scope, session_id)

    def clear_scope(self) -> ScopeAnswer:
        session_id = get_session_id()
        self.registry.clear(session_id)
        return ScopeAnswer(EVERYTHING, session_id)

    def count(self) -> Coverage:
        return self.workspace.count(self.get_scope().scope)

    def search_text(self, request: TextRequest, cancel: threading.Event | None = None) -> SearchAnswer:
        held = self.get_scope()
        results = self.workspace.search_text(
            request.pattern, request.narrowed(held.scope), request.regex, request.case, request.word, request.limit, request.context, request.deadline, cancel
        )
        return SearchAnswer(results, held.session_id, held.scope_expired)

    def semantic_search(self, request: SemanticRequest, cancel: threading.Event | None = None) -> SearchAnswer:
        held = self.get_scope()
        results = self.workspace.semantic_search(request.query, request.narrowed(held.scope), request.limit, request.mode, request.deadline, cancel)
        return SearchAnswer(results, held.session_id, held.scope_expired)

    def list_paths(self, request: PathsRequest) -> SearchAnswer:
        held = self.get_scope()
        return SearchAnswer(self.workspace.list_paths(request.narrowed(held.scope), request.limit), held.session_id, held.scope_expired)

    def sql(self, request: SqlRequest) -> Table:
        return self.workspace.sql(request.statement, request.narrowed(self.get_scope().scope), request.deadline)

    def open_file(self, request: FileRequest) -> FileText:
        return self.workspace.open_file(request.repo, request.path, request.start_line, request.end_line)
