"""Order of a pool's chunks: files by their scores, and each file's pieces below one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...index.shard.id_lists import Ids
from ...index.shard.shard import KINDS
from .features import Described, Question, describe, matrix_of
from .intent import QueryIntent
from .model import STEP, Model, Steps, default_model
from .pool import OVERVIEW, PACKAGE, Pool, PoolFile
from .roles import ROLES

# added to the score of a file that defines the query, if that is one name: it comes first
DEFINITION_RULE = 8 * STEP
# added to a README, and to the document of a package, if the query asks what a repository is about
OVERVIEW_RULE, PACKAGE_RULE = 20 * STEP, 12 * STEP
NOTEBOOK_RULE = 8 * STEP  # added to notebooks if the query asks for one
# added to a piece of the kind that the query asks for; the fused score of the best is 1/61
PREFERRED = 0.01
# roles of packages that do not say what the repository is about
_NOT_MAIN = sum(1 << bit for bit, role in enumerate(ROLES) if role.name in ("test", "aside"))
_CODE_CELL, _PROSE = KINDS.index("cell"), KINDS.index("markdown")
FURTHER_PIECE = 4 * STEP  # a further piece of a file is lower by this than the piece before


class Ranking(NamedTuple):
    """The chunks of a pool, ranked, with what made up their scores, in 1/STEP."""

    described: Described
    contributions: Steps  # files x features
    rules: Steps  # of each file
    pieces: Ids  # position of each chunk among the pieces of its file
    scores: Steps  # of each chunk
    order: Ids  # chunks, best first

    def score(self, chunk: int) -> float:
        """Return a chunk's score in log-odds, exact to 1/STEP."""
        return int(self.scores[chunk]) / STEP


def rank_pool(
    pool: Pool,
    question: Question,
    fused: Mapping[tuple[int, int], float],
    model: Model | None = None,
) -> Ranking:
    """Rank files by the model, each file's pieces by their fused scores below one another."""
    described = describe(pool, question)
    contributions = (model or default_model()).contributions(matrix_of(described))
    rules = np.zeros(len(pool.files), np.int64)
    if question.intent.is_symbol:
        for chunk, one in pool.defines.items():
            if one.strength >= 1:
                rules[pool.file[chunk]] = DEFINITION_RULE
    elif question.intent.is_overview:
        rules += [_overview_rule(file) for file in pool.files]
    elif question.intent.wants_notebook:
        rules += [NOTEBOOK_RULE * file.is_notebook for file in pool.files]
    pieces = pieces_of(pool, fused, question.intent)
    scores = (contributions.sum(axis=1) + rules)[pool.file] - FURTHER_PIECE * pieces
    order = np.argsort(-scores, kind="stable")  # ties in path order
    return Ranking(described, contributions, rules, pieces, scores, order)


def _overview_rule(file: PoolFile) -> int:
    if OVERVIEW.fullmatch(file.path):
        return OVERVIEW_RULE
    if not PACKAGE.fullmatch(file.path) or file.roles & _NOT_MAIN:
        return 0
    return PACKAGE_RULE - STEP * file.path.count("/")  # outer packages first


def pieces_of(pool: Pool, fused: Mapping[tuple[int, int], float], intent: QueryIntent) -> Ids:
    """Return the position of each chunk among the pieces of its file, best first.

    Definitions of the query's names come first, types before others. A query that asks how to do
    something prefers code cells; one that asks for a notebook prefers its headings.
    """
    value = np.array([fused.get(place, 0.0) for place in pool.places])
    if intent.wants_code:
        value += PREFERRED * (pool.kinds == _CODE_CELL)
    elif intent.wants_notebook:
        has_heading = np.array([names != ("",) for names in pool.names], bool)
        value += PREFERRED * ((pool.kinds == _PROSE) & has_heading)
    for chunk, one in pool.defines.items():
        value[chunk] += one.strength * (2 if one.is_type else 1)
    order = np.lexsort((pool.lines, -value, pool.file))
    owners = pool.file[order]
    pieces = np.empty(len(order), np.int64)
    pieces[order] = np.arange(len(order)) - np.searchsorted(owners, owners, "left")
    return pieces
