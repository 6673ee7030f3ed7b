"""Engine of a server: concurrent semantic searches run in processes beside it.

In one process, Python runs one search at a time. The first search runs here. Once two overlap,
processes are started, one per core, and take the semantic searches. They map the same files, so the
text and the vectors are in memory once. If a process dies, for example because a mapped file was
truncated, only its own search fails.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import EngineError
from ..index.store import Store
from ..index.update.subprocess_job import end, how_it_ended, spawn
from ..search.query import AnyQuery, SemanticQuery
from ..search.text.unindexed import UnindexedTarget
from ..settings import Settings
from .engine import Answer, Engine, Limit, Target
from .frames import READY, End, Search, Start, read_frame, write_frame

MAX_PROCESSES = 4  # by default
GRACE_S = 5.0  # beyond a search's time limit, for a process to end it
START_S = 60.0  # for a process to start
IDLE_S = 300.0  # without a search; then the processes end
MAX_ENDED = 1_000  # calls that are remembered
BUSY_S = 1.0  # a search waits so long for a process before it runs here


class _Died(EngineError):
    """End of a process before it had answered."""


class _Process:
    """Search process, used by one search at a time."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by ``end``)
        module = "codeintel_nb.engines.search_process"
        self._child = spawn(module, self._stderr, root)
        self._write_lock = threading.Lock()
        self._is_late = False
        self._is_answered = True  # whether the last search's answer was read completely
        with suppress(OSError):  # it has died, as ``is_started`` will say
            self.send(Start(settings, str(root)))

    def is_started(self) -> bool:
        """Wait until the process can search; return whether it can."""
        assert self._child.stdout is not None
        with self._killed_after(START_S), suppress(EOFError, OSError):
            return read_frame(self._child.stdout) == READY and not self._is_late
        return False

    @contextmanager
    def _killed_after(self, limit_s: float | None) -> Iterator[None]:
        """Kill the process if the block takes longer."""
        if limit_s is None:
            yield
            return

        is_over, lock = False, threading.Lock()

        def kill() -> None:
            with lock:  # once the block has ended, the process may run another search
                if not is_over:
                    self._is_late = True
                    self._child.kill()

        timer = threading.Timer(limit_s, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with lock:
                is_over = True

    def send(self, frame: Any) -> None:
        assert self._child.stdin is not None
        with self._write_lock:
            write_frame(self._child.stdin, frame)

    def answer(self, search: Search) -> Answer:
        """Return the answer to a search.

        Raises
        ------
        EngineError : the process died, or did not end in time.
        """
        assert self._child.stdout is not None
        timeout_s = search.limit.timeout_s
        self._is_answered = False
        try:
            with self._killed_after(None if timeout_s is None else timeout_s + GRACE_S):
                self.send(search)
                answer = read_frame(self._child.stdout)
            self._is_answered = not self._is_late
        except (EOFError, OSError):
            how = how_it_ended(self._child.wait(), self._stderr)
            kind: type[EngineError] = _Died
            if self._is_late:  # another process would time out, too
                kind, how = EngineError, "did not end in time and was stopped."
            raise kind(
                f"The process of this search {how} Other searches continue. If it happens again, "
                "a file of the index may be damaged. Run: codeintel doctor"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        result: Answer = answer
        return result

    @property
    def is_reusable(self) -> bool:
        """Whether the process is alive and its pipe holds no unread answer."""
        return self._is_answered and self._child.poll() is None

    def end(self) -> None:
        end(self._child)
        self._stderr.close()


class ProcessEngine:
    """Engine that passes on all calls but concurrent semantic searches."""

    def __init__(self, local: Engine, settings: Settings, root: Path, processes: int) -> None:
        """Use this many processes for the shards below ``root``."""
        self._local, self._settings, self._root = local, settings, root
        # everything else is the local engine's
        self.count, self.facets, self.sql = local.count, local.facets, local.sql
        self.points, self.read = local.points, local.read
        self.paths, self.revisions = local.paths, local.revisions
        self.problems = local.problems
        self.processes = processes
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._processes: list[_Process] = []
        self._calls: dict[str, _Process] = {}
        self._ended: OrderedDict[str, bool] = OrderedDict()  # calls that had not begun
        self._running = 0  # semantic searches
        self._starting = 0  # threads that start processes
        self._used_at = 0.0
        self._sweep: threading.Timer | None = None
        self._lock = threading.Lock()
        self._closed = False

    def search(
        self,
        query: AnyQuery,
        targets: Sequence[Target],
        limit: Limit,
        unindexed: Sequence[UnindexedTarget] = (),
    ) -> Answer:
        if not isinstance(query, SemanticQuery) or self.processes < 2:
            return self._local.search(query, targets, limit, unindexed)
        with self._lock:
            self._running += 1
            is_alone = self._running == 1 and not self._processes
        try:
            process = None if is_alone else self._take()
            if process is None:
                return self._local.search(query, targets, limit, unindexed)
            search = Search(query, tuple(targets), limit)
            try:
                return self._search_in(process, search)
            except _Died:
                # it may have died while it was idle; never here, where it could end the server
                other = self._next(0.0)
                if other is None:
                    raise
                return self._search_in(other, search)
        finally:
            with self._lock:
                self._running -= 1

    def _search_in(self, process: _Process, search: Search) -> Answer:
        call = search.limit.call
        try:
            if call:
                with self._lock:
                    self._calls[call] = process
                    was_ended = self._ended.pop(call, False)
                if was_ended:
                    with suppress(OSError, ValueError):  # it has died, as its answer will say
                        process.send(End(call))
            return process.answer(search)
        finally:
            self._calls.pop(call, None)
            self._give_back(process)

    def _take(self) -> _Process | None:
        """Return an idle process; None if there is none in time."""
        self._used_at = time.monotonic()
        with self._lock:
            is_missing = len(self._processes) < self.processes and not self._starting
            if is_missing and not self._closed:
                starter = threading.Thread(target=self._start, name="codeintel-start", daemon=True)
                with suppress(RuntimeError):  # no memory for a thread
                    starter.start()
                    self._starting += 1
            if not self._processes:
                return None
        return self._next(BUSY_S)

    def _next(self, wait_s: float) -> _Process | None:
        """Return an idle process that lives; None if there is none in time."""
        ends_at = time.monotonic() + wait_s
        with suppress(Empty):
            while True:
                process = self._idle.get(timeout=max(0.001, ends_at - time.monotonic()))
                if process.is_reusable:
                    return process
                self._discard(process)
        return None

    def _discard(self, process: _Process) -> None:
        with self._lock, suppress(ValueError):
            self._processes.remove(process)
        process.end()

    def _start(self) -> None:
        """Start the processes that are missing, one after the other."""
        try:
            while not self._closed and len(self._processes) < self.processes:
                process = _Process(self._settings, self._root)
                is_started = False
                with suppress(RuntimeError):  # no memory for a thread
                    is_started = process.is_started()
                with self._lock:
                    if is_started and not self._closed:
                        self._processes.append(process)
                        self._idle.put(process)
                        continue
                process.end()
                return
        except (OSError, EngineError):
            return  # no memory for another process: search here
        finally:
            with self._lock:
                self._starting -= 1
                if self._sweep is None and not self._closed:
                    self._sweep_after(IDLE_S)

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            if process.is_reusable and not self._closed:
                self._idle.put(process)
                return
        self._discard(process)

    def _end_idle(self) -> None:
        """End the processes if nobody has searched for a while."""
        with self._lock:
            self._sweep = None
            rest_s = self._used_at + IDLE_S - time.monotonic()
            if self._running or rest_s > 0:
                self._sweep_after(max(rest_s, 1.0))
                return
        self._end_all()

    def _sweep_after(self, wait_s: float) -> None:
        self._sweep = threading.Timer(wait_s, self._end_idle)
        self._sweep.daemon = True
        self._sweep.start()

    def _end_all(self) -> None:
        ended = list[_Process]()
        with suppress(Empty):
            while True:
                ended.append(self._idle.get_nowait())
        with self._lock:
            self._processes = [one for one in self._processes if one not in ended]
        for process in ended:
            process.end()

    def end(self, call: str) -> None:
        with self._lock:
            process = self._calls.get(call)
            if process is None:  # it has not begun, or runs here
                self._ended[call] = True
                while len(self._ended) > MAX_ENDED:
                    self._ended.popitem(last=False)
        if process is not None:
            with suppress(OSError, ValueError):  # it has just ended
                process.send(End(call))
        self._local.end(call)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._sweep is not None:
                self._sweep.cancel()
        self._end_all()
        self._local.close()


def process_count(settings: Settings) -> int:
    """Return the number of search processes of a server."""
    return settings.search_processes or min(MAX_PROCESSES, os.cpu_count() or 1)


def in_processes(settings: Settings) -> Callable[[Engine], Engine]:
    """Return the engine of a server, for a ``Workspace``."""
    root = Store(settings.home).root
    return lambda local: ProcessEngine(local, settings, root, process_count(settings))
