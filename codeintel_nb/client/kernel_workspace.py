"""Python API of this kernel's session, under its scope."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any, Self

from ..index.update.report import IndexReport, OnProgress, RepositoryStatus, ignore
from ..operations.requests import (
    FacetsRequest,
    FileRequest,
    IndexRequest,
    RefreshRequest,
    SqlRequest,
    StatusRequest,
)
from ..scopes.scope import Scope
from ..search.facets import Facets
from ..search.file_text import FileText
from ..search.hit import Hit
from ..search.query import AnyQuery
from ..search.results import Results
from ..search.table import Table
from ..searches import Searches
from .connection import Connection
from .contract import Client


class KernelWorkspace(Searches):
    """Searches of this kernel, under its ``%scope`` unless given another."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def scope(self) -> Scope:
        """Return the kernel's scope; assigning one is ``%scope set``."""
        return self.client.get_scope().scope

    @scope.setter
    def scope(self, scope: Scope) -> None:
        self.client.set_scope(scope)

    def _results(
        self, query: AnyQuery, scope: Scope | None, cancel: threading.Event | None
    ) -> Results:
        return self.client.ask(query.within(scope), cancel=cancel).results

    def sql(
        self,
        statement: str,
        scope: Scope | None = None,
        *,
        timeout_s: float | None = None,
        cancel: threading.Event | None = None,
        hits: Sequence[Hit] = (),
    ) -> Table:
        request = SqlRequest(statement=statement, timeout_s=timeout_s, hits=tuple(hits))
        return self.client.ask(request.within(scope), cancel=cancel)

    def facets(self, scope: Scope | None = None, folders: int = 12) -> Facets:
        return self.client.ask(FacetsRequest(folders=folders).within(scope))

    def open_file(
        self, repo: str, path: str, start_line: int = 1, end_line: int | None = None
    ) -> FileText:
        request = FileRequest(repo=repo, path=path, start_line=start_line, end_line=end_line)
        return self.client.ask(request)

    def status(self) -> list[RepositoryStatus]:
        return [*self.client.ask(StatusRequest()).repositories]

    def index(
        self,
        path: str,
        name: str | None = None,
        *,
        progress: OnProgress = ignore,
        cancel: threading.Event | None = None,
        rebuild: bool = False,
        outputs: bool = False,
    ) -> IndexReport:
        """Index a folder, or bring its index up to date."""
        request = IndexRequest(path=path, name=name, rebuild=rebuild, outputs=outputs)
        return self.client.ask(request, progress=progress, cancel=cancel)

    def refresh(self, name: str, *, rebuild: bool = False) -> IndexReport:
        """Bring a repository's index up to date."""
        return self.client.ask(RefreshRequest(name=name, rebuild=rebuild))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Keep the connection: it is the kernel's."""

    def __repr__(self) -> str:
        return f"KernelWorkspace(scope: {self.scope.describe()})"


def current() -> KernelWorkspace:
    """Return this kernel's searches, with its magics' client if loaded."""
    return KernelWorkspace(kernel_client()[0])


def kernel_client() -> tuple[Client, Any]:
    """Return the client of this kernel's magics, and its shell.

    The client is shared, as it may keep the scope itself. Without the magics, return a new client
    and None.
    """
    shell: Any = None
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
    magics = None if shell is None else shell.magics_manager.registry.get("CodeintelMagics")
    return (Connection(), None) if magics is None else (magics.client, shell)
