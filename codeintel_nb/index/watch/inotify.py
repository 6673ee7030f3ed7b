"""File-change events from inotify, read without blocking."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from ...sources.git.ignore import IGNORE_FILES
from ...sources.walk import NEVER

# entries that decide how their folder is read
DECIDING = frozenset({".git", "pyvenv.cfg", "conda-meta", *IGNORE_FILES})
OLD_ENVIRONMENT = "activate_this.py"  # of virtualenv before version 20, in ENVIRONMENT/bin
RETRY_S = 30.0  # between attempts to open an instance when the user's are used up


class WatchTarget(Protocol):
    """Tree of folders to watch."""

    @property
    def root(self) -> str: ...

    reported: set[str]  # paths changed since the last read; "" for any


class WatchSet:
    """Watches on a tree's folders, added as a walk enters."""

    def __init__(self, tree: WatchTarget, add: Callable[[WatchTarget, str], bool]) -> None:
        self._tree, self._add = tree, add
        self.missed: set[str] = set()  # folders that could not be watched

    def folder(self, folder: str) -> None:
        if not self._add(self._tree, folder):
            self.missed.add(folder)


class Inotify:
    """Linux's inotify, one instance per process; other systems have no events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # watch -> the trees that contain the folder, and its path in each
        self._folders: dict[int, list[tuple[WatchTarget, str]]] = {}
        self._inotify: Any = None
        self._tried_at = -RETRY_S
        self._owner = os.getpid()  # the process that opened the instance
        self.reason = ""  # why there are no events at all

    is_linux = sys.platform == "linux"

    def reason_for(self, folders: set[str]) -> str:
        """Return why folders are not watched; empty if none."""
        if not folders or not self.is_linux:  # elsewhere folders are always scanned
            return ""
        return (
            self.reason
            or "the user's inotify watches are used up: raise sysctl fs.inotify.max_user_watches"
        )

    def follow(self, tree: WatchTarget) -> WatchSet | None:
        """Return a tree's new watch set; None without inotify."""
        with self._lock:
            self._drop_inherited()
            if self._inotify is None and time.monotonic() - self._tried_at > RETRY_S:
                self._tried_at = time.monotonic()
                self._open()
        return None if self._inotify is None else WatchSet(tree, self._add)

    def _open(self) -> None:
        try:
            from inotify_simple import INotify, flags

            self._inotify = INotify(nonblocking=True)
        except (ImportError, AttributeError):
            self.reason = f"{sys.platform} has no inotify"
            return
        except OSError as error:
            self.reason = (
                f"no inotify instances are left ({error.strerror}); "
                "raise sysctl fs.inotify.max_user_instances"
            )
            return
        self.reason, self._owner = "", os.getpid()
        weakref.finalize(self, self._inotify.close)
        self._flags = flags
        self._mask = (
            flags.CLOSE_WRITE | flags.MODIFY | flags.ATTRIB | flags.CREATE | flags.DELETE
            | flags.MOVED_FROM | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF
            | flags.ONLYDIR | flags.DONT_FOLLOW
        )  # fmt: skip

    def _add(self, tree: WatchTarget, folder: str) -> bool:
        with self._lock:
            if self._inotify is None:
                return False  # closed meanwhile
            try:
                watch = self._inotify.add_watch(os.path.join(tree.root, folder), self._mask)
            except (OSError, ValueError):
                return False  # the user's watches are used up, or the folder is gone
            places = self._folders.setdefault(watch, [])
            if (tree, folder) not in places:
                # a folder's names (bind mounts) share one watch: keep those that still name it
                places[:] = [
                    place
                    for place in places
                    if place[0] is not tree or _is_same_folder(tree.root, place[1], folder)
                ] + [(tree, folder)]
            return True

    def read(self, tree: WatchTarget) -> set[str]:
        """Return a tree's paths changed since its last call.

        Changes of other trees are recorded for their own calls.
        """
        with self._lock:
            if self._drop_inherited():
                tree.reported.add("")
            try:
                for event in () if self._inotify is None else self._inotify.read(timeout=0):
                    self._hand_out(event)
            except (OSError, ValueError):
                tree.reported.add("")
            reported, tree.reported = tree.reported, set()
            return reported

    def _drop_inherited(self) -> bool:
        """Drop watches inherited by a fork, so that their events stay with the parent.

        Return whether there were any.
        """
        if self._inotify is None or self._owner == os.getpid():
            return False
        self._inotify.close()  # in this process alone
        self._inotify, self._tried_at = None, -RETRY_S
        for places in self._folders.values():
            for tree, _ in places:
                tree.reported.add("")
        self._folders.clear()
        return True

    def _hand_out(self, event: Any) -> None:
        flags = self._flags
        if event.mask & flags.Q_OVERFLOW:
            for places in self._folders.values():
                for tree, _ in places:
                    tree.reported.add("")
            return
        is_folder = bool(event.mask & flags.ISDIR)
        if event.mask & flags.UNMOUNT:
            for tree, _ in self._folders.get(event.wd, ()):
                tree.reported.add("")
            return
        if event.mask & flags.IGNORED:
            self._folders.pop(event.wd, None)
            return
        decides = event.name in DECIDING
        if is_folder and (
            (event.name in NEVER and not decides) or not event.mask & ~(flags.ATTRIB | flags.ISDIR)
        ):
            return
        for tree, folder in self._folders.get(event.wd, ()):
            path = f"{folder}/{event.name}" if folder and event.name else folder or event.name
            tree.reported.add(
                folder
                if decides
                else folder.rpartition("/")[0]
                if event.name == OLD_ENVIRONMENT
                else path
            )

    def close(self) -> None:
        with self._lock:
            if self._inotify is not None:
                self._inotify.close()
                self._inotify, self._tried_at = None, -RETRY_S
                self._folders.clear()


def _is_same_folder(root: str, one: str, other: str) -> bool:
    """Whether two paths below a root name one folder."""
    try:
        return os.path.samefile(os.path.join(root, one), os.path.join(root, other))
    except OSError:
        return False
