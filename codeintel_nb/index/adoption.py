"""Adoption of indexes in the previous format.

Their shards answer at once, as hard links in the folder of this format. A rebuild, which a server
or ``codeintel watch`` starts in the background, replaces them. Until then, the previous version
still finds its own folder unchanged.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec

from ..files import make_private, replace
from .publishing import copy_permissions, open_shards

PART = ".adopting-"  # prefix of a folder being filled
MAX_PART_AGE_S = 3600.0  # then its process is presumed dead
REBUILD = "rebuild-due"  # marks a repository whose next run over the whole folder is a rebuild
RENAMED = "renamed.json"
_OWN = ("repository.json", "seen.json", "stopped.json")


def adopt(old: Path, root: Path, new_format: int) -> None:
    """Adopt each repository below ``old`` that has no folder below ``root``.

    One that cannot be adopted is left alone: it is damaged, changing, or not readable.

    Raises
    ------
    OSError : ``old`` is not readable, or the folder around ``root`` not writable.
    """
    sweep_parts(root)
    folders = [one for one in described(old) if not (root / one.name).exists()]
    if not folders:
        return
    if not root.exists():
        make_private(root)
        copy_permissions(root.parent, old.parent)
        copy_permissions(root, old)
    if not (root.parent / RENAMED).exists():
        with suppress(FileNotFoundError):
            replace(root.parent / RENAMED, (old.parent / RENAMED).read_bytes())
    for folder in folders:
        part = root.parent / f"{PART}{uuid4().hex}"
        with suppress(OSError, shutil.Error, ValueError, KeyError, TypeError):
            _fill(part, folder, new_format)
            part.rename(root / folder.name)
        shutil.rmtree(part, ignore_errors=True)


def described(root: Path) -> Iterator[Path]:
    """Yield the folders of repositories that are neither removed nor half-built."""
    for folder in root.iterdir():
        with suppress(OSError):
            if not folder.name.startswith(".") and (folder / "repository.json").exists():
                yield folder


def sweep_parts(root: Path) -> None:
    """Delete the folders of adoptions that did not finish."""
    for part in root.parent.glob(f"{PART}*"):
        with suppress(OSError):  # its process has just finished
            if time.time() - part.stat().st_mtime > MAX_PART_AGE_S:
                shutil.rmtree(part, ignore_errors=True)


def _fill(part: Path, folder: Path, new_format: int) -> None:
    snapshot = msgspec.json.decode((folder / "snapshot.json").read_bytes())
    shards = [folder / "shards" / shard["id"] for shard in snapshot["shards"]]
    if not all((shard / "manifest.json").exists() for shard in shards):
        raise FileNotFoundError(folder)
    (part / "shards").mkdir(parents=True, mode=0o700)
    part.chmod(0o700)
    copy_permissions(part, folder)
    for shard in shards:
        shutil.copytree(shard, part / "shards" / shard.name, copy_function=_link)
        os.utime(part)  # it is still being filled
    for name in _OWN:
        with suppress(FileNotFoundError):
            shutil.copyfile(folder / name, part / name)
    (part / REBUILD).touch()
    open_shards(part, (part / "shards" / shard.name for shard in shards))
    replace(part / "snapshot.json", msgspec.json.encode({**snapshot, "format": new_format}))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # the file system has no hard links
        shutil.copy2(source, target)
