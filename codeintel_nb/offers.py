"""Unindexed folders, named for scopes and read by text search."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

from .index.store import StoredRepository
from .scopes.scope import short_name
from .sources.repository import Repository, worktree


class Offers:
    """Unindexed folders by name; an indexed repository takes the name."""

    def __init__(self) -> None:
        self._projects: dict[str, Repository] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._projects

    def __getitem__(self, name: str) -> Repository:
        return self._projects[name]

    def add(self, folder: Path, stored: list[StoredRepository]) -> str:
        """Register a folder and return its name.

        The name is the folder's own, unless it is used by a repository or another folder.
        """
        reserved_names = {
            name
            for one in stored
            for name in (one.repository.name, short_name(one.repository.name))
        }
        longer = f"{folder.name} in {folder.parent.name or 'the root folder'}"
        for name in chain((folder.name, longer), (f"{longer} {number}" for number in count(2))):
            repository = worktree(folder, name)
            if (
                name not in reserved_names
                and self._projects.setdefault(name, repository).root == repository.root
            ):
                break
        return name

    def name_of(self, root: str, stored: list[StoredRepository]) -> str | None:
        """Return the registered name of a folder.

        None if it has none, the folder is indexed, or a repository has that name.
        """
        names = {one.repository.name for one in stored}
        if _worktree_at(root, stored) is not None:
            return None
        projects = self._projects.items()
        return next(
            (name for name, project in projects if project.root == root and name not in names), None
        )

    def indexed_name(self, name: str, stored: list[StoredRepository]) -> str:
        """Return a registered folder's indexed name; else ``name``."""
        project = self._projects.get(name)
        if project is None or any(one.repository.name == name for one in stored):
            return name
        return _worktree_at(project.root, stored) or name


def _worktree_at(root: str, stored: list[StoredRepository]) -> str | None:
    """Return the name of the worktree indexed at a root."""
    return next(
        (
            one.repository.name
            for one in stored
            if (one.repository.source, one.repository.root) == ("worktree", root)
            and not one.is_remote
        ),
        None,
    )


def not_indexed(project: Repository) -> str:
    """Return the message about a project that only text search reads."""
    return (
        f"The project {project.name!r} is not indexed yet, so only text search covers its files. "
        f"Index it: codeintel index {project.root}"
    )
