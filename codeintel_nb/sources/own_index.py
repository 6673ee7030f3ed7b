"""Index homes and virtual file systems, never indexed themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import SourceError
from .mounts import VIRTUAL, mount_of

HOME_FORMATS = frozenset(f"v{number}" for number in range(1, 10))  # format folders of an index home
_REPOSITORY = re.compile(r"[0-9a-f]{16}")  # a repository's folder in one of these


def check_is_indexable(root: str, home: Path) -> None:
    """Raise SourceError within the index home or virtual file systems."""
    mount = mount_of(root)
    if mount is not None and mount.kind in VIRTUAL:
        raise SourceError(
            f"The folder {root} is on a virtual file system ({mount.kind}), "
            "whose files the kernel generates. Choose a folder on a disk: codeintel index PATH"
        )
    # paths are compared, too: the home may not exist yet
    identity, resolved = identity_of(home), os.path.realpath(home)
    folder = root
    while folder != resolved and (identity is None or identity_of(folder) != identity):
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above
    raise SourceError(
        f"The folder {root} is inside codeintel's own index. "
        "Choose another folder: codeintel index PATH"
    )


def is_index_home(folder: str, names: set[str]) -> bool:
    """Whether a folder is an index home of any process."""
    for name in sorted(HOME_FORMATS & names):
        try:
            with os.scandir(os.path.join(folder, name, "repositories")) as entries:
                if any(
                    _REPOSITORY.fullmatch(entry.name)
                    and os.path.exists(os.path.join(entry.path, "repository.json"))
                    for entry in entries
                ):
                    return True
        except OSError:
            continue
    return False


def identity_of(place: str | os.PathLike[str] | int) -> tuple[int, int] | None:
    """Return a folder's device and inode; None if it is missing."""
    try:
        state = os.stat(place)
    except OSError:
        return None
    return state.st_dev, state.st_ino
