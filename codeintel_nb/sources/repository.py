"""Repository: what is indexed, under which name, and where it lies."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import SourceError, check_text, did_you_mean
from ..scopes.scope import plain_name

WORKTREE = "worktree"  # the revision that a folder's files, as they are now, belong to
_NAME = re.compile(r"[^\s/\\\x00-\x1f][^/\\\x00-\x1f]{0,127}")


class Repository(msgspec.Struct, frozen=True, omit_defaults=True):
    """A folder to index; ``root`` is absolute, with symlinks resolved."""

    name: str
    root: str
    source: Literal["worktree", "package"] = "worktree"
    distribution: str = ""  # of a package: its distribution's name and version
    version: str = ""
    outputs: bool = False  # of notebooks are part of their text
    record: str = ""  # of a package: a digest of the list of its files with their hashes

    @property
    def reads_ignore_files(self) -> bool:
        """A package is indexed whole: what its folder's ignore files leave out, pip installed all the same."""
        return self.source == "worktree"


def worktree(path: str | Path, name: str | None = None, outputs: bool = False) -> Repository:
    """The folder at ``path`` as a repository, named after it unless told otherwise."""
    root = Path(path)
    try:
        resolved = root.expanduser().resolve(strict=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # a loop of links, an unknown user, a zero byte
        raise SourceError(
            f"There is no folder {str(root)!r}. Check the path: codeintel index PATH."
        ) from error
    check_text(str(resolved), "The folder")
    if not resolved.is_dir():
        raise SourceError(
            f"{root} is a file. Index the folder that holds it: codeintel index {resolved.parent}"
        )
    if not is_readable(resolved):
        raise SourceError(
            f"You may not read the folder {resolved}. Ask its owner for the right to, or index another: codeintel index PATH"
        )
    return Repository(check_name(name or resolved.name or "root"), str(resolved), outputs=outputs)


def package(import_name: str, name: str | None = None) -> Repository:
    """An installed package by its import name or its distribution's name; nothing of it is imported."""
    module = import_name.strip()
    root = _package_folder(module)
    if root is None:  # scikit-learn is imported as sklearn
        wanted = plain_name(module)
        for imported, distributions in importlib.metadata.packages_distributions().items():
            if (
                wanted in map(plain_name, distributions)
                and (root := _package_folder(imported)) is not None
            ):
                break
    if root is None:
        known = [n for n in importlib.metadata.packages_distributions() if not n.startswith("_")]
        raise SourceError(
            f"No package {import_name!r} is installed in {sys.prefix}.{did_you_mean(module, known)} Install it, or give its folder: codeintel index PATH"
        )
    return _package(root, name)


def package_at(folder: str | Path, import_name: str, name: str | None = None) -> Repository:
    """A package as it is installed in a folder, which another environment's may be; SourceError where there is none."""
    module = import_name.strip()
    found = worktree(folder, name or module)
    if Path(found.root).name != module:
        raise SourceError(
            f"The folder {found.root} does not hold the package {module!r}. Give its own folder, or index it as a folder: codeintel index PATH"
        )
    return _package(Path(found.root), name)


def renewed(repository: Repository) -> Repository:
    """The repository as it is now: of a package that was named after its version, the version that is installed there now."""
    if repository.source != "package" or not repository.name.startswith("pkg:"):
        return repository
    now = _package(Path(repository.root), None)
    return (
        repository if now.version in ("", repository.version) else now
    )  # none is known while pip is at work


def _package(root: Path, name: str | None) -> Repository:
    """The package in a folder, named after its distribution and version, as ``pkg:scikit-learn==1.7.2``."""
    distribution, version, record = _distribution_at(root)
    if not version:
        said = f"pkg:{root.name}"
    elif distribution == "python":
        said = f"pkg:{root.name}=={version}"
    elif plain_name(distribution) == plain_name(root.name) or _is_only_package(root, distribution):
        said = f"pkg:{distribution}=={version}"
    else:  # one of several packages of its distribution
        said = f"pkg:{distribution}[{root.name}]=={version}"
    return Repository(
        check_name(name or said), str(root), "package", distribution, version, record=record
    )


def _distribution_at(root: Path) -> tuple[str, str, str]:
    """Distribution, version and a digest of the list of its files, of the package in a folder; empty where there is none."""
    folder = root.parent
    if (folder / "os.py").is_file():  # the standard library, each package of which goes by itself
        return (
            "python",
            ".".join(map(str, sys.version_info[:3]))
            if folder == Path(os.__file__).resolve().parent
            else "",
            "",
        )
    held = sorted(
        folder.glob("*.dist-info"),
        key=lambda path: plain_name(path.name.partition("-")[0]) != plain_name(root.name),
    )  # the one called alike first
    for path in held:
        files = _text(path / "RECORD")
        listed = f"\n{root.name}/" in files or files.startswith(f"{root.name}/")
        if listed or root.name in _text(path / "top_level.txt").split():
            entry = importlib.metadata.Distribution.at(path)
            return (
                entry.name,
                entry.version,
                hashlib.blake2b(files.encode("utf-8", "replace"), digest_size=8).hexdigest()
                if listed
                else "",
            )
    return "", "", ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _is_only_package(root: Path, distribution: str) -> bool:
    files = next(
        (
            entry.read_text("RECORD") or ""
            for entry in importlib.metadata.distributions(
                name=distribution, path=[str(root.parent)]
            )
        ),
        "",
    )
    tops = {path.partition("/")[0] for path in re.findall(r"^([^,\n]+/__init__\.py),", files, re.M)}
    return {top for top in tops if not top.startswith("_")} <= {root.name}


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


def is_readable(folder: str | Path) -> bool:
    """Whether there is a folder that this user may list and enter."""
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)


def how_to_index(name: str) -> str:
    """The command that would make a repository of this name."""
    if match := re.match(r"pkg:([\w.-]+)", name):
        return f"codeintel index --package {match[1]}"
    return (
        "codeintel index PATH"
        if any(mark in name for mark in "*?[")
        else f"codeintel index PATH --name {name}"
    )


def check_name(name: str) -> str:
    """The name, if a person can type it: no slash, no control character, at most 128 characters."""
    check_text(name, "The name")
    if not _NAME.fullmatch(name):
        raise SourceError(
            f"A repository cannot be named {name!r}: 1 to 128 characters, no slash or control character. Give another: --name NAME"
        )
    return name
