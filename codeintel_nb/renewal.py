"""Rebuild of the indexes that an earlier version left, in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from .errors import CodeIntelError
from .index.store import Store
from .index.update.stops import Cancellation


class Renewal:
    """Thread that rebuilds adopted indexes, one after the other."""

    def __init__(self, store: Store | None, rebuild: Callable[[str, Cancellation], object]) -> None:
        """Start the thread if the store has adopted indexes; no store: do nothing."""
        self._names, self._rebuild = list[str](), rebuild
        self._cancel = Cancellation()
        self._thread = threading.Thread(target=self._run, name="codeintel-renewal", daemon=True)
        with suppress(CodeIntelError, OSError):  # an unreadable home: a search reports it
            self._names = store.adopted() if store is not None else []
        if self._names:
            self._thread.start()

    def close(self) -> None:
        """Stop; a later process starts again with what is left."""
        self._cancel.shut_down()
        if self._names:
            self._thread.join()

    def _run(self) -> None:
        for name in self._names:
            with suppress(CodeIntelError, OSError):  # the adopted index still answers
                self._rebuild(name, self._cancel)
