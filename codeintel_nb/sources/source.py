"""Source: a repository's files, for indexing, watching and unindexed search.

A folder and an installed package are the sources so far; both are folders of this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from ..settings import Settings
from .opening import FileState, FolderReader
from .repository import Repository, is_readable
from .walk import Walk


class Reader(Protocol):
    """Reader of a source's files; fastest in path order."""

    def read(self, path: str) -> tuple[bytes, FileState]:
        """Return a file's content and its state before the read.

        Raises
        ------
        SourceError : the source is now another.
        OSError : the file is missing, too large, or not a regular file.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Source(Protocol):
    """Files of a repository."""

    @property
    def settings(self) -> Settings: ...

    @property
    def folder(self) -> str:
        """Return the folder for programs like rg; empty without one."""
        ...

    def is_available(self) -> bool:
        """Whether the files can be listed now."""
        ...

    def files(self, entered: Callable[[str], None] = ..., no_ignore: bool = False) -> Walk:
        """Return a walk; it calls ``entered`` with each folder."""
        ...

    def open(self) -> Reader:
        """Return a reader of the files."""
        ...


class FolderSource(NamedTuple):
    """Source of a folder or a package."""

    repository: Repository
    settings: Settings

    @property
    def folder(self) -> str:
        return self.repository.root

    def is_available(self) -> bool:
        return is_readable(self.repository.root)

    def files(
        self,
        entered: Callable[[str], None] = lambda folder: None,
        no_ignore: bool = False,
    ) -> Walk:
        return Walk(self.repository, self.settings, entered, no_ignore=no_ignore)

    def open(self) -> Reader:
        return _FolderSourceReader(self.repository.root, self.settings)


class _FolderSourceReader:
    def __init__(self, root: str, settings: Settings) -> None:
        self._reader, self._settings = FolderReader(root), settings

    def read(self, path: str) -> tuple[bytes, FileState]:
        return self._reader.read(path, self._settings.raw_limit(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()


def source_of(repository: Repository, settings: Settings) -> Source:
    """Return the source of a repository's files."""
    return FolderSource(repository, settings)
