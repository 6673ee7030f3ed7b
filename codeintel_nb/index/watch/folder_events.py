"""Batches of changes in a folder, by inotify, watchfiles or polling."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator

from ...settings import Settings
from ...sources.opening import has_stamp
from ...sources.repository import Repository
from ...sources.source import source_of
from ...sources.walk import COLLABORATION, IGNORED, NEVER
from .inotify import DECIDING, Inotify

QUIET_S = 0.1  # without a change before a batch is complete
MAX_BATCH_S = 0.4  # from the first change to the end of its batch
IDLE_S = 0.2  # between reads while nothing changes
EMPTY_BATCH_S = 0.5  # between empty batches
MIN_POLL_S = 5.0  # between scans of folders without events
POLL_TIMES = 20  # a scan's duration until the next: scans take at most 1/20 of the time
MAX_PATHS = 1_000  # changed in a batch; beyond that the whole folder is scanned


class FolderEvents:
    """Batches of changed paths below a repository's root.

    A batch with ``""`` means that any path may have changed, an empty one that none did.
    ``unwatched`` is the reason why some folders get no events. These are polled, so a batch may
    name them although nothing in them changed.
    """

    def __init__(
        self, repository: Repository, settings: Settings, notices: Inotify, over: threading.Event
    ) -> None:
        self.root = repository.root
        self.reported: set[str] = set()
        self.unwatched = ""
        self._repository, self._settings = repository, settings
        self._notices, self._over = notices, over
        self._missed: set[str] = set()  # folders without events
        # stamps of rule files outside the folder
        self._outside: dict[str, tuple[int, ...]] = {}
        self._polled_at = self._took_s = 0.0

    def __iter__(self) -> Iterator[set[str]]:
        if self._notices.is_linux:
            return self._by_inotify()
        return self._by_watchfiles()

    def _by_inotify(self) -> Iterator[set[str]]:
        """Yield batches of inotify events, first watching new folders."""
        self._look([""])
        yield set()
        emptied_at = time.monotonic()
        while not self._over.wait(IDLE_S):
            changed = self._notices.read(self)
            if changed:
                ends_at = time.monotonic() + MAX_BATCH_S
                while (
                    not self._over.wait(QUIET_S)
                    and (more := self._notices.read(self))
                    and time.monotonic() < ends_at
                ):
                    changed |= more
                changed |= self._notices.read(self)
                changed = self._look(
                    sorted(path for path in changed if not _is_by_collaboration(path))
                )
            if time.monotonic() - emptied_at > EMPTY_BATCH_S and self._rules_changed():
                changed = self._look([""])
            poll_s = max(MIN_POLL_S, POLL_TIMES * self._took_s)
            if self._missed and time.monotonic() - self._polled_at > poll_s:
                changed |= self._missed
                self._look(sorted(self._missed))
                self._polled_at = time.monotonic()
            if changed or time.monotonic() - emptied_at > EMPTY_BATCH_S:
                emptied_at = time.monotonic()
                yield changed

    def _rules_changed(self) -> bool:
        """Whether ignore rules from outside the folder have changed."""
        return not all(has_stamp(path, stamp) for path, stamp in self._outside.items())

    def _look(self, paths: list[str]) -> set[str]:
        """Watch folders at or below paths; return unignored paths."""
        began = time.monotonic()
        watched = self._notices.follow(self)
        if "" in paths or len(paths) > MAX_PATHS:
            paths = [""]
        entered = (lambda folder: None) if watched is None else watched.folder
        walk = source_of(self._repository, self._settings).files(entered)
        candidates: set[str] = set()
        for path in paths:
            walk.skipped.clear()
            # a deque exhausts the walk, so that all its folders are watched
            files = deque(walk.of(path) if path else walk, maxlen=1)
            if files or not path or not walk.skipped or not walk.skipped.keys() <= IGNORED:
                candidates.add(path)
        self._outside = dict(walk.outside) if paths == [""] else walk.outside | self._outside
        missed = set(paths) if watched is None else watched.missed
        elsewhere = {
            folder
            for folder in self._missed
            if not any(is_at_or_below(folder, path) for path in paths)
        }
        self._missed = elsewhere | missed
        self._took_s = time.monotonic() - began
        self.unwatched = self._notices.reason_for(self._missed)
        return candidates

    def _by_watchfiles(self) -> Iterator[set[str]]:
        import watchfiles

        root = self.root + os.sep
        for changes in watchfiles.watch(
            self.root,
            watch_filter=lambda change, path: self._is_followed(path.removeprefix(root)),
            debounce=int(1000 * MAX_BATCH_S),
            step=int(1000 * QUIET_S),
            stop_event=self._over,
            rust_timeout=int(1000 * EMPTY_BATCH_S),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            paths = {path.removeprefix(root).replace(os.sep, "/") for _, path in changes}
            yield {self._concerned(path) for path in paths}

    def _concerned(self, path: str) -> str:
        """Return the path affected; for a deciding file, its folder."""
        folder, _, name = path.rpartition("/")
        return "" if path == self.root else folder if name in DECIDING else path

    def _is_followed(self, path: str) -> bool:
        """Whether changes to a path are reported."""
        *folders, name = path.split(os.sep)
        home = os.path.realpath(self._settings.home)
        place = os.path.join(self.root, path)
        return (
            NEVER.isdisjoint(folders)
            and not COLLABORATION.fullmatch(name)
            and not f"{place}{os.sep}".startswith(f"{home}{os.sep}")
        )


def _is_by_collaboration(path: str) -> bool:
    """Whether a file belongs to jupyter-collaboration.

    Such files are rewritten at each keystroke; their journals are gone before they can be read.
    """
    return COLLABORATION.fullmatch(path.rpartition("/")[2]) is not None


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether a path is ``folder`` or below it (``""``: root)."""
    return not folder or path == folder or path.startswith(f"{folder}/")
