"""Safe reading of files: regular, of bounded size, through no link.

Others may replace files and folders at any time.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple, Self

from ..errors import SourceError

HAS_INODES = os.name != "nt"  # listings give inodes and change times
MAX_RULE_BYTES = 1_000_000  # of an ignore or configuration file
_HAS_FOLDER_HANDLES = (
    os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
)
# O_NONBLOCK: opening a pipe must not wait for its writer
_FILE = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


class NotReadable(OSError):
    """Existing file not read: irregular, linked, too large or forbidden."""


# errors of the system, not of the file, which must not count as missing
TRANSIENT = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE")
    if hasattr(errno, name)
)
# equally missing for a reader of rules
ABSENT = (FileNotFoundError, NotADirectoryError, NotReadable)


class FileState(NamedTuple):
    """Attributes to detect a changed file, as in git's index."""

    size: int  # bytes
    mtime_ns: int
    ctime_ns: int  # 0 on Windows: there it is the time of creation
    inode: int  # 0 on Windows: its listings lack it

    @classmethod
    def of(cls, state: os.stat_result) -> FileState:
        if HAS_INODES:
            return cls(state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        return cls(state.st_size, state.st_mtime_ns, 0, 0)


def read_rules(path: str, follow: bool = False, folder: int | None = None) -> bytes:
    """Return the content of an ignore file or a configuration.

    Parameters
    ----------
    follow : whether the file itself may be a link, as a user's own configuration often is.
    folder : handle of the open folder to resolve the path in.

    Raises
    ------
    NotReadable : it is not a regular file, is a link, exceeds 1 MB or may not be read.
    FileNotFoundError, NotADirectoryError : it is missing.
    OSError : it cannot be read now, for example without a free file descriptor.
    """
    if not _NO_LINK and not follow and os.path.islink(path):
        raise NotReadable(f"{path} is a link")
    try:
        handle = os.open(path, _FILE | (0 if follow else _NO_LINK), dir_fd=folder)
    except OSError as error:
        if isinstance(error, ABSENT) or error.errno in TRANSIENT:
            raise
        raise NotReadable(f"{path} cannot be read: {error.strerror}") from error
    return _read(handle, path, MAX_RULE_BYTES)[0]


def _read(handle: int, path: str, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Read and close a file; return content and prior state."""
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise NotReadable(f"{path} is not a regular file")
        parts, size = list[bytes](), 0
        while size <= max_bytes and (
            part := os.read(handle, min(max_bytes + 1 - size, max(state.st_size, 4096) + 1))
        ):
            parts.append(part)
            size += len(part)
    finally:
        os.close(handle)
    if size > max_bytes:
        raise NotReadable(f"{path} is larger than {max_bytes:,} bytes")
    return b"".join(parts), state


def stamp_of(path: str) -> tuple[int, ...]:
    """Return a file's state or a folder's identity; empty if missing."""
    try:
        state = os.stat(path)
    except OSError:
        return ()
    if stat.S_ISDIR(state.st_mode):
        return state.st_dev, state.st_ino
    return state.st_dev, *FileState.of(state)


def has_stamp(path: str, stamp: tuple[int, ...]) -> bool:
    """Whether ``stamp_of`` still returns this stamp; cheaper for a missing file."""
    return stamp_of(path) == stamp if stamp else not os.access(path, os.F_OK)


def check_root(root: str) -> None:
    """Raise SourceError if a root's path now contains a link."""
    resolved = os.path.realpath(root)
    if resolved != root:
        raise SourceError(
            f"The folder {root} leads elsewhere now, to {resolved}, so it was not read. "
            f"If that is intended, index {resolved} under another name: codeintel index {resolved}"
        )


class FolderReader:
    """A reader of files below a root, following no link.

    Folders are opened by handle and stay open between files: in path order, each opens once.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._open: list[tuple[str, int]] = []  # the root (opened on first use), subfolders

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._close(0)

    def read(self, path: str, max_bytes: int) -> tuple[bytes, FileState]:
        """Return a file's content and its state before the read.

        Raises
        ------
        SourceError : the root is now a link or behind one.
        NotReadable : it is not a regular file, or larger than ``max_bytes``.
        OSError : it is missing, or a folder on the way is now a link.
        """
        *folders, name = path.split("/")
        if _HAS_FOLDER_HANDLES:
            handle = os.open(name, _FILE | _NO_LINK, dir_fd=self._folder(folders))
        else:
            check_root(self._root)
            place = os.path.join(self._root, *folders, name)
            if os.path.realpath(place) != place:
                raise NotReadable(f"{place} is a link, or is in a linked folder")
            handle = os.open(place, _FILE)
        data, state = _read(handle, path, max_bytes)
        return data, FileState.of(state)

    def _folder(self, names: list[str]) -> int:
        if not self._open:
            check_root(self._root)
            self._open.append(("", os.open(self._root, _FOLDER | _NO_LINK)))
        same = 1
        while (
            same < len(self._open) and same <= len(names) and self._open[same][0] == names[same - 1]
        ):
            same += 1
        self._close(same)
        for name in names[same - 1 :]:
            self._open.append((name, os.open(name, _FOLDER | _NO_LINK, dir_fd=self._open[-1][1])))
        return self._open[-1][1]

    def _close(self, first: int) -> None:
        for _, handle in self._open[first:]:
            os.close(handle)
        del self._open[first:]
