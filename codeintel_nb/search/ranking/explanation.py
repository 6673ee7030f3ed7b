"""Explanation of a rank: the contributions that made up the score, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from ..why import Part, Why
from .features import FEATURES, Described
from .model import STEP
from .order import FURTHER_PIECE, Ranking
from .pool import Floats
from .roles import ROLES

_ROLES = {role.name for role in ROLES}


def why(ranking: Ranking, chunk: int) -> Why:
    """Return the parts of a chunk's score; their sum gives the score back exactly."""
    pool = ranking.described.pool
    file = int(pool.file[chunk])
    steps = Counter[str]()
    for one, value in zip(FEATURES.values(), ranking.contributions[file].tolist(), strict=True):
        steps[one.part] += value
    is_overview = ranking.described.question.intent.is_overview
    steps["overview" if is_overview else "definition"] += int(ranking.rules[file])
    steps["further piece"] -= FURTHER_PIECE * int(ranking.pieces[chunk])
    parts = [
        Part(name, value / STEP, _detail(ranking, chunk, name))
        for name, value in steps.items()
        if value
    ]
    return Why(tuple(sorted(parts, key=lambda part: -abs(part.value))))


def _detail(ranking: Ranking, chunk: int, part: str) -> str:
    if part in _ROLES:
        return f"the path says {part}"
    return _DETAILS[part](ranking, chunk)


def _words(ranking: Ranking, chunk: int) -> str:
    described = ranking.described
    return f"{_rank(described.lexical, described, chunk)} by words (BM25)"


def _meaning(ranking: Ranking, chunk: int) -> str:
    described = ranking.described
    cosine = described.dense[described.pool.file[chunk]]
    return f"{_rank(described.dense, described, chunk)} by meaning, cosine {cosine:.2f}"


def _rank(values: Floats, described: Described, chunk: int) -> str:
    value = values[described.pool.file[chunk]]
    return f"{1 + int(np.count_nonzero(values > value))}. of {len(values)} files"


def _path(ranking: Ranking, chunk: int) -> str:
    described = ranking.described
    file = described.pool.files[described.pool.file[chunk]]
    words = described.match.words_of(file.path)
    return f"has {', '.join(words)}" if words else "has no word of the query"


def _name(ranking: Ranking, chunk: int) -> str:
    pool = ranking.described.pool
    own = np.flatnonzero(pool.file == pool.file[chunk]).tolist()
    names = {name for at in own for name in pool.names[at]}
    best = max(sorted(names), key=ranking.described.match.name)
    return f"best name {best}" if best else ""


def _definition(ranking: Ranking, chunk: int) -> str:
    pool = ranking.described.pool
    own = np.flatnonzero(pool.file == pool.file[chunk]).tolist()
    names = {pool.defines[at].name for at in own if at in pool.defines}
    return f"defines {', '.join(sorted(names))}"


def _file(ranking: Ranking, chunk: int) -> str:
    file = ranking.described.pool.files[ranking.described.pool.file[chunk]]
    generated = "generated, " if file.is_generated else ""
    return f"{generated}{file.language}, {file.chunks} chunks, {file.symbols} definitions"


def _further_piece(ranking: Ranking, chunk: int) -> str:
    return f"piece {1 + int(ranking.pieces[chunk])} of its file"


_DETAILS: dict[str, Callable[[Ranking, int], str]] = {
    "words": _words,
    "meaning": _meaning,
    "path": _path,
    "name": _name,
    "definition": _definition,
    "file": _file,
    "overview": lambda ranking, chunk: "the README says what a repository is about",
    "further piece": _further_piece,
}
