"""Options of all interfaces: parsed by magics, declared by commands, listed by completion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from ..errors import SearchError, did_you_mean


class Option(NamedTuple):
    flags: tuple[str, ...]
    field: str  # of the request or scope it fills
    kind: Literal["list", "globs", "int", "number", "text", "flag"]
    help: str
    const: object = True  # the value that a flag sets
    metavar: str = ""
    hidden: bool = False  # accepted but undocumented


SCOPE_OPTIONS = (
    Option(("--repo", "-r"), "repos", "list", "only these repositories", metavar="NAME"),
    Option(("--lang", "-l"), "languages", "list", "only these languages", metavar="LANGUAGE"),
    Option(
        ("--include", "-g"),
        "include_globs",
        "globs",
        "only paths that match, as in a .gitignore",
        metavar="GLOB",
    ),
    Option(("--exclude", "-x"), "exclude_globs", "globs", "no paths that match", metavar="GLOB"),
    Option(
        ("--kind", "-k"),
        "kinds",
        "list",
        "only function, class, method, module, cell, markdown or text",
        metavar="KIND",
    ),
    # only one revision exists so far
    Option(
        ("--revision",), "revisions", "list", "only these revisions", metavar="NAME", hidden=True
    ),
)
LIMIT = Option(("--limit", "-n"), "limit", "int", "maximum results; 0 for all", metavar="N")
DEADLINE = Option(
    ("--deadline",),
    "deadline",
    "number",
    "give what was found after so many seconds",
    metavar="SECONDS",
)
OUT = Option(("--out", "-o"), "out", "text", "keep the results in this variable", metavar="NAME")
TEXT_OPTIONS = (
    Option(("--regex", "-e"), "regex", "flag", "the pattern is a regular expression"),
    Option(("--word", "-w"), "word", "flag", "only whole words"),
    Option(
        ("--ignore-case", "-i"), "case", "flag", "upper and lower case are the same", "insensitive"
    ),
    Option(
        ("--case-sensitive", "-s"),
        "case",
        "flag",
        "upper and lower case differ; by default they do when the pattern has upper case",
        "sensitive",
    ),
    Option(("--context", "-C"), "context", "int", "lines shown around a match", metavar="N"),
    Option(("--files", "-f"), "show", "flag", "only the files, each with its first line", "files"),
    Option(
        ("--count", "-c"),
        "show",
        "flag",
        "only the files, each with the number of its lines",
        "counts",
    ),
    Option(("--per-file",), "per_file", "int", "most lines of one file", metavar="N"),
    Option(("--rank",), "rank", "flag", "definitions and files with many matches first"),
    Option(
        ("--no-ignore",),
        "no_ignore",
        "flag",
        "search what ignore files leave out too, and folders of tools and environments",
    ),
    LIMIT,
    DEADLINE,
)
SEMANTIC_OPTIONS = (
    Option(("--mode", "-m"), "mode", "text", "hybrid, dense or lexical", metavar="MODE"),
    LIMIT,
    DEADLINE,
)
PATH_OPTIONS = (LIMIT,)
SYMBOL_OPTIONS = (LIMIT, DEADLINE)
SQL_OPTIONS = (DEADLINE,)

# a quote opens at the start of a word, or behind the = of an option, and closes at the end of a
# word: an apostrophe does neither
_TOKEN = re.compile(r"""(?:--?[\w-]+=)?(?:"[^"]*"|'[^']*')(?!\S)|\S+""")


class Parsed(NamedTuple):
    values: dict[str, Any]
    rest: str  # the text without the options, as typed


def parse_line(line: str, options: Sequence[Option], raw: bool = False) -> Parsed:
    """Parse the options at both ends of a line; the text between them stays unchanged.

    With ``raw`` the rest is a query: an unknown ``--word`` at its start is an error, ``--`` ends
    the options, and one pair of quotes around all of it is removed. Without it, options may be
    anywhere.
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
                _unquoted(line[tokens[at].end() :]) if raw else line[tokens[at].end() :].strip(),
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
    return Parsed(values, _unquoted(rest) if raw else rest)


def trailing_letters(line: str, query: str, options: Sequence[Option]) -> list[str]:
    """Return single-letter options at the end of a line; in ``rm -f`` they may be text."""
    by_flag = {
        flag: option for option in options for flag in option.flags if not flag.startswith("--")
    }
    words = [token[0] for token in _TOKEN.finditer(line)]
    if "--" in words or not query:
        return []
    letters = list[str]()
    while words and words[-1] in by_flag and by_flag[words[-1]].kind == "flag":
        letters.insert(0, words.pop())
    return letters


def unread_options(line: str, query: str, options: Sequence[Option]) -> list[str]:
    """Return the options inside a query, which are searched for as text."""
    flags = {flag for option in options for flag in option.flags if flag.startswith("--")}
    words = [token[0] for token in _TOKEN.finditer(line)]
    return (
        []
        if "--" in words
        else [word for word in words if word.partition("=")[0] in flags and word in query]
    )


def _options_at_the_end(
    tokens: list[re.Match[str]], first: int, by_flag: dict[str, Option], values: dict[str, Any]
) -> int:
    """Read the longest run of options at the end; return its first position."""
    for start in range(first + 1, len(tokens)):
        if tokens[start][0].partition("=")[0] not in by_flag:
            continue
        trailing: dict[str, Any] = {}
        at = start
        try:
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
    """Read the option at a position into ``values``; return its number of tokens, 0 for none."""
    flag, equals, argument = tokens[at][0].partition("=")
    option = by_flag.get(flag)
    if option is None:
        return _take_cluster(tokens[at][0], by_flag, values) if at == 0 or values else 0
    if option.kind == "flag":
        values[option.field] = option.const
        return 1
    if equals:
        text, used = argument, 1
    elif at + 1 < len(tokens):
        text, used = tokens[at + 1][0], 2
    else:
        raise SearchError(f"The option {flag} needs a value: {flag} {option.metavar}")
    value = convert(option, flag, _unquoted(text))
    if isinstance(value, list):
        values.setdefault(option.field, []).extend(value)
    else:
        values[option.field] = value
    return used


def _take_cluster(word: str, by_flag: dict[str, Option], values: dict[str, Any]) -> int:
    """Parse ``-iw`` or ``-C3`` into ``values``, like rg; return 1, or 0 for an unknown letter."""
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


def _meant(word: str, by_flag: dict[str, Option]) -> str:
    """Suggest an option for an unknown long one; list the options for an unknown letter."""
    flags = [flag for flag, option in by_flag.items() if not option.hidden]
    return (
        did_you_mean(word, [flag for flag in flags if flag.startswith("--")])
        if word.startswith("--")
        else f" Known: {', '.join(sorted(flags))}."
    )


def convert(option: Option, flag: str, text: str) -> Any:
    """Return an option's value from its text; commas separate lists, but not globs."""
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


def _unquoted(text: str) -> str:
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
        if not option.hidden
    ]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)
