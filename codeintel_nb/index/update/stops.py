"""Records of unfinished runs: user stops and due rebuilds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path

import msgspec

from ...errors import IndexingCancelled
from ...files import replace
from ..adoption import REBUILD
from .report import Progress

FILE = "stopped.json"


class Stop(msgspec.Struct, frozen=True):
    """Progress of a run when it was stopped."""

    share: float  # 0 to 1
    files_done: int = 0
    files_total: int = 0  # 0: the folder was still being listed
    at: float = 0.0  # seconds since 1970

    def describe(self) -> str:
        """Return text like ``at 84 % (3,640 of 4,643 files)``."""
        if not self.files_total:
            return "before the first file"
        files = f"{self.files_total:,} file{'' if self.files_total == 1 else 's'}"
        return f"at {100 * self.share:.0f} % ({self.files_done:,} of {files})"


class Cancellation(threading.Event):
    """Cancel event of an indexing run.

    A run stopped ``by_person`` stays stopped. An ``is_urgent`` stop, such as a server's shutdown,
    does not wait for the files read so far to be written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_person = True
        self.is_urgent = False

    def shut_down(self) -> None:
        """Stop the run because the process ends."""
        self.is_urgent = True
        if not self.is_set():
            self.by_person = False
            self.set()


def read_stop(folder: Path) -> Stop | None:
    """Return the stop of a repository's last run, or None."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Stop)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return Stop(0.0)  # stopped, with unknown progress


def write_stop(folder: Path, progress: Progress | None) -> Stop:
    """Record that the user stopped the run."""
    stop = (
        Stop(0.0, at=time.time())
        if progress is None
        else Stop(progress.share, progress.files_done, progress.files_total, time.time())
    )
    with suppress(OSError):  # the run stops even on a full disk
        replace(folder / FILE, msgspec.json.encode(stop))
    return stop


def clear_stop(folder: Path) -> None:
    """Delete the record: the user requested a new run."""
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)


def stopped_run(
    folder: Path,
    name: str,
    cancel: threading.Event | None,
    last: Progress | None,
    kept: Callable[[], str],
) -> IndexingCancelled:
    """Record a stopped run of a repository; return the error to raise.

    ``last`` is the run's last progress, and ``kept`` describes the index that it leaves.
    """
    if not (folder / "repository.json").exists():  # never indexed, or removed since
        return IndexingCancelled(f"Indexing {name!r} was cancelled; it has no index.")
    if not getattr(cancel, "by_person", True):
        return IndexingCancelled(
            f"Indexing {name!r} was cancelled. To resume, run: codeintel refresh {name}"
        )
    stop = (read_stop(folder) if last is None else None) or write_stop(folder, last)
    return IndexingCancelled(
        f"Indexing {name!r} was stopped {stop.describe()}. "
        f"{kept()}. To resume, run: codeintel refresh {name}"
    )


def check_is_wanted(folder: Path, name: str, present: Set[str]) -> None:
    """Raise unless an automatic run may begin; ``present`` holds the names of all repositories.

    Raises
    ------
    IndexingCancelled : the repository was removed, or a user stopped its last run.
    """
    if name not in present:  # while the run waited in a queue
        raise IndexingCancelled(
            f"{name!r} was removed, so it is not updated. "
            "To index it again, run: codeintel index PATH"
        )
    if read_stop(folder) is not None:
        raise IndexingCancelled(
            f"Indexing {name!r} was stopped earlier. To resume, run: codeintel refresh {name}"
        )


def is_rebuild_due(folder: Path) -> bool:
    """Whether an earlier rebuild is unfinished."""
    return (folder / REBUILD).exists()


def note_rebuild(folder: Path) -> None:
    """Record a rebuild's start, so a later run finishes it."""
    with suppress(FileNotFoundError):  # a first index reads all files anyway
        (folder / REBUILD).touch()


def clear_rebuild(folder: Path) -> None:
    """Delete the record of a finished rebuild."""
    (folder / REBUILD).unlink(missing_ok=True)
