"""Initial scope of a notebook: its project, indexed or not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import CodeIntelError
from .repositories import Repositories
from .scopes.globs import plain_glob
from .scopes.scope import EVERYTHING, Scope
from .sources.project import is_project, project_of
from .sources.repository import Repository

LASTING_S = 2.0  # cache time of a folder's scope
MAX_KNOWN = 10_000


class Projects:
    """Short-lived cache of notebooks' scopes by folder."""

    def __init__(self, roster: Repositories) -> None:
        self._repositories = roster
        self._known: dict[tuple[str, str, tuple[str, ...]], tuple[float, object, Scope]] = {}

    def scope(self, folder: str, limit: str = "", joined: Sequence[str] = ()) -> Scope:
        """Return ``scope_of_folder``, at most ``LASTING_S`` seconds old."""
        key, stored = (folder, limit, tuple(joined)), self._repositories.all()
        at, of, scope = self._known.get(key, (0.0, None, EVERYTHING))
        if of is not stored or time.monotonic() - at > LASTING_S:
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            scope = scope_of_folder(
                self._repositories,
                Path(folder),
                Path(os.path.realpath(limit)) if limit else None,
                joined,
            )
            self._known[key] = time.monotonic(), stored, scope
        return scope


def scope_of_folder(
    roster: Repositories, folder: Path, limit: Path | None = None, joined: Iterable[str] = ()
) -> Scope:
    """Return the scope of a notebook in a folder.

    It is the repository indexed there; else the matching part of a larger one; else the
    repositories indexed inside the project; else the unindexed project, for text search only.
    ``joined`` repositories are added, a package in its current version. If the folder cannot be a
    project, the scope is everything.

    Parameters
    ----------
    limit : the server's root folder; a project is never above it.
    """
    root = Path(os.path.realpath(folder))
    root = project_of(root, limit)
    if not is_project(root):
        return EVERYTHING
    everything = roster.all()
    names = [one.repository.name for one in everything]
    stored = [one.repository for one in everything if not one.is_remote]
    added = tuple(
        present
        for name in joined
        if (present := name if name in names else roster.present_name(name)) in names
    )
    scope = _indexed(
        root,
        [
            (repository, Path(os.path.realpath(repository.root)))
            for repository in stored
            if repository.source == "worktree"
        ],
    )
    if scope is None:
        try:
            scope = Scope(repos=(roster.offer(root),))
        except CodeIntelError:  # unreadable, or its name is invalid
            return EVERYTHING
    if added and scope.include_globs:  # globs would apply to every repository
        scope = scope.merged(include_globs=())
    return scope.merged(repos=(*scope.repos, *added))


def _indexed(root: Path, stored: Sequence[tuple[Repository, Path]]) -> Scope | None:
    around = [
        (repository.name, place) for repository, place in stored if root.is_relative_to(place)
    ]
    if around:
        name, place = max(around, key=lambda one: len(one[1].parts))
        inside = root.relative_to(place).as_posix()
        return Scope(
            repos=(name,),
            include_globs=() if inside == "." else (f"{plain_glob('/' + inside)}/**",),
        )
    within = [repository.name for repository, place in stored if place.is_relative_to(root)]
    return Scope(repos=tuple(within)) if within else None
