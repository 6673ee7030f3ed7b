"""Compilation of patterns for re2, or ripgrep where they differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from ..query import Case, TextQuery

if TYPE_CHECKING:
    from .literals import Choices
    from .trigrams import TrigramQuery

# re2 rejects these, or reads them differently than ripgrep's engine: they go to the rg binary
_ONLY_RG = re.compile(
    r"\\[<>QECAz]|\\b\{|\(\?[a-zA-Z]*[xRu]|\(\?[a-zA-Z]*-[a-zA-Z]*[mxRu]|\\[uU][0-9{]"
)
_UNICODE_CLASS = re.compile(r"\\[wWdDsSbB]")
_NEWLINE = re.compile(
    r"\\n|\n|\\x0[aA]|\\x\{0*[aA]\}|\\u000[aA]|\\U0000000[aA]|\\[uU]\{0*[aA]\}|\(\?[a-zA-Z]*s"
)
_NEGATED_SET = re.compile(r"\[\^\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.S)
_META = re.compile(r"[.^$*+?()\[\]|]|\{\d+(?:,\d*)?\}")
_ESCAPE = re.compile(
    r"\\(?:[pP](?:\{[^}]*\}|.)|x\{[0-9A-Fa-f]*\}|x[0-9A-Fa-f]{2}|.)"
    r"|\(\?P?<[^>]*>|\(\?[a-zA-Z-]*[:)]|\[:\^?\w+:\]",
    re.S,
)


@dataclass(frozen=True, eq=False)
class Pattern:
    """Compiled query, and texts contained in every match."""

    text: str
    is_regex: bool
    re2: Any  # None: only rg can match it
    # start and end of the first match in a part of a text; -1 if there is none
    search: Callable[[Any, int, int], tuple[int, int]] | None
    unicode: bool  # re2 is exact on ASCII text only; other text goes to rg
    multiline: bool  # a match may span lines
    insensitive: bool
    group: int = 0  # of the match proper: with word=True the pattern includes its neighbours
    literal: bytes | None = None  # the bytes to find, if the pattern is nothing more
    # whether no word character may precede, and follow, the literal
    alone: tuple[bool, bool] = (False, False)

    @cached_property
    def trigrams(self) -> TrigramQuery:
        """Return the trigrams of every match."""
        # imports numpy, not needed by a kernel without an engine
        from .trigrams import trigram_query

        return trigram_query(self.text, self.is_regex, self.insensitive)

    @cached_property
    def class_runs(self) -> tuple[int, ...]:
        """Return, for each class, the length of the longest run that every match must contain."""
        from .class_runs import class_runs

        return class_runs(self.text, self.is_regex, self.insensitive)

    @cached_property
    def required(self) -> bytes:
        """Return a regular expression's required text; empty if none."""
        from .literals import required_literal

        return required_literal(self.text, self.insensitive) if self.is_regex else b""

    @cached_property
    def choices(self) -> Choices:
        """Return the literals that the pattern is a choice of; none for another pattern."""
        from .literals import NO_CHOICES, literal_choices

        if self.group or any(self.alone):  # whole words
            return NO_CHOICES
        return literal_choices(self.text, self.is_regex, self.insensitive)


def compile_pattern(query: TextQuery) -> Pattern:
    """Compile a query, caching the pattern.

    A pattern rejected by re2 goes to rg, and the user gets rg's error message.
    """
    # the cache's key is what decides, not the limits and the scope
    return _compiled(query.pattern, query.regex, query.case, query.word)


