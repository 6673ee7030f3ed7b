"""Events for pages: scope changes and progress of indexing runs.

They are events of the Jupyter server, to which each of its pages already listens. They never
contain a scope.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from codeintel_nb.operations.answers import JobState
from codeintel_nb.output.plain_text import clean
from codeintel_nb.output.progress import Estimate, summary
from codeintel_nb.output.wording import in_panel

CHANGES = "urn:codeintel-nb:changes:v1"
TOLD_S = 0.2  # between two events of one run
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
            "description": "the session whose scope changed: a kernel's id, or another client's",
        },
        "repository": {"type": "string"},
        "state": {"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        "line": {
            "type": "string",
            "description": "the progress or the outcome of the run, as text",
        },
        "share": {"type": "number", "description": "the share of the run that is done, 0 to 1"},
    },
}


class Events:
    """Thread-safe emitter of the events, on the server's event loop."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._loop: asyncio.AbstractEventLoop | None = None
        # repository -> its run's estimate, and the time of its last event
        self._runs: dict[str, tuple[Estimate, float]] = {}
        if CHANGES not in logger.schemas:  # an earlier server of this process may have registered
            logger.register_event_schema(SCHEMA)

    def begin(self) -> None:
        """Start to emit on the running event loop."""
        self._loop = asyncio.get_running_loop()

    def scope_changed(self, session_id: str) -> None:
        self._emit({"what": "scope", "session": session_id})

    def job_moved(self, state: JobState) -> None:
        estimate, emitted_at = self._runs.get(state.repository, (Estimate(), 0.0))
        now = time.monotonic()
        if not state.ended and now - emitted_at < TOLD_S:
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
