"""Locks between processes, also on file systems without locks."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

_WITHOUT_LOCKS = frozenset(
    getattr(errno, name)
    for name in ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL")
    if hasattr(errno, name)
)


def acquire_lock(path: Path, timeout_s: float) -> Any:
    """Acquire a lock and return it; call its ``release``.

    On a file system without locks (NFS mounted with nolock, Lustre without flock), fall back to a
    lock file; one left by a dead process is taken over.

    Raises
    ------
    filelock.Timeout : another process holds it.
    OSError : the file cannot be created.
    """
    from filelock import FileLock, SoftFileLock

    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        lock = SoftFileLock(path.with_suffix(".held"), timeout=timeout_s)
        lock.acquire()
    return lock
