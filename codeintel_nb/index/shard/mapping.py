"""Memory-mapped files without open descriptors; a macOS shell allows only 256."""

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

_READ, _SHARED = 1, 1  # PROT_READ and MAP_SHARED, the same on Linux, macOS and the BSDs
FILES_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
_FAILED = ctypes.c_void_p(-1).value


def map_file(path: Path) -> Any:
    """Map a file read-only, as a buffer whose slices are bytes.

    The buffer outlives the file. Up to Python 3.12, ``mmap`` keeps a duplicate of the descriptor.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return b""
        if sys.version_info >= (3, 13):
            options = {} if os.name == "nt" else {"trackfd": False}
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **options)
        if os.name == "nt":  # Windows has no such limit
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _map_by_libc(file.fileno(), size)


def _map_by_libc(descriptor: int, size: int) -> Any:
    libc = _libc()
    address = libc.mmap(None, size, _READ, _SHARED, descriptor, 0)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    buffer = (ctypes.c_char * size).from_address(address)
    unmap = weakref.finalize(buffer, libc.munmap, address, size)
    unmap.atexit = False  # the system unmaps when the process ends
    return buffer


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_int
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * (number,), ctypes.c_ssize_t]
    libc.mmap.restype = ctypes.c_void_p
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def read_ahead(folder: Path) -> None:
    """Ask the system to read a folder's files ahead, in the background (Linux only)."""
    if not hasattr(os, "posix_fadvise"):  # macOS, Windows
        return
    for part in folder.iterdir():
        with part.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def raise_descriptor_limit(target: int = 4096) -> None:
    """Raise the limit of open files to ``target``, if allowed."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = target if hard == resource.RLIM_INFINITY else min(target, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):  # macOS refuses more than its limit per process
            pass
