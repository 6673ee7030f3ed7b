"""The files of a folder that are worth indexing, and why the others are not."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

from .ignore import IGNORE_FILES, Rules
from .repository import Repository

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
_READABLE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH  # by everybody, so that nobody has to ask
PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z ]*PRIVATE KEY")


MOST_EXAMPLES = 20  # of what is left out for one reason, kept by name


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
        self._rules: dict[str, Rules | None] = {}  # of the folders that ``of`` went through
        self.skipped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}  # reason -> the first paths
        self.secrets: list[str] = []

    def __iter__(self) -> Iterator[FileStat]:
        """Files in path order, folder by folder."""
        rules = Rules.above(self.root) if self.reads_ignore_files else None
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

    def _rules_of(self, folder: str, outer: Rules | None = None) -> Rules | None:
        if not self.reads_ignore_files:
            return None
        if folder not in self._rules:
            self._rules[folder] = Rules.below(outer if folder else Rules.above(self.root), self.root, folder, set(IGNORE_FILES))
        return self._rules[folder]

    def _folder(self, folder: str, rules: Rules | None) -> Iterator[FileStat]:
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

    def _listed(self, folder: str, rules: Rules | None) -> tuple[Iterator[FileStat | str], Rules | None]:
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
                    self._leave("virtual environment", folder)
                    return iter(()), rules
                rules = Rules.below(rules, self.root, folder, names)
            below = f"{folder}/" if folder else ""
            for entry in found:
                path = below + entry.name
                try:
                    wanted = self._entry(entry, path, rules)
                except OSError:
                    self._leave("vanished or unreadable", path)
                    continue
                if isinstance(wanted, FileStat):
                    met.append(wanted)
                elif wanted:
                    met.append(path)
        except OSError:
            self._leave("unreadable folder", folder)
        finally:
            if handle is not None:
                os.close(handle)
        return iter(met), rules

    def _leave(self, reason: str, path: str) -> None:
        self.skipped[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

    def _entry(self, entry: os.DirEntry[str] | _Entry, path: str, rules: Rules | None) -> FileStat | bool:
        """A file that is wanted, or whether it is a folder to go into."""
        name = entry.name
        if entry.is_symlink():
            self._leave("symbolic link", path)  # what it points to is indexed where it lies, or lies outside
            return False
        if not name.isascii() and not _is_text(name):
            self._leave("name is not UTF-8", path)
            return False
        if entry.is_dir(follow_symlinks=False):
            if name in NEVER:
                self._leave("tool folder", path)
            elif name in SECRET_FOLDERS:
                self._leave("secret", path)
                self.secrets.append(path + "/")
            elif rules is not None and rules.ignores(path, True):
                self._leave("ignored folder", path)
            else:
                return True
            return False
        state = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode):
            self._leave("not a regular file", path)
        elif rules is not None and rules.ignores(path, False):
            self._leave("ignored", path)
        elif is_secret_name(name):
            self._leave("secret", path)
            self.secrets.append(path)
        elif state.st_size > self.max_file_bytes:
            self._leave("too large", path)
        elif state.st_mode & _READABLE != _READABLE and not os.access(os.path.join(self.root, path), os.R_OK):
            self._leave("unreadable", path)
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
