"""Ignore rules: those of git, ``.ignore`` and ``.codeintelignore``.

Git's rules are located and read as in git. The rules of each kind form levels, from a path's folder
outwards; in a level the last matching line decides. ``.codeintelignore`` overrides ``.ignore``,
which overrides git's rules, as in ripgrep. Git's rules end at the border of another repository; the
others apply beyond it.

References
----------
gitignore(5), git's ``dir.c``; ripgrep's guide, "Automatic filtering".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

from ...scopes.wildmatch import (
    RegexSet,
    Unreadable,
    least_length,
    literal_length,
    lower,
    name_atoms,
    path_atoms,
)
from ..opening import ABSENT, NotReadable, read_rules, stamp_of
from .config import GitConfig
from .folder import GitFolder, enclosing_git_folder, git_folder

# in order of precedence
CODEINTEL, DOT, GIT = ".codeintelignore", ".ignore", ".gitignore"
IGNORE_FILES = (GIT, DOT, CODEINTEL)
MAX_CACHED_NAMES = 10_000  # for each ignore file
# limits of any file's name and path; a pattern that needs more matches nothing
MAX_NAME_CHARACTERS, MAX_PATH_CHARACTERS = 1_020, 16_384


class Pattern(NamedTuple):
    """A line of an ignore file."""

    text: str  # without ``!`` and slashes around it; each character is a byte, as in git
    ignores: bool
    folders_only: bool
    is_path: bool  # with a slash inside: matched against the path from the file's folder


def read_patterns(data: bytes) -> Iterator[Pattern]:
    """Yield an ignore file's patterns; only newlines end lines."""
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        text = _without_trailing_spaces(
            line.removesuffix(b"\r").partition(b"\0")[0].decode("latin-1")
        )
        ignores = not text.startswith("!")
        text = text if ignores else text[1:]
        folders_only = text.endswith("/")
        text = text[:-1] if folders_only else text
        is_path = "/" in text
        text = text.removeprefix("/") if is_path else text
        if text:
            yield Pattern(text, ignores, folders_only, is_path)


def _without_trailing_spaces(text: str) -> str:
    bare = text.rstrip(" ")
    if bare == text:
        return text
    backslashes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if backslashes % 2 else bare  # the first space is escaped


_Tables = tuple[dict[str, int], dict[str, int]]


class PatternList:
    """Patterns of one ignore file, in lookup tables where possible."""

    def __init__(self, patterns: Iterable[Pattern], fold: bool = False) -> None:
        self._fold = fold
        self._ignores: list[bool] = []
        # tables of files and of folders: the last pattern's place by name, name's ending and path
        self._names: _Tables = {}, {}
        self._endings: _Tables = {}, {}
        self._paths: _Tables = {}, {}
        self._name_globs, self._path_globs = _Globs(), _Globs()
        for pattern in patterns:
            self._add(len(self._ignores), pattern)
            self._ignores.append(pattern.ignores)
        self._lengths = tuple(sorted({len(ending) for table in self._endings for ending in table}))
        self._has_paths = bool(self._paths[True]) or self._path_globs.last >= 0
        self._by_name: _Tables = {}, {}  # cache: the last matching pattern without a slash

    def _add(self, place: int, pattern: Pattern) -> None:
        text = lower(pattern.text) if self._fold else pattern.text
        plain = literal_length(text) == len(text)
        if plain or (
            not pattern.is_path and text[0] == "*" and literal_length(text[1:]) == len(text) - 1
        ):
            table = self._paths if pattern.is_path else self._names if plain else self._endings
            key = text if plain else text[1:]
            for is_folder in (False, True)[pattern.folders_only :]:
                table[is_folder][key] = place
            return
        try:
            atoms = (
                path_atoms(pattern.text, self._fold)
                if pattern.is_path
                else name_atoms(pattern.text, self._fold)
            )
        except Unreadable:  # in git, too, it matches nothing
            return
        if least_length(atoms) <= (MAX_PATH_CHARACTERS if pattern.is_path else MAX_NAME_CHARACTERS):
            (self._path_globs if pattern.is_path else self._name_globs).add(
                place, pattern.folders_only, f"^{''.join(atoms)}$"
            )

    def ignores(self, path: str, is_folder: bool) -> bool | None:
        """Return the verdict on a relative path; None if unmatched."""
        if not path.isascii():
            path = path.encode("utf-8", "surrogateescape").decode("latin-1")
        if self._fold:
            path = lower(path)
        name = path[path.rfind("/") + 1 :]
        cache = self._by_name[is_folder]
        last = cache.get(name)
        if last is None:
            if len(cache) >= MAX_CACHED_NAMES:
                cache.clear()
            last = cache[name] = self._last_by_name(name, is_folder)
        if self._has_paths:
            last = max(last, self._paths[is_folder].get(path, -1))
            last = self._path_globs.last_match(path, is_folder, last)
        return self._ignores[last] if last >= 0 else None

    def _last_by_name(self, name: str, is_folder: bool) -> int:
        """Return the last matching slashless pattern's place, or -1."""
        last = self._names[is_folder].get(name, -1)
        endings, length = self._endings[is_folder], len(name)
        for ending in self._lengths:
            if ending > length:
                break
            last = max(last, endings.get(name[length - ending :], -1))
        return self._name_globs.last_match(name, is_folder, last)


