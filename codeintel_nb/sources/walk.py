"""A folder's files to index, and reasons to skip others."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from typing import NamedTuple

from ..errors import SourceError
from ..settings import Settings
from .git.ignore import IGNORE_FILES, RuleReader, Rules
from .mounts import virtual_folders
from .opening import HAS_INODES, TRANSIENT, FileState, check_root
from .own_index import HOME_FORMATS, check_is_indexable, identity_of, is_index_home
from .repository import Repository
from .secrets import SECRET_FOLDERS, is_secret_name

HISTORIES = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "CVS"})  # of version control
NEVER = HISTORIES | {
    "__pycache__", "__pypackages__", ".ipynb_checkpoints", "node_modules", ".tox", ".nox",
    ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis",
}  # fmt: skip
# of venv, conda, and virtualenv before version 20
ENVIRONMENT_MARKS = (
    "pyvenv.cfg",
    "conda-meta",
    "bin/activate_this.py",
    "Scripts/activate_this.py",
)
VIRTUAL_FOLDER = "virtual file system"
OWN_INDEX, BY_COLLABORATION = "index of codeintel", "rewritten by collaboration at each keystroke"
# a file skipped for one of these reasons was not in the index either
IGNORED = frozenset({"ignored", "ignored folder", OWN_INDEX, BY_COLLABORATION})
_RULE_NAMES = (".git", *IGNORE_FILES)
# files that JupyterLab's collaboration rewrites at each keystroke
COLLABORATION = re.compile(
    r"\.jupyter_ystore\.db.*|.*\.ystore(?:\.db)?(?:-journal|-wal|-shm)?|\..+\.ipynb\.y"
    r"|collaboration_sessions\.json"
)
_MAY_COLLABORATE = re.compile(r"ystore|\.y$|collaboration")  # a cheap filter
_NAME = attrgetter("name")
_READABLE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH  # by everybody: os.access is not needed


MAX_EXAMPLES = 20  # paths recorded for each reason to skip files
UNREAD_RULES = "ignore file that is not read: no regular file, or over 1 MB"


class FileStat(NamedTuple):
    """A file's state; ``path`` is relative to the root, with ``/``."""

    path: str
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0

    @property
    def state(self) -> FileState:
        return FileState(*self[1:])


