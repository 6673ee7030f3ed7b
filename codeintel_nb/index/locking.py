"""File locks that hold between processes, on file systems without locks too."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

_WITHOUT_LOCKS = frozenset(getattr(errno, name) for name in ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL") if hasattr(errno, name))


def acquire_lock(path: Path, timeout_s: float) -> Any:
    """Acquire and return a lock, which has ``release``.

    Where the system refuses locks on this file system (NFS mounted with nolock, Lustre without flock), a file that exists as
    long as the lock is held serves instead; one that a dead process left is taken over.

    Raises
    ------
    filelock.Timeout : another process holds it.
    OSError : the file cannot be made.
    """
    from filelock import FileLock, SoftFileLock

    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS or type(error).__name__ == "Timeout":
            raise
        lock = SoftFileLock(path.with_suffix(".held"), timeout=timeout_s)
        lock.acquire()
    return lock
