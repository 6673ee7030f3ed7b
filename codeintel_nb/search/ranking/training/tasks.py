"""Queries with their answers, about one tree."""

from __future__ import annotations

import msgspec


class Target(msgspec.Struct, array_like=True):
    """A file that answers a query, and its lines if only these do."""

    path: str
    first_line: int = 0
    last_line: int = 0


class Task(msgspec.Struct):
    """A query with its answers."""

    query: str
    category: str
    targets: list[Target]


class Tasks(msgspec.Struct):
    """Queries of one repository."""

    name: str
    repository: str
    kind: str  # annotations, questions, commits or names
    language: str
    root: str  # folder to index
    tasks: list[Task]
    prefix: str = "/"  # what full paths have before those of the folder
