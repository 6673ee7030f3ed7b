"""Ranges that a host builds, each in a worker process of its own."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from ...errors import CodeIntelError
from ...index.store import Store
from ...index.update.machine import fitting_workers
from ...index.update.parse_guard import MARK
from ...index.update.ranges import Range, RangeProgress, RangeResult
from ...index.update.work import Work
from ...index.update.workers import build_in_workers

LEASE_S = 60.0  # a build ends if its driver does not poll it for so long


class Sample(NamedTuple):
    """File as the driver sees it."""

    path: str
    size: int  # bytes
    changed_at: int  # seconds since 1970


class Slots(NamedTuple):
    """Number of builds that a host's machine may run at once; if 0, ``reason`` says why."""

    machine: str
    builds: int
    reason: str = ""


class BuildState(NamedTuple):
    """State of a range: its progress so far, then its result or its error."""

    progress: RangeProgress | None
    result: RangeResult | None
    error: CodeIntelError | None  # of the work, as a local build would raise it
    fault: str = ""  # failure of this host; another may succeed


class HostBuilds:
    """Builds of a host; safe to share between threads."""

    def __init__(self) -> None:
        self._runs = dict[str, _Run]()

    def slots(self, work: Work, sample: Sequence[Sample]) -> Slots:
        machine = socket.gethostname()
        if reason := _obstacle(work, sample):
            return Slots(machine, 0, reason)
        return Slots(machine, workers(work))

    def start(self, name: str, work: Work, pieces: Range) -> None:
        """Begin to build a range under a unique name."""
        self._runs[name] = _Run(work, pieces)

    def states(self, names: Sequence[str]) -> dict[str, BuildState]:
        """Return the states of the known builds among ``names``."""
        runs = {name: self._runs[name] for name in names if name in self._runs}
        for run in runs.values():
            run.asked_at = time.monotonic()
        return {name: run.state for name, run in runs.items()}

    def stop(self, names: Sequence[str]) -> None:
        """End builds early; if the work allows, the files read so far become a shard."""
        for name in names:
            if name in self._runs:
                self._runs[name].ending.set()


class _Run:
    """Thread that follows one worker process."""

    def __init__(self, work: Work, pieces: Range) -> None:
        # hosts share the folder of the marks
        self._work = msgspec.structs.replace(work, mark=f"{MARK}-{uuid4().hex[:8]}")
        self._pieces = pieces
        self.state = BuildState(None, None, None)
        self.ending = threading.Event()
        self.asked_at = time.monotonic()
        threading.Thread(target=self._run, name="codeintel-build", daemon=True).start()

    def _run(self) -> None:
        try:
            builds = build_in_workers(self._work, [self._pieces], 1, self._note, self._is_over)
            for _, result in builds:
                self.state = self.state._replace(result=result)
        except CodeIntelError as error:
            self.state = self.state._replace(error=error)
        except Exception as error:
            self.state = self.state._replace(fault=f"{type(error).__name__}: {error}")

    def _note(self, event: RangeProgress) -> None:
        self.state = self.state._replace(progress=event)

    def _is_over(self) -> bool:
        return self.ending.is_set() or time.monotonic() - self.asked_at > LEASE_S


def workers(work: Work) -> int:
    """Return the number of builds that this machine may run at once."""
    return work.settings.build_workers or fitting_workers()


def _obstacle(work: Work, sample: Sequence[Sample]) -> str:
    """Return why this host cannot build; empty if it can."""
    folder = Store(work.settings.home).stored(work.repository).folder
    root = Path(work.repository.root)
    if not os.access(folder / "shards", os.W_OK):
        return f"it cannot write to {folder}"
    if hasattr(os, "geteuid") and folder.stat().st_uid != os.geteuid():
        return f"it runs as a user who does not own {folder}"
    for path, size, changed_at in sample:
        try:
            state = (root / path).stat()
        except OSError:
            return f"it does not see {root / path}"
        if (state.st_size, int(state.st_mtime)) != (size, changed_at):
            return f"it has a different version of {root / path}"
    return ""
