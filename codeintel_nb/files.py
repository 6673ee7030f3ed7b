"""Crash-safe file writes, and plain messages for failed ones.

A crash at any instant leaves the old content or the new.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ShardError


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace the file's content atomically; ``mode`` gives its permissions."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        write_synced(temporary, data)
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Create a folder, with missing parents, unreadable by other users."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # owned by another user
        os.chmod(folder, 0o700)


def write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Flush a file or folder to disk, against power loss."""
    if os.name == "nt":
        return  # Windows cannot sync folders, and write_synced syncs files
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Convert write errors below a place to one-line ShardErrors."""
    try:
        yield
    except OSError as error:
        raise ShardError(storage_message(place, error)) from error
    except RuntimeError as error:  # FAISS and DuckDB wrap the system's error
        raise ShardError(
            f"Writing to {place} failed: {str(error).strip().splitlines()[-1][:300]} "
            "The last good index remains searchable."
        ) from error


def storage_message(place: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"The disk of {place} is full. Free some space, or set CODEINTEL_HOME to a folder on "
            "another disk. The last good index remains searchable."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return (
            f"The index home {place} is not writable ({error.strerror}). "
            "Set CODEINTEL_HOME to a folder that you own."
        )
    return (
        f"Writing to {place} failed ({error.strerror or error}). "
        "The last good index remains searchable."
    )
