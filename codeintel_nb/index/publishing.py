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
        place.chmod(0o755)
    for place in folder.rglob("*"):
        if place.name == "shards" or place.parent.name == "shards":
            place.chmod(0o755)
        elif place.name in _DESCRIPTIONS or place.parent.parent.name == "shards":
            place.chmod(0o644)
    with suppress(FileNotFoundError):  # no package was renamed
        (root.parent / "renamed.json").chmod(0o644)
    closed = [str(above) for above in home.resolve().parents if not above.stat().st_mode & 0o001]
    return closed[-1] if closed else ""


def file_mode(folder: Path) -> int | None:
    """Return the mode of files in a repository's folder; None for the process's own."""
    bits = _opened(folder) & READ
    return 0o600 | bits if bits else None


def open_like(folder: Path, shards: Iterable[Path]) -> None:
    """Give shards the permissions of their repository's folder."""
    bits = _opened(folder)
    if not bits & READ:
        return
    for shard in (folder / "shards", *shards):
        if _opened(shard) != bits:
            shard.chmod(0o700 | bits)
            for part in shard.iterdir() if shard.name != "shards" else ():
                part.chmod(0o600 | bits & READ)


def _opened(folder: Path) -> int:
    """Return the permissions of a folder for the group and others; 0 on Windows."""
    if os.name == "nt":
        return 0
    return stat.S_IMODE(folder.stat().st_mode) & (READ | ENTER)
