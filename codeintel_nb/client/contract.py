"""Client: the operations of one session, on a local or a remote engine."""

from __future__ import annotations

import threading
from typing import Protocol

from ..index.update.report import IndexReport, OnProgress, RepositoryStatus
from ..operations.values import (
    FacetsRequest,
    FileRequest,
    IndexRequest,
    MapRequest,
    PathsRequest,
    ScopeAnswer,
    SearchAnswer,
    SemanticRequest,
    SqlRequest,
    SymbolsRequest,
    TextRequest,
)
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.hit import FileText
from ..search.table import Table


class Client(Protocol):
    """Operations of one session; every error that they raise is a CodeIntelError."""

    @property
    def where(self) -> str:
        """Return the place that keeps the session's scope, for a caption."""
        ...

    def get_scope(self) -> ScopeAnswer: ...
    def set_scope(self, scope: Scope) -> ScopeAnswer: ...
    def clear_scope(self) -> ScopeAnswer: ...
    def saved_scopes(self) -> dict[str, Scope]: ...
    def save_scope(self, name: str, scope: Scope) -> None: ...
    def load_scope(self, name: str) -> Scope: ...

    def search_text(
        self, request: TextRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer: ...
    def semantic_search(
        self, request: SemanticRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer: ...
    def symbols(
        self, request: SymbolsRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer: ...
    def list_paths(
        self, request: PathsRequest, cancel: threading.Event | None = None
    ) -> SearchAnswer: ...
    def facets(self, request: FacetsRequest) -> Facets: ...
    def code_map(
        self,
        request: MapRequest,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> Points: ...
    def sql(self, request: SqlRequest, cancel: threading.Event | None = None) -> Table: ...
    def open_file(self, request: FileRequest) -> FileText: ...

    def status(self) -> list[RepositoryStatus]: ...
    def index(
        self,
        request: IndexRequest,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> IndexReport: ...
    def refresh(
        self,
        name: str,
        rebuild: bool = False,
        progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> IndexReport: ...
    def remove(self, name: str) -> None: ...

    def watch(self) -> tuple[str, ...]:
        """Follow changes of files from now on; return the names of the repositories followed."""
        ...
