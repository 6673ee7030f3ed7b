"""The files of a folder that are worth indexing, and why the others are not."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from .repository import Repository

IGNORE_FILES = (".gitignore", ".ignore", ".codeintelignore")
NEVER = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "CVS", "__pycache__", ".ipynb_checkpoints", "node_modules", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"})
SECRETS = (
    ".env", ".env.*", "*.pem", "*.key", "*.pfx", "*.p12", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "id_rsa*", "id_dsa*", "id_ecdsa*",
    "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".htpasswd", ".pypirc", ".npmrc", ".git-credentials", ".dockercfg", "credentials.json",
    "client_secret*.json", "service-account*.json", "service_account*.json", "secrets.y*ml", "secrets.json", "secrets.toml", "*.tfstate",
)  # fmt: skip
NO_SECRETS = re.compile(r"\.env\.(example|sample|template|dist|defaults?)$|\.pub$|\.py$")
SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".azure", ".gcloud"})
_NAME = attrgetter("name")
_SECRET = re.compile("|".join(fnmatch.translate(glob) for glob in SECRETS))
PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z ]*PRIVATE KEY")


class FileStat(NamedTuple):
    """A file as the walk saw it; ``path`` is relative to the root, with ``/``."""

    path: str
    size: int  # bytes
    mtime_ns: int


class Walk:
    """One walk over a repository: iterate it for the files, then read what was ``skipped``."""

    def __init__(self, repository: Repository, max_file_bytes: int, entered: Callable[[str], None] = lambda folder: None) -> None:
        self.root = repository.root
        self.max_file_bytes = max_file_bytes
        self.reads_ignore_files = repository.reads_ignore_files
        self.entered = entered  # is told each folder before it is listed
        self._rules: dict[str, _Rules | None] = {}  # of the folders that ``of`` went through
        self.skipped: Counter[str] = Counter()
        self.secrets: list[str] = []

    def __iter__(self) -> Iterator[FileStat]:
        """Files in path order, folder by folder."""
        rules = _Rules.above(self.root) if self.reads_ignore_files else None
        yield from self._folder("", rules)

    def of(self, path: str) -> Iterator[FileStat]:
        """The file at a path, or the files below it, as far as a walk would come there."""
        parts = path.split("/")
        try:
            rules = self._rules_of("")
            for depth, name in enumerate(parts, 1):
                place = "/".join(parts[:depth])
                entry = _Entry(os.path.join(self.root, place), name)
                if depth == len(parts):
                    met = self._entry(entry, place, rules)
                    if isinstance(met, FileStat):
                        yield met
                    elif met:
                        yield from self._folder(place, rules)
                    return
                if entry.is_symlink() or not entry.is_dir() or name in NEVER or name in SECRET_FOLDERS or (rules is not None and rules.ignores(place, True)):
                    return
                if self.reads_ignore_files and os.path.exists(os.path.join(self.root, place, "pyvenv.cfg")):
                    return
                rules = self._rules_of(place, rules)
        except OSError:
            return

    def _rules_of(self, folder: str, outer: _Rules | None = None) -> _Rules | None:
        if not self.reads_ignore_files:
            return None
        if folder not in self._rules:
            self._rules[folder] = _Rules.below(outer if folder else _Rules.above(self.root), self.root, folder, set(IGNORE_FILES))
        return self._rules[folder]

    def _folder(self, folder: str, rules: _Rules | None) -> Iterator[FileStat]:
        """The files of a folder and all within it, without a generator for each level, which would hand on every file."""
        levels = [self._listed(folder, rules)]
        while levels:
            met, rules = levels[-1]
            for one in met:
                if isinstance(one, FileStat):
                    yield one
                else:
                    levels.append(self._listed(one, rules))
                    break
            else:
                levels.pop()

    def _listed(self, folder: str, rules: _Rules | None) -> tuple[Iterator[FileStat | str], _Rules | None]:
        """The files and folders that are wanted of a folder, by name, and the rules for what is below."""
        met: list[FileStat | str] = []
        self.entered(folder)
        handle = None
        try:
            # relative to an open folder a file's state is found without a walk down its path
            handle = os.open(os.path.join(self.root, folder), os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if folder else 0)) if os.scandir in os.supports_fd else None
            with os.scandir(os.path.join(self.root, folder) if handle is None else handle) as entries:
                found = sorted(entries, key=_NAME)
            if self.reads_ignore_files:
                names = {entry.name for entry in found}
                if folder and "pyvenv.cfg" in names:
                    self.skipped["virtual environment"] += 1
                    return iter(()), rules
                rules = _Rules.below(rules, self.root, folder, names)
            below = f"{folder}/" if folder else ""
            for entry in found:
                path = below + entry.name
                try:
                    wanted = self._entry(entry, path, rules)
                except OSError:
                    self.skipped["vanished or unreadable"] += 1
                    continue
                if isinstance(wanted, FileStat):
                    met.append(wanted)
                elif wanted:
                    met.append(path)
        except OSError:
            self.skipped["unreadable folder"] += 1
        finally:
            if handle is not None:
                os.close(handle)
        return iter(met), rules

    def _entry(self, entry: os.DirEntry[str] | _Entry, path: str, rules: _Rules | None) -> FileStat | bool:
        """A file that is wanted, or whether it is a folder to go into."""
        name = entry.name
        if entry.is_symlink():
            self.skipped["symbolic link"] += 1  # what it points to is indexed where it lies, or lies outside
            return False
        if not name.isascii() and not _is_text(name):
            self.skipped["name is not UTF-8"] += 1
            return False
        if entry.is_dir(follow_symlinks=False):
            if name in NEVER:
                self.skipped["tool folder"] += 1
            elif name in SECRET_FOLDERS:
                self.skipped["secret"] += 1
                self.secrets.append(path + "/")
            elif rules is not None and rules.ignores(path, True):
                self.skipped["ignored folder"] += 1
            else:
                return True
            return False
        state = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode):
            self.skipped["not a regular file"] += 1
        elif rules is not None and rules.ignores(path, False):
            self.skipped["ignored"] += 1
        elif is_secret_name(name):
            self.skipped["secret"] += 1
            self.secrets.append(path)
        elif state.st_size > self.max_file_bytes:
            self.skipped["too large"] += 1
        else:
            return FileStat(path, state.st_size, state.st_mtime_ns)
        return False


class _Entry:
    """A path that was not met in a listing, asked as an entry of one is."""

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        self._state = os.lstat(path)

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self._state.st_mode)

    def is_dir(self, *, follow_symlinks: bool = False) -> bool:
        return stat.S_ISDIR(self._state.st_mode)

    def stat(self, *, follow_symlinks: bool = False) -> os.stat_result:
        return self._state


def is_secret_name(name: str) -> bool:
    """Whether a file of this name is likely to hold keys or passwords."""
    return _SECRET.match(name) is not None and NO_SECRETS.search(name) is None


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class _Rules:
    """Ignore files from a folder up to the root; the deepest that speaks of a path decides, and in it the last line."""

    def __init__(self, spec: Any, folder: str, outer: _Rules | None, prefix: str = "") -> None:
        self.spec = spec
        self.folder = folder  # relative to the root; the spec's paths are relative to it
        self.outer = outer
        self.prefix = prefix  # of a spec that lies above the root: the root's path, relative to the spec's folder

    @staticmethod
    def above(root: str) -> _Rules | None:
        """The rules that lie above the root: git's global ones, and those of the repository that holds it."""
        rules: _Rules | None = None
        top = _git_top(root)
        lines = _lines(_global_ignore_file())
        if top is not None:
            lines += _lines(os.path.join(_git_folder(top), "info", "exclude"))
        if lines:
            rules = _Rules(_spec(lines), "", None, _prefix(top or root, root))
        if top is None or top == root:
            return rules
        outer = rules
        folder = top
        for part in [*os.path.relpath(root, top).split(os.sep)]:
            lines = [line for name in IGNORE_FILES for line in _lines(os.path.join(folder, name))]
            if lines:
                rules = _Rules(_spec(lines), "", rules, _prefix(folder, root))
            folder = os.path.join(folder, part)
        if rules is not None and rules.ignores("", True):
            return None if outer is not None and outer.ignores("", True) else outer  # an ignored folder given by name is wanted whole
        return rules

    @staticmethod
    def below(outer: _Rules | None, root: str, folder: str, names: set[str]) -> _Rules | None:
        """The rules for a folder whose entries have the given names."""
        lines = [line for name in IGNORE_FILES if name in names for line in _lines(os.path.join(root, folder, name))]
        return _Rules(_spec(lines), folder, outer) if lines else outer

    def ignores(self, path: str, is_folder: bool) -> bool:
        rules: _Rules | None = self
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
        if (candidate / ".git").exists():
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
