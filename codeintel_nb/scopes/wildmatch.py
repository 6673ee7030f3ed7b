"""Git's wildmatch as regular expressions, for ignore rules and globs.

A pattern is translated once into RE2 syntax, so matching takes linear time. ``*`` and ``?`` stay
inside one name, and ``**`` between slashes crosses folders. Sets have ranges, negation by ``!`` or
``^``, escapes and POSIX classes.

References
----------
Git's ``wildmatch.c``, and "PATTERN FORMAT" in gitignore(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

# of expressions compiled together: a larger automaton may run out of memory
MAX_PART_CHARACTERS = 20_000
MAX_PART_LENGTH = 200
_WILDCARD = re.compile(r"[*?\[\\]")
_SLASH = ord("/")
_STAR, _FOLDERS, _ANYTHING = "[^/]*", "(?:.*/)?", ".*"
_ELASTIC = (_STAR, _FOLDERS, _ANYTHING)
_Ranges = list[tuple[int, int]]  # code points, both ends included
_CLASSES = {
    name: [(ord(ends[0]), ord(ends[-1])) for ends in ranges]
    for name, ranges in {
        "alnum": ("09", "AZ", "az"), "alpha": ("AZ", "az"), "blank": ("\t", " "),
        "cntrl": ("\0\x1f", "\x7f"), "digit": ("09",), "graph": ("!~",), "lower": ("az",),
        "print": (" ~",), "punct": ("!/", ":@", "[`", "{~"), "space": ("\t\r", " "),
        "upper": ("AZ",), "xdigit": ("09", "AF", "af"),
    }.items()
}  # fmt: skip


class Unreadable(ValueError):
    """Pattern that matches nothing; the message says why."""


def literal_length(pattern: str) -> int:
    """Return the number of characters before the first wildcard."""
    wildcard = _WILDCARD.search(pattern)
    return len(pattern) if wildcard is None else wildcard.start()


def path_atoms(pattern: str, fold: bool = False, strict: bool = False) -> list[str]:
    """Translate a pattern with a slash, to match whole paths.

    Git compares the literal prefix separately and matches the rest as a pattern of its own, so
    the ``**`` of ``a**/b`` crosses folders. With ``fold``, texts are in lower case
    (``core.ignorecase``). With ``strict``, an empty range such as ``[z-a]`` is unreadable too.

    Raises
    ------
    Unreadable : no path can match the pattern.
    """
    length = literal_length(pattern)
    return [
        *(_literal(c, fold) for c in pattern[:length]),
        *name_atoms(pattern[length:], fold, strict),
    ]


def name_atoms(pattern: str, fold: bool = False, strict: bool = False) -> list[str]:
    """Translate a pattern matched as a whole, as for names."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            text, at = _stars(pattern, at)
        elif character == "[":
            text, at = _set(pattern, at + 1, fold, strict)
        elif character == "?":
            text, at = "[^/]", at + 1
        else:
            escaped = character == "\\"
            at += escaped
            if at == len(pattern):
                raise Unreadable("it ends with a backslash")
            # git does not fold an escaped capital, so no folded text matches it
            text, at = _literal(pattern[at], fold and not escaped), at + 1
        out.append(text)
    return out


def least_length(atoms: Iterable[str]) -> int:
    """Return the length of the shortest text that can match."""
    return sum(atom not in _ELASTIC for atom in atoms)


def lower(text: str) -> str:
    """Fold ASCII letters, and no others, as git does."""
    if text.isascii():
        return text.lower()
    return "".join(c.lower() if c.isascii() else c for c in text)


def _stars(pattern: str, begin: int) -> tuple[str, int]:
    """Translate a run of stars; also return the position after it."""
    end = begin
    while end < len(pattern) and pattern[end] == "*":
        end += 1
    behind = pattern[end : end + 2]
    crosses = (
        end - begin > 1
        and (begin == 0 or pattern[begin - 1] == "/")
        and (behind[:1] in ("", "/") or behind == "\\/")
    )
    if not crosses:
        return _STAR, end
    return (_FOLDERS, end + 1) if behind[:1] == "/" else (_ANYTHING, end)


def _literal(character: str, fold: bool) -> str:
    if character.isascii() and character.isalnum():
        return character.lower() if fold else character
    return rf"\x{{{ord(character):x}}}"


