"""Narrowing of a scope to a folder of the server, or exclusion of the folder."""

from __future__ import annotations

import os

from ...errors import ScopeError
from ...operations.requests import StatusRequest
from ...scopes.globs import plain_glob
from ...scopes.scope import Scope, covered
from .client import PanelClient, files_at
from .messages import PanelFolder

MAX_LISTED = 1000  # files of other repositories at an excluded path


def with_folder(client: PanelClient, request: PanelFolder, shown_root: str) -> Scope:
    """Return the scope narrowed to a folder, or without it.

    The folder may be within a repository, or contain several.
    """
    scope = client.get_scope().scope
    repositories = client.ask(StatusRequest()).repositories
    roots = [(status.name, os.path.realpath(status.root)) for status in repositories]
    if request.repo:
        is_folder = request.path.endswith("/")
        glob = plain_glob(f"/{request.path.rstrip('/')}") + "/**" * is_folder
        return (
            _without(client, scope, roots, request.repo, glob)
            if request.exclude
            else scope.merged(repos=(request.repo,), include_globs=(glob,))
        )
    folder = os.path.realpath(os.path.join(shown_root or os.getcwd(), request.path.strip("/")))
    around = [
        (name, root)
        for name, root in roots
        if folder == root or folder.startswith(root.rstrip(os.sep) + os.sep)
    ]
    if around:
        name, root = max(around, key=lambda one: len(one[1]))
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        glob = "" if inside == "." else f"{plain_glob(inside)}/**"
        if not request.exclude:
            return scope.merged(repos=(name,), include_globs=(glob,) if glob else ())
        if glob:
            return _without(client, scope, roots, name, glob)
        left = tuple(other for other in _in_scope(scope, roots) if other != name)
    else:
        within = {name for name, root in roots if root.startswith(folder.rstrip(os.sep) + os.sep)}
        if not within:
            raise ScopeError(
                f"{request.path or 'The root folder'} is not indexed. "
                "Index it in the panel, or with %codeindex add."
            )
        now = set(_in_scope(scope, roots))
        left = tuple(
            name
            for name, _ in roots
            if (name in within) != request.exclude and (name in now or not request.exclude)
        )
    if not left:
        raise ScopeError(
            f"Excluding {request.path or 'the root folder'} would leave nothing to search."
        )
    return (
        scope.merged(repos=left) if request.exclude else scope.merged(repos=left, include_globs=())
    )


def _without(
    client: PanelClient, scope: Scope, roots: list[tuple[str, str]], repository: str, glob: str
) -> Scope:
    """Return the scope without a path of one repository.

    Raises
    ------
    ScopeError : another repository in scope has files at that path.
    """
    others = tuple(name for name in _in_scope(scope, roots) if name != repository)
    if others:
        hits = files_at(client, others, glob, MAX_LISTED).hits
        if names := sorted({hit.repo for hit in hits}):
            raise ScopeError(
                f"A scope's globs apply to every repository in it, so {glob!r} would also be "
                f"excluded from {', '.join(names)}. Limit the scope to {repository} first, "
                f"or exclude it everywhere: type {glob} into Exclude, under + limit."
            )
    return scope.merged(exclude_globs=(*scope.exclude_globs, *({glob} - {*scope.exclude_globs})))


def _in_scope(scope: Scope, roots: list[tuple[str, str]]) -> list[str]:
    """Return the indexed repositories in scope, leaving out unindexed names."""
    names = [name for name, _ in roots]
    in_scope = set(names) if scope.is_everywhere else covered(scope, names)
    return [name for name in names if name in in_scope]
