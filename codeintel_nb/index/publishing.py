"""Permissions of an index that other users may read.

An index is its owner's alone by default. Once its folder is opened to others, by ``publish`` or by
hand, later shards and snapshots get the same permissions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_DESCRIPTIONS = ("repository.json", "snapshot.json")
READ, ENTER = 0o044, 0o011  # by the group and by all others


def publish(home: Path, folder: Path) -> str:
    """Let every user read a repository's index in a home.

    Returns
    -------
    The first folder above the home that keeps others out; empty if there is none.

    Raises
    ------
    OSError : a file or folder belongs to another user.
    """
    root = folder.parent
    for place in (home, root.parent, root, folder):
        _add(place, READ | ENTER)
    for place in folder.rglob("*"):
        if place.name == "shards" or place.parent.name == "shards":
            _add(place, READ | ENTER)
        elif place.name in _DESCRIPTIONS or place.parent.parent.name == "shards":
            _add(place, READ)
    with suppress(FileNotFoundError):  # no package was renamed
        _add(root.parent / "renamed.json", READ)
    closed = [str(above) for above in home.resolve().parents if not above.stat().st_mode & 0o001]
    return closed[-1] if closed else ""


def _add(place: Path, bits: int) -> None:
    """Add permissions to a file or folder; leave one that has them alone.

    It may belong to another user.
    """
    mode = stat.S_IMODE(place.stat().st_mode)
    if mode & bits != bits:
        place.chmod(mode | bits)


def file_mode(folder: Path) -> int | None:
    """Return the mode of files in a repository's folder; None for the process's own."""
    bits = _opened(folder) & READ
    return 0o600 | bits if bits else None


def open_shards(folder: Path, shards: Iterable[Path]) -> None:
    """Give shards the permissions of their repository's folder."""
    bits = _opened(folder)
    if not bits & READ:
        return
    group = folder.stat().st_gid
    for shard in (folder / "shards", *shards):
        state = shard.stat()
        if _opened(shard) == bits and state.st_gid == group:
            continue
        parts = [] if shard.name == "shards" else [*shard.iterdir()]
        for place in (shard, *parts):
            _give(place, group)
        shard.chmod(0o700 | bits | state.st_mode & stat.S_ISGID)
        for part in parts:
            part.chmod(0o600 | bits & READ)


def give_to_group(folder: Path, names: Iterable[str]) -> None:
    """Give files of a repository's folder to the folder's group, if the group may read them."""
    if _opened(folder) & READ:
        for name in names:
            _give(folder / name, folder.stat().st_gid)


def _give(place: Path, group: int) -> None:
    if place.stat().st_gid != group:
        with suppress(OSError):  # the owner is not in the group
            os.chown(place, -1, group)


def copy_permissions(folder: Path, model: Path) -> None:
    """Give a new repository's folder the permissions of an earlier one."""
    if bits := _opened(model):
        folder.chmod(0o700 | bits)


def _opened(folder: Path) -> int:
    """Return the permissions of a folder for the group and others; 0 on Windows."""
    if os.name == "nt":
        return 0
    return stat.S_IMODE(folder.stat().st_mode) & (READ | ENTER)