@lru_cache(64)
def _compiled(pattern: str, regex: bool, case: Case, word: bool) -> Pattern:
    import re2

    query = TextQuery(pattern, regex=regex, case=case, word=word)

    text = query.pattern, query.regex

    insensitive = query.case == "insensitive" or (
        query.case == "smart" and is_lower(query.pattern, query.regex)
    )
    source = query.pattern if query.regex else re2.escape(query.pattern)
    multiline = _spans_lines(query.pattern) if query.regex else "\n" in query.pattern
    unicode = query.word or (query.regex and _UNICODE_CLASS.search(query.pattern) is not None)
    if query.regex and (
        _ONLY_RG.search(_without_escaped_backslashes(query.pattern))
        or _has_class_operation(query.pattern)
        or _has_odd_brace(query.pattern)
    ):
        return Pattern(*text, None, None, True, multiline, insensitive)
    if query.word:
        source = rf"(?:^|\W)({source})(?:$|\W)"
    options = re2.Options()
    options.log_errors = False
    options.never_nl = not multiline
    options.case_sensitive = not insensitive
    options.never_capture = not query.word
    options.max_mem = 128 << 20
    try:
        compiled = re2.compile(f"(?m){source}", options)
    except re2.error:
        return Pattern(*text, None, None, True, multiline, insensitive)
    literal = None if multiline else _literal(query, insensitive)
    return Pattern(
        *text,
        compiled,
        _search_of(compiled, int(query.word)),
        unicode,
        multiline,
        insensitive,
        1 if query.word else 0,
        *literal or (None,),
    )


def _literal(query: TextQuery, insensitive: bool) -> tuple[bytes, tuple[bool, bool]] | None:
    """Return the query's literal and word boundaries, if nothing more."""
    if query.regex:
        # imports numpy, not needed by a kernel without an engine
        from .literals import word_literal

        return None if insensitive or query.word else word_literal(query.pattern)
    caseless = query.pattern.isascii() and query.pattern.upper() == query.pattern.lower()
    return (
        (query.pattern.encode("utf-8", "replace"), (query.word, query.word))
        if caseless or not insensitive
        else None
    )


def _search_of(compiled: Any, group: int) -> Callable[[Any, int, int], tuple[int, int]]:
    """Return re2's search, bypassing its wrapper.

    The wrapper's match objects are half the cost of a short line.
    """
    import re2

    try:
        match, anchor = compiled._regexp.Match, re2._Anchor.UNANCHORED
        match(anchor, b"", 0, 0)[group]
    except (AttributeError, TypeError, IndexError):  # a wrapper with other internals

        def search(text: Any, begin: int, end: int) -> tuple[int, int]:
            result = compiled.search(text, begin, end)
            return (-1, -1) if result is None else result.span(group)

        return search
    return lambda text, begin, end: match(anchor, text, begin, end)[group]


def is_lower(pattern: str, regex: bool) -> bool:
    """Whether ripgrep's smart case ignores the case of a pattern.

    It does if the pattern has literal characters, none of them upper case.
    """
    literals = _META.sub("", _ESCAPE.sub(_escaped_character, pattern)) if regex else pattern
    return bool(literals) and not any(c.isupper() for c in literals)


def _escaped_character(match: re.Match[str]) -> str:
    """Return the escaped character, or ``_`` for one without case.

    Empty for a class, an assertion or a group's opening.
    """
    escape = match[0]
    if escape.startswith("\\x"):
        try:
            return chr(int(escape[2:].strip("{}") or "0", 16))
        except (ValueError, OverflowError):  # not a character: compiling reports it
            return "_"
    return "_" if escape[0] == "\\" and not escape[1].isalnum() else ""


def _spans_lines(pattern: str) -> bool:
    """Whether an expression explicitly matches newlines, outside of negated sets."""
    return _NEWLINE.search(_NEGATED_SET.sub("", _without_escaped_backslashes(pattern))) is not None


def _without_escaped_backslashes(pattern: str) -> str:
    return pattern.replace("\\\\", "")


def _has_class_operation(pattern: str) -> bool:
    """Whether a set contains a set, ``&&``, ``--`` or ``~~``.

    Only ripgrep's engine reads these.
    """
    plain = re.sub(r"\\.", "xx", pattern, flags=re.S)
    for match in re.finditer(r"\[\^?\]?(?:\[:\^?\w+:\]|[^\]])*\]", plain):
        inside = re.sub(r"\[:\^?\w+:\]", "", match[0])[1:]
        if "[" in inside or any(operator in inside for operator in ("&&", "--", "~~")):
            return True
    return False


def _has_odd_brace(pattern: str) -> bool:
    """Whether a brace opens no repetition, which only re2 accepts."""
    plain = re.sub(r"\\(?:[pPx]\{[^}]*\}|.)", "xx", pattern, flags=re.S)
    return (
        re.search(r"\{(?!\d+(?:,\d*)?\})", re.sub(r"\[\^?\]?(?:\[:\^?\w+:\]|[^\]])*\]", "x", plain))
        is not None
    )