class _Globs:
    """Patterns with wildcards, compiled together on first use."""

    def __init__(self) -> None:
        self._globs: list[tuple[int, bool, str]] = []  # place, folders only, expression
        self.last = -1  # the last place

    def add(self, place: int, folders_only: bool, expression: str) -> None:
        self._globs.append((place, folders_only, expression))
        self.last = place

    @cached_property
    def _set(self) -> RegexSet:
        return RegexSet(expression for _, _, expression in self._globs)

    def last_match(self, text: str, is_folder: bool, last: int) -> int:
        """Return the place of the last match after ``last``, or ``last``."""
        if last < self.last:
            for number in self._set.matches(text):
                place, folders_only, _ = self._globs[number]
                if place > last and (is_folder or not folders_only):
                    last = place
        return last


@lru_cache(512)
def pattern_list(data: bytes, fold: bool) -> PatternList | None:
    """Return the patterns of an ignore file's content, or None."""
    patterns = list(read_patterns(data))
    return PatternList(patterns, fold) if patterns else None


class Level(NamedTuple):
    """The patterns of one file, and the next level outwards."""

    patterns: PatternList
    folder: str  # of the file, relative to the root; empty for the root and above
    prefix: str  # the root's path relative to a file above it, with a trailing slash
    outer: Level | None

    def ignores(self, path: str, is_folder: bool) -> bool | None:
        """Return the verdict of the first matching level, or None."""
        level: Level | None = self
        while level is not None:
            inside = path[len(level.folder) + 1 :] if level.folder else level.prefix + path
            verdict = level.patterns.ignores(inside, is_folder)
            if verdict is not None:
                return verdict
            level = level.outer
        return None


class Rules(NamedTuple):
    """The rules for a folder, by kind of ignore file."""

    codeintel: Level | None = None
    dot: Level | None = None
    git: Level | None = None
    fold: bool = False  # git's patterns ignore case

    def ignores(self, path: str, is_folder: bool) -> bool:
        if (
            self.codeintel is not None
            and (verdict := self.codeintel.ignores(path, is_folder)) is not None
        ):
            return verdict
        if self.dot is not None and (verdict := self.dot.ignores(path, is_folder)) is not None:
            return verdict
        return self.git is not None and self.git.ignores(path, is_folder) is True

    def _with(self, kind: str, data: bytes, folder: str, prefix: str = "") -> Rules:
        """Return these rules with an ignore file's in front."""
        patterns = pattern_list(data, self.fold and kind == GIT)
        if patterns is None:
            return self
        if kind == GIT:
            return self._replace(git=Level(patterns, folder, prefix, self.git))
        if kind == DOT:
            return self._replace(dot=Level(patterns, folder, prefix, self.dot))
        return self._replace(codeintel=Level(patterns, folder, prefix, self.codeintel))


