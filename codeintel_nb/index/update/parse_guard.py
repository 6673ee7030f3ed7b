"""Memory-mapped record of the file being parsed.

It survives the process, so a grammar's crash or endless loop can be traced to its file.
"""

from __future__ import annotations

import mmap
import signal
from contextlib import suppress
from pathlib import Path

MARK = "reading"
MAX_CRASHES = 100  # per run, each on a different file
MAX_S = 10.0  # CPU time of the process for one file; 2 MB of C++ take less than 2 s
_SIZE = 8192  # bytes of the mark: two for the length, then the path
# signals of a grammar's crash or timeout (SIGPROF); other signals have other senders
CRASHES = frozenset(
    -getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGPROF")
    if hasattr(signal, name)
)


def sweep_marks(folder: Path) -> None:
    """Delete the marks of workers that were killed with their parents, under the write lock."""
    for mark in folder.glob(f"{MARK}-*"):
        with suppress(OSError):  # on Windows, if a lost host still builds
            mark.unlink()


class ParseGuard:
    """Mark of the file being parsed; kills after ``MAX_S``."""

    def __init__(self, folder: Path, mark: str = MARK) -> None:
        self._mark: mmap.mmap | bytearray = bytearray(_SIZE)
        # where the folder is not writable, a crash names no file
        with suppress(OSError), (folder / mark).open("w+b") as file:
            file.write(bytes(_SIZE))  # allocates the mark: on a full disk, later writes would fail
            file.flush()
            self._mark = mmap.mmap(file.fileno(), _SIZE)
        self._timed = hasattr(signal, "setitimer")
        if self._timed:
            # kills the process, whatever code it runs
            signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def begin(self, path: str) -> None:
        name = path.encode("utf-8", "surrogateescape")[: _SIZE - 2]
        self._mark[2 : 2 + len(name)] = name
        self._mark[:2] = len(name).to_bytes(2, "little")
        if self._timed:
            signal.setitimer(signal.ITIMER_PROF, MAX_S)

    def end(self) -> None:
        if self._timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._mark[:2] = b"\0\0"


def crashed_file(folder: Path, status: int, mark: str = MARK) -> str:
    """Return the path being parsed when a process crashed.

    Empty if the process ended otherwise, or was parsing no file.
    """
    if status not in CRASHES:
        return ""
    try:
        marked = (folder / mark).read_bytes()
    except OSError:
        return ""
    return marked[2 : 2 + int.from_bytes(marked[:2], "little")].decode("utf-8", "surrogateescape")
