"""What a page is told without asking: that a session's scope changed, and how far an indexing run is.

They go out as events of the Jupyter server, which every page of it hears anyway. A scope itself is not in them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from codeintel_nb.api.progress import Estimate, summary
from codeintel_nb.api.text import clean
from codeintel_nb.api.wire import JobState
from codeintel_nb.api.wording import in_panel

CHANGES = "urn:codeintel-nb:changes:v1"
TOLD_S = 0.2  # between two words on one run
SCHEMA = {
    "$id": CHANGES,
    "version": "1",
    "title": "Changes of scopes and indexes",
    "personal-data": False,
    "type": "object",
    "required": ["what"],
    "properties": {
        "what": {"enum": ["scope", "index"]},
        "session": {
            "type": "string",
            "description": "whose scope changed: a kernel's id, or that of another client",
        },
        "repository": {"type": "string"},
        "state": {"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        "line": {
            "type": "string",
            "description": "how far the run is, or what it did, for a person",
        },
        "share": {"type": "number", "description": "of the run that is done, 0 to 1"},
    },
}


class Events:
    """Tells on the event loop that it was made on; its methods may be called from any thread."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs: dict[
            str, tuple[Estimate, float]
        ] = {}  # repository -> its run's estimate, and when it was last told of
        if CHANGES not in logger.schemas:  # else of a server that was in this process before
            logger.register_event_schema(SCHEMA)

    def begin(self) -> None:
        """Called once the server's loop runs."""
        self._loop = asyncio.get_running_loop()

    def scope_changed(self, session_id: str) -> None:
        self._emit({"what": "scope", "session": session_id})

    def job_moved(self, state: JobState) -> None:
        estimate, told = self._runs.get(state.repository, (Estimate(), 0.0))
        now = time.monotonic()
        if not state.ended and now - told < TOLD_S:
            return
        self._runs[state.repository] = (estimate, now)
        line, share = f"indexing {state.repository} ...", 0.0
        if state.ended:
            del self._runs[state.repository]
            line, share = summary(state.report) if state.report else in_panel(state.detail), 1.0
        elif state.progress is not None:
            line, share = estimate.line(state.progress), estimate.share(state.progress)
        self._emit(
            {
                "what": "index",
                "repository": state.repository,
                "state": state.state,
                "line": clean(line),
                "share": share,
            }
        )

    def _emit(self, data: dict[str, Any]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                self._loop.call_soon_threadsafe(
                    lambda: self._logger.emit(schema_id=CHANGES, data=data)
                )
