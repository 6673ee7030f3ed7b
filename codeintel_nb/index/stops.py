"""Indexing runs that a person stopped: kept beside the index, so that nobody starts them again unasked."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from ..scopes.storage import replace
from .report import Progress

FILE = "stopped.json"


class Stop(msgspec.Struct, frozen=True):
    """How far a run was when it was stopped."""

    share: float  # 0 to 1
    files_done: int = 0
    files_total: int = 0  # 0: the folder was still being listed
    at: float = 0.0  # seconds since 1970

    def describe(self) -> str:
        """Return where it was stopped, for a person: ``at 84 % (3,640 of 4,643 files)``."""
        if not self.files_total:
            return "before the first file"
        return f"at {100 * self.share:.0f} % ({self.files_done:,} of {self.files_total:,} files)"


class Cancellation(threading.Event):
    """Ends an indexing run; ``by_person`` tells whether the run is to stay stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.by_person = True


def read_stop(folder: Path) -> Stop | None:
    """Return where the repository's last run was stopped; None where it was not."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Stop)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return Stop(0.0)  # it was stopped: where is not known


def write_stop(folder: Path, progress: Progress | None) -> Stop:
    """Note that a person stopped the run."""
    stop = Stop(0.0, at=time.time()) if progress is None else Stop(progress.share, progress.files_done, progress.files_total, time.time())
    with suppress(OSError):  # on a full disk the run is stopped all the same
        replace(folder / FILE, msgspec.json.encode(stop))
    return stop


def clear_stop(folder: Path) -> None:
    """Forget it: a person asked for a run again."""
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)
