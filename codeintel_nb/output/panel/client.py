"""Client of a panel, and the places of files on its server."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Protocol

from ...operations.answers import ScopeAnswer
from ...scopes.globs import plain_glob
from ...scopes.scope import Scope
from ...search.query import PathQuery, TextQuery
from ...search.results import Results
from ..places import is_hidden


class PanelClient(Protocol):
    """Part of Client (client/contract.py) used by a panel."""

    @property
    def where(self) -> str: ...
    def get_scope(self) -> ScopeAnswer: ...
    def ask(self, request: Any) -> Any: ...


def place(shown_root: str, root: str, path: str) -> str | None:
    """Return the file's path below the server's folder, else None."""
    if not shown_root or not root or is_hidden(path):  # Jupyter does not open hidden files
        return None
    above = _real(shown_root)
    folder, name = os.path.split(os.path.join(root, *path.split("/")))
    full = os.path.join(_real(folder), name)
    try:
        if os.path.commonpath([above, full]) != above:
            return None
    except ValueError:  # another drive
        return None
    return os.path.relpath(full, above).replace(os.sep, "/")


@lru_cache(1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def files_at(client: PanelClient, repositories: tuple[str, ...], glob: str, limit: int) -> Results:
    """List the indexed files that match a glob, whatever the session's scope."""
    results: Results = client.ask(PathQuery(limit=limit, **_limits(repositories, glob))).results
    return results


def root_of(client: PanelClient, repository: str, path: str) -> str:
    """Return the folder of a repository, indexed or not, from a file with text in it.

    Only text searches read unindexed files. Empty if the file is gone or empty.
    """
    limits = _limits((repository,), plain_glob(f"/{path}"))
    query = TextQuery(".", regex=True, show="files", limit=1, **limits)
    roots: dict[str, str] = client.ask(query).results.roots
    return roots.get(repository, "")


def _limits(repositories: tuple[str, ...], glob: str) -> dict[str, Any]:
    """Return every field of a scope, so that none of the session's applies."""
    scope = Scope(repos=repositories, include_globs=(glob,))
    return {field: getattr(scope, field) for field in Scope.__struct_fields__}
