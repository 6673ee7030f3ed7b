"""Map files without keeping descriptors: a macOS shell may have 256, and a hundred repositories
must fit.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
import weakref
from functools import cache
from pathlib import Path
from typing import Any

_READ, _SHARED = 1, 1  # PROT_READ and MAP_SHARED, which are the same on Linux, macOS and the BSDs
FILES_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
_FAILED = ctypes.c_void_p(-1).value


def map_file(path: Path) -> Any:
    """Map a file read-only, as a buffer whose slices are bytes; it stays readable after the file is
    removed.

    Python's ``mmap`` keeps a duplicate of the descriptor, up to version 3.12 always.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return b""
        if sys.version_info >= (3, 13):
            return mmap.mmap(
                file.fileno(),
                0,
                access=mmap.ACCESS_READ,
                **({} if os.name == "nt" else {"trackfd": False}),
            )
        if os.name == "nt":  # which has no such limit
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _map_by_libc(file.fileno(), size)


def _map_by_libc(descriptor: int, size: int) -> Any:
    libc = _libc()
    address = libc.mmap(None, size, _READ, _SHARED, descriptor, 0)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    buffer = (ctypes.c_char * size).from_address(address)
    weakref.finalize(
        buffer, libc.munmap, address, size
    ).atexit = False  # at its end the system does it
    return buffer


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_ssize_t,
    ]
    libc.mmap.restype = ctypes.c_void_p
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def raise_descriptor_limit(target: int = 4096) -> None:
    """Raise the soft limit of open files, as far as the hard limit admits."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = target if hard == resource.RLIM_INFINITY else min(target, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):  # macOS refuses more than it has for a process
            pass
