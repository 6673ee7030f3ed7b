"""Literal text required by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

from .expression import op, parsed
from .trigrams import NOTHING, trigram_query


class _Literal(NamedTuple):
    """Literal text required by a part of a pattern."""

    exact: bytes | None  # the whole match, if fixed
    begin: bytes
    end: bytes
    inner: bytes  # the longest anywhere in the match


class Choices(NamedTuple):
    """ASCII literals that a pattern is a choice of; lower-case if it ignores case."""

    literals: tuple[bytes, ...]  # empty for another pattern
    insensitive: bool = False
    has_folds: bool = False  # if case is ignored, some non-ASCII letters match too


NO_CHOICES = Choices(())
# ignoring case, the Kelvin sign matches k, and the long s matches s
_FOLDED = frozenset(b"ks")
MAX_CHOICES = 8  # each is looked for by itself
_ANY = _Literal(None, b"", b"", b"")
_NONE = _Literal(b"", b"", b"", b"")


@lru_cache(256)
def required_literal(pattern: str, insensitive: bool) -> bytes:
    """Return the longest text in every match; empty if unknown."""
    expression = parsed(pattern)
    if expression is None or trigram_query(pattern, True, insensitive) == NOTHING:
        return b""
    return _literal(expression, insensitive or bool(expression.state.flags & re.IGNORECASE)).inner


@lru_cache(256)
def word_literal(pattern: str) -> tuple[bytes, tuple[bool, bool]] | None:
    """Return the literal, and whether ``\\b`` precedes and follows it.

    None if the expression is anything else, or has a ``\\b`` not next to an ASCII word character.
    """
    expression = parsed(pattern)
    if expression is None or trigram_query(pattern, True, False) == NOTHING:
        return None
    items = list(expression)
    before, behind = (items[i] == (op.AT, op.AT_BOUNDARY) for i in (0, -1))
    text = items[before : len(items) - behind]
    if expression.state.flags & re.IGNORECASE or not all(kind is op.LITERAL for kind, _ in text):
        return None
    literal = "".join(chr(code) for _, code in text)
    if (
        "\n" in literal
        or (before and not is_word(literal[0]))
        or (behind and not is_word(literal[-1]))
    ):
        return None
    return literal.encode("utf-8", "replace"), (before, behind)


@lru_cache(256)
def literal_choices(pattern: str, is_regex: bool, insensitive: bool) -> Choices:
    """Return the literals that a pattern is a choice of."""
    if not is_regex:
        texts: list[str] | None = [pattern]
    else:
        expression = parsed(pattern)
        if expression is None:
            return NO_CHOICES
        insensitive = insensitive or bool(expression.state.flags & re.IGNORECASE)
        texts = _choices(expression)
    if not texts or not all(text and text.isascii() and "\n" not in text for text in texts):
        return NO_CHOICES
    own = [(text.lower() if insensitive else text).encode() for text in texts]
    has_folds = insensitive and not _FOLDED.isdisjoint(b"".join(own))
    return Choices(tuple(dict.fromkeys(own)), insensitive, has_folds)


def _choices(items: Iterable[Any]) -> list[str] | None:
    """Return every text that an expression matches; None if they are too many, or unknown."""
    texts = [""]
    for kind, value in items:
        if kind is op.LITERAL:
            own: list[str] | None = [chr(value)]
        elif kind is op.IN and all(one is op.LITERAL for one, _ in value):
            own = [chr(code) for _, code in value]
        elif kind is op.SUBPATTERN and not value[1] and not value[2]:
            own = _choices(value[3])
        elif kind is op.BRANCH:
            branches = [_choices(branch) for branch in value[1]]
            own = None if None in branches else [text for one in branches for text in one or ()]
        else:
            own = None
        if own is None or len(texts) * len(own) > MAX_CHOICES:
            return None
        texts = [text + more for text in texts for more in own]
    return texts


def is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def _literal(items: Iterable[Any], insensitive: bool) -> _Literal:
    return reduce(
        _followed, (_literal_of(kind, value, insensitive) for kind, value in items), _NONE
    )


def _literal_of(kind: Any, value: Any, insensitive: bool) -> _Literal:
    if kind is op.LITERAL:
        character = chr(value)
        if character == "\n" or (insensitive and (not character.isascii() or character.isalpha())):
            return _ANY
        text = character.encode("utf-8", "replace")
        return _Literal(text, text, text, text)
    if kind is op.SUBPATTERN:
        _, added, removed, inner = value
        return _literal(
            inner, (insensitive or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
        )
    if kind is op.BRANCH:
        branches = [_literal(branch, insensitive) for branch in value[1]]
        begin, end = (
            _common([b.begin for b in branches]),
            _common([b.end[::-1] for b in branches])[::-1],
        )
        exact = branches[0].exact if len({b.exact for b in branches}) == 1 else None
        return _Literal(exact, begin, end, max(begin, end, key=len))
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT) and value[0] > 0:
        return _literal(value[2], insensitive)._replace(exact=None)
    return _NONE if kind is op.AT else _ANY


def _common(texts: Sequence[bytes]) -> bytes:
    """Return the longest common prefix."""
    first, last = min(texts), max(texts)
    length = next(
        (i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other),
        min(len(first), len(last)),
    )
    return first[:length]


def _followed(one: _Literal, other: _Literal) -> _Literal:
    return _Literal(
        one.exact + other.exact if one.exact is not None and other.exact is not None else None,
        one.exact + other.begin if one.exact is not None else one.begin,
        one.end + other.exact if other.exact is not None else other.end,
        max(one.inner, other.inner, one.end + other.begin, key=len),
    )
