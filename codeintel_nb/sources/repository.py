"""Repository: what is indexed, under which name, and where it lies."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import SourceError, did_you_mean

WORKTREE = "worktree"  # the revision that a folder's files, as they are now, belong to
_NAME = re.compile(r"[^\s/\\\x00-\x1f][^/\\\x00-\x1f]{0,127}")


class Repository(msgspec.Struct, frozen=True, omit_defaults=True):
    """A folder to index; ``root`` is absolute, with symlinks resolved."""

    name: str
    root: str
    source: Literal["worktree", "package"] = "worktree"
    distribution: str = ""  # of a package: its distribution's name and version
    version: str = ""

    @property
    def reads_ignore_files(self) -> bool:
        """A package is indexed whole: what its folder's ignore files leave out, pip installed all the same."""
        return self.source == "worktree"


def worktree(path: str | Path, name: str | None = None) -> Repository:
    """The folder at ``path`` as a repository, named after it unless told otherwise."""
    root = Path(path)
    try:
        resolved = root.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, an unknown user, a zero byte
        raise SourceError(f"There is no folder {str(root)!r}. Check the path: codeintel index PATH.") from error
    if not resolved.is_dir():
        raise SourceError(f"{root} is a file. Index the folder that holds it: codeintel index {resolved.parent}")
    return Repository(check_name(name or resolved.name or "root"), str(resolved))


def package(import_name: str, name: str | None = None) -> Repository:
    """An installed package by its import name or its distribution's name; nothing of it is imported."""
    module = import_name.strip()
    root = _package_folder(module)
    if root is None:  # scikit-learn is imported as sklearn
        wanted = _plain(module)
        for imported, distributions in importlib.metadata.packages_distributions().items():
            if wanted in map(_plain, distributions) and (root := _package_folder(imported)) is not None:
                module = imported
                break
    if root is None:
        known = [n for n in importlib.metadata.packages_distributions() if not n.startswith("_")]
        raise SourceError(f"No package {import_name!r} is installed in {sys.prefix}.{did_you_mean(module, known)} Install it, or give its folder: codeintel index PATH")
    distribution, version = _distribution_of(module)
    return Repository(check_name(name or module), str(root), "package", distribution, version)


def package_at(folder: str | Path, import_name: str, name: str | None = None) -> Repository:
    """A package as it is installed in a folder, which another environment's may be; SourceError where there is none."""
    module = import_name.strip()
    found = worktree(folder, name or module)
    if _package_folder(module) == Path(found.root):
        return package(module, name)
    if Path(found.root).name != module:
        raise SourceError(f"The folder {found.root} does not hold the package {module!r}. Give its own folder, or index it as a folder: codeintel index PATH")
    return Repository(found.name, found.root, "package")


def _package_folder(module: str) -> Path | None:
    if not re.fullmatch(r"\w+", module):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if Path(folder).is_dir():
            return Path(folder).resolve()
    return None


def _distribution_of(module: str) -> tuple[str, str]:
    names = importlib.metadata.packages_distributions().get(module)
    if names:
        return names[0], importlib.metadata.version(names[0])
    return ("python", ".".join(map(str, sys.version_info[:3]))) if module in sys.stdlib_module_names else ("", "")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_name(name: str) -> str:
    """The name, if a person can type it: no slash, no control character, at most 128 characters."""
    if not _NAME.fullmatch(name):
        raise SourceError(f"A repository cannot be named {name!r}: 1 to 128 characters, no slash or control character. Give another: --name NAME")
    return name
