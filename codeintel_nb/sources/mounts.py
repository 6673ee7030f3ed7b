"""Mounted file systems on Linux; none elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

LISTING = Path("/proc/self/mountinfo")
# kernel file systems: files are generated on reading, some endlessly
VIRTUAL = frozenset({
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs",
    "securityfs", "selinuxfs", "sysfs", "tracefs",
})  # fmt: skip


class Mount(NamedTuple):
    folder: str
    kind: str  # type of the file system, such as ext4 or nfs4


def mounts(listing: Path = LISTING) -> list[Mount]:
    """Return the mounted file systems, in the order of mounting."""
    try:
        lines = listing.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError:  # not Linux
        return []
    entries = []
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if len(columns := fields.split(" ")) > 4 and rest:
            folder = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), columns[4])
            entries.append(Mount(folder, rest.split(" ")[0]))
    return entries


def mount_of(place: str | os.PathLike[str], listing: Path = LISTING) -> Mount | None:
    """Return the file system of a path; None if unknown."""
    real, best = os.path.realpath(place), None
    for mount in mounts(listing):
        if is_in(real, mount.folder) and (best is None or len(mount.folder) >= len(best.folder)):
            best = mount
    return best


def virtual_folders(root: str, listing: Path = LISTING) -> frozenset[str]:
    """Return the mount points of virtual file systems within ``root``."""
    # a later mount covers an earlier one
    last = {mount.folder: mount.kind for mount in mounts(listing)}
    return frozenset(
        folder for folder, kind in last.items() if kind in VIRTUAL and is_in(folder, root)
    )


def is_in(place: str, folder: str) -> bool:
    """Whether an absolute path is a folder or below it."""
    return place == folder or place.startswith(folder.rstrip("/") + "/")
