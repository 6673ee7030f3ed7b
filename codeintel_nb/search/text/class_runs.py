"""Runs of a character class that every match of a pattern contains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np

from ...index.shard.postings import Blocks, Postings
from ...index.shard.runs import CLASSES, MAX_RUN
from .expression import op, parsed

MAX_COPIES = 8  # of a repeated part that are analysed
MIN_RUN = 3  # shorter ones are in almost every block
_SETS = [frozenset(map(ord, members)) for members in CLASSES]
_DIGITS, _HEX, _WORD = 0, 1, 4  # classes with digits
_ONE_CASE = (2, 3)
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")


class _Part(NamedTuple):
    """Runs of one class in every match of a part of a pattern."""

    first: int  # at its beginning
    longest: int
    last: int  # at its end
    length: int  # least number of characters
    is_whole: bool  # all of any match is of the class


_EMPTY = _Part(0, 0, 0, 0, True)
_OTHER = _Part(0, 0, 0, 0, False)  # any text
_MEMBER = _Part(1, 1, 1, 1, True)


@lru_cache(256)
def class_runs(pattern: str, regex: bool, insensitive: bool) -> tuple[int, ...]:
    """Return, for each class, the length of the longest run that every match must contain."""
    if not regex or (expression := parsed(pattern)) is None:
        return (0,) * len(CLASSES)
    one_case = () if insensitive or _IGNORES_CASE.search(pattern) else _ONE_CASE
    return tuple(
        min(_sequence(expression, number).longest, MAX_RUN)
        if number in one_case or number not in _ONE_CASE
        else 0
        for number in range(len(CLASSES))
    )


def _sequence(items: Iterable[Any], number: int) -> _Part:
    return reduce(_join, (_item(kind, value, number) for kind, value in items), _EMPTY)


def _item(kind: Any, value: Any, number: int) -> _Part:
    if kind is op.LITERAL:
        return _MEMBER if _is_member(value, number) else _OTHER
    if kind is op.IN:
        return _MEMBER if _is_within(value, number) else _OTHER
    if kind is op.SUBPATTERN:
        return _sequence(value[3], number)
    if kind is op.BRANCH:
        return _branches([_sequence(branch, number) for branch in value[1]])
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        return _repeat(int(value[0]), _sequence(value[2], number))
    return _EMPTY if kind is op.AT else _OTHER


def _is_member(code: int, number: int) -> bool:
    return code > 127 or code in _SETS[number]


def _is_within(items: Sequence[Any], number: int) -> bool:
    """Whether all characters of a set are of the class."""
    for kind, value in items:
        if kind is op.LITERAL:
            inside = _is_member(value, number)
        elif kind is op.RANGE:
            inside = all(
                _is_member(code, number) for code in range(value[0], min(value[1], 128) + 1)
            )
        elif kind is op.CATEGORY:
            inside = (
                number in (_DIGITS, _HEX, _WORD)
                if value is op.CATEGORY_DIGIT
                else value is op.CATEGORY_WORD and number == _WORD
            )
        else:
            inside = False
        if not inside:
            return False
    return True


def _join(left: _Part, right: _Part) -> _Part:
    return _Part(
        left.length + right.first if left.is_whole else left.first,
        max(left.longest, right.longest, left.last + right.first),
        right.length + left.last if right.is_whole else right.last,
        left.length + right.length,
        left.is_whole and right.is_whole,
    )


def _branches(parts: Sequence[_Part]) -> _Part:
    first, longest, last, length = (min(values) for values in list(zip(*parts, strict=True))[:4])
    return _Part(first, longest, last, length, all(part.is_whole for part in parts))


def _repeat(least: int, part: _Part) -> _Part:
    if part.is_whole:
        length = min(least * part.length, MAX_RUN)
        return _Part(length, length, length, length, True)
    return reduce(_join, [part] * min(least, MAX_COPIES), _EMPTY) if least else _OTHER


def blocks_with_runs(
    runs: Sequence[int], postings: Postings, blocks: Blocks | None
) -> Blocks | None:
    """Return the blocks whose runs are long enough; None for all."""
    if postings.runs is None or max(runs) < MIN_RUN:
        return blocks
    required = np.array(runs, np.uint8)
    of_blocks = postings.runs if blocks is None else postings.runs[blocks]
    may = (of_blocks >= required).all(axis=1)
    return np.flatnonzero(may) if blocks is None else blocks[may]
