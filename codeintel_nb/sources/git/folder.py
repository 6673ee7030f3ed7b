"""Git repositories, located without git: plain and linked worktrees, submodules."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import NamedTuple

from ..opening import ABSENT, read_rules

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
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


def head_commit(root: str) -> str:
    """Return the hash of the commit checked out around a folder; empty if it is unknown."""
    repository = enclosing_git_folder(root)
    if repository is None:
        return ""
    try:
        head = read_rules(os.path.join(repository.folder, "HEAD")).decode("ascii").strip()
        if not head.startswith("ref:"):
            return head if _HASH.fullmatch(head) else ""
        name = head.removeprefix("ref:").strip()
        return _loose_ref(repository, name) or _packed_ref(repository, name)
    except (*ABSENT, PermissionError, UnicodeDecodeError):
        return ""


def _loose_ref(repository: GitFolder, name: str) -> str:
    with suppress(*ABSENT):
        commit = read_rules(os.path.join(repository.common, *name.split("/"))).decode("ascii")
        return commit.strip() if _HASH.fullmatch(commit.strip()) else ""
    return ""


def _packed_ref(repository: GitFolder, name: str) -> str:
    """Return the commit of a reference in ``packed-refs``."""
    lines = read_rules(os.path.join(repository.common, "packed-refs")).splitlines()
    for line in lines:
        commit, _, ref = line.decode("utf-8", "replace").partition(" ")
        if ref == name and _HASH.fullmatch(commit):
            return commit
    return ""


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
