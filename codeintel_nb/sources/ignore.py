"""Which paths ignore files leave out: git's rules, nested, global and above the root, and those of other tools."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from .repository import Repository

IGNORE_FILES = (".gitignore", ".ignore", ".codeintelignore")


class Rules:
    """Ignore files from a folder up to the root; the deepest that speaks of a path decides, and in it the last line."""

    def __init__(self, spec: Any, folder: str, outer: Rules | None, prefix: str = "") -> None:
        self.spec = spec
        self.folder = folder  # relative to the root; the spec's paths are relative to it
        self.outer = outer
        self.prefix = prefix  # of a spec that lies above the root: the root's path, relative to the spec's folder

    @staticmethod
    def above(root: str) -> Rules | None:
        """The rules that lie above the root: git's global ones, and those of the repository that holds it."""
        rules: Rules | None = None
        top = _git_top(root)
        lines = _lines(_global_ignore_file())
        if top is not None:
            lines += _lines(os.path.join(_git_folder(top), "info", "exclude"))
        if lines:
            rules = Rules(_spec(lines), "", None, _prefix(top or root, root))
        if top is None or top == root:
            return rules
        outer = rules
        folder = top
        for part in [*os.path.relpath(root, top).split(os.sep)]:
            lines = [line for name in IGNORE_FILES for line in _lines(os.path.join(folder, name))]
            if lines:
                rules = Rules(_spec(lines), "", rules, _prefix(folder, root))
            folder = os.path.join(folder, part)
        if rules is not None and rules.ignores("", True):
            return None if outer is not None and outer.ignores("", True) else outer  # an ignored folder given by name is wanted whole
        return rules

    @staticmethod
    def below(outer: Rules | None, root: str, folder: str, names: set[str]) -> Rules | None:
        """The rules for a folder whose entries have the given names."""
        lines = [line for name in IGNORE_FILES if name in names for line in _lines(os.path.join(root, folder, name))]
        return Rules(_spec(lines), folder, outer) if lines else outer

    def ignores(self, path: str, is_folder: bool) -> bool:
        rules: Rules | None = self
        while rules is not None:
            inside = path[len(rules.folder) + 1 :] if rules.folder else rules.prefix + path
            verdict = rules.spec.check_file(inside.rstrip("/") + "/" if is_folder else inside).include
            if verdict is not None:
                return bool(verdict)
            rules = rules.outer
        return False


def _spec(lines: list[str]) -> Any:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            return [line.rstrip("\n") for line in lines if line.strip() and not line.startswith("#")]
    except OSError:
        return []


def _prefix(top: str, root: str) -> str:
    relative = os.path.relpath(root, top).replace(os.sep, "/")
    return "" if relative == "." else relative + "/"


@lru_cache(256)
def rules_above(repository: Repository) -> tuple[str, ...]:
    """The files above a repository's root that may say what of it is ignored, whether they exist or not."""
    if not repository.reads_ignore_files:
        return ()
    found = [_global_ignore_file()]
    top = _git_top(repository.root)
    if top is not None:
        found.append(os.path.join(_git_folder(top), "info", "exclude"))
        folder = top
        while folder != repository.root:
            found += [os.path.join(folder, name) for name in IGNORE_FILES]
            folder = os.path.join(folder, os.path.relpath(repository.root, folder).split(os.sep)[0])
    return tuple(found)


def _git_top(root: str) -> str | None:
    folder = Path(root)
    for candidate in (folder, *folder.parents):
        if os.path.exists(candidate / ".git"):
            return str(candidate)
    return None


def _git_folder(top: str) -> str:
    """The .git folder; of a linked worktree or submodule, the folder that its .git file names."""
    marker = os.path.join(top, ".git")
    if os.path.isfile(marker):
        for line in _lines(marker):
            if line.startswith("gitdir:"):
                return os.path.normpath(os.path.join(top, line.removeprefix("gitdir:").strip()))
    return marker


def _global_ignore_file() -> str:
    """Where git's ``core.excludesFile`` points, read from the configuration without running git."""
    for config in ("~/.gitconfig", os.path.join(os.environ.get("XDG_CONFIG_HOME", "~/.config"), "git/config")):
        for line in _lines(os.path.expanduser(config)):
            if match := re.match(r"\s*excludesfile\s*=\s*(.+)", line, re.I):
                return os.path.expanduser(match[1].strip().strip('"'))
    return os.path.expanduser(os.path.join(os.environ.get("XDG_CONFIG_HOME", "~/.config"), "git/ignore"))
