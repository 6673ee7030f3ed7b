"""Daemon threads for a server, which exits despite hung ones."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")


class DaemonExecutor(Executor):
    """Executor with a fixed number of daemon threads.

    Unlike ``ThreadPoolExecutor``, it does not join its threads at interpreter exit: a thread
    blocked on a dead network drive must not prevent a shutdown.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._threads, self._name = threads, name
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._started: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the server is shutting down")
            future: Future[_T] = Future()
            self._work.put((future, lambda: fn(*args, **kwargs)))
            if not self._idle.acquire(blocking=False) and len(self._started) < self._threads:
                thread = threading.Thread(
                    target=self._run, name=f"{self._name}_{len(self._started)}", daemon=True
                )
                self._started.append(thread)
                thread.start()
            return future

    def close(self, timeout_s: float) -> bool:
        """Reject new work, cancel queued work and join the threads.

        Return whether all of them ended in time.
        """
        with self._lock:
            self._closed = True
        with suppress(queue.Empty):  # a worker may take the last item first
            while True:
                if (waiting := self._work.get_nowait()) is not None:
                    waiting[0].cancel()
        for _ in self._started:
            self._work.put(None)
        ends_at = time.monotonic() + timeout_s
        for thread in self._started:
            thread.join(max(0.0, ends_at - time.monotonic()))
        return not any(thread.is_alive() for thread in self._started)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.close(3600.0 if wait else 0.0)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # raised by future.result()
                    future.set_exception(error)
            del work, future, call
            self._idle.release()
