"""Glob matching of paths, the same for every search and list.

A glob is a line of a ``.gitignore``, plus ``{a,b}``, without ``!``. ``*`` and ``?`` stay inside one
name, and ``**`` crosses folders. A glob without an inner ``/`` matches at any depth. A matched
folder includes its whole content. Globs are case-sensitive and relative to the repository, with
``/`` on every platform.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from ..errors import ScopeError
from .wildmatch import RegexSet, Unreadable, literal_length, name_atoms, options, path_atoms

MAX_EXPANSIONS = 1000  # alternatives of the braces in one glob


def check_glob(glob: str) -> str:
    """Return the glob without surrounding blanks; ScopeError if it is invalid."""
    plain = glob.strip()
    if (len(plain) - len(plain.rstrip("\\"))) % 2 and (behind := glob.lstrip()[len(plain) :]):
        plain += behind[0]  # a blank behind a backslash is literal
    if not plain:
        raise ScopeError("An empty glob matches nothing. Omit it, or use '**' to match everything.")
    if plain.startswith("!"):
        raise ScopeError(
            f"The glob {plain!r} begins with '!'. Exclude the glob {plain[1:]!r} instead."
        )
    if "\0" in plain or "\n" in plain:
        raise ScopeError(f"The glob {plain!r} contains a newline or a null character.")
    if plain.startswith("./"):  # as typed in a shell
        plain = plain[1:]
        if not plain.strip("/"):
            raise ScopeError(f"The glob {glob!r} matches no file. Use '**' to match everything.")
    for expanded in expand_braces(plain):
        glob_to_regex(expanded)
    return plain


def empty_hint(globs: Sequence[str]) -> str:
    """Return a hint for wrong-looking globs that match no file."""
    for glob in globs:
        if os.path.isabs(glob) and os.path.exists(glob):
            return (
                f"The glob {glob!r} is an absolute path; globs are relative to a repository's root."
            )
        if re.search(r"\\[\w.*]", glob):
            return f"The glob {glob!r} contains a backslash; use / between folders."
        if "," in re.sub(r"\{[^}]*\}", "", glob):
            return f"The glob {glob!r} contains a comma; use one option per glob, or write {{a,b}}."
    return ""


def plain_glob(path: str) -> str:
    """Return a glob for a literal path and its content."""
    escaped = re.sub(r"[*?\[\]{}\\]|\s$", r"\\\g<0>", path)
    # a leading "/" makes a first "!", "#" or blank literal
    return f"/{escaped}" if path[:1] in ("!", "#") or path[:1].isspace() else escaped


def expand_braces(glob: str) -> list[str]:
    """Return every alternative of ``{a,b}``, nested ones too.

    Braces without a comma are literal.
    """
    alternatives: list[str] = []
    pending = [glob]
    while pending:
        current = pending.pop()
        span = _first_braces(current)
        if span is None:
            alternatives.append(current)
        else:
            start, end, options = span
            pending.extend(current[:start] + option + current[end:] for option in reversed(options))
        if len(alternatives) + len(pending) > MAX_EXPANSIONS:
            raise ScopeError(
                f"The glob {glob!r} expands to more than {MAX_EXPANSIONS:,} alternatives. "
                "Use fewer braces."
            )
    return alternatives


def _first_braces(glob: str) -> tuple[int, int, list[str]] | None:
    """Return start, end and options of the first ``{...,...}``."""
    starts: list[int] = []
    commas: list[list[int]] = []
    best: tuple[int, int, list[int]] | None = None
    i, in_class = 0, False
    while i < len(glob):
        character = glob[i]
        if character == "\\":
            i += 2
            continue
        if in_class:
            in_class = character != "]"
        elif character == "[" and "]" in glob[i + 2 :]:
            in_class = True
            # a first "]" belongs to the class
            i += 2 if glob[i + 1] in "!^" and "]" in glob[i + 3 :] else 1
        elif character == "{":
            starts.append(i)
            commas.append([])
        elif character == "," and starts:
            commas[-1].append(i)
        elif character == "}":
            if not starts:
                raise ScopeError(
                    f"The glob {glob!r} has an unmatched '}}'. Write '\\}}' for a literal '}}'."
                )
            start, inner = starts.pop(), commas.pop()
            if inner and (best is None or start < best[0]):
                best = (start, i + 1, inner)
        i += 1
    if starts:
        raise ScopeError(
            f"The glob {glob!r} has an unmatched '{{'. Write '\\{{' for a literal '{{'."
        )
    if best is None:
        return None
    start, end, inner = best
    cuts = [start, *inner, end - 1]
    return start, end, [glob[a + 1 : b] for a, b in pairwise(cuts)]


def glob_to_regex(glob: str) -> str:
    """Translate a glob without alternatives to an anchored expression."""
    anchored, names, folder_only = glob_names(glob)
    try:
        atoms = (
            path_atoms("/".join(names), strict=True)
            if anchored
            else ["(?:.*/)?", *name_atoms(names[0], strict=True)]
        )
    except Unreadable as error:
        raise ScopeError(
            f"The glob {glob!r} matches nothing: {error}. "
            "Put a backslash before a literal character."
        ) from None
    return f"^{''.join(atoms)}{'/' if folder_only else '(?:/|$)'}"


def glob_names(glob: str) -> tuple[bool, list[str], bool]:
    """Return (is anchored at the root, names, matches folders only)."""
    names = glob.split("/")
    folder_only = len(names) > 1 and names[-1] == ""
    if folder_only:
        names.pop()
    if names and names[0] == "":  # a leading slash anchors
        names.pop(0)
        anchored = True
    else:
        anchored = len(names) > 1
    if not any(names):
        raise ScopeError(f"The glob {glob!r} matches no file. Use '**' to match everything.")
    if "" in names:
        raise ScopeError(f"The glob {glob!r} has an empty name between two slashes.")
    return (
        anchored,
        ["**" if len(name) > 1 and not name.strip("*") else name for name in names],
        folder_only,
    )


def matches_name_by_name(glob: str) -> bool:
    """Whether a glob can be matched one name at a time.

    Globs with a slash in a set cannot, nor can those with ``**`` behind a literal
    (``src/test_**/*.py``): there it crosses folders in git.
    """
    anchored, names, _ = glob_names(glob)
    if not anchored:
        return True
    joined = "/".join(names)
    length = literal_length(joined)
    stars = joined[length:]
    if (
        stars.startswith("**")
        and stars.lstrip("*")[:1] in ("", "/")
        and joined[length - 1 : length] not in ("", "/")
    ):
        return False
    try:
        for name in names:
            name_atoms(name)
    except Unreadable:  # a slash split a set
        return False
    return True


def within_folder(globs: Sequence[str], folder: str) -> tuple[str, ...]:
    """Return globs for the files of a literal folder that match any of ``globs``.

    Without globs, all its files match. A glob that cannot be matched name by name stands for the
    whole folder. Empty if no file of the folder can match.
    """
    whole = f"/{plain_glob(folder).lstrip('/')}"
    rests = dict[str, None]()
    for glob in (one for given in globs for one in expand_braces(given)):
        anchored, names, folder_only = glob_names(glob)
        if not matches_name_by_name(glob):
            return (f"{whole}/**",)
        for rest in _below([names if anchored else ["**", *names]], folder.split("/")):
            rests["/".join(rest) + "/" * folder_only if rest else "**"] = None
    if not globs or "**" in rests:
        return (f"{whole}/**",)
    return tuple(f"{whole}/{rest}" for rest in rests)


def _below(patterns: list[list[str]], parts: Sequence[str]) -> list[list[str]]:
    """Return what is left to match below a folder; an empty list matches everything there.

    This is the derivative of the patterns by each of the folder's names (Brzozowski 1964).
    """
    for part in parts:
        following = list[list[str]]()
        for pattern in patterns:
            while pattern[:1] == ["**"] and len(pattern) > 1:  # crosses this folder, or none
                following.append(pattern)
                pattern = pattern[1:]
            if pattern in ([], ["**"]):
                following.append([])
            elif name_matcher(pattern[0])(part):
                following.append(pattern[1:])
        patterns = following
    return patterns


def name_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a predicate of names for a glob without slashes."""
    import re2

    compiled = re2.compile(f"^{''.join(name_atoms(pattern))}$", options())
    return lambda name: compiled.search(name) is not None


class PathMatcher:
    """Filter of paths by includes, if any, less the excludes."""

    def __init__(self, include_globs: Sequence[str], exclude_globs: Sequence[str]) -> None:
        self._includes, self._set = _compiled(tuple(include_globs), tuple(exclude_globs))

    def admits(self, path: str) -> bool:
        return self.admits_each([path])[0]

    def admits_each(self, paths: Iterable[str]) -> list[bool]:
        if self._set is None:
            return [True for _ in paths]
        matches, includes = self._set.matches, self._includes
        if not includes:
            return [not matches(path) for path in paths]
        # excludes are numbered from `includes` on
        return [bool(numbers) and max(numbers) < includes for numbers in map(matches, paths)]


@lru_cache(256)
def _compiled(
    include_globs: tuple[str, ...], exclude_globs: tuple[str, ...]
) -> tuple[int, RegexSet | None]:
    """Return the includes' number, and one set of all patterns."""
    if not include_globs and not exclude_globs:
        return 0, None
    includes = [one for glob in include_globs for one in expand_braces(glob)]
    excludes = [one for glob in exclude_globs for one in expand_braces(glob)]
    return len(includes), RegexSet(map(glob_to_regex, (*includes, *excludes)))
