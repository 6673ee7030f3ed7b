"""Adoption of the indexes that an earlier version left in a home.

Their shards answer at once, by hard links in the folder of this format. A rebuild, which a server
or ``codeintel watch`` starts in the background, replaces them. Until then the earlier version finds
its own folder as it was.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from ..files import make_private, replace

PART = ".adopting-"  # prefix of a folder being filled
MAX_PART_AGE_S = 3600.0  # then its process is taken for dead
REBUILD = "rebuild-due"  # marks a repository whose next run over the whole folder is a rebuild
_OWN = ("repository.json", "seen.json", "stopped.json")


def adopt(old: Path, root: Path, new_format: int) -> None:
    """Adopt each repository below ``old`` that has no folder below ``root``.

    Raises
    ------
    OSError : ``old`` is not readable, or the folder around ``root`` not writable.
    """
    missing = [folder for folder in old.iterdir() if not (root / folder.name).exists()]
    folders = [folder for folder in missing if (folder / "snapshot.json").exists()]
    if not folders:
        return
    make_private(root)
    for part in root.parent.glob(f"{PART}*"):
        if time.time() - part.stat().st_mtime > MAX_PART_AGE_S:
            shutil.rmtree(part, ignore_errors=True)
    for folder in folders:
        part = root.parent / f"{PART}{uuid4().hex}"
        # a damaged index, or one that another process changes or adopts
        with suppress(OSError, shutil.Error, ValueError, KeyError, TypeError):
            _fill(part, folder, new_format)
            part.rename(root / folder.name)
        shutil.rmtree(part, ignore_errors=True)
    with suppress(OSError):
        shutil.copyfile(old.parent / "renamed.json", root.parent / "renamed.json")


def _fill(part: Path, folder: Path, new_format: int) -> None:
    snapshot = msgspec.json.decode((folder / "snapshot.json").read_bytes())
    (part / "shards").mkdir(parents=True, mode=0o700)
    part.chmod(0o700)
    for shard in snapshot["shards"]:
        shutil.copytree(
            folder / "shards" / shard["id"], part / "shards" / shard["id"], copy_function=_link
        )
    for name in _OWN:
        with suppress(FileNotFoundError):
            shutil.copyfile(folder / name, part / name)
    (part / REBUILD).touch()
    replace(part / "snapshot.json", msgspec.json.encode({**snapshot, "format": new_format}))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # the file system has no hard links
        shutil.copy2(source, target)
