"""Cancellation of calls: an event that calls back when set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_S = 0.02  # of an event that cannot call back


class Cancel(threading.Event):
    """Event with callbacks, called once by the thread that sets it."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        super().set()
        for callback in [*self._callbacks]:
            callback()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call back when the event is, or already was, set."""
        self._callbacks.append(callback)
        try:
            if self.is_set():
                callback()
            yield
        finally:
            self._callbacks.remove(callback)


@contextmanager
def calling(cancel: threading.Event, callback: Callable[[], None]) -> Iterator[None]:
    """Call back when an event is set, polling plain ones."""
    if isinstance(cancel, Cancel):
        with cancel.calling(callback):
            yield
        return
    if cancel.is_set():
        callback()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if cancel.wait(POLL_S):
                callback()
                return

    threading.Thread(target=watch, name="codeintel-cancelling", daemon=True).start()
    try:
        yield
    finally:
        over.set()
