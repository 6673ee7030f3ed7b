"""Folding of near copies and overloads into one hit.

Readers want each answer once. Only texts with the same names and similar lengths are compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...index.shard.shard import Shard
from .candidates import Found, Place

LEAST_ALIKE = 0.9  # least similarity of near copies (normalized Indel)
# of texts without a name, such as heads of files: equal licences do not make equal files
LEAST_ALIKE_UNNAMED = 0.98
LIKE_LENGTH = 0.75  # least ratio of the lengths of near copies
MAX_BYTES = 4  # of a character in UTF-8


_ASSIGNMENT = re.compile(r"\s*(?:(?:export|const|let|var)\s+)*[\w.$]+\s*(?::[^=]*)?=[^=>]")


class Fold(NamedTuple):
    """A hit: positions of the chunk shown, of the chunk that was scored, and of the others."""

    shown: int
    scored: int
    also: list[int]


class Piece(NamedTuple):
    """A ranked chunk, with its file and names."""

    place: Place
    file: int  # equal for the places of one file
    names: tuple[str, ...]  # of the definitions that begin in it, or its heading
    is_defining: bool  # whether any definition begins in it


def fold(found: list[Found], pieces: Sequence[Piece], limit: int) -> list[Fold]:
    """Return the first ``limit`` hits of the pieces, which are in order of rank.

    What a hit contains does not depend on the limit.
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
    """Texts of the pieces, read when first compared."""

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
        """Return the pieces with the same names and nearly the same text, including this one."""
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
        """Return pieces of the same file whose names are a subset or a superset of this one's."""
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
        """Whether a piece only declares its names, without a body."""
        at, chunk = self._pieces[position].place
        shard = self._shards[at]
        (first,), (count,) = shard.definitions_in(np.array([chunk]))
        return all(_is_stub(shard, number) for number in range(first, first + count))

    def _digest(self, position: int) -> int:
        """Return the digest of a piece's path and text."""
        at, chunk = self._pieces[position].place
        return int(self._shards[at].inputs.digests[chunk])

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
    """Whether a definition has no body: ``def f(x: int) -> str: ...``, or it ends with ``;``."""
    file = int(shard.symbol_file[number])
    last = _line(shard, file, int(shard.symbol_end_line[number])).rstrip()
    if last.endswith("..."):
        return True
    first = _line(shard, file, int(shard.symbol_line[number]))
    return last.endswith(";") and not last.endswith("};") and not _ASSIGNMENT.match(first)


def _line(shard: Shard, file: int, line: int) -> str:
    chunk = shard.chunk_at(file, line)  # a definition may end in a later one
    return shard.text(chunk).split("\n")[line - int(shard.chunk_line[chunk])]