class Walk:
    """Walk over a repository: iterate for files, then read ``skipped``.

    ``no_ignore`` includes ignored files, tool folders and environments, as ``rg --no-ignore``
    does, but neither version control's folders nor likely secrets.

    Raises
    ------
    SourceError : the root is now a link or behind one, or cannot be indexed; or a folder cannot be
        listed now.
    """

    def __init__(
        self,
        repository: Repository,
        settings: Settings,
        entered: Callable[[str], None] = lambda folder: None,
        no_ignore: bool = False,
    ) -> None:
        self.root = repository.root
        self.reads_ignore_files = repository.reads_ignore_files and not no_ignore
        self.entered = entered  # called with each folder before listing it
        self.skipped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}  # reason -> the first paths
        self.secrets: list[str] = []
        # folders that could not be listed: no event reports when they can be
        self.unlisted: set[str] = set()
        # files with further hard links: changes through those give no event
        self.linked: dict[str, FileState] = {}
        # change time and inode of each folder before it was listed, if opened by a handle
        self.folders: dict[str, tuple[int, int]] = {}
        self.left_out: list[str] = []  # entries neither read nor entered
        # states of ignore files, and of entries left out because of their state
        self.others: dict[str, FileState] = {}
        self._settings = settings
        self._never = HISTORIES if no_ignore else NEVER
        self._home = identity_of(settings.home)
        self._virtual = virtual_folders(self.root)
        self._is_checked = False
        self._reader = RuleReader(self.root, lambda path: self._leave(UNREAD_RULES, path))
        self._rules: dict[str, Rules] = {}  # of the folders visited by ``of``

    @property
    def outside(self) -> dict[str, tuple[int, ...]]:
        """Return outside files that affect the walk, with their stamps.

        Missing ones are included.
        """
        return self._reader.outside

    def __iter__(self) -> Iterator[FileStat]:
        """Yield files in path order, folder by folder."""
        self._check_root()
        yield from self._folder("", self._reader.at_root() if self.reads_ignore_files else Rules())

    def of(self, path: str) -> Iterator[FileStat]:
        """Yield a walk's files at or below a path."""
        self._check_root()
        parts = path.split("/")
        try:
            rules = self._rules_of("", Rules())
            for depth, name in enumerate(parts, 1):
                place = "/".join(parts[:depth])
                entry = _Entry(os.path.join(self.root, place), name)
                if depth == len(parts):
                    result = self._entry(entry, place, rules)
                    if isinstance(result, FileStat):
                        yield result
                    elif result:
                        yield from self._folder(place, rules)
                    return
                if (
                    entry.is_symlink()
                    or not entry.is_dir()
                    or self._reason_outside(place, name, rules) is not None
                ):
                    return
                if (
                    os.path.join(self.root, place) in self._virtual
                    or self._is_home(os.path.join(self.root, place))
                    or self._reason_inside(place, self._marks(place)) is not None
                ):
                    return
                rules = self._rules_of(place, rules)
        except OSError as error:
            if error.errno in TRANSIENT:
                raise SourceError(
                    f"The file {os.path.join(self.root, path)} cannot be read at the moment "
                    f"({error.strerror}). Files indexed earlier remain searchable. Try again."
                ) from error
            return

    def find(self, path: str) -> FileStat | None:
        """Return a walk's file at exactly this path, if any.

        On a case-insensitive file system, another spelling would bypass the rules for ignored and
        secret files.
        """
        place = self.root
        for name in path.split("/"):
            try:
                if name not in os.listdir(place):
                    return None
            except OSError:
                return None
            place = os.path.join(place, name)
        return next((stat for stat in self.of(path) if stat.path == path), None)

    def _check_root(self) -> None:
        check_root(self.root)
        if not self._is_checked:  # once: a branch switch changes thousands of paths
            check_is_indexable(self.root, self._settings.home)
            self._is_checked = True

    def _marks(self, folder: str) -> set[str]:
        """Return the entries of a folder deciding how to read it."""
        place = os.path.join(self.root, folder)
        return {
            name
            for name in (*_RULE_NAMES, "pyvenv.cfg", "conda-meta", "bin", "Scripts", *HOME_FORMATS)
            if os.path.lexists(os.path.join(place, name))
        }

    def _rules_of(self, folder: str, outer: Rules) -> Rules:
        if not self.reads_ignore_files:
            return outer
        if folder not in self._rules:
            rules = outer if folder else self._reader.at_root()
            self._rules[folder] = self._reader.entering(rules, folder, self._marks(folder))
        return self._rules[folder]

    def _folder(self, folder: str, rules: Rules) -> Iterator[FileStat]:
        """Yield the files in and below a folder.

        A stack replaces nested generators: those would pass each file on through every level.
        """
        levels = [self._listed(folder, rules)]
        while levels:
            entries, rules = levels[-1]
            for one in entries:
                if isinstance(one, FileStat):
                    yield one
                else:
                    levels.append(self._listed(one, rules))
                    break
            else:
                levels.pop()

    def _listed(self, folder: str, rules: Rules) -> tuple[Iterator[FileStat | str], Rules]:
        """Return a folder's sorted entries to walk, and its rules."""
        selected: list[FileStat | str] = []
        handle = None
        try:
            place = os.path.join(self.root, folder)
            if place in self._virtual:
                self._leave(VIRTUAL_FOLDER, folder)
                return iter(()), rules
            # relative to an open folder, stat need not resolve the whole path
            handle = (
                os.open(place, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if folder else 0))
                if os.scandir in os.supports_fd
                else None
            )
            if self._is_home(place if handle is None else handle):
                self._leave(OWN_INDEX, folder)
                return iter(()), rules
            if handle is not None:
                own = os.fstat(handle)
                self.folders[folder] = own.st_ctime_ns, own.st_ino
            self.entered(folder)
            with os.scandir(place if handle is None else handle) as listing:
                entries = sorted(listing, key=_NAME)
            names = {entry.name for entry in entries}
            if folder and (reason := self._reason_inside(folder, names)) is not None:
                self._leave(reason, folder)
                self._note_marks(folder)
                return iter(()), rules
            if self.reads_ignore_files:
                rules = self._reader.entering(rules, folder, names, handle)
            below = f"{folder}/" if folder else ""
            for entry in entries:
                path = below + entry.name
                try:
                    one = self._entry(entry, path, rules)
                except OSError:
                    self._leave("vanished or unreadable", path)
                    self.left_out.append(path)
                    continue
                if isinstance(one, FileStat):
                    selected.append(one)
                elif one:
                    selected.append(path)
                else:
                    self.left_out.append(path)
        except OSError as error:
            if error.errno in TRANSIENT:  # the files still exist: do not report them as deleted
                raise SourceError(
                    f"The folder {os.path.join(self.root, folder)} cannot be listed at the moment "
                    f"({error.strerror}). Files indexed earlier remain searchable. Try again."
                ) from error
            self._leave("unreadable folder", folder)
            self.unlisted.add(folder)
        finally:
            if handle is not None:
                os.close(handle)
        return iter(selected), rules

    def _leave(self, reason: str, path: str) -> None:
        self.skipped[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

    def _entry(self, entry: os.DirEntry[str] | _Entry, path: str, rules: Rules) -> FileStat | bool:
        """Return a file to index, or whether to enter a folder."""
        name = entry.name
        if entry.is_symlink():
            # the target is indexed under its own path, or is outside
            self._leave("symbolic link", path)
            return False
        if not name.isascii() and not _is_text(name):
            self._leave("name is not UTF-8", path)
            return False
        if entry.is_dir(follow_symlinks=False):
            reason = self._reason_outside(path, name, rules)
            if reason is not None:
                self._leave(reason, path)
                if reason == "secret":
                    self.secrets.append(path + "/")
            return reason is None
        state = entry.stat(follow_symlinks=False)
        if name in IGNORE_FILES:
            self.others[path] = FileState.of(state)
        if not stat.S_ISREG(state.st_mode):
            self._leave("not a regular file", path)
        elif name == ".git":
            # in a linked worktree or a submodule: a file with the path of git's folder
            self._leave("tool folder", path)
        elif rules.ignores(path, False):
            self._leave("ignored", path)
        elif is_secret_name(name):
            self._leave("secret", path)
            self.secrets.append(path)
        elif _MAY_COLLABORATE.search(name) and COLLABORATION.fullmatch(name):
            self._leave(BY_COLLABORATION, path)
        elif (
            state.st_size > self._settings.max_file_bytes
            and state.st_size > self._settings.raw_limit(name)
        ):
            self._leave("too large", path)
            self.others[path] = FileState.of(state)
        elif state.st_mode & _READABLE != _READABLE and not os.access(
            os.path.join(self.root, path), os.R_OK
        ):
            self._leave("unreadable", path)
            self.others[path] = FileState.of(state)
        else:
            if state.st_nlink > 1:
                self.linked[path] = FileState.of(state)
            return (
                FileStat(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
                if HAS_INODES
                else FileStat(path, *FileState.of(state))
            )
        return False

    def _reason_outside(self, path: str, name: str, rules: Rules) -> str | None:
        """Return why name or rules exclude a folder, or None."""
        if name in self._never:
            return "tool folder"
        if name in SECRET_FOLDERS:
            return "secret"
        return "ignored folder" if rules.ignores(path, True) else None

    def _note_marks(self, folder: str) -> None:
        """Note the files in subfolders that mark an environment: without them, it is read."""
        for mark in ENVIRONMENT_MARKS[2:]:
            with suppress(OSError):
                path = f"{folder}/{mark}"
                self.others[path] = FileState.of(os.lstat(os.path.join(self.root, path)))

    def _is_home(self, folder: str | int) -> bool:
        return self._home is not None and identity_of(folder) == self._home

    def _reason_inside(self, folder: str, names: set[str]) -> str | None:
        """Return why its entries exclude a folder, or None."""
        place = os.path.join(self.root, folder)
        if self.reads_ignore_files and is_environment(names, place):
            return "virtual environment"
        return (
            OWN_INDEX
            if not HOME_FORMATS.isdisjoint(names) and is_index_home(place, names)
            else None
        )


def is_environment(names: set[str], folder: str) -> bool:
    """Whether a folder's entries show a virtual or conda environment."""
    if "pyvenv.cfg" in names or (
        "conda-meta" in names and os.path.isdir(os.path.join(folder, "conda-meta"))
    ):
        return True
    return any(
        mark.partition("/")[0] in names and os.path.isfile(os.path.join(folder, mark))
        for mark in ENVIRONMENT_MARKS[2:]
    )


class _Entry:
    """A path from outside a listing, with the methods of ``os.DirEntry``."""

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        self._state = os.lstat(path)

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self._state.st_mode)

    def is_dir(self, *, follow_symlinks: bool = False) -> bool:
        return stat.S_ISDIR(self._state.st_mode)

    def stat(self, *, follow_symlinks: bool = False) -> os.stat_result:
        return self._state


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
