"""Child processes: work at low priority whose crash or hunger takes no kernel or server with it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def spawn(module: str, said: IO[bytes], folder: Path) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` with pipes; ``said`` takes what it writes to its standard error."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=_environment(), cwd=folder, start_new_session=True,
    )  # fmt: skip


def ask(child: subprocess.Popen[bytes], job: bytes) -> None:
    """Give a child its job, a line; the pipe stays open, and the child ends when it closes, however this process ends."""
    assert child.stdin is not None
    child.stdin.write(job + b"\n")
    child.stdin.flush()


class Cancelled(Exception):
    """The work was to end before it was done."""


def lines_of(child: subprocess.Popen[bytes], cancel: threading.Event | None) -> Iterator[bytes]:
    """What a child says, line by line, until it ends; Cancelled once that is asked for."""
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=0.1)
        except queue.Empty:
            if cancel is not None and cancel.is_set():
                raise Cancelled from None
            continue
        if not line:
            return
        yield line


def _environment() -> dict[str, str]:
    here = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child if it still runs, and let go of its pipes."""
    if child.poll() is None:
        child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # the child is gone; nothing was left to say to it


def how_it_ended(status: int, said: IO[bytes]) -> str:
    """The end of a sentence about a child that ended too early."""
    said.seek(0)
    last = said.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
    how = f"was killed by {signal.Signals(-status).name}." if status < 0 else f"ended with status {status}."
    hint = " Often that is for want of memory." if status == -9 else ""
    return f"{how}{hint}{f' It said: {last[-1][:300]}' if last else ''}"


def serve_parent() -> None:
    """In the child: give way to others, and end when the parent ends or closes the pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(10)


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held while the interpreter ends
        pass
    os._exit(1)
