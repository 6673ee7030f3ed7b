"""Which file is being read, told where a crash cannot take it along: a grammar may crash, or never end."""

from __future__ import annotations

import mmap
import signal
from contextlib import suppress
from pathlib import Path

MARK = "reading"
MOST_S = 10.0  # of the process's CPU time, for one file: two megabytes of C++ take less than two
_SIZE = 8192  # of the mark: two bytes of length, and a path
# how a grammar ends a process; by the others somebody else does
CRASHES = frozenset(
    -getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGPROF")
    if hasattr(signal, name)
)


class Guard:
    """Marks the file that is being read, and has the system end the process when that takes too long."""

    def __init__(self, folder: Path) -> None:
        self._mark: mmap.mmap | bytearray = bytearray(_SIZE)
        with (
            suppress(OSError),
            (folder / MARK).open("w+b") as file,
        ):  # where nothing can be written a crash names no file
            file.write(bytes(_SIZE))  # else a write to the mark would need room that is not there
            file.flush()
            self._mark = mmap.mmap(file.fileno(), _SIZE)
        self._timed = hasattr(signal, "setitimer")
        if self._timed:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, whatever it is in

    def begin(self, path: str) -> None:
        name = path.encode("utf-8", "surrogateescape")[: _SIZE - 2]
        self._mark[2 : 2 + len(name)] = name
        self._mark[:2] = len(name).to_bytes(2, "little")
        if self._timed:
            signal.setitimer(signal.ITIMER_PROF, MOST_S)

    def end(self) -> None:
        if self._timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._mark[:2] = b"\0\0"


def culprit(folder: Path, status: int) -> str:
    """The file that was being read when a process crashed; empty where it ended otherwise, or read none."""
    if status not in CRASHES:
        return ""
    try:
        held = (folder / MARK).read_bytes()
    except OSError:
        return ""
    return held[2 : 2 + int.from_bytes(held[:2], "little")].decode("utf-8", "surrogateescape")
