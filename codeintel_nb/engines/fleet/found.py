"""Candidates of hosts on their way to the ranking of all."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...index.shard.id_lists import Ids
from ...index.shard.lexicon import WordScores
from ...index.shard.vectors import Found as Closest
from ...search.hit import Hit
from ...search.mask import ScopeMask
from ...search.ranking.pool import Definition
from ...search.semantic.candidates import Found, Part, Scores, Statistics
from ...search.semantic.hits import hydrated
from ...search.semantic.plan import SearchPlan
from ...search.semantic.rank import rank
from ..engine import Target
from ..local import LocalEngine
from ..semantic_search import embedders_of

Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

NO_SCORES = WordScores(np.zeros(0, np.float32), [])  # they come with the candidates
EVERY = ScopeMask(None, None, 0, 0)  # a ranking needs no mask


class ShardFound(NamedTuple):
    """Candidates of one shard, with the scores that a ranking needs."""

    target: Target
    lexical_ids: Ids
    lexical: Any  # BM25, above 0
    closest: list[Closest]
    defines: dict[int, Definition]
    overviews: list[int]
    scores: Scores


class RankedHits(NamedTuple):
    """Hits of a semantic search, and whether any of them folds others."""

    hits: list[Hit]
    confidence: float | None
    has_folds: bool


def packed_found(targets: Sequence[Target], of_shards: Sequence[Found], most: int) -> bytes:
    """Pack the candidates of a host's shards that can be among the ``most`` best of all hosts."""
    own = [
        ShardFound(
            target, one.lexical_ids, one.lexical, one.closest, one.defines, one.overviews,
            one.scores(),
        )
        for target, one in zip(targets, pruned(of_shards, most), strict=False)
    ]  # fmt: skip
    return pickle.dumps(own, pickle.HIGHEST_PROTOCOL)


def rank_found(
    engine: LocalEngine,
    candidates: Sequence[bytes],
    order: Sequence[str],
    plan: SearchPlan,
    collection: Statistics,
    most: int,
) -> RankedHits:
    """Rank the candidates of all hosts, by shard in ``order``, and read the best.

    Raises
    ------
    FileNotFoundError : this machine lacks a shard with a candidate.
    """
    by_shard = {one.target.shard: one for own in candidates for one in pickle.loads(own)}
    of_shards: list[ShardFound] = [by_shard[shard] for shard in order if shard in by_shard]
    parts = [Part(engine.shard_of(one.target), one.target.repo, EVERY, EVERY) for one in of_shards]
    present, _ = embedders_of(parts, engine.embedders)
    plan = plan._replace(embedders=present)
    own = [
        Found(
            part, one.lexical_ids, one.lexical, one.closest, one.defines, one.overviews,
            NO_SCORES, [], plan.vector(part.shard.manifest.space), one.scores,
        )
        for part, one in zip(parts, of_shards, strict=True)
    ]  # fmt: skip
    ranked = rank(own, plan, collection, most)
    hits = hydrated({part.shard.id: part.shard for part in parts}, ranked.chunks)
    return RankedHits(hits, ranked.confidence, ranked.has_folds)


def pruned(found: Sequence[Found], most: int) -> list[Found]:
    """Drop the candidates that cannot be among the ``most`` best of these shards."""
    words = _cut([one.lexical for one in found], most)
    best = [
        one._replace(lexical_ids=one.lexical_ids[mask], lexical=one.lexical[mask])
        for one, mask in zip(found, words, strict=True)
    ]
    for space in {one.space for one in found}:
        own = [at for at, one in enumerate(best) if one.space == space]
        for step in range(max((len(best[at].closest) for at in own), default=0)):
            masks = _cut([best[at].closest[step].scores for at in own], most)
            for at, mask in zip(own, masks, strict=True):
                steps = list(best[at].closest)
                steps[step] = Closest(steps[step].ids[mask], steps[step].scores[mask])
                best[at] = best[at]._replace(closest=steps)
    return best


def _cut(scores: Sequence[Floats], most: int) -> list[Mask]:
    """Return the masks of the ``most`` highest scores of all, with those that tie."""
    every = np.concatenate(scores) if scores else np.zeros(0)
    if len(every) <= most:
        return [np.ones(len(one), bool) for one in scores]
    last = -np.partition(-every, most - 1)[most - 1]
    return [one >= last for one in scores]
