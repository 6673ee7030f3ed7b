"""Explanation of a rank: the contributions that made up the score, in words."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ...embedding.words import WORD, terms_of
from ..why import Part, Why, ordinal
from .features import FEATURES
from .model import STEP
from .order import FURTHER_PIECE, Ranking
from .pool import Floats
from .roles import ROLES

_ROLES = {role.name for role in ROLES}


def why(ranking: Ranking, chunk: int, text: str) -> Why:
    """Return the parts of a chunk's score; their sum gives the score back exactly.

    ``text`` is the chunk's: an explanation names the words of the query that it holds.
    """
    pool = ranking.described.pool
    file = int(pool.file[chunk])
    steps = Counter[str]()
    for one, value in zip(FEATURES.values(), ranking.contributions[file].tolist(), strict=True):
        steps[one.part] += value
    intent = ranking.described.question.intent
    rule = "overview" if intent.is_overview else "notebook" if intent.wants_notebook else ""
    steps[rule or "definition"] += int(ranking.rules[file])
    steps["further piece"] -= FURTHER_PIECE * int(ranking.pieces[chunk])
    details = _Details(ranking, chunk, text)
    parts = [Part(name, value / STEP, details.of(name)) for name, value in steps.items() if value]
    return Why(tuple(sorted(parts, key=lambda part: -abs(part.value))))


class _Details:
    """What each part of a chunk's score comes from, in words."""

    def __init__(self, ranking: Ranking, chunk: int, text: str) -> None:
        self._ranking, self._described, self._text = ranking, ranking.described, text
        self._pool = self._described.pool
        self._chunk, self._position = chunk, int(self._pool.file[chunk])
        self._file = self._pool.files[self._position]
        self._siblings = np.flatnonzero(self._pool.file == self._position).tolist()

    def of(self, part: str) -> str:
        if part in _ROLES:
            return f"the path says {part}"
        detail: str = getattr(self, part.replace(" ", "_"))()
        return detail

    def words(self) -> str:
        intent = self._described.question.intent
        terms = {term for word in WORD.findall(self._text) for term in terms_of(word)}
        inside = [
            spelled
            for word, spelled in zip(intent.words, intent.spelled, strict=True)
            if word in terms
        ]
        return f"{self._rank(self._described.lexical)} by words{_listed(inside)}"

    def meaning(self) -> str:
        cosine = self._described.dense[self._position]
        return f"{self._rank(self._described.dense)} by meaning: cosine {cosine:.2f}"

    def path(self) -> str:
        bits = self._described.match.bits_of(self._file.path)
        spelled = self._described.question.intent.spelled
        inside = [word for bit, word in enumerate(spelled) if bits >> bit & 1]
        return f"words of the query in the path{_listed(inside)}"

    def name(self) -> str:
        names = {name for at in self._siblings for name in self._pool.names[at]}
        best = max(sorted(names), key=self._described.match.name)
        return f"nearest name: {best}" if best else "no name"

    def definition(self) -> str:
        defines = self._pool.defines
        names = {defines[at].name for at in self._siblings if at in defines}
        return f"defines {', '.join(sorted(names))}"

    def overview(self) -> str:
        return "says what the repository is about"

    def notebook(self) -> str:
        return "is a notebook"

    def file(self) -> str:
        file = self._file
        kinds = [*["generated"] * file.is_generated, *["re-exports"] * file.is_reexport]
        counts = [_plural(file.chunks, "chunk"), _plural(file.symbols, "definition")]
        return ", ".join([file.language, *counts, *kinds])

    def further_piece(self) -> str:
        number = 1 + int(self._ranking.pieces[self._chunk])
        return f"the {ordinal(number)} best piece of its file"

    def _rank(self, values: Floats) -> str:
        ahead = int(np.count_nonzero(values > values[self._position]))
        return f"{ordinal(1 + ahead)} of {_plural(len(values), 'file')}"


def _listed(words: list[str]) -> str:
    return f": {', '.join(dict.fromkeys(words))}" if words else ""


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
