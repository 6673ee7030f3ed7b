"""Options of commands and magics, from the fields of requests."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from ..errors import SearchError, did_you_mean
from ..scopes.scope import Scope
from ..search.request import Described, Flag, Request, ScopedRequest


class Option(NamedTuple):
    """Command-line option for one field of a request or scope."""

    flags: tuple[str, ...]
    field: str
    kind: Literal["list", "globs", "int", "number", "text", "flag"]
    help: str
    const: object = True  # the value that a flag sets
    metavar: str = ""
    is_hidden: bool = False  # accepted but undocumented
    choices: tuple[str, ...] = ()  # all values of a text


OUT = Option(("--out", "-o"), "out", "text", "store the results in this variable", metavar="NAME")
_SCOPE_FIELDS = frozenset(Scope.__struct_fields__)
_FIRST = {"timeout_s": 1}  # other fields of all requests, behind the request's own


@cache
def options_of(request: type[Request[Any]]) -> tuple[Option, ...]:
    """Return a request's own options, then those of its scope."""
    hints = get_type_hints(request, include_extras=True)
    options = list[tuple[int, Option]]()
    for name in request.__struct_fields__:
        described = _described(hints[name])
        if described is None:
            continue
        order = 2 if name in _SCOPE_FIELDS else _FIRST.get(name, 0)
        options += [(order, _option(name, hints[name], flag)) for flag in described.flags]
    return tuple(option for _, option in sorted(options, key=lambda one: one[0]))


@cache
def positional_of(request: type[Request[Any]]) -> str:
    """Return the field for a line's text; empty if none."""
    hints = get_type_hints(request, include_extras=True)
    for name in request.__struct_fields__:
        described = _described(hints[name])
        if described is not None and described.is_positional:
            return name
    return ""


def _described(hint: Any) -> Described | None:
    for part in getattr(hint, "__metadata__", ()):
        if isinstance(part, msgspec.Meta) and part.extra:
            described = part.extra.get("described")
            if isinstance(described, Described):
                return described
    return None


def _option(field: str, hint: Any, flag: Flag) -> Option:
    """Return the option of a flag, typed like its field."""
    bare = get_args(hint)[0]
    kind = next((one for one in get_args(bare) if one is not NoneType), bare)
    if NoneType not in get_args(bare):
        kind = bare
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    how: Any = {int: "int", float: "number", bool: "flag"}.get(kind, "text")
    if get_origin(kind) is tuple:
        how = "globs" if field.endswith("globs") else "list"
    if flag.value is not True:
        how = "flag"
    return Option(
        flag.names, field, how, flag.help, flag.value, flag.metavar, flag.is_hidden, choices
    )


SCOPE_OPTIONS = tuple(
    option for option in options_of(ScopedRequest) if option.field in _SCOPE_FIELDS
)

# a quote opens at the start of a word, or behind the = of an option, and closes at the end of a
# word: an apostrophe does neither
_TOKEN = re.compile(r"""(?:--?[\w-]+=)?(?:"[^"]*"|'[^']*')(?!\S)|\S+""")


class Parsed(NamedTuple):
    values: dict[str, Any]
    rest: str  # the text without the options, as typed


def parse_line(line: str, options: Sequence[Option], raw: bool = False) -> Parsed:
    """Parse the options at both ends; leave the rest unchanged.

    ``--`` ends the options; an unknown ``--word`` at the start is an error. With ``raw`` the rest
    is a query, and one pair of quotes around all of it is removed.
    """
    by_flag = {flag: option for option in options for flag in option.flags}
    tokens = list(_TOKEN.finditer(line))
    values: dict[str, Any] = {}
    at = 0
    while at < len(tokens):
        word = tokens[at][0]
        if word == "--":
            return Parsed(
                values,
                unquoted(line[tokens[at].end() :]) if raw else line[tokens[at].end() :].strip(),
            )
        used = _take(tokens, at, by_flag, values)
        if used == 0:
            if (
                word.startswith("-")
                and re.match(r"--?[A-Za-z][\w-]*(=|$)", word)
                and (raw or word not in by_flag)
            ):
                hint = (
                    " To search for text that begins with a dash, put -- before it." if raw else ""
                )
                raise SearchError(
                    f"There is no option {word.partition('=')[0]!r}.{_meant(word, by_flag)}{hint}"
                )
            break
        at += used
    end = _options_at_the_end(tokens, at, by_flag, values)
    rest = line[tokens[at].start() : tokens[end - 1].end()] if at < end else ""
    return Parsed(values, unquoted(rest) if raw else rest)


def trailing_letters(line: str, query: str, options: Sequence[Option]) -> list[str]:
    """Return trailing options of one letter, perhaps text as in ``rm -f`` or ``sort -n1``."""
    by_flag = {
        flag: option for option in options for flag in option.flags if not flag.startswith("--")
    }
    words = [token[0] for token in _TOKEN.finditer(line)]
    if "--" in words or not query:
        return []
    letters = list[str]()
    while words and (
        (words[-1] in by_flag and by_flag[words[-1]].kind == "flag")
        or _is_numbered(words[-1], by_flag)
    ):
        letters.insert(0, words.pop())
    return letters


