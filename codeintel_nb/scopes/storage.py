"""Write files such that a crash at any instant leaves the old content or the new, and say plainly what went wrong."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ShardError


def replace(path: Path, data: bytes) -> None:
    """Give the file new content at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Create a folder, with missing parents, that other users cannot read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # owned by another user
        os.chmod(folder, 0o700)


def write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Make a file or folder survive a loss of power."""
    if os.name == "nt":
        return  # Windows has no sync of folders, and files were synced when they were written
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Say in one line what a full disk or a home that cannot be written means."""
    try:
        yield
    except OSError as error:
        raise ShardError(storage_message(place, error)) from error
    except RuntimeError as error:  # FAISS and DuckDB wrap what the system said
        raise ShardError(
            f"Writing below {place} failed: {str(error).strip().splitlines()[-1][:300]} The last good index still answers."
        ) from error


def storage_message(place: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk that holds {place} is full. Free some space, or set CODEINTEL_HOME to another disk. The last good index still answers."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return f"The index home {place} cannot be written ({error.strerror}). Set CODEINTEL_HOME to a folder that you own."
    return f"Writing below {place} failed ({error.strerror or error}). The last good index still answers."
