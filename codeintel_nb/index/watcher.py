"""Follows the folders of repositories and has each one's index brought up to date soon after it changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from ..errors import CodeIntelError, SourceError
from ..sources.ignore import IGNORE_FILES
from ..sources.repository import Repository

QUIET_MS = 100  # without a change before what was collected is looked at
LOOKED_MS = 500  # between looks at whether it is over
PAUSE = 2.0  # times as long as the last update took: a folder that changes all the time takes a third of a core
MOST_PATHS = 5_000  # changed together, from which all are looked at instead
MOST_PAUSE_S = 3.0  # as who saves a file after a long update waits for it


class Watcher:
    """A thread for each repository, which calls ``update`` after changes, once for all that came together: with the
    repository and the paths that changed, or None for anything.

    ``failed`` is told the repository's name and why it cannot be followed, or why an update went wrong.
    """

    def __init__(self, update: Callable[[Repository, Sequence[str] | None], None], failed: Callable[[str, str], None]) -> None:
        self._update = update
        self._failed = failed
        self._followed: dict[str, tuple[str, threading.Event]] = {}  # name -> root, and what ends its thread
        self._lock = threading.Lock()
        self._closed = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._followed))

    def follow(self, repositories: Iterable[Repository]) -> None:
        """Follow these and no others; one that was not followed before is brought up to date at once."""
        wanted = {repository.name: repository for repository in repositories}
        with self._lock:
            for name, (root, over) in list(self._followed.items()):
                if name not in wanted or wanted[name].root != root:
                    over.set()
                    del self._followed[name]
            for name, repository in wanted.items():
                if name not in self._followed and not self._closed:
                    over = threading.Event()
                    self._followed[name] = (repository.root, over)
                    threading.Thread(target=self._follow, args=(repository, over), name=f"codeintel-watch-{name}", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self.follow(())

    def _follow(self, repository: Repository, over: threading.Event) -> None:
        import watchfiles

        root = repository.root + os.sep
        first = True  # what changed before is looked for once the events are being collected, so that nothing falls between
        try:
            for changes in watchfiles.watch(
                repository.root, debounce=4 * QUIET_MS, step=QUIET_MS, stop_event=over, rust_timeout=LOOKED_MS, yield_on_timeout=True,
                raise_interrupt=False, ignore_permission_denied=True,
            ):  # fmt: skip
                if first or changes:
                    paths = sorted({path.removeprefix(root).replace(os.sep, "/") for _, path in changes})
                    rules = any(path.rpartition("/")[2] in (*IGNORE_FILES, "pyvenv.cfg") for path in paths)  # may concern every file
                    self._updated(repository, None if first or rules or len(paths) > MOST_PATHS or repository.root in paths else paths, over)
                    first = False
                if over.is_set():
                    return
        except (OSError, RuntimeError) as error:
            if over.is_set():
                return
            self._failed(repository.name, f"{repository.name!r} is not followed: {error}. Refresh it by hand: codeintel index {repository.root}")

    def _updated(self, repository: Repository, paths: Sequence[str] | None, over: threading.Event) -> None:
        began = time.monotonic()
        try:
            self._update(repository, paths)
        except SourceError as error:  # its folder is gone: nothing is left to follow
            over.set()
            self._failed(repository.name, str(error))
        except CodeIntelError as error:
            self._failed(repository.name, str(error))
        over.wait(min(MOST_PAUSE_S, PAUSE * (time.monotonic() - began)))
