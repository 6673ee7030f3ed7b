"""Runs of ripgrep: input, bounds and errors."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from ...errors import EngineError, SearchError
from ...index.shard.mapping import FILES_EXHAUSTED
from ..query import Bounds, TextQuery
from .searchable import Searchable

INSTALL = "pip install --force-reinstall ripgrep"
STOPS = (-signal.SIGINT, -signal.SIGTERM)  # Ctrl-C and a shutdown reach the whole process group
CANCEL_S = 0.5  # wait for the search to be cancelled after such a signal
_SYSTEM_ERROR = re.compile(r"^rg: .*\(os error \d+\)$", re.M)  # a pattern's lines are indented

InputRanges = Sequence[tuple[Searchable, Sequence[tuple[int, int]]]]  # of each shard


@lru_cache(1)
def rg_path() -> str:
    """Return rg's path: pip's beside this Python, else the system's."""
    beside = shutil.which("rg", path=sysconfig.get_path("scripts"))
    path = beside or shutil.which("rg")
    if path is None:
        raise EngineError(
            f"This pattern needs the ripgrep program, which is missing. Run: {INSTALL}"
        )
    return os.path.abspath(path)


class Rg:
    """Running rg process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.is_stopped = False  # at the bounds, after enough matches, or by Ctrl-C

    @property
    def out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def stop(self) -> None:
        self.is_stopped = True
        self._process.kill()

    @property
    def was_cut(self) -> bool:
        """Whether rg was stopped before it finished; its status is then 1 on Windows."""
        return self.is_stopped and self._process.returncode != 0


@contextmanager
def running_rg(
    options: Sequence[str],
    query: TextQuery,
    bounds: Bounds,
    contents: Sequence[Path] = (),
    input_ranges: InputRanges = (),
    folder: str | None = None,
) -> Iterator[Rg]:
    """Run rg within the bounds, on files (``contents``), its input, or in a ``folder``.

    Raises
    ------
    SearchError : rg rejects the pattern.
    FileNotFoundError : a file was deleted; the caller tries again with a new snapshot.
    EngineError : rg is missing, failed, or was killed by the system.
    """
    for content in contents:
        if not content.exists():
            raise FileNotFoundError(content)
    paths = ["--", *map(str, contents)] if contents else []
    stdin = subprocess.PIPE if input_ranges else subprocess.DEVNULL
    process = _start([*options, *paths], stdin, folder)
    rg, over = Rg(process), threading.Event()
    feeder = None
    try:
        if bounds.ends_at is not None or bounds.cancel is not None:
            _in_thread(_stop_when_reached, rg, bounds, over)
        if input_ranges:
            feeder = _in_thread(_feed, process.stdin, input_ranges)
        yield rg
        assert process.stderr is not None
        message = process.stderr.read().decode("utf-8", "replace")
        if process.wait() in STOPS and bounds.cancel is not None:
            rg.is_stopped |= bounds.cancel.wait(CANCEL_S)
        _check(process.returncode, message, query, contents, rg.is_stopped)
    finally:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # blocked on an unresponsive drive
            process.wait(1)
        over.set()
        if feeder is not None:
            feeder.join(1)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _in_thread(work: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _start(options: list[str], stdin: int, folder: str | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [rg_path(), *options],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
        )  # fmt: skip
    except OSError as error:
        if error.errno in (*FILES_EXHAUSTED, errno.EAGAIN, errno.ENOMEM):
            raise
        if folder is not None and not os.path.isdir(folder):
            raise SearchError(f"The folder {folder} no longer exists.") from None
        path = rg_path()
        rg_path.cache_clear()  # rg was removed, or built for another machine
        raise EngineError(
            f"The ripgrep program {path} cannot be run ({error.strerror}). "
            f"To reinstall it, run: {INSTALL}"
        ) from error


def _check(
    status: int, message: str, query: TextQuery, contents: Sequence[Path], is_stopped: bool
) -> None:
    """Raise the error for rg's exit status: 1 means no match, 2 an error, below 0 a signal."""
    if status == 2 and message:
        if missing := next((one for one in contents if not one.exists()), None):
            raise FileNotFoundError(missing)
        if _SYSTEM_ERROR.search(message):
            raise EngineError(
                f"The ripgrep program failed: {_reason(message)}. "
                "If it happens again, run: codeintel doctor"
            )
        raise SearchError(
            f"The regular expression {query.pattern!r} is invalid: {_reason(message)}. "
            "To search for it as plain text, leave out --regex."
        )
    if status > 2:
        raise EngineError(
            f"The ripgrep program exited with status {status}: {_reason(message)}. "
            f"To reinstall it, run: {INSTALL}"
        )
    if status < 0 and not is_stopped:
        raise EngineError(
            f"The ripgrep program was killed by {signal.Signals(-status).name}. Memory may have "
            "run out, or a file of the index may be damaged. Other searches continue. "
            "If it happens again, run: codeintel doctor"
        )


def _reason(message: str) -> str:
    errors = [line.strip() for line in message.splitlines() if line.strip().startswith("error:")]
    return (
        errors[0].removeprefix("error:").strip()
        if errors
        else message.strip().splitlines()[0]
        if message.strip()
        else "rg gave no reason"
    ).rstrip(".")


def _feed(pipe: IO[bytes], input_ranges: InputRanges) -> None:
    try:
        for shard, ranges in input_ranges:
            with memoryview(shard.content) as view:
                for begin, end in ranges:
                    pipe.write(view[begin:end])
        pipe.close()
    except (ValueError, OSError):
        with suppress(OSError):  # rg ended: enough matches, or stopped
            pipe.close()


def _stop_when_reached(rg: Rg, bounds: Bounds, over: threading.Event) -> None:
    while not over.wait(0.02 if bounds.cancel is not None else bounds.left_s()):
        if bounds.reached():
            rg.stop()
            return
