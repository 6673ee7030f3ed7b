"""Whether anything fits: the chance that the best file answers the query.

A logistic regression on absolute values, as features of the ranking are relative to the pool.
It is fitted on questions asked of their own repository and of another one. Its intercept puts 4 %
of the former below one half.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec
import numpy as np

from ...embedding.words import WORD, terms_of
from .features import FEATURES
from .order import Ranking

PIECES = 3  # of the best file, read for the query's words


class Evidence(NamedTuple):
    """What speaks for the best file: shares from 0 to 1, and a cosine."""

    coverage: float  # share of the query's terms, by weight, in its best pieces
    cosine: float  # of the closest chunk of the pool
    path: float  # share of the query's words in the file's name
    name: float  # share of the query's words in the best name of a definition
    definition: float  # strength of its definition of the query's names
    is_symbol: float  # the query is one name


class Logistic(msgspec.Struct, frozen=True):
    """Weights of the evidence."""

    weights: dict[str, float]
    intercept: float


@cache
def logistic() -> Logistic:
    data = (files(__package__) / "confidence.json").read_bytes()
    return msgspec.json.decode(data, type=Logistic)


def best_pieces(ranking: Ranking) -> list[int]:
    """Return the first chunks of the best file, in the order of its pieces."""
    pool = ranking.described.pool
    own = np.flatnonzero(pool.file == pool.file[ranking.order[0]])
    chunks: list[int] = own[np.argsort(ranking.pieces[own])][:PIECES].tolist()
    return chunks


def evidence(ranking: Ranking, texts: list[str]) -> Evidence:
    """Gather the evidence for the best file; ``texts`` are those of ``best_pieces``."""
    described = ranking.described
    file = int(described.pool.file[ranking.order[0]])
    weights = described.question.weights
    words = {*WORD.findall(described.pool.files[file].path)}
    for text in texts:
        words.update(WORD.findall(text))
    terms = {term for word in words for term in terms_of(word)}
    definition = FEATURES["definition"].compute(described)[file]
    return Evidence(
        coverage=sum(weight for term, weight in weights.items() if term in terms)
        / (sum(weights.values()) or 1.0),
        cosine=float(described.dense.max()) if described.question.has_vector else 0.0,
        path=float(described.path[file, 0]),
        name=float(described.name[file, 0]),
        definition=float(definition),
        is_symbol=float(described.question.intent.is_symbol),
    )


def probability(of_best: Evidence, model: Logistic | None = None) -> float:
    """Return the chance that the best file answers, from 0 to 1."""
    model = model or logistic()
    total = model.intercept + sum(
        model.weights[name] * value for name, value in of_best._asdict().items()
    )
    return round(1 / (1 + math.exp(-total)), 4)
