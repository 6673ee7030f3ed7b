"""Table of folders and names, to match files by globs.

Each name and folder is matched once, not path by path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...scopes.globs import (
    PathMatcher,
    expand_braces,
    glob_names,
    matches_name_by_name,
    name_matcher,
)
from .arrays import Array

Mask = npt.NDArray[np.bool_]
_PLAIN = re.compile(r"[^*?\[\]\\{}]+")


class _Names:
    """Distinct names, numbered in the order of their first use."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.ids = {name: i for i, name in enumerate(names)}

    def number(self, name: str) -> int:
        return self.ids.setdefault(name, len(self.ids))

    @cached_property
    def array(self) -> npt.NDArray[np.bytes_]:
        return np.array([name.encode("utf-8", "replace") for name in self.ids] or [b""], np.bytes_)[
            : len(self.ids)
        ]

    @cached_property
    def filled(self) -> Mask:
        """Return a mask of all names but the empty one."""
        return np.fromiter(map(bool, self.ids), bool, len(self.ids))


class PathTable:
    """Folders and names of a shard's paths, the root first."""

    def __init__(
        self, folders: Sequence[str], names: Sequence[str], file_folder: Array, file_name: Array
    ) -> None:
        self.folders, self.file_folder, self.file_name = folders, file_folder, file_name
        self.names, self._parts = _Names(names), _Names()
        split = [folder.rpartition("/") for folder in folders]
        numbers = {folder: i for i, folder in enumerate(folders)}
        self._part = np.array([self._parts.number(part) for _, _, part in split], np.int64)
        self._parent = np.array([numbers[above] for above, _, _ in split], np.int64)
        depths = np.array([folder.count("/") + 1 if folder else 0 for folder in folders], np.int64)
        self._levels = [
            np.flatnonzero(depths == depth) for depth in range(1, int(depths.max()) + 1)
        ]

    @classmethod
    def of(cls, paths: Sequence[str]) -> PathTable:
        folders: dict[str, int] = {"": 0}
        names = _Names()
        file_folder, file_name = np.empty(len(paths), np.uint32), np.empty(len(paths), np.uint32)
        for i, path in enumerate(paths):
            folder, _, name = path.rpartition("/")
            file_folder[i] = folders.setdefault(folder, len(folders))
            file_name[i] = names.number(name)
        for folder in list(folders):  # add those that contain only folders
            while folder:
                folder = folder.rpartition("/")[0]
                if folder in folders:
                    break
                folders[folder] = len(folders)
        return cls(list(folders), list(names.ids), file_folder, file_name)

    @cached_property
    def all_folders(self) -> frozenset[str]:
        return frozenset(self.folders)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays to store in a shard."""
        texts = {"table_folders": self.folders, "table_names": list(self.names.ids)}
        blobs = {
            name: np.frombuffer("\0".join(entries).encode("utf-8"), np.uint8)
            for name, entries in texts.items()
        }
        return {**blobs, "file_folder": self.file_folder, "file_name": self.file_name}

    @classmethod
    def stored(cls, arrays: dict[str, Array]) -> PathTable:
        """Return the table stored in a shard's arrays."""
        folders, names = (
            arrays[name].tobytes().decode("utf-8").split("\0")
            for name in ("table_folders", "table_names")
        )
        return cls(
            folders,
            names if len(arrays["file_name"]) else [],
            arrays["file_folder"],
            arrays["file_name"],
        )

    def admitted(self, include_globs: Sequence[str], exclude_globs: Sequence[str]) -> Mask:
        """Return a mask of files included and not excluded.

        Without includes, all files are included.
        """
        mask = self._any(include_globs) if include_globs else np.ones(len(self.file_name), bool)
        return mask & ~self._any(exclude_globs) if exclude_globs else mask

    def _any(self, globs: Sequence[str]) -> Mask:
        mask = np.zeros(len(self.file_name), bool)
        for glob in globs:
            for one in expand_braces(glob):
                mask |= self._matching(one)
        return mask

    def _matching(self, glob: str) -> Mask:
        """Return a mask of files matched by a brace-free glob.

        Each name of the glob is matched with all folders at once, from the root down.
        """
        if not matches_name_by_name(glob):
            return np.array(PathMatcher([glob], []).admits_each(self._paths()), bool)
        anchored, names, folder_only = glob_names(glob)
        reached = np.zeros(len(self.folders), bool)  # folders matched by the names so far
        reached[0] = True
        for name in names[:-1] if anchored else ("**", *names[:-1]):
            reached = (
                self._below(reached)
                if name == "**"
                else self._named(name, self._parts)[self._part] & self._children(reached)
            )
        last = names[-1]
        inside = (
            self._children(reached)
            if last == "**"
            else self._named(last, self._parts)[self._part] & self._children(reached)
        )
        inside_files: Mask = self._below(inside)[self.file_folder]
        if folder_only:
            return inside_files
        here: Mask = reached[self.file_folder]
        return inside_files | (
            here if last == "**" else here & self._named(last, self.names)[self.file_name]
        )

    def _paths(self) -> list[str]:
        names, folders = list(self.names.ids), self.folders
        places = zip(self.file_folder.tolist(), self.file_name.tolist(), strict=True)
        return [f"{folders[folder]}/{names[name]}".removeprefix("/") for folder, name in places]

    def _children(self, folders: Mask) -> Mask:
        """Return the folders directly inside these."""
        children: Mask = folders[self._parent]
        children[0] = False
        return children

    def _below(self, folders: Mask) -> Mask:
        """Return these folders and all inside them."""
        inside = folders.copy()
        for level in self._levels:
            inside[level] |= inside[self._parent[level]]
        return inside

    def _named(self, pattern: str, names: _Names) -> Mask:
        """Return a mask of names matched by one name's glob."""
        if pattern.strip("*") == "":
            return names.filled
        if _PLAIN.fullmatch(pattern):
            mask = np.zeros(len(names.ids), bool)
            if (at := names.ids.get(pattern)) is not None:
                mask[at] = True
            return mask
        if pattern[0] == "*" and _PLAIN.fullmatch(pattern[1:]):
            return np.char.endswith(names.array, pattern[1:].encode())
        if pattern[-1] == "*" and _PLAIN.fullmatch(pattern[:-1]):
            return np.char.startswith(names.array, pattern[:-1].encode())
        return (
            np.fromiter(map(name_matcher(pattern), names.ids), bool, len(names.ids)) & names.filled
        )