def unread_options(line: str, query: str, options: Sequence[Option]) -> list[str]:
    """Return the options inside a query, searched for as text: ``--limit=5`` or ``-iw``."""
    flags = {flag for option in options for flag in option.flags}
    words = [token[0] for token in _TOKEN.finditer(line)]

    def is_option(word: str) -> bool:
        if word.startswith("--"):
            return word.partition("=")[0] in flags
        is_cluster = re.fullmatch(r"-[A-Za-z]{2,}", word) is not None
        return is_cluster and all(f"-{letter}" in flags for letter in word[1:])

    is_literal = words.count("--") > query.split().count("--")  # the first one ended the options
    return [] if is_literal else [word for word in words if is_option(word) and word in query]


def misspelt_options(line: str, query: str, options: Sequence[Option]) -> list[str]:
    """Return the words of a query that look like misspelt options."""
    flags = [flag for option in options for flag in option.flags if flag.startswith("--")]
    words = [token[0].partition("=")[0] for token in _TOKEN.finditer(line)]
    return [
        word
        for word in words
        if re.fullmatch(r"--[a-z][\w-]+", word)
        and word not in flags
        and word in query
        and "--" not in words
        and difflib.get_close_matches(word, flags, n=1, cutoff=0.8)
    ]


def _options_at_the_end(
    tokens: list[re.Match[str]], first: int, by_flag: dict[str, Option], values: dict[str, Any]
) -> int:
    """Read the longest trailing run of options; return its start.

    After a ``--`` in the text, nothing is an option.
    """
    if any(token[0] == "--" for token in tokens[first:]):
        return len(tokens)
    for start in range(first + 1, len(tokens)):
        word = tokens[start][0]
        if word.partition("=")[0] not in by_flag and not _is_numbered(word, by_flag):
            continue
        trailing: dict[str, Any] = {}
        at = start
        try:
            if _is_numbered(word, by_flag):
                at += _take_cluster(word, by_flag, trailing)
            while at < len(tokens) and (used := _take(tokens, at, by_flag, trailing)):
                at += used
        except SearchError:
            continue
        if at == len(tokens):
            for field, value in trailing.items():
                values[field] = (
                    [*values.get(field, []), *value] if isinstance(value, list) else value
                )
            return start
    return len(tokens)


def _take(
    tokens: list[re.Match[str]], at: int, by_flag: dict[str, Option], values: dict[str, Any]
) -> int:
    """Read an option; return its number of tokens, or 0."""
    flag, equals, argument = tokens[at][0].partition("=")
    option = by_flag.get(flag)
    if option is None:
        return _take_cluster(tokens[at][0], by_flag, values) if at == 0 or values else 0
    if option.kind == "flag":
        if equals:
            raise SearchError(f"The option {flag} takes no value.")
        values[option.field] = option.const
        return 1
    if equals:
        text, used = argument, 1
    elif at + 1 < len(tokens):
        text, used = tokens[at + 1][0], 2
    else:
        raise SearchError(f"The option {flag} needs a value: {flag} {option.metavar}")
    value = convert(option, flag, unquoted(text))
    if isinstance(value, list):
        values.setdefault(option.field, []).extend(value)
    else:
        values[option.field] = value
    return used


def _take_cluster(word: str, by_flag: dict[str, Option], values: dict[str, Any]) -> int:
    """Parse ``-iw`` or ``-C3`` like rg; return 1, else 0."""
    if not re.fullmatch(r"-[A-Za-z]\S+", word):
        return 0
    cluster = dict[str, Any]()
    for position, letter in enumerate(word[1:], 2):
        option = by_flag.get(f"-{letter}")
        if option is None:
            return 0
        if option.kind == "flag":
            cluster[option.field] = option.const
            continue
        if position == len(word) or (
            option.kind in ("int", "number") and not word[position:].isdigit()
        ):
            return 0
        cluster[option.field] = convert(option, f"-{letter}", word[position:])
        break
    for field, value in cluster.items():
        values[field] = [*values.get(field, []), *value] if isinstance(value, list) else value
    return 1


def _is_numbered(word: str, by_flag: dict[str, Option]) -> bool:
    """Whether a word is a one-letter option with its number, such as ``-C3``."""
    match = re.fullmatch(r"(-[A-Za-z])\d+", word)
    option = by_flag.get(match[1]) if match else None
    return option is not None and option.kind == "int"


def _meant(word: str, by_flag: dict[str, Option]) -> str:
    """Suggest a long option; for a letter, list all options."""
    flags = [flag for flag, option in by_flag.items() if not option.is_hidden]
    return (
        did_you_mean(word, [flag for flag in flags if flag.startswith("--")])
        if word.startswith("--")
        else f" Known: {', '.join(sorted(flags))}."
    )


def convert(option: Option, flag: str, text: str) -> Any:
    """Return an option's value; commas separate lists, but not globs."""
    if option.kind == "list":
        return [part for part in text.split(",") if part]
    if option.kind == "globs":
        return [text]
    if option.kind in ("int", "number"):
        try:
            return int(text) if option.kind == "int" else float(text)
        except ValueError:
            kind = "a whole number" if option.kind == "int" else "a number"
            raise SearchError(f"The option {flag} takes {kind}, not {text!r}.") from None
    return text


def unquoted(text: str) -> str:
    """Strip one pair of surrounding quotes."""
    plain = text.strip()
    if (
        len(plain) >= 2
        and plain[0] == plain[-1]
        and plain[0] in "\"'"
        and plain[0] not in plain[1:-1]
    ):
        return plain[1:-1]
    return plain


def describe(options: Sequence[Option]) -> str:
    """Return the options as lines of a help text."""
    rows = [
        (", ".join(option.flags) + (f" {option.metavar}" if option.metavar else ""), option.help)
        for option in options
        if not option.is_hidden
    ]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)
