"""Fit of the ranking weights: a linear model of the files' features, listwise.

The loss of a query is the cross entropy of the softmax over its pool with its answers, each
weighing the same (ListNet's top one, Cao et al., ICML 2007), plus an L2 penalty on the weights
of standardized features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy.optimize import minimize

from codeintel_nb.search.ranking.confidence import Evidence, Logistic
from codeintel_nb.search.ranking.intent import parse_query
from codeintel_nb.search.ranking.model import STEP
from codeintel_nb.search.ranking.order import DEFINITION_RULE
from codeintel_nb.search.ranking.training.extract import Extract, Pooled

SHOWN = 10  # results that the measure counts
DOUBTED = 0.04  # share of a repository's own queries of which it is said that nothing fits


class Ranked(NamedTuple):
    """The pool of one query as arrays."""

    repository: str
    kind: str
    language: str
    features: list[str]
    pool: Pooled
    matrix: Any  # files x features
    relevant: list[set[int]]  # files of each target

    @property
    def answers(self) -> Any:
        """Return the mask of files that answer."""
        mask = np.zeros(len(self.matrix), bool)
        mask[list(set().union(*self.relevant))] = True
        return mask


def extracts_of(folder: Path) -> list[Extract]:
    """Return all extracts of a folder."""
    return [
        msgspec.json.decode(path.read_bytes(), type=Extract)
        for path in sorted(folder.glob("*.json"))
    ]


def load(folder: Path) -> list[Ranked]:
    """Return the queries of a folder of extracts."""
    queries = []
    for path in sorted(folder.glob("*.json")):
        extract = msgspec.json.decode(path.read_bytes(), type=Extract)
        rows = np.load(path.with_suffix(".npy")).astype(np.float64)
        at = 0
        for pool in extract.pools:
            matrix = rows[at : at + len(pool.paths)]
            at += len(pool.paths)
            full = [extract.prefix + path for path in pool.paths]
            relevant = [
                {i for i, name in enumerate(full) if _same_file(name, target.path)}
                for target in pool.task.targets
            ]
            queries.append(
                Ranked(
                    extract.repository, extract.kind, extract.language, extract.features, pool,
                    matrix, relevant,
                )
            )  # fmt: skip
    return queries


def _same_file(full: str, target: str) -> bool:
    return full == target or full.endswith("/" + target) or target.endswith("/" + full)


def fit(queries: Sequence[Ranked], weights: Mapping[str, float], l2: float) -> Any:
    """Return the fitted weights; ``weights`` are those of the kinds of queries."""
    usable = [one for one in queries if one.answers.any() and not one.answers.all()]
    rows = np.concatenate([one.matrix for one in usable])
    sizes = np.array([len(one.matrix) for one in usable])
    first = np.cumsum([0, *sizes[:-1]])
    owner = np.repeat(np.arange(len(usable)), sizes)
    target = np.concatenate([one.answers / one.answers.sum() for one in usable])
    weight = np.array([weights[one.kind] for one in usable])[owner]
    centred = rows - (np.add.reduceat(rows, first) / sizes[:, None])[owner]
    spread = centred.std(axis=0) + 1e-6
    scaled = centred / spread

    def loss(vector: Any) -> tuple[float, Any]:
        scores = scaled @ vector
        shifted = scores - np.maximum.reduceat(scores, first)[owner]
        exponentials = np.exp(shifted)
        sums = np.add.reduceat(exponentials, first)[owner]
        gradient = scaled.T @ (weight * (exponentials / sums - target)) + 2 * l2 * vector
        value = -(weight * target * (shifted - np.log(sums))).sum() + l2 * vector @ vector
        return float(value), gradient

    start = np.zeros(rows.shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x / spread


def scores(query: Ranked, weights: Any) -> Any:
    """Return the scores of a query's files, with the rule for definitions."""
    values = query.matrix @ weights
    if parse_query(query.pool.task.query).is_symbol:
        defines = query.matrix[:, query.features.index("definition")] >= 1
        values = values + defines * (DEFINITION_RULE / STEP)
    return values


def fit_confidence(own: Sequence[Evidence], foreign: Sequence[Evidence]) -> Logistic:
    """Return the logistic regression that tells a repository's own queries from foreign ones.

    Its intercept is moved so that ``DOUBTED`` of the own ones are below one half.
    """
    rows = np.array([*own, *foreign], np.float64)
    inputs = np.c_[rows, np.ones(len(rows))]
    labels = np.r_[np.ones(len(own)), np.zeros(len(foreign))]
    penalty = np.r_[rows.std(axis=0) ** 2, 0.0]

    def loss(vector: Any) -> tuple[float, Any]:
        scores = inputs @ vector
        value = np.logaddexp(0, np.where(labels > 0, -scores, scores)).sum()
        gradient = inputs.T @ (1 / (1 + np.exp(-scores)) - labels) + 2 * penalty * vector
        return float(value + penalty @ vector**2), gradient

    start = np.zeros(inputs.shape[1])
    vector = minimize(loss, start, jac=True, method="L-BFGS-B").x
    vector[-1] -= np.quantile(inputs[: len(own)] @ vector, DOUBTED)
    *weights, intercept = (round(value, 4) for value in vector.tolist())
    return Logistic(dict(zip(Evidence._fields, weights, strict=True)), intercept)


def ndcg(query: Ranked, scores: Any) -> float:
    """Return the binary NDCG at 10 of the files' best pieces in the order of the scores."""
    order = np.argsort(-scores, kind="stable")[:SHOWN].tolist()
    ranks = []
    for target, files in zip(query.pool.task.targets, query.relevant, strict=True):
        for rank, file in enumerate(order, 1):
            first, last = query.pool.pieces[file]
            if file in files and (
                not target.last_line or (first <= target.last_line and last >= target.first_line)
            ):
                ranks.append(rank)
                break
    gain = sum(1 / math.log2(rank + 1) for rank in set(ranks))
    count = min(SHOWN, len(query.relevant))
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, count + 1)) if count else 0.0


def repositories(queries: Iterable[Ranked]) -> list[str]:
    return sorted({one.repository for one in queries})


def mean_by(queries: Sequence[Ranked], values: Sequence[float], of: str) -> dict[str, float]:
    """Return the mean of the values by category, language or repository."""
    groups: dict[str, list[float]] = {}
    for query, value in zip(queries, values, strict=True):
        key = query.pool.task.category if of == "category" else getattr(query, of)
        groups.setdefault(key, []).append(value)
    return {key: sum(group) / len(group) for key, group in sorted(groups.items())}
