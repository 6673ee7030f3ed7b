"""List of the repositories of a home and of shared homes, read again only after changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from .errors import ScopeError
from .index.comparison import CLOCK_STEP_NS
from .index.shard.mapping import FILES_EXHAUSTED
from .index.store import Store, StoredRepository

_Stamp = tuple[int, int]  # change time and inode
_ABSENT = 0, 0


class RepositoryList:
    """Repositories of a store; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # stamps of the repositories' descriptions; the repositories; and the stamps of the folders
        # around them, or None if these would not reveal every addition and removal. One value, as
        # threads read and replace it
        self._read: tuple[
            frozenset[tuple[str, int, int]] | None,
            list[StoredRepository],
            list[_Stamp] | None,
        ] = None, [], None  # not read yet

    @property
    def last(self) -> list[StoredRepository]:
        """Return the repositories as of the last check."""
        return self._read[1]

    def all(self) -> list[StoredRepository]:
        """Return the repositories, read again only if their descriptions changed."""
        for shared in self._store.shared:
            shared.prepare()
        # a shared home may fail, or work again, without any other change
        stamps = {(shared.problem, 0, 0) for shared in self._store.shared}
        is_whole = True
        try:
            folders = [_stamp(root) for root in self._store.roots]
            for root, folder in zip(self._store.roots, folders, strict=True):
                is_whole = (folder == _ABSENT or _add_stamps(root, stamps)) and is_whole
        except OSError as error:
            if error.errno in FILES_EXHAUSTED:
                raise
            return self._store.repositories()
        before, stored, _ = self._read
        if before is None or stamps != before:
            stored = self._store.repositories()
        now = time.time_ns()
        is_settled = (
            is_whole
            and not self._store.damaged
            and all(now - changed_ns > CLOCK_STEP_NS for changed_ns, _ in folders)
        )
        self._read = frozenset(stamps), stored, folders if is_settled else None
        return stored

    def checked(
        self, choose: Callable[[list[StoredRepository]], list[StoredRepository]]
    ) -> list[StoredRepository]:
        """Return the repositories, of which only the chosen ones are checked for changes.

        This spares a search from checking the others.
        """
        for shared in self._store.shared:
            shared.prepare()
        stamps, stored, folders = self._read
        try:
            if any((shared.problem, 0, 0) not in (stamps or ()) for shared in self._store.shared):
                return self.all()
            if stamps is None or folders != [_stamp(root) for root in self._store.roots]:
                return self.all()
            for one in choose(stored):
                state = os.stat(f"{one.folder}/repository.json")
                if (str(one.folder), state.st_mtime_ns, state.st_ino) not in stamps:
                    return self.all()
        except (OSError, ScopeError):  # the repository may be new
            return self.all()
        return stored


def _stamp(folder: Path) -> _Stamp:
    try:
        state = os.stat(folder)
    except FileNotFoundError:
        return _ABSENT
    return state.st_mtime_ns, state.st_ino


def _add_stamps(root: Path, stamps: set[tuple[str, int, int]]) -> bool:
    """Add the stamps of the descriptions below a root; return whether all were there."""
    is_whole = True
    with os.scandir(root) as entries:
        for entry in entries:
            try:
                state = os.stat(os.path.join(entry.path, "repository.json"))
            except (FileNotFoundError, NotADirectoryError):
                is_whole = False  # it is being created
                continue
            except PermissionError:
                stamps.add((entry.path, *_ABSENT))
                continue
            stamps.add((entry.path, state.st_mtime_ns, state.st_ino))
    return is_whole