class RuleReader:
    """A reader of ignore rules for one walk."""

    def __init__(self, root: str, unread: Callable[[str], None] = lambda path: None) -> None:
        self._root, self._unread = root, unread
        # files outside the walk that affect the rules, existing or not, with stamps from before
        # reading
        self.outside: dict[str, tuple[int, ...]] = {root: stamp_of(root)}

    def at_root(self) -> Rules:
        """Read the rules from above the root, without its own."""
        enclosing = enclosing_git_folder(self._root)
        rules = (
            self._of_repository(Rules(), enclosing, "")
            if enclosing is not None
            else self._global(Rules(), self._root, GitConfig(), "")
        )
        for folder in (self._root, *_parents(self._root)):  # it may become a repository
            self._note_git(folder)
            if enclosing is not None and folder == enclosing.top:
                break
        before = rules
        for folder in reversed(list(_parents(self._root))):
            in_git = enclosing is not None and (folder + os.sep).startswith(
                enclosing.top.rstrip(os.sep) + os.sep
            )
            prefix = _relative(self._root, folder)
            for kind in IGNORE_FILES if in_git else (DOT, CODEINTEL):
                file = os.path.join(folder, kind)
                self._note(file)
                if (data := self._read(file)) is not None:
                    rules = rules._with(kind, data, "", prefix)
        if _leave_out_the_root(rules):  # the user named the folder: index all of it
            return Rules(fold=rules.fold) if _leave_out_the_root(before) else before
        return rules

    def entering(
        self, rules: Rules, folder: str, names: Iterable[str], handle: int | None = None
    ) -> Rules:
        """Read rules for a folder's entries; ``handle`` is its descriptor."""
        place = os.path.join(self._root, folder)
        if folder and ".git" in names:
            self._note_git(place)
            if (inner := git_folder(place)) is not None:
                rules = self._of_repository(rules, inner, folder)
        for kind in IGNORE_FILES:
            if kind in names:
                data = self._read(
                    kind if handle is not None else os.path.join(place, kind),
                    handle,
                    f"{folder}/{kind}".removeprefix("/"),
                )
                if data is not None:
                    rules = rules._with(kind, data, folder)
        return rules

    def _of_repository(self, rules: Rules, repository: GitFolder, folder: str) -> Rules:
        """Replace git's rules by a repository's.

        ``folder`` is the repository's top, relative to the root; empty for the root and above.
        """
        config = GitConfig(repository.folder, repository.common)
        rules = rules._replace(git=None, fold=config.ignores_case)
        prefix = "" if folder else _relative(self._root, repository.top)
        rules = self._global(rules, repository.top, config, prefix, folder)
        self._note(repository.exclude_file)
        data = self._read(repository.exclude_file, follow=True)
        return rules if data is None else rules._with(GIT, data, folder, prefix)

    def _global(
        self, rules: Rules, top: str, config: GitConfig, prefix: str, folder: str = ""
    ) -> Rules:
        file = config.excludes_file(top)
        self.outside = config.files | self.outside
        if file:
            self._note(file)
        data = self._read(file, follow=True) if file else None
        return rules if data is None else rules._with(GIT, data, folder, prefix)

    def _note_git(self, folder: str) -> None:
        """Note the files that make a folder a repository's top."""
        marker = os.path.join(folder, ".git")
        self._note(marker)
        if os.path.isdir(marker):
            for name in ("HEAD", "objects", "refs"):
                self._note(os.path.join(marker, name))

    def _note(self, file: str) -> None:
        if file not in self.outside:
            self.outside[file] = stamp_of(file)

    def _read(
        self, file: str, handle: int | None = None, label: str = "", follow: bool = False
    ) -> bytes | None:
        try:
            return read_rules(file, follow, handle)
        except NotReadable:
            self._unread(label or file)
        except ABSENT:
            pass
        return None


def _parents(root: str) -> Iterator[str]:
    """Yield the folders above the root, the nearest first."""
    folder = os.path.dirname(root)
    while folder != root:
        yield folder
        root, folder = folder, os.path.dirname(folder)


def _relative(root: str, top: str) -> str:
    """Return ``root`` below ``top``: empty or with a trailing slash."""
    relative = os.path.relpath(root, top).replace(os.sep, "/")
    return "" if relative == "." else relative + "/"


def _leave_out_the_root(rules: Rules) -> bool:
    """Whether rules above the root ignore it or its parents."""
    kinds = [list(_levels(first)) for first in (rules.codeintel, rules.dot, rules.git)]
    depth = max((level.prefix.count("/") for levels in kinds for level in levels), default=0)
    for up in range(depth):  # 0 is the root, 1 its parent
        verdict = None
        for level in (level for levels in kinds for level in levels):
            names = level.prefix.split("/")[:-1]
            if verdict is None and len(names) > up:
                verdict = level.patterns.ignores("/".join(names[: len(names) - up]), True)
        if verdict:
            return True
    return False


def _levels(level: Level | None) -> Iterator[Level]:
    while level is not None:
        yield level
        level = level.outer
