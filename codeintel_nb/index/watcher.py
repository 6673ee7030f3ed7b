"""Follows the folders of repositories and has each one's index brought up to date soon after it changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from ..errors import CodeIntelError, SourceError
from ..sources.ignore import IGNORE_FILES
from ..sources.repository import Repository, renewed

QUIET_MS = 100  # without a change before what was collected is looked at
LOOKED_MS = 500  # between looks at whether it is over
PAUSE = 2.0  # times as long as the last update took: a folder that changes all the time takes a third of a core
MOST_PATHS = 5_000  # changed together, from which all are looked at instead
MOST_PAUSE_S = 3.0  # as who saves a file after a long update waits for it
MISSED_S = 60.0  # a package's folder is away while pip is at work
SETTLED_S = 30.0  # after the last change beside a package: pip writes the list of its files last


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
        while not over.is_set():
            try:
                repository = self._follow_folder(repository, over)
            except (OSError, RuntimeError) as error:
                if not over.is_set() and os.path.isdir(repository.root):
                    self._failed(repository.name, f"{repository.name!r} is not followed: {error}. Refresh it by hand: codeintel index {repository.root}")
                    return
            self._wait_for_folder(repository, over)

    def _follow_folder(self, repository: Repository, over: threading.Event) -> Repository:
        """Follow a folder until it is gone or another has taken its place, or it holds another version of a package; what
        is to be followed then."""
        import watchfiles

        root = repository.root + os.sep
        first = True  # what changed before is looked for once the events are being collected, so that nothing falls between
        place, installed = _folder_id(repository.root), _Installed(repository)
        for changes in watchfiles.watch(
            repository.root, debounce=4 * QUIET_MS, step=QUIET_MS, stop_event=over, rust_timeout=LOOKED_MS, yield_on_timeout=True,
            raise_interrupt=False, ignore_permission_denied=True,
        ):  # fmt: skip
            if over.is_set() or place is None or _folder_id(repository.root) != place:
                break
            if installed.is_another() and self._updated(repository, None, over):
                return self._renamed(repository, over)
            if first or changes:
                paths = sorted({path.removeprefix(root).replace(os.sep, "/") for _, path in changes})
                rules = any(path.rpartition("/")[2] in (*IGNORE_FILES, "pyvenv.cfg") for path in paths)  # may concern every file
                self._updated(repository, None if first or rules or len(paths) > MOST_PATHS or repository.root in paths else paths, over)
                first = False
        return repository

    def _wait_for_folder(self, repository: Repository, over: threading.Event) -> None:
        missed_at = time.monotonic() + (MISSED_S if repository.source == "package" else 0)
        told = False
        while not over.is_set() and not os.path.isdir(repository.root):
            if not told and time.monotonic() >= missed_at:
                told = True
                self._failed(repository.name, f"The folder {repository.root} of {repository.name!r} is gone; it is followed again when it is back. Its index still answers; remove it with: codeintel remove {repository.name}")
            over.wait(LOOKED_MS / 1000)

    def _renamed(self, repository: Repository, over: threading.Event) -> Repository:
        """The repository by the name that it goes by now."""
        now = renewed(repository)
        with self._lock:
            if now.name != repository.name and not over.is_set():
                self._followed.pop(repository.name, None)
                self._followed[now.name] = (now.root, over)
        return now

    def _updated(self, repository: Repository, paths: Sequence[str] | None, over: threading.Event) -> bool:
        began, done = time.monotonic(), False
        try:
            self._update(repository, paths)
            done = True
        except SourceError as error:
            if os.path.isdir(repository.root):  # else it is waited for
                self._failed(repository.name, str(error))
        except CodeIntelError as error:
            self._failed(repository.name, str(error))
        over.wait(min(MOST_PAUSE_S, PAUSE * (time.monotonic() - began)))
        return done


class _Installed:
    """Whether another version of a package was installed, asked only after something came or went beside its folder."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._beside = os.path.dirname(repository.root)
        self._changed_ns = -1
        self._until = 0.0

    def is_another(self) -> bool:
        """Whether it was; true once for one change."""
        if self._repository.source != "package":
            return False
        try:
            changed_ns = os.stat(self._beside).st_mtime_ns
        except OSError:
            return False
        if changed_ns != self._changed_ns:
            self._changed_ns, self._until = changed_ns, time.monotonic() + SETTLED_S
        found = time.monotonic() < self._until and renewed(self._repository) != self._repository
        if found:
            self._until = 0.0
        return found


def _folder_id(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino
