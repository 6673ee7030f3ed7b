"""Fleet whose cluster may not be there yet: it connects in the background.

Until then it has no hosts, so the engine searches here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...search.query import Bounds
from .fleet import Fleet, Gathered

RETRY_S = 5.0


class Connecting:
    """Fleet that stands for another one from the start of a server."""

    def __init__(self, name: str, connect: Callable[[], Fleet]) -> None:
        self._name, self._connect = name, connect
        self._fleet: Fleet | None = None
        self._problem = "it is not connected yet"
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="codeintel-fleet", daemon=True).start()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                fleet = self._connect()
            except Exception as error:  # whatever a cluster raises: try again
                self._problem = str(error).rstrip(".")
                self._closed.wait(RETRY_S)
                continue
            self._fleet = fleet
            if self._closed.is_set():
                fleet.close()
            return

    def hosts(self) -> Sequence[str]:
        return () if self._fleet is None else self._fleet.hosts()

    def call(self, host: str, call: bytes) -> Any:
        assert self._fleet is not None  # it has the host
        return self._fleet.call(host, call)

    def gather(self, handles: Mapping[str, Any], bounds: Bounds) -> Gathered:
        assert self._fleet is not None
        return self._fleet.gather(handles, bounds)

    def cancel(self, host: str, call: str) -> None:
        if self._fleet is not None:
            self._fleet.cancel(host, call)

    def states(self) -> dict[str, str]:
        return {self._name: self._problem} if self._fleet is None else self._fleet.states()

    def close(self) -> None:
        self._closed.set()
        if self._fleet is not None:
            self._fleet.close()
