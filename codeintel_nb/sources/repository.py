"""Repositories: folders and packages to index, with their names and roots."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import SourceError, check_text, did_you_mean
from ..scopes.scope import plain_name

WORKTREE = "worktree"  # revision of a folder's current files
_NAME = re.compile(r"[^\s/\\\x00-\x1f][^/\\\x00-\x1f]{0,127}")


class Repository(msgspec.Struct, frozen=True, omit_defaults=True):
    """A folder to index; ``root`` is absolute, with symlinks resolved."""

    name: str
    root: str
    source: Literal["worktree", "package"] = "worktree"
    distribution: str = ""  # of a package: its distribution's name
    version: str = ""  # of the distribution
    outputs: bool = False  # index the outputs of notebooks, too
    record: str = ""  # of a package: digest of pip's RECORD, the files with their hashes
    embedder: str = ""  # entry of embedders.toml; empty for the shipped table
    allowed_host: str = ""  # host that may get the code, to embed it

    @property
    def reads_ignore_files(self) -> bool:
        """Whether ignore files apply; packages are indexed whole."""
        return self.source == "worktree"


def worktree(path: str | Path, name: str | None = None, outputs: bool = False) -> Repository:
    """Return a folder's repository, by default named after the folder."""
    root = Path(path)
    try:
        resolved = root.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        # a loop of links, an unknown user, a zero byte
        raise SourceError(
            f"The folder {str(root)!r} does not exist. Check the path: codeintel index PATH"
        ) from error
    check_text(str(resolved), "The folder")
    if not resolved.is_dir():
        raise SourceError(
            f"{root} is a file. "
            f"Index the folder that contains it: codeintel index {resolved.parent}"
        )
    if not is_readable(resolved):
        raise SourceError(
            f"You have no permission to read the folder {resolved}. Ask its owner for access, "
            "or index another folder: codeintel index PATH"
        )
    return Repository(check_name(name or resolved.name or "root"), str(resolved), outputs=outputs)


def embedded_by(repository: Repository, embed: str, allow_host: str = "") -> Repository:
    """Return the repository with an entry of ``embedders.toml`` as its embedder."""
    return msgspec.structs.replace(repository, embedder=embed, allowed_host=allow_host)


def package(import_name: str, name: str | None = None) -> Repository:
    """Find a package by import or distribution name, without importing."""
    from importlib.metadata import packages_distributions

    module = import_name.strip()
    root = _package_folder(module)
    if root is None:  # scikit-learn is imported as sklearn
        target = plain_name(module)
        for imported, distributions in packages_distributions().items():
            if (
                target in map(plain_name, distributions)
                and (root := _package_folder(imported)) is not None
            ):
                break
    if root is None:
        candidates = [n for n in packages_distributions() if not n.startswith("_")]
        raise SourceError(
            f"No package {import_name!r} is installed in {sys.prefix}."
            f"{did_you_mean(module, candidates)} Install it, or give its folder: "
            "codeintel index PATH"
        )
    return _package(root, name)


def package_at(folder: str | Path, import_name: str, name: str | None = None) -> Repository:
    """Return the package installed in a folder, possibly of another environment.

    Raises
    ------
    SourceError : the folder is missing or not the package's.
    """
    module = import_name.strip()
    repository = worktree(folder, name or module)
    if Path(repository.root).name != module:
        raise SourceError(
            f"The folder {repository.root} does not contain the package {module!r}. "
            "Give its own folder, or index it as a folder: codeintel index PATH"
        )
    return _package(Path(repository.root), name)


def renewed(repository: Repository) -> Repository:
    """Return the repository, updated to the package version now installed.

    Only a package named after its version changes.
    """
    if repository.source != "package" or not repository.name.startswith("pkg:"):
        return repository
    current = _package(Path(repository.root), None)
    # while pip is at work there is no version
    if current.version in ("", repository.version):
        return repository
    return msgspec.structs.replace(
        current, embedder=repository.embedder, allowed_host=repository.allowed_host
    )


def _package(root: Path, name: str | None) -> Repository:
    """Return the package in a folder, named as ``pkg:scikit-learn==1.7.2``."""
    distribution, version, record = _distribution_at(root)
    if not version:
        default_name = f"pkg:{root.name}"
    elif distribution == "python":
        default_name = f"pkg:{root.name}=={version}"
    elif plain_name(distribution) == plain_name(root.name) or _is_only_package(root, distribution):
        default_name = f"pkg:{distribution}=={version}"
    else:  # one of several packages of its distribution
        default_name = f"pkg:{distribution}[{root.name}]=={version}"
    return Repository(
        check_name(name or default_name), str(root), "package", distribution, version, record=record
    )


def _distribution_at(root: Path) -> tuple[str, str, str]:
    """Return a distribution, version and RECORD digest, or empty strings."""
    from importlib.metadata import Distribution

    folder = root.parent
    if (folder / "os.py").is_file():  # the standard library: each of its packages counts alone
        return (
            "python",
            ".".join(map(str, sys.version_info[:3]))
            if folder == Path(os.__file__).resolve().parent
            else "",
            "",
        )
    # the same name first
    distributions = sorted(
        folder.glob("*.dist-info"),
        key=lambda path: plain_name(path.name.partition("-")[0]) != plain_name(root.name),
    )
    for path in distributions:
        files = _text(path / "RECORD")
        listed = f"\n{root.name}/" in files or files.startswith(f"{root.name}/")
        if listed or root.name in _text(path / "top_level.txt").split():
            entry = Distribution.at(path)
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
    from importlib.metadata import distributions

    entries = distributions(name=distribution, path=[str(root.parent)])
    files = next((entry.read_text("RECORD") or "" for entry in entries), "")
    tops = {path.partition("/")[0] for path in re.findall(r"^([^,\n]+/__init__\.py),", files, re.M)}
    return {top for top in tops if not top.startswith("_")} <= {root.name}


def _package_folder(module: str) -> Path | None:
    if not re.fullmatch(r"\w+", module):
        return None
    from importlib.util import find_spec

    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if Path(folder).is_dir():
            return Path(folder).resolve()
    return None


def is_other_version(existing: Repository, repository: Repository) -> bool:
    """Whether a package replaces another version under the default name."""
    return (
        existing.source == repository.source == "package"
        and existing.name.startswith("pkg:")
        and existing.version != repository.version
        and (existing.root, existing.distribution) == (repository.root, repository.distribution)
    )


def is_readable(folder: str | Path) -> bool:
    """Whether this user may list and enter a folder."""
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)


def how_to_index(name: str) -> str:
    """Return the command to index a repository of this name."""
    if match := re.match(r"pkg:([\w.-]+)", name):
        return f"codeintel index --package {match[1]}"
    return (
        "codeintel index PATH"
        if any(mark in name for mark in "*?[")
        else f"codeintel index PATH --name {name}"
    )


def how_to_rebuild(repository: Repository) -> str:
    """Return the command to index a repository of this home again."""
    name = shlex.quote(repository.name)
    if repository.source == "package":
        return f"codeintel refresh {name} --rebuild"
    return f"codeintel index {shlex.quote(repository.root)} --name {name} --rebuild"


def check_name(name: str) -> str:
    """Return a valid name; otherwise raise SourceError."""
    check_text(name, "The name")
    if not _NAME.fullmatch(name):
        raise SourceError(
            f"The repository name {name!r} is invalid. Use 1 to 128 characters, without slashes "
            "and control characters: --name NAME"
        )
    return name
