"""File-change events from inotify, read without blocking."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from ..sources.ignore import IGNORE_FILES
from ..sources.worktree import NEVER

DECIDING = frozenset(
    {".git", "pyvenv.cfg", "conda-meta", *IGNORE_FILES}
)  # entries that decide how their folder is read
OLD_ENVIRONMENT = "activate_this.py"  # of virtualenv before version 20, in ENVIRONMENT/bin
RETRY_S = 30.0  # between attempts to get an instance where the user has no more


class Told(Protocol):
    """A tree that changes are told of."""

    @property
    def root(self) -> str: ...

    told: set[str]  # paths that changed since they were read; "" for anything


class Watched:
    """The folders of one tree, as they are entered."""

    def __init__(self, tree: Told, add: Callable[[Told, str], bool]) -> None:
        self._tree, self._add = tree, add
        self.missed: set[str] = set()  # folders that could not be watched

    def folder(self, folder: str) -> None:
        if not self._add(self._tree, folder):
            self.missed.add(folder)


class Notices:
    """Linux's inotify, one instance a process; elsewhere there are no events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: dict[
            int, list[tuple[Told, str]]
        ] = {}  # watch -> the trees that hold the folder, and where
        self._inotify: Any = None
        self._tried_at = -RETRY_S
        self.reason = ""  # why there are no events at all

    is_linux = sys.platform == "linux"

    def reason_for(self, folders: set[str]) -> str:
        """Return the reason why some folders are not watched; empty for no folders."""
        if not folders or not self.is_linux:  # elsewhere folders are always scanned
            return ""
        return (
            self.reason
            or "the user's inotify watches are used up: sysctl fs.inotify.max_user_watches"
        )

    def follow(self, tree: Told) -> Watched | None:
        """What is to be told each folder of a tree, to have it watched; None where nothing can be."""
        with self._lock:
            if self._inotify is None and time.monotonic() - self._tried_at > RETRY_S:
                self._tried_at = time.monotonic()
                self._open()
        return None if self._inotify is None else Watched(tree, self._add)

    def _open(self) -> None:
        try:
            from inotify_simple import INotify, flags

            self._inotify = INotify(nonblocking=True)
        except (ImportError, AttributeError):
            self.reason = f"{sys.platform} has no inotify"
            return
        except OSError as error:
            self.reason = f"no inotify instance is left ({error.strerror}): sysctl fs.inotify.max_user_instances"
            return
        self.reason = ""
        weakref.finalize(self, self._inotify.close)
        self._flags = flags
        self._mask = (
            flags.CLOSE_WRITE | flags.MODIFY | flags.ATTRIB | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
            | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.DONT_FOLLOW
        )  # fmt: skip

    def _add(self, tree: Told, folder: str) -> bool:
        with self._lock:
            if self._inotify is None:
                return False  # closed meanwhile
            try:
                watch = self._inotify.add_watch(os.path.join(tree.root, folder), self._mask)
            except (OSError, ValueError):
                return False  # the user's watches are all taken, or the folder is gone again
            places = self._folders.setdefault(watch, [])
            if (tree, folder) not in places:
                # inotify has one watch for all names of a folder (bind mounts): keep those that still name it
                places[:] = [
                    place
                    for place in places
                    if place[0] is not tree or _is_same_folder(tree.root, place[1], folder)
                ] + [(tree, folder)]
            return True

    def read(self, tree: Told) -> set[str]:
        """What changed in a tree since this was asked the last time; other trees' changes are kept for them."""
        with self._lock:
            try:
                for event in () if self._inotify is None else self._inotify.read(timeout=0):
                    self._hand_out(event)
            except (OSError, ValueError):
                tree.told.add("")
            told, tree.told = tree.told, set()
            return told

    def _hand_out(self, event: Any) -> None:
        flags = self._flags
        if event.mask & flags.Q_OVERFLOW:
            for places in self._folders.values():
                for tree, _ in places:
                    tree.told.add("")
            return
        is_folder = bool(event.mask & flags.ISDIR)
        if event.mask & flags.UNMOUNT:
            for tree, _ in self._folders.get(event.wd, ()):
                tree.told.add("")
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
            tree.told.add(
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
