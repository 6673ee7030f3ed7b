"""Git repositories, located without git: plain and linked worktrees, submodules."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ..opening import ABSENT, read_rules

_HEAD = re.compile(rb"ref:\s*refs/|[0-9a-f]{40}", re.I)


class GitFolder(NamedTuple):
    """A worktree and its git folders."""

    top: str  # the worktree
    folder: str  # its .git folder; a linked worktree has its own
    common: str  # shared by all worktrees of the repository

    @property
    def exclude_file(self) -> str:
        return os.path.join(self.common, "info", "exclude")


def git_folder(top: str) -> GitFolder | None:
    """Return the repository of a worktree's top folder, or None."""
    marker = os.path.join(top, ".git")
    folder = marker if os.path.isdir(marker) else _named_folder(marker)
    if folder is None:
        return None
    common = _common_folder(folder)
    is_complete = all(os.path.isdir(os.path.join(common, name)) for name in ("objects", "refs"))
    is_repository = is_complete and _is_head(os.path.join(folder, "HEAD"))
    return GitFolder(top, folder, common) if is_repository else None


def enclosing_git_folder(root: str) -> GitFolder | None:
    """Return the enclosing repository on this file system, or None."""
    folder = root
    try:
        device = os.stat(root).st_dev
        while True:
            if (repository := git_folder(folder)) is not None:
                return repository
            above = os.path.dirname(folder)
            if above == folder or os.stat(above).st_dev != device:
                return None
            folder = above
    except (*ABSENT, PermissionError):
        return None


def _named_folder(marker: str) -> str | None:
    """Return the folder named by a ``.git`` file, or None."""
    try:
        text = os.fsdecode(read_rules(marker, follow=True)).rstrip("\r\n")
    except ABSENT:
        return None
    if not text.startswith("gitdir: "):
        return None
    return os.path.normpath(os.path.join(os.path.dirname(marker), text.removeprefix("gitdir: ")))


def _common_folder(folder: str) -> str:
    try:
        text = os.fsdecode(read_rules(os.path.join(folder, "commondir"))).rstrip("\r\n")
    except ABSENT:
        return folder
    return os.path.normpath(os.path.join(folder, text))


def _is_head(path: str) -> bool:
    """Whether a HEAD file holds a reference or commit hash."""
    if os.path.islink(path):  # as written by old versions of git
        return os.readlink(path).startswith("refs/")
    try:
        return _HEAD.match(read_rules(path)) is not None
    except ABSENT:
        return False
