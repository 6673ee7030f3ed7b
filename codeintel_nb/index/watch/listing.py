"""Listing of a folder from an earlier walk: finding later changes takes one ``stat`` per file.

A folder with the same change time has the same entries, so it is not listed again, and no rule is
applied again. This holds for local file systems of Linux; elsewhere the folder is walked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from ...errors import ShardError
from ...files import replace, storage_errors
from ...settings import Settings
from ...sources.git.ignore import IGNORE_FILES as RULES
from ...sources.mounts import VIRTUAL, is_in, mount_of, mounts
from ...sources.opening import FileState
from ...sources.own_index import HOME_FORMATS, identity_of
from ...sources.repository import Repository
from ...sources.walk import ENVIRONMENT_MARKS, FileStat, Walk
from ...version import __version__
from ..comparison import CLOCK_STEP_NS
from ..shard.arrays import Array
from .inotify import OLD_ENVIRONMENT

FILE = "listing.bin"
MIN_FILES = 500  # a smaller tree is walked in milliseconds
MAX_CHANGED = 1_000  # paths; with more, a walk is cheaper
# where a folder's times change with its entries
LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"})
# entries that decide how a folder above them is read
_DECIDING = frozenset({
    ".git", *RULES, *HOME_FORMATS,
    *(part for mark in ENVIRONMENT_MARKS for part in mark.split("/")),
})  # fmt: skip
_INODE = (1 << 63) - 1  # bits of an inode that are kept
_CHANGED = -1  # time stored for a path whose time stamp may not show its next change


class Listing(msgspec.Struct, array_like=True, frozen=True):
    """Files and folders of a walk with their states, and their comparison with an index."""

    key: str  # of the walk's other inputs
    shards: dict[str, tuple[int, ...]]  # of the index, with their tombstones
    suspects: tuple[str, ...]  # paths that differed from the index
    outside: dict[str, tuple[int, ...]]  # files outside that decide what is read
    linked: dict[str, FileState]  # files with further hard links
    paths: bytes  # of the files, joined by NUL
    states: bytes  # rows of change time and inode: these tell any change
    folders: bytes  # paths, joined by NUL
    stamps: bytes  # of the folders, in the same way
    left_out: bytes  # paths of entries neither read nor entered, joined by NUL

    def folder_paths(self) -> list[str]:
        """Return the folders, the root as an empty path."""
        return self.folders.decode().split("\0")

    def changed(self, root: str) -> set[str] | None:
        """Return the paths that may have changed since; None if too many, or unreadable."""
        paths, folders = self.paths.decode().split("\0"), self.folder_paths()
        try:
            handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            changed = _differing(paths, _rows(self.states), handle)
            decided = {
                _decided_by(path) for path in changed if path.rpartition("/")[2] in _DECIDING
            }
            stamps = _rows(self.stamps)
            stale = _differing(folders, stamps, handle)
            if len(changed) + len(stale) > MAX_CHANGED or "" in changed:
                return None
            entries = _entries(stale, paths, folders)
            left_out = self.left_out.decode("utf-8", "surrogateescape").split("\0")
            others = _entries(stale, left_out)
            inodes = dict(zip(folders, stamps[:, 1].tolist(), strict=True))
            for folder in stale:
                current = _entries_now(folder, inodes[folder], handle)
                if current is None:  # removed, or replaced by another folder
                    changed.add(folder)
                    continue
                # an entry that was left out may be another one now
                changed |= {_below(folder, name) for name in current ^ entries[folder]}
                decided |= {
                    _decided_by(_below(folder, name))
                    for name in current ^ (entries[folder] | others[folder])
                    if name in _DECIDING
                }
        except OSError:  # too many open files: a walk reports it
            return None
        finally:
            os.close(handle)
        changed |= decided
        return None if "" in changed or len(changed) > MAX_CHANGED else changed


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _decided_by(path: str) -> str:
    """Return the folder whose reading depends on an entry."""
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[0] if name == OLD_ENVIRONMENT else folder


def _rows(data: bytes) -> Array:
    return np.frombuffer(data, np.int64).reshape(-1, 2)


def _differing(paths: list[str], rows: Array, handle: int) -> set[str]:
    """Return the paths whose states differ from their rows."""
    states, stat_path = list[int](), os.stat
    for path in paths:
        try:
            state = stat_path(path or ".", dir_fd=handle, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            states += (_CHANGED - 1, 0)
            continue
        states += (state.st_ctime_ns, state.st_ino & _INODE)
    different = (np.array(states, np.int64).reshape(rows.shape) != rows).any(axis=1)
    return {paths[number] for number in np.flatnonzero(different).tolist()}


def _entries(stale: set[str], *paths: Iterable[str]) -> dict[str, set[str]]:
    """Return the names of the walk's entries in some folders."""
    entries = {folder: set[str]() for folder in stale}
    if stale:
        for path in (path for group in paths for path in group):
            folder, _, name = path.rpartition("/")
            if folder in entries and name:
                entries[folder].add(name)
    return entries