def _set(pattern: str, at: int, fold: bool, strict: bool) -> tuple[str, int]:
    """Translate a set after its ``[``; also return its end."""
    negated = pattern[at : at + 1] in ("!", "^") and at < len(pattern)
    at += negated
    ranges: _Ranges = []
    closing = -1  # the next "]", searched once for any number of "[:" before it
    first, before = True, ""  # the character that may begin a range
    while first or pattern[at : at + 1] != "]":
        first = False
        character = _character(pattern, at)
        if character == "[" and pattern[at + 1 : at + 2] == ":" and closing < at + 2:
            closing = pattern.find("]", at + 2)
        if character == "-" and before and pattern[at + 1 : at + 2] not in ("", "]"):
            at += 2 if pattern[at + 1] == "\\" else 1
            last = _character(pattern, at)
            if strict and last < before:
                raise Unreadable(f"the range {before}-{last} is empty")
            ranges += _folded([(ord(before), ord(last))]) if fold else [(ord(before), ord(last))]
            before = ""
        elif character == "[" and (name := _class_name(pattern, at, closing)) is not None:
            ranges += _folded(_CLASSES[name]) if fold and name == "upper" else _CLASSES[name]
            at, before = at + len(name) + 3, ""
        else:
            at += character == "\\"
            before = _character(pattern, at)
            ranges.append((ord(before), ord(before)))
        at += 1
    return _set_regex(ranges, negated), at + 1


def _character(pattern: str, at: int) -> str:
    if at >= len(pattern):
        raise Unreadable("a '[' has no matching ']'")
    return pattern[at]


def _class_name(pattern: str, at: int, closing: int) -> str | None:
    """Return the name in ``[:name:]`` at a position, or None.

    ``closing`` is the position of the next ``]``, or -1.
    """
    if pattern[at + 1 : at + 2] != ":":
        return None
    _character(pattern, closing if closing >= 0 else len(pattern))
    if closing < at + 3 or pattern[closing - 1] != ":":
        return None
    name = pattern[at + 2 : closing - 1]
    if name not in _CLASSES:
        raise Unreadable(f"[:{name[:20]}:] is not a character class")
    return name


def _folded(ranges: _Ranges) -> _Ranges:
    """Add the small letters of the capitals in some ranges."""
    capitals = [(max(first, 65), min(last, 90)) for first, last in ranges]
    return [*ranges, *((first + 32, last + 32) for first, last in capitals)]


def _set_regex(ranges: _Ranges, negated: bool) -> str:
    """Write a set as an expression that never matches a slash."""
    if not negated:
        ranges = [
            part
            for first, last in ranges
            for part in ((first, min(last, _SLASH - 1)), (max(first, _SLASH + 1), last))
        ]
    members = "".join(
        rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in sorted(set(ranges)) if first <= last
    )
    if not members and not negated:
        raise Unreadable("a character set is empty")
    return f"[^/{members}]" if negated else f"[{members}]"


def options() -> Any:
    """Return RE2's options for paths: silent, and ``.`` matches a newline."""
    import re2

    path_options = re2.Options()
    path_options.log_errors = False
    path_options.dot_nl = True
    path_options.never_capture = True
    path_options.max_mem = 64 << 20
    return path_options


class RegexSet:
    """Any number of anchored expressions, matched against a text together."""

    def __init__(self, expressions: Iterable[str]) -> None:
        self._sets: list[tuple[list[int], Any]] = []  # numbers of expressions, and their set
        self._single: list[tuple[int, Any]] = []  # expressions too large for a set
        part: list[tuple[int, str]] = []
        size = 0
        for number, expression in enumerate(expressions):
            if part and (
                size + len(expression) > MAX_PART_CHARACTERS or len(part) >= MAX_PART_LENGTH
            ):
                self._add(part)
                part, size = [], 0
            part.append((number, expression))
            size += len(expression)
        self._add(part)

    def _add(self, part: Sequence[tuple[int, str]]) -> None:
        import re2

        if len(part) > 1 or (part and len(part[0][1]) <= MAX_PART_CHARACTERS):
            regex_set = re2.Set.SearchSet(options())
            try:
                for _, expression in part:
                    regex_set.Add(expression)
                regex_set.Compile()
            except re2.error:
                if len(part) > 1:
                    self._add(part[: len(part) // 2])
                    self._add(part[len(part) // 2 :])
                    return
            else:
                self._sets.append(([number for number, _ in part], regex_set))
                return
        for number, expression in part:
            try:
                self._single.append((number, re2.compile(expression, options())))
            except re2.error:
                continue  # over 64 MB: longer than any path

    def matches(self, text: str) -> list[int]:
        """Return the numbers of the expressions that match, in no order."""
        # the numbers of a set of all expressions are theirs
        if len(self._sets) == 1 and not self._single:
            return self._sets[0][1].Match(text) or []
        matches = [
            numbers[i] for numbers, regex_set in self._sets for i in regex_set.Match(text) or ()
        ]
        if self._single:
            matches += [number for number, regex in self._single if regex.search(text) is not None]
        return matches
