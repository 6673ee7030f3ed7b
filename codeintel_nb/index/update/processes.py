"""Processes that update and compact indexes, seen from the process that starts them."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from ...settings import Settings
from ...sources.languages.grammar_folder import TEMPORARY
from ...sources.repository import Repository
from .subprocess_job import Output, ask, end, how_it_ended, spawn

MODULE = "codeintel_nb.index.update.build"
ON_CLUSTER = "codeintel_nb.engines.fleet.building"  # the same, with a cluster's hosts as workers
IDLE_S = 180.0  # how long a process waits for its next job
SETTLE_S = 5.0  # for a process to be ready for it


class Update(msgspec.Struct, frozen=True, tag="update"):
    """Job of a process, one line of JSON on its input."""

    settings: Settings
    repository: Repository
    stays: bool = False  # whether the process waits for another job afterwards
    rebuild: bool = False
    only: tuple[str, ...] | None = None  # paths to update; None for all
    # files to index by lines, without parsing: each crashed an earlier child
    avoid: tuple[str, ...] = ()


class Compaction(msgspec.Struct, frozen=True, tag="compaction"):
    """Job that merges the shards that are due."""

    settings: Settings
    repository: Repository
    stays: bool = False


class Compacted(msgspec.Struct, frozen=True, tag="compacted"):
    """Outcome of a compaction."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Last line of a job: the process waits for the next one."""


_READY = msgspec.json.encode(Ready())


class IndexProcess:
    """Process that runs one job at a time."""

    def __init__(self, folder: Path, module: str = MODULE) -> None:
        self.environment = dict(os.environ)
        self.owner = os.getpid()  # a fork of the owner must not use this process
        self.is_ready, self._stays = True, False
        self.is_reused = False  # for another job than its first
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by ``end``)
        # the process creates it if needed; it is removed here, in case the process is killed
        self._scratch = os.path.join(tempfile.gettempdir(), f"codeintel-grammars-{uuid4().hex}")
        self._child = spawn(module, self._stderr, folder, {TEMPORARY: self._scratch})
        try:
            self._output = Output(self._child)
        except RuntimeError:  # no memory for a thread
            self.end()
            raise

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def send(self, job: Update | Compaction) -> None:
        """Start a job; OSError if the process is gone."""
        self.is_ready, self._stays = False, job.stays
        ask(self._child, msgspec.json.encode(job, enc_hook=str))

    def lines(
        self, cancel: threading.Event | None, grace_s: Callable[[], float] = lambda: 0.0
    ) -> Iterator[bytes]:
        """Yield the lines of the job's output, as ``Output.lines`` does."""
        return self._output.lines(cancel, grace_s)

    def settle(self) -> None:
        """Wait after a job until the process is ready for another, or closes its output."""
        self.is_ready = self._stays and self._output.next_line(SETTLE_S).rstrip() == _READY

    def wait(self) -> tuple[int, str]:
        """Wait for a process whose output has ended; return its status, and how it ended."""
        status = self._child.wait()
        return status, how_it_ended(status, self._stderr)

    def end(self) -> None:
        """Kill the process if it still runs, and remove what it leaves."""
        end(self._child)
        self._stderr.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


@contextmanager
def _ended_on_error(process: IndexProcess) -> Iterator[None]:
    """End the process if the block raises, e.g. on Ctrl-C."""
    try:
        yield
    except BaseException:
        process.end()
        raise


class IndexProcesses:
    """Processes of a home; one may stay idle after its job.

    Starting a process takes several times as long as indexing one saved file.
    """

    def __init__(self, folder: Path, idle_s: float = 0.0) -> None:
        """Start processes in ``folder``, for jobs that they read from their input.

        ``idle_s`` is how long a process stays after its job; 0 for not at all.
        """
        self.idle_s = idle_s
        self._folder = folder
        self._idle: IndexProcess | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def running(self, job: Update | Compaction) -> Iterator[IndexProcess]:
        """Give a job to a process, the idle one if the job ``stays`` for others.

        Afterwards, the process ends unless it is ready for another job.
        """
        process = self._take(job) if job.stays else self._started(job)
        try:
            yield process
        finally:
            if not (process.is_ready and self._keep(process)):
                process.end()

    def end_idle(self) -> None:
        """End the idle process."""
        if (process := self._take_idle()) is not None:
            process.end()

    def close(self) -> None:
        """End the idle process, and keep none from now on."""
        with self._lock:
            self._closed = True
        self.end_idle()

    def _take(self, job: Update | Compaction) -> IndexProcess:
        process = self._take_idle()
        if process is not None:
            with _ended_on_error(process), suppress(OSError):  # it has just died
                if process.is_alive and process.environment == os.environ:
                    process.is_reused = True
                    process.send(job)
                    return process
            process.end()
        return self._started(job)

    def _started(self, job: Update | Compaction) -> IndexProcess:
        process = IndexProcess(self._folder, ON_CLUSTER if job.settings.cluster else MODULE)
        with _ended_on_error(process), suppress(OSError):
            process.send(job)  # if it has died, its output ends, and ``wait`` says how
        return process

    def _take_idle(self) -> IndexProcess | None:
        with self._lock:
            process, self._idle = self._idle, None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return process if process is not None and process.owner == os.getpid() else None

    def _keep(self, process: IndexProcess) -> bool:
        """Keep a process for the next job; return whether there was room for it."""
        with self._lock:
            if self._closed or self._idle is not None or not self.idle_s:
                return False
            self._idle = process
            self._timer = threading.Timer(self.idle_s, self.end_idle)
            self._timer.daemon = True
            self._timer.start()
            return True
