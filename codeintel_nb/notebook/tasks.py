"""Background work of a cell, with progress and Ctrl-C."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ..index.update.report import OnProgress, Progress
from ..search.cancel import Cancel

SHOWN_S = 0.1  # polling interval of the progress
GRACE_S = 10.0  # after Ctrl-C, for the work to return partial results

_T = TypeVar("_T")


class Task(Generic[_T]):
    """Work on its own thread, independent of hung tasks."""

    def __init__(self, work: Callable[[OnProgress, threading.Event], _T]) -> None:
        self.cancel = Cancel()
        self._ended = threading.Event()
        self._progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._result: list[_T] = []
        self._error: BaseException | None = None
        context = contextvars.copy_context()  # the work prints into this cell
        threading.Thread(
            target=context.run, args=(self._run, work), name="codeintel-task", daemon=True
        ).start()

    def _run(self, work: Callable[[OnProgress, threading.Event], _T]) -> None:
        try:
            self._result.append(work(self._progress.put, self.cancel))
        except BaseException as error:  # raised again by wait()
            self._error = error
        self._ended.set()

    def wait(self, show: OnProgress, waiting: Callable[[float], None] | None = None) -> _T:
        """Return the result; Ctrl-C stops the work early.

        A second one abandons it. ``show`` receives the progress; without any, ``waiting`` receives
        the elapsed seconds.

        Raises
        ------
        KeyboardInterrupt : the work did not end in time, or was abandoned.
        """
        try:
            self._show_until(None, show, waiting)
        except KeyboardInterrupt:
            self.cancel.set()
            self._show_until(time.monotonic() + GRACE_S, lambda progress: None, None)
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _show_until(
        self, ends_at: float | None, show: OnProgress, waiting: Callable[[float], None] | None
    ) -> None:
        began = time.monotonic()
        # a short wait: Ctrl-C does not end one if a library such as Polars handles the signal
        while not self._ended.wait(SHOWN_S):
            latest = None
            while not self._progress.empty():
                latest = self._progress.get()
            if latest is not None:
                show(latest)
            elif waiting is not None:
                waiting(time.monotonic() - began)
            if ends_at is not None and time.monotonic() > ends_at:
                raise KeyboardInterrupt
