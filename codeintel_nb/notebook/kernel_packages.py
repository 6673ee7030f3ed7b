"""Packages imported by a kernel."""

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

# requirements of the kernel itself: the notebook's only if it imports them, or if its packages do
KERNEL = (
    "ipykernel",
    "ipython",
    "codeintel-nb",
    "jupyter-server",
    "debugpy",
    "comm",
    "jupyter-client",
    "msgpack",  # jupyter-client imports it where it is installed
)


def imported_packages(namespace: Mapping[str, Any]) -> list[tuple[str, Path]]:
    """Return the notebook's imported packages by import name and folder.

    Includes their requirements, as far as they are imported. Leaves out the standard library, and
    packages needed only by the kernel.
    """
    owners = _owners()
    in_namespace = {
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
    distributions = {
        plain_name(owner)
        for name in folders
        for owner in owners[name]
        if plain_name(owner) not in kernel or name in in_namespace
    }
    distributions |= _needed_by(distributions)
    distributions -= {"codeintel-nb"}
    return [
        (name, folder)
        for name, folder in folders.items()
        if any(plain_name(owner) in distributions for owner in owners[name])
    ]


def _folder(module: Any) -> Path | None:
    """Return the folder of a package.

    Return None for a module of one file, or if the folder has another name than the package.
    """
    for place in getattr(module, "__path__", None) or ():
        folder = Path(place)
        if folder.name == module.__name__ and folder.is_dir():
            return Path(os.path.realpath(folder))
    return None


@lru_cache(1)
def _owners() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _needed_by(names: set[str]) -> set[str]:
    """Return these distributions and their requirements, recursively.

    Requirements of a distribution are known only if it is installed.
    """
    visited, left = set[str](), set(names)
    while left:
        name = left.pop()
        if name in visited:
            continue
        visited.add(name)
        for line in _requirements(name):
            if "extra ==" not in line and (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)):
                left.add(plain_name(match[0]))
    return visited


@lru_cache(1024)
def _requirements(name: str) -> tuple[str, ...]:
    try:
        return tuple(importlib.metadata.requires(name) or ())
    except importlib.metadata.PackageNotFoundError:
        return ()
