"""Detection of a folder's project."""

from __future__ import annotations

import os
from pathlib import Path

MARKS = (
    ".git", ".hg", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "environment.yml",
    "package.json", "go.mod", "Cargo.toml", "pom.xml", "DESCRIPTION",
)  # fmt: skip


def project_of(folder: Path, limit: Path | None = None) -> Path:
    """Return the nearest project root, from this folder up.

    Return the folder itself if there is none at or below ``limit``.
    """
    home = home_folder()
    for parent in (folder, *folder.parents):
        if parent in (home, Path(parent.anchor)) or (
            limit is not None and not parent.is_relative_to(limit)
        ):
            break
        if any(os.path.exists(parent / mark) for mark in MARKS):
            return parent
    return folder


def is_project(folder: Path) -> bool:
    """Whether a folder is neither home nor a disk's root."""
    return os.path.isdir(folder) and folder not in (home_folder(), Path(folder.anchor))


def current_folder() -> Path:
    """Return the current folder; the disk's root if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.sep)


def home_folder() -> Path | None:
    """Return the user's home; None if the system knows none."""
    try:
        return Path(os.path.realpath(Path.home()))
    except RuntimeError:
        return None
