"""Watcher of repository folders: updates each index soon after a change."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from ...errors import CodeIntelError, SourceError
from ...settings import Settings
from ...sources.opening import check_root
from ...sources.repository import Repository, renewed
from .folder_events import EMPTY_BATCH_S, FolderEvents
from .inotify import Inotify

# in durations of the last update: a constantly changing folder takes a third of a core
PAUSE = 2.0
MAX_PATHS = 5_000  # changed together; with more, the whole folder is compared
MAX_PAUSE_S = 3.0  # a file saved after a long update waits no longer
MISSED_S = 60.0  # grace: a package's folder is missing while pip replaces it
MIN_RETRY_S, MAX_RETRY_S = 1.0, 60.0  # after an update that failed
SETTLED_S = 30.0  # after the last change beside a package: pip writes its file list last


class Watcher:
    """Watcher threads, one per repository, that call ``update`` after changes.

    ``update`` receives the repository and its changed paths, or None for the whole folder; one call
    coalesces simultaneous changes. ``failed`` receives the repository's name and why it cannot be
    watched or why an update failed. ``differs`` compares paths with the index, for folders without
    events.
    """

    def __init__(
        self,
        settings: Settings,
        update: Callable[[Repository, Sequence[str] | None], None],
        failed: Callable[[str, str], None],
        differs: Callable[[Repository, Sequence[str] | None], bool],
    ) -> None:
        self._settings = settings
        self._update, self._failed, self._differs = update, failed, differs
        self._notices = Inotify()
        self._reported: dict[str, str] = {}  # the last failure of each repository, reported once
        # repository with unwatched folders, which are polled -> reason
        self.unwatched: dict[str, str] = {}
        # name -> root, event that ends its thread
        self._followed: dict[str, tuple[str, threading.Event]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._followed))

    def follow(self, repositories: Iterable[Repository]) -> None:
        """Watch only these repositories; update new ones at once."""
        by_name = {repository.name: repository for repository in repositories}
        with self._lock:
            for name, (root, over) in list(self._followed.items()):
                if name not in by_name or by_name[name].root != root:
                    over.set()
                    del self._followed[name]
            for name, repository in by_name.items():
                if name not in self._followed and not self._closed:
                    over = threading.Event()
                    threading.Thread(
                        target=self._follow,
                        args=(repository, over),
                        name=f"codeintel-watch-{name}",
                        daemon=True,
                    ).start()
                    self._followed[name] = (repository.root, over)

    def close(self) -> None:
        self._closed = True
        self.follow(())
        self._notices.close()

    def _follow(self, repository: Repository, over: threading.Event) -> None:
        delay_s = 0.0
        while not over.is_set():
            try:
                repository = self._follow_folder(repository, over)
                delay_s = 0.0
            except CodeIntelError as error:
                self._report(repository.name, str(error))
                self._wait_for_root(repository, over)
            except Exception as error:  # report it, and try again
                if not over.is_set() and os.path.isdir(repository.root):
                    delay_s = min(MAX_RETRY_S, 2 * delay_s or MIN_RETRY_S)
                    self._report(
                        repository.name,
                        f"{repository.name!r} cannot be watched: {_reason(error)}. "
                        "Retrying automatically. "
                        f"To update its index now, run: codeintel index {repository.root}",
                    )
                    over.wait(delay_s)
            self._wait_for_folder(repository, over)

    def _follow_folder(self, repository: Repository, over: threading.Event) -> Repository:
        """Watch a folder until replaced; return the next repository.

        Replaced means deleted, another folder in its place, or another version of its package.
        """
        first = is_new = True  # once events are collected, find earlier changes
        pending, retry_at, delay_s = set[str](), 0.0, 0.0
        place, installed = _folder_id(repository.root), _Installed(repository)
        events = FolderEvents(repository, self._settings, self._notices, over)
        for changed in events:
            if over.is_set() or place is None or _folder_id(repository.root) != place:
                break
            if installed.is_another() and self._updated(repository, None, over):
                return self._renamed(repository, over)
            self._note_unwatched(repository, events.unwatched)
            pending |= {""} if first else changed
            first = False
            if not pending or time.monotonic() < retry_at:
                continue
            paths = None if "" in pending or len(pending) > MAX_PATHS else sorted(pending)
            if (
                delay_s == 0.0
                and events.unwatched
                and not is_new
                and not self._differs(repository, paths)
            ):
                pending = set()
            elif self._updated(repository, paths, over):
                pending, delay_s, is_new = set(), 0.0, False
            else:  # keep the changes for the next attempt
                delay_s = min(MAX_RETRY_S, 2 * delay_s or MIN_RETRY_S)
                retry_at = time.monotonic() + delay_s
        return repository

    def _report(self, name: str, message: str) -> None:
        """Report a failure, unless it was the last one reported."""
        if self._reported.get(name) != message:
            self._reported[name] = message
            self._failed(name, message)

    def _note_unwatched(self, repository: Repository, reason: str) -> None:
        """Report once that some folders are not watched."""
        if not reason:
            self.unwatched.pop(repository.name, None)
        elif repository.name not in self.unwatched:
            self.unwatched[repository.name] = reason
            self._failed(
                repository.name,
                f"Some folders of {repository.name!r} cannot be watched "
                f"and are polled every few seconds: {reason}",
            )

    def _wait_for_root(self, repository: Repository, over: threading.Event) -> None:
        """Wait while the root is a link or behind one."""
        while not over.wait(EMPTY_BATCH_S):
            try:
                check_root(repository.root)
                return
            except SourceError:
                continue

    def _wait_for_folder(self, repository: Repository, over: threading.Event) -> None:
        missed_at = time.monotonic() + (MISSED_S if repository.source == "package" else 0)
        reported = False
        while not over.is_set() and not os.path.isdir(repository.root):
            if not reported and time.monotonic() >= missed_at:
                reported = True
                self._failed(
                    repository.name,
                    f"The folder {repository.root} of {repository.name!r} no longer exists. "
                    "Watching resumes when it is back. Its index remains searchable. "
                    f"To remove it, run: codeintel remove {repository.name}",
                )
            over.wait(EMPTY_BATCH_S)

    def _renamed(self, repository: Repository, over: threading.Event) -> Repository:
        """Return the repository under its current name."""
        now = renewed(repository)
        with self._lock:
            if now.name != repository.name and not over.is_set():
                self._followed.pop(repository.name, None)
                self._followed[now.name] = (now.root, over)
        return now

    def _updated(
        self, repository: Repository, paths: Sequence[str] | None, over: threading.Event
    ) -> bool:
        began, success = time.monotonic(), False
        try:
            self._update(repository, paths)
            success = True
            self._reported.pop(repository.name, None)
        except (CodeIntelError, OSError, RuntimeError) as error:  # e.g. no memory for a thread
            # then _wait_for_folder waits for it
            is_away = isinstance(error, SourceError) and not os.path.isdir(repository.root)
            if not is_away:
                message = (
                    str(error)
                    if isinstance(error, CodeIntelError)
                    else f"{repository.name!r} could not be updated: {_reason(error)}. "
                    "Retrying automatically."
                )
                self._report(repository.name, message)
        over.wait(min(MAX_PAUSE_S, PAUSE * (time.monotonic() - began)))
        return success


class _Installed:
    """Detector of another installed version of a package.

    It looks only after an entry beside the package's folder was added or deleted.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._beside = os.path.dirname(repository.root)
        self._changed_ns = -1
        self._until = 0.0

    def is_another(self) -> bool:
        """Whether another version was installed; true once per change."""
        if self._repository.source != "package":
            return False
        try:
            changed_ns = os.stat(self._beside).st_mtime_ns
        except OSError:
            return False
        if changed_ns != self._changed_ns:
            self._changed_ns, self._until = changed_ns, time.monotonic() + SETTLED_S
        is_new = time.monotonic() < self._until and renewed(self._repository) != self._repository
        if is_new:
            self._until = 0.0
        return is_new


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _folder_id(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino
