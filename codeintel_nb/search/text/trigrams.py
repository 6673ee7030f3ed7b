"""Trigrams and joints required by a pattern, as a tree.

Any text it matches contains them.

References
----------
Cox, "Regular Expression Matching with a Trigram Index", 2012.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...index.shard.postings import (
    AS_LETTERS,
    Blocks,
    Postings,
    code_of,
    fold,
    joint_of,
    text_of,
    with_letters,
)
from .expression import op, parsed

MAX_STRINGS = 24  # enumerated for a part of a pattern before they are cut short
MAX_CLASS = 6  # enumerated characters of a set
MAX_LENGTH = 64  # bytes of an enumerated string before it is cut
# cost of reading a list, of each byte of it, and of querying a list stored as bits
READ_US, BYTE_US, BITS_US = 10.0, 0.007, 5.0
# saved by a list for each candidate block: it drops some, and searching each costs 3 to 20
SPARED_US = 2.0


Mask = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.uint64]


class TrigramQuery(NamedTuple):
    """Requirement of all trigrams, joints and parts, or any part."""

    trigrams: frozenset[int] = frozenset()
    parts: tuple[TrigramQuery, ...] = ()
    any_of: bool = False


NOTHING = TrigramQuery()  # every text may match


class _Part(NamedTuple):
    """Pattern part: requirement, and possible endings since the last gap."""

    need: TrigramQuery
    tail: frozenset[bytes]
    whole: bool  # the tail is the whole part


_EMPTY = _Part(NOTHING, frozenset([b""]), True)
_GAP = _Part(NOTHING, frozenset([b""]), False)  # any text


@lru_cache(256)
def trigram_query(pattern: str, regex: bool, insensitive: bool) -> TrigramQuery:
    """Return the trigrams required by a pattern.

    NOTHING if there are none, or if ripgrep may read the pattern differently.
    """
    if not regex:
        return _finished(
            reduce(
                _joined, (_character(ord(character), insensitive) for character in pattern), _EMPTY
            )
        )
    if (expression := parsed(pattern)) is None:
        return NOTHING
    return _finished(
        _sequence(expression, insensitive or bool(expression.state.flags & re.IGNORECASE))
    )


def _sequence(items: Iterable[Any], insensitive: bool) -> _Part:
    return reduce(_joined, (_item(kind, value, insensitive) for kind, value in items), _EMPTY)


def _item(kind: Any, value: Any, insensitive: bool) -> _Part:
    if kind is op.LITERAL:
        return _character(value, insensitive)
    if kind is op.IN:
        return _set(value, insensitive)
    if kind is op.SUBPATTERN:
        _, added, removed, inner = value
        return _sequence(
            inner, (insensitive or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
        )
    if kind is op.BRANCH:
        return _branches([_sequence(branch, insensitive) for branch in value[1]])
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        return _repeated(value[0], value[1], value[2], insensitive)
    return _EMPTY if kind is op.AT else _GAP  # any character, a negated one, Python's own syntax


def _character(code: int, insensitive: bool) -> _Part:
    if code == 10 or (code > 127 and insensitive) or chr(code) in AS_LETTERS:
        # no trigram spans a line; case beyond ASCII, and characters also indexed as letters, are
        # left to the verifier
        return _GAP
    return _Part(NOTHING, frozenset([fold(chr(code).encode("utf-8", "replace"))]), True)


def _set(items: Sequence[Any], insensitive: bool) -> _Part:
    codes: set[int] = set()
    for kind, value in items:
        if kind is op.LITERAL:
            codes.add(value)
        elif kind is op.RANGE and value[1] - value[0] < MAX_CLASS:
            codes.update(range(value[0], value[1] + 1))
        else:
            return _GAP
    return (
        _branches([_character(code, insensitive) for code in codes])
        if 0 < len(codes) <= MAX_CLASS
        else _GAP
    )


def _branches(parts: Sequence[_Part]) -> _Part:
    strings: frozenset[bytes] = frozenset().union(*(part.tail for part in parts))
    if all(part.whole and part.need == NOTHING for part in parts) and len(strings) <= MAX_STRINGS:
        return _Part(NOTHING, strings, True)
    return _Part(_any([_finished(part) for part in parts]), _GAP.tail, False)


def _repeated(least: int, most: Any, inner: Any, insensitive: bool) -> _Part:
    part = _sequence(inner, insensitive)
    if least == 0:
        return (
            _branches([part, _EMPTY]) if most == 1 and part.whole and part.need == NOTHING else _GAP
        )
    repeated = reduce(_joined, [part] * min(int(least), 8))
    return repeated if least == most and least <= 8 else _joined(repeated, _GAP)


def _joined(left: _Part, right: _Part) -> _Part:
    if not right.whole:
        return _Part(_all([_finished(left), right.need]), right.tail, False)
    need = _all([left.need, right.need])
    if len(left.tail) * len(right.tail) > MAX_STRINGS:
        return _Part(_all([need, _strings(left.tail)]), right.tail, False)
    strings = frozenset(a + b for a, b in product(left.tail, right.tail))
    if any(len(text) > MAX_LENGTH for text in strings):
        return _Part(
            _all([need, _strings(strings)]), frozenset(text[-2:] for text in strings), False
        )
    return _Part(need, strings, left.whole)


def _finished(part: _Part) -> TrigramQuery:
    """Return the requirement of a part followed by unknown text."""
    return _all([part.need, _strings(part.tail)])


def _strings(texts: Iterable[bytes]) -> TrigramQuery:
    return _any([_of_string(text) for text in texts])


def _of_string(text: bytes) -> TrigramQuery:
    trigrams = {
        code_of(text[i : i + 3]) for i in range(len(text) - 2) if b"\n" not in text[i : i + 3]
    }
    joints = [joint_of(text[i : i + 5]) for i in range(len(text) - 4)]
    return TrigramQuery(frozenset([*trigrams, *(joint for joint in joints if joint is not None)]))


def _all(needs: Sequence[TrigramQuery]) -> TrigramQuery:
    trigrams: frozenset[int] = frozenset().union(
        *(need.trigrams for need in needs if not need.any_of)
    )
    parts = tuple(
        dict.fromkeys(part for need in needs for part in ([need] if need.any_of else need.parts))
    )
    return parts[0] if len(parts) == 1 and not trigrams else TrigramQuery(trigrams, parts)


def _any(needs: Sequence[TrigramQuery]) -> TrigramQuery:
    distinct = tuple(dict.fromkeys(needs))
    if not distinct or NOTHING in distinct:
        return NOTHING
    return distinct[0] if len(distinct) == 1 else TrigramQuery(frozenset(), distinct, True)


def candidate_blocks(need: TrigramQuery, postings: Postings) -> Blocks | None:
    """Return the blocks with possible matches, ascending; None for all."""
    if need == NOTHING:
        return None
    if need.any_of:
        alternatives = [candidate_blocks(part, postings) for part in need.parts]
        block_lists = [blocks for blocks in alternatives if blocks is not None]
        return (
            None if len(block_lists) < len(alternatives) else np.unique(np.concatenate(block_lists))
        )
    positions = postings.find(_codes(need.trigrams))
    if positions is None:
        return np.zeros(0, np.int64)
    candidates: Blocks | None = None
    for size, position in positions:
        if candidates is None:
            candidates = postings.read(position)
        elif (BITS_US if postings.is_bits(position) else READ_US + size * BYTE_US) > len(
            candidates
        ) * SPARED_US:
            break  # searching the blocks costs less than reading the list to drop some
        else:
            candidates = postings.among(position, candidates)
    for part in need.parts:
        if candidates is not None and len(candidates) * SPARED_US < READ_US:
            return candidates
        more = candidate_blocks(part, postings)
        if more is not None:
            candidates = (
                more
                if candidates is None
                else candidates[np.isin(candidates, more, assume_unique=True)]
            )
    return candidates


def may_match(need: TrigramQuery, text: bytes) -> bool:
    """Whether a text meets the requirement of a pattern."""
    return _held(need, fold(text) if text.isascii() else fold(text + b"\n" + with_letters(text)))


def _held(need: TrigramQuery, folded: bytes) -> bool:
    if need.any_of:
        return any(_held(part, folded) for part in need.parts)
    return all(text_of(code) in folded for code in need.trigrams) and all(
        _held(part, folded) for part in need.parts
    )


def candidate_files(need: TrigramQuery, postings: Postings, file_start: Offsets) -> Mask | None:
    """Return a mask of possibly matching files; None for all.

    The pattern is multiline: its trigrams may be in several blocks.
    """
    if need == NOTHING:
        return None
    if need.any_of:
        alternatives = [candidate_files(part, postings, file_start) for part in need.parts]
        file_masks = [files for files in alternatives if files is not None]
        return None if len(file_masks) < len(alternatives) else np.logical_or.reduce(file_masks)
    positions = postings.find(_codes(need.trigrams))
    if positions is None:
        return np.zeros(len(file_start) - 1, bool)
    parts = [candidate_files(part, postings, file_start) for part in need.parts]
    masks = [
        *(_files_of(postings.read(position), postings, file_start) for _, position in positions),
        *(files for files in parts if files is not None),
    ]
    return np.logical_and.reduce(masks) if masks else None


def _files_of(blocks: Blocks, postings: Postings, file_start: Offsets) -> Mask:
    """Return the mask of files that overlap the blocks."""
    first = np.searchsorted(file_start, postings.starts[blocks], "right") - 1
    behind = np.searchsorted(file_start, postings.starts[blocks + 1], "left")
    count = len(file_start)
    files: Mask = (
        np.cumsum(np.bincount(first, minlength=count) - np.bincount(behind, minlength=count))[
            : count - 1
        ]
        > 0
    )
    return files


@lru_cache(256)
def _codes(trigrams: frozenset[int]) -> npt.NDArray[np.uint32]:
    return np.array(sorted(trigrams), np.uint32)
