"""Child processes for work at low priority.

A crash or a lack of memory ends the child, not the kernel or server that started it.
"""

from __future__ import annotations

import errno
import gc
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO

import msgspec

from ...errors import CodeIntelError, EngineError, named_error

STOP = b"stop"  # line sent to a child
NICENESS = 10
# objects made between two searches for cycles; a build makes millions, and hardly a cycle
COLLECTED_OBJECTS = 200_000


def spawn(
    module: str,
    stderr: IO[bytes],
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` with pipes; ``stderr`` is closed if that fails.

    Raises
    ------
    EngineError : the system cannot start a process.
    """
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            env={**_environment(), **environment}, cwd=folder, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        stderr.close()
        if not folder.is_dir():
            raise EngineError(f"The folder {folder} no longer exists.") from None
        advice = {
            errno.EMFILE: "Raise the limit of open files (ulimit -n), and try again.",
            errno.ENFILE: "Close programs with many open files, and try again.",
            errno.EAGAIN: "Raise the limit of processes (ulimit -u), and try again.",
            errno.ENOMEM: "Free memory, and try again.",
        }.get(error.errno or 0, f"Python is expected at {sys.executable}.")
        raise EngineError(f"No process can be started ({error.strerror}). {advice}") from error


def ask(child: subprocess.Popen[bytes], job: bytes) -> None:
    """Send a child its job and leave the pipe open.

    The child exits when the pipe closes, so it does not outlive this process.
    """
    assert child.stdin is not None
    child.stdin.write(job + b"\n")
    child.stdin.flush()


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """Error of a child, sent as a line of JSON."""

    error: str  # name of a class in errors.py
    message: str

    @classmethod
    def of(cls, error: CodeIntelError) -> Failure:
        return cls(type(error).__name__, str(error))

    def exception(self) -> CodeIntelError:
        """Return the error for the parent to raise."""
        return named_error(self.error, self.message)


class Cancelled(Exception):
    """Cancellation of unfinished work."""


def whole_lines(pipe: IO[bytes]) -> Iterator[bytes]:
    """Yield the complete lines of a child's output; a killed child may leave half a line."""
    with suppress(ValueError):  # closed by ``end``
        yield from (line for line in pipe if line.endswith(b"\n"))


class Output:
    """A child's output, read line by line on a thread."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        try:
            for line in whole_lines(self._child.stdout):
                self._lines.put(line)
        finally:
            self._lines.put(b"")

    def lines(
        self, cancel: threading.Event | None, grace_s: Callable[[], float] = lambda: 0.0
    ) -> Iterator[bytes]:
        """Yield unread lines until the child closes its output.

        Raises
        ------
        Cancelled : ``cancel`` was set; the child, asked to stop, outlived ``grace_s()`` seconds.
        """
        cancelled_at: float | None = None
        while True:
            try:
                line = self._lines.get(timeout=0.1)
            except queue.Empty:
                line = None
            if cancel is not None and cancel.is_set():
                if cancelled_at is None:
                    cancelled_at = time.monotonic()
                    if grace_s():
                        tell_to_stop(self._child)
                if time.monotonic() >= cancelled_at + grace_s():
                    raise Cancelled
            if line is None:
                continue
            if not line:
                self._lines.put(b"")  # for the next call
                return
            yield line

    def next_line(self, wait_s: float) -> bytes:
        """Return the next unread line; empty if there is none, or not in time."""
        try:
            return self._lines.get(timeout=wait_s)
        except queue.Empty:
            return b""


def tell_to_stop(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to save its work and exit."""
    with suppress(OSError, ValueError):  # it has already exited
        ask(child, STOP)


def _environment() -> dict[str, str]:
    here = str(Path(__file__).resolve().parents[3])  # the folder around the package
    others = [
        folder
        for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if os.path.isabs(folder)
    ]  # an empty entry means the current folder
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([here, *others]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child if it still runs, and close its pipes."""
    if child.poll() is None:
        child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass  # the child is gone; unsent input no longer matters


def how_it_ended(status: int, stderr: IO[bytes]) -> str:
    """Return how a child ended, with its last error line."""
    stderr.seek(0)
    last = stderr.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
    how = (
        f"was killed by {signal.Signals(-status).name}."
        if status < 0
        else f"ended with status {status}."
    )
    hint = " It probably ran out of memory." if status == -9 else ""
    return f"{how}{hint}{f' Its last message: {last[-1][:300]}' if last else ''}"


class JobInput:
    """Input of a child: jobs, one per line, and requests to stop the current one.

    The child exits when its input closes, so it does not outlive its parent. Its priority is low.
    """

    def __init__(self, scratch: str = "") -> None:
        """Read jobs; delete the folder ``scratch`` when the input closes."""
        self._scratch = scratch
        self.stop = threading.Event()  # set when the parent asks to stop the job
        self._jobs: queue.Queue[bytes] = queue.Queue()
        if hasattr(os, "nice"):
            os.nice(max(0, NICENESS - os.nice(0)))
        gc.set_threshold(COLLECTED_OBJECTS)
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> bytes:
        """Wait for the next job."""
        return self._jobs.get()

    def _read(self) -> None:
        line = b""
        while block := os.read(0, 1 << 20):  # not sys.stdin: its lock would be held at exit
            first, *others = block.split(b"\n")
            line += first
            for other in others:
                self._take(line)
                line = other
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
        os._exit(1)

    def _take(self, line: bytes) -> None:
        if line == STOP:
            self.stop.set()
        else:
            self.stop.clear()
            self._jobs.put(line)
