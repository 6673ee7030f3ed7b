"""Folding of near copies, and of a function's overloads, into the best of them.

A reader wants each answer once. Copies are told by their text; equal names and like lengths choose
the few texts to compare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...index.shard.shard import Shard
from .candidates import Found, Place

LEAST_ALIKE = 0.9  # similarity of two near copies: characters in common, in the same order
# of two without a name, such as the heads of files: a licence and imports are no answer
LEAST_ALIKE_UNNAMED = 0.98
LIKE_LENGTH = 0.75  # least ratio of the lengths of two texts that are compared
MAX_BYTES = 4  # of a character in UTF-8


_ASSIGNMENT = re.compile(r"\s*(?:(?:export|const|let|var)\s+)*[\w.$]+\s*(?::[^=]*)?=[^=>]")


class Fold(NamedTuple):
    """A hit to show: the positions of its chunk, of the one that gives its score, and of others."""

    shown: int
    scored: int
    also: list[int]


class Piece(NamedTuple):
    """A place with what folding needs of it."""

    place: Place
    file: int  # equal for the places of one file
    names: tuple[str, ...]  # of the definitions that begin in it, or its heading
    is_defining: bool  # whether any definition begins in it


def fold(found: list[Found], pieces: Sequence[Piece], limit: int) -> list[Fold]:
    """Return the first ``limit`` of the pieces, in their order, with those like them folded in.

    What is folded into a piece does not depend on the limit.
    """
    texts = _Texts(found, pieces)
    taken = set[int]()
    folds = list[Fold]()
    for position in range(len(pieces)):
        if len(folds) == limit:
            break
        if position in taken:
            continue
        copies = texts.copies_of(position)
        also = [other for other in copies if other > position and other not in taken]
        taken.update(also)
        shown = position
        for other in texts.overloads_of(position):
            if other <= position or other in taken:
                continue
            if texts.is_stub(shown):
                also.append(shown)
                shown = other
            elif texts.is_stub(other):
                also.append(other)
            else:
                continue
            taken.add(other)
        folds.append(Fold(shown, position, sorted(also)))
    return folds


class _Texts:
    """Texts of places, read at the first comparison."""

    def __init__(self, found: list[Found], pieces: Sequence[Piece]) -> None:
        self._shards = [one.part.shard for one in found]
        self._pieces = pieces
        self._texts = dict[int, str]()
        self._ratio = _ratio()
        self._of_names = dict[tuple[str, ...], list[int]]()
        self._in_file = dict[int, list[int]]()  # pieces that define something
        for position, piece in enumerate(pieces):
            self._of_names.setdefault(piece.names, []).append(position)
            if piece.is_defining:
                self._in_file.setdefault(piece.file, []).append(position)

    def copies_of(self, position: int) -> list[int]:
        """Return the places with the same names and almost the same text, this one included."""
        names = self._pieces[position].names
        group = self._of_names[names]
        if len(group) < 2:
            return group
        own, digest = self._text(position), self._digest(position)
        least = LEAST_ALIKE if any(names) else LEAST_ALIKE_UNNAMED
        return [
            other
            for other in group
            if self._digest(other) == digest or self._is_like(own, other, least)
        ]

    def overloads_of(self, position: int) -> list[int]:
        """Return the places of the same file that define names of this one alone, or all of them.

        This one is included.
        """
        piece = self._pieces[position]
        siblings = self._in_file.get(piece.file, [])
        if len(siblings) < 2 or not piece.is_defining:
            return []
        own = {*piece.names}
        return [
            other
            for other in siblings
            if own.issuperset(self._pieces[other].names) or own.issubset(self._pieces[other].names)
        ]

    def is_stub(self, position: int) -> bool:
        """Whether a place only declares what it names, without a body."""
        at, chunk = self._pieces[position].place
        shard = self._shards[at]
        (first,), (count,) = shard.definitions_in(np.array([chunk]))
        return all(_is_stub(shard, number) for number in range(first, first + count))

    def _digest(self, position: int) -> int:
        """Return the digest of path and text: equal ones need not be read."""
        at, chunk = self._pieces[position].place
        return int(self._shards[at].chunk_input[chunk])

    def _is_like(self, text: str, position: int, least: float) -> bool:
        at, chunk = self._pieces[position].place
        starts = self._shards[at].chunk_start
        size = int(starts[chunk + 1]) - int(starts[chunk])
        if not LIKE_LENGTH * len(text) <= size <= MAX_BYTES * len(text) / LIKE_LENGTH:
            return False
        other = self._text(position)
        return text == other or self._ratio(text, other, score_cutoff=least) > 0

    def _text(self, position: int) -> str:
        if position not in self._texts:
            at, chunk = self._pieces[position].place
            self._texts[position] = self._shards[at].text(chunk)
        return self._texts[position]


def _ratio() -> Any:
    """Import rapidfuzz at its first use."""
    from rapidfuzz.distance import Indel

    return Indel.normalized_similarity


def _is_stub(shard: Shard, number: int) -> bool:
    """Whether a definition ends like a declaration: ``def f(x: int) -> str: ...`` or with ``;``."""
    file = int(shard.symbol_file[number])
    last = _line(shard, file, int(shard.symbol_end_line[number])).rstrip()
    if last.endswith("..."):
        return True
    first = _line(shard, file, int(shard.symbol_line[number]))
    return last.endswith(";") and not last.endswith("};") and not _ASSIGNMENT.match(first)


def _line(shard: Shard, file: int, line: int) -> str:
    chunk = shard.chunk_at(file, line)  # a definition may end in a later one
    return shard.text(chunk).split("\n")[line - int(shard.chunk_line[chunk])]
