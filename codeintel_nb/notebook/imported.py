"""Packages that a kernel has imported."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ..scopes.scope import plain_name

# of what a kernel itself needs, only what something else needs too is the notebook's
KERNEL = (
    "ipykernel",
    "ipython",
    "codeintel-nb",
    "jupyter-server",
    "debugpy",
    "comm",
    "jupyter-client",
)


def imported_packages(namespace: Mapping[str, Any]) -> list[tuple[str, Path]]:
    """Import name and folder of each installed package that this process has imported and that the notebook asked for, or
    what it asked for needs; those that only the kernel needs are left out, as is the standard library."""
    owners = _owners()
    asked = {
        value.__name__.partition(".")[0]
        for value in namespace.values()
        if isinstance(value, ModuleType)
    }
    kernel = _needed_by({plain_name(name) for name in KERNEL})
    folders: dict[str, Path] = {}
    for name, module in sorted(sys.modules.items()):
        if (
            "." not in name
            and not name.startswith("_")
            and name in owners
            and (folder := _folder(module)) is not None
        ):
            folders[name] = folder
    wanted = {
        plain_name(owner)
        for name in folders
        for owner in owners[name]
        if plain_name(owner) not in kernel or name in asked
    }
    wanted |= _needed_by(wanted)
    wanted -= {"codeintel-nb"}
    return [
        (name, folder)
        for name, folder in folders.items()
        if any(plain_name(owner) in wanted for owner in owners[name])
    ]


def _folder(module: Any) -> Path | None:
    """The folder of a package; None for a module of one file, and for one whose folder is not called as it is."""
    for place in getattr(module, "__path__", None) or ():
        folder = Path(place)
        if folder.name == module.__name__ and folder.is_dir():
            return Path(os.path.realpath(folder))
    return None


@lru_cache(1)
def _owners() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _needed_by(names: set[str]) -> set[str]:
    """What these distributions require, and what that requires, and so on, as far as it is installed; they themselves too."""
    found, left = set[str](), set(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        for line in _requirements(name):
            if "extra ==" not in line and (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)):
                left.add(plain_name(match[0]))
    return found


@lru_cache(1024)
def _requirements(name: str) -> tuple[str, ...]:
    try:
        return tuple(importlib.metadata.requires(name) or ())
    except importlib.metadata.PackageNotFoundError:
        return ()