def _entries_now(folder: str, inode: int, handle: int) -> set[str] | None:
    """Return the names in a folder; None if it is gone, or another one."""
    try:
        state = os.stat(folder or ".", dir_fd=handle, follow_symlinks=False)
        if not stat.S_ISDIR(state.st_mode) or state.st_ino & _INODE != inode:
            return None
        inner = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=handle)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        return set(os.listdir(inner))
    finally:
        os.close(inner)


def key_of(repository: Repository, settings: Settings) -> str:
    """Return a key of a walk's other inputs; empty if the file system is unknown or remote."""
    mount = mount_of(repository.root)
    inner = [one for one in mounts() if is_in(one.folder, repository.root)]
    kinds = {one.kind for one in inner} - VIRTUAL
    if mount is None or not LOCAL.issuperset({mount.kind, *kinds}):
        return ""
    return repr((
        __version__, repository.root, repository.reads_ignore_files, settings.max_file_bytes,
        settings.max_notebook_bytes, identity_of(settings.home),
        sorted(inner),
    ))  # fmt: skip


def read_listing(folder: Path, repository: Repository, settings: Settings) -> Listing | None:
    """Return a repository's listing; None if it has none for the same rules."""
    try:
        listing = msgspec.msgpack.decode((folder / FILE).read_bytes(), type=Listing)
    except (OSError, msgspec.DecodeError):
        return None
    return listing if listing.key and listing.key == key_of(repository, settings) else None


def write_listing(
    folder: Path,
    repository: Repository,
    settings: Settings,
    walk: Walk,
    files: Mapping[str, FileStat],
    shards: Mapping[str, Collection[int]],
    suspects: Iterable[str],
    linked: dict[str, FileState],
    began_ns: int,
) -> None:
    """Save a walk that began at ``began_ns`` for later processes; ignore a failure to write."""
    key = key_of(repository, settings)
    if not key or len(files) < MIN_FILES or walk.unlisted or not walk.folders:
        return
    others = {path: state for path, state in walk.others.items() if path not in files}
    states = [(one.ctime_ns, one.inode & _INODE) for one in files.values()]
    states += [(one.ctime_ns, one.inode & _INODE) for one in others.values()]
    stamps = [(changed_ns, inode & _INODE) for changed_ns, inode in walk.folders.values()]
    listing = Listing(
        key,
        {shard: tuple(sorted(dead)) for shard, dead in shards.items()},
        tuple(suspects),
        walk.outside,
        linked,
        "\0".join([*files, *others]).encode(),
        _mark_unsettled(np.array(states, np.int64), began_ns).tobytes(),
        "\0".join(walk.folders).encode(),
        _mark_unsettled(np.array(stamps, np.int64), began_ns).tobytes(),
        "\0".join(walk.left_out).encode("utf-8", "surrogateescape"),
    )
    with suppress(ShardError), storage_errors(folder):
        replace(folder / FILE, msgspec.msgpack.encode(listing))


def _mark_unsettled(rows: Array, began_ns: int) -> Array:
    """Mark rows changed so shortly before the walk that the next change may keep their time."""
    rows[rows[:, 0] >= began_ns - CLOCK_STEP_NS, 0] = _CHANGED
    return rows
