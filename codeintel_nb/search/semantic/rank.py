"""Ranked chunks of all shards, independent of the sharding."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np

from ...embedding.embedder import StaticEmbedder, embedder_input
from ...errors import EmbeddingError
from ...index.shard.vectors import DIGITS
from ..fusion import K, reciprocal_rank_fusion
from ..ranking.confidence import best_pieces, evidence, probability
from ..ranking.explanation import why
from ..ranking.features import Question
from ..ranking.order import Ranking, rank_pool
from ..ranking.pool import Pool, pool_of
from ..ranking.search_cells import only_searches
from ..why import SCORE_DIGITS, Part, Why
from .candidates import Found, Place, Scored, Statistics, best_places
from .closest import NOTHING
from .folding import Fold, Piece, fold
from .hits import Candidate, Ranked
from .plan import CANDIDATES, SearchPlan
from .scales import scaled

MEANING = Part("meaning", 0, "similarity of the vectors of query and chunk")
REST = Part("rest", 0, "not ranked by features; ordered by words and meaning")
REFINED = 64  # closest chunks rescored by exact vectors: codes are off by 0.001


class RankedChunks(NamedTuple):
    """Chunks, best first, and the chance that the best one answers (None: unknown)."""

    chunks: list[Ranked]
    confidence: float | None = None
    ranking: Ranking | None = None
    folds: list[Fold] = []  # positions are those in the order of the ranking

    @property
    def has_folds(self) -> bool:
        """Whether any hit contains several chunks."""
        return any(one.also for one in self.chunks)


def rank(found: list[Found], plan: SearchPlan, collection: Statistics, deep: int) -> RankedChunks:
    """Return the best chunks of ``deep`` candidates of each kind.

    The best 200 of each kind are ranked by the features of their files; a larger limit appends
    the others by fused rank. So the first hits are the same for every limit.
    """
    limit = plan.query.limit
    by_words = best_places(found, [(one.lexical_ids, one.lexical) for one in found], deep)
    by_vectors = closest_places(found, deep)
    if plan.query.mode == "dense":
        closest = _without_copies(found, _by_meaning(found, by_vectors, plan))[:limit]
        return RankedChunks(_with_why(closest, plan, MEANING))
    pool, fused = _pool(found, by_words, by_vectors, plan)
    if not pool.files:
        return RankedChunks(_with_why(_rest(found, fused, set(), [])[:limit], plan, REST))
    ranking = rank_pool(pool, question_of(plan, collection), fused)
    files = pool.file.tolist()
    pieces = [
        Piece(pool.places[chunk], files[chunk], pool.names[chunk], pool.is_defining[chunk])
        for chunk in ranking.order.tolist()
    ]
    folds = fold(found, pieces, len(pieces) if plan.query.why_not else limit)
    ranked = [_folded(found, ranking, pieces, one, plan.query.why) for one in folds[:limit]]
    confidence = None
    if plan.query.mode == "hybrid":
        texts = [_text(found, *pool.places[chunk]) for chunk in best_pieces(ranking)]
        confidence = probability(evidence(ranking, texts))
    if len(ranked) < limit:  # then come cells that only search
        ranked += _rest(found, fused, set(pool.places), ranked)
    if len(ranked) < limit and deep > CANDIDATES:
        scores = _fused(by_words, by_vectors, plan.dense_weight)
        ranked += _rest(found, scores, {*pool.places, *fused}, ranked)
    return RankedChunks(_with_why(ranked[:limit], plan, REST), confidence, ranking, folds)


def _with_why(ranked: list[Ranked], plan: SearchPlan, part: Part) -> list[Ranked]:
    """Explain scores not computed from features by a single part, if the query asks."""
    if not plan.query.why:
        return ranked
    return [
        one
        if one.why
        else one._replace(
            why=Why((msgspec.structs.replace(part, value=round(one.score, SCORE_DIGITS)),))
        )
        for one in ranked
    ]


def _folded(
    found: list[Found], ranking: Ranking, pieces: list[Piece], one: Fold, with_why: bool
) -> Ranked:
    """Return a hit, with the best score of the chunks in it."""
    chunk = int(ranking.order[one.scored])
    return Ranked(
        _candidate(found, *pieces[one.shown].place),
        ranking.score(chunk),
        why(ranking, chunk, _text(found, *pieces[one.shown].place)) if with_why else None,
        tuple(_candidate(found, *pieces[other].place) for other in one.also),
    )


def _rest(
    found: list[Found], scores: dict[Place, float], ahead: set[Place], ranked: list[Ranked]
) -> list[Ranked]:
    """Return the chunks that are not ranked by features: the last ones, by fused rank."""
    rest = [
        Ranked(_candidate(found, *place), score)
        for place, score in scores.items()
        if place not in ahead
    ]
    rest.sort(key=lambda one: (-one.score, one.candidate.order))
    return _below(ranked, rest)


def question_of(plan: SearchPlan, collection: Statistics) -> Question:
    return Question(
        plan.intent,
        plan.has_vector,
        collection.weights(),
        collection.language_shares(),
    )


def pool_of_found(found: list[Found], plan: SearchPlan) -> tuple[Pool, dict[Place, float]]:
    """Return a query's pool and the fused scores of its chunks, as training needs them."""
    by_words = best_places(found, [(one.lexical_ids, one.lexical) for one in found], CANDIDATES)
    by_vectors = closest_places(found, CANDIDATES)
    return _pool(found, by_words, by_vectors, plan)


def closest_places(found: list[Found], most: int) -> list[list[Scored]]:
    """Return the closest chunks per embedder, as their cosines are not comparable."""
    return [_closest_of(found, space, most) for space in sorted({one.space for one in found})]


def _closest_of(found: list[Found], space: str, most: int) -> list[Scored]:
    """Return one embedder's closest chunks: those of the first step, then those of the last."""
    own = [one.closest if one.space == space else [] for one in found]
    steps = max(map(len, own))
    places = dict[Place, float]()
    for step in range(steps):
        scored = [of_part[step] if of_part else NOTHING for of_part in own]
        for place, score in best_places(found, scored, most if step == steps - 1 else CANDIDATES):
            places.setdefault(place, score)
    return list(places.items())[:most]


def _pool(
    found: list[Found],
    by_words: list[Scored],
    by_vectors: list[list[Scored]],
    plan: SearchPlan,
) -> tuple[Pool, dict[Place, float]]:
    """Return the pool of the best chunks and of all that define a name of the query.

    Cells that only search are left out.
    """
    closest = [places[:CANDIDATES] for places in by_vectors]
    fused = _fused(by_words[:CANDIDATES], closest, plan.dense_weight)
    chunks: list[set[int]] = [{*one.defines, *one.overviews} for one in found]
    for at, chunk in fused:
        if not only_searches(found[at].part.shard, chunk):
            chunks[at].add(chunk)
    candidates = [
        one.candidates(np.array(sorted(own), np.int64))
        for one, own in zip(found, chunks, strict=True)
    ]
    return pool_of(scaled(candidates, plan)), fused


def _text(found: list[Found], at: int, chunk: int) -> str:
    return found[at].part.shard.text(chunk)


def _candidate(found: list[Found], at: int, chunk: int) -> Candidate:
    shard = found[at].part.shard
    return Candidate(
        shard.id,
        chunk,
        found[at].part.repo,
        shard.paths[int(shard.chunk_file[chunk])],
        int(shard.chunk_line[chunk]),
    )


def _fused(
    by_words: list[Scored], by_vectors: list[list[Scored]], dense_weight: float
) -> dict[Place, float]:
    return reciprocal_rank_fusion(
        [
            ([place for place, _ in by_words], 1 - dense_weight),
            *(([place for place, _ in places], dense_weight) for places in by_vectors),
        ]
    )


def _by_meaning(
    by_shard: list[Found], by_vectors: list[list[Scored]], plan: SearchPlan
) -> list[Ranked]:
    """Return the closest chunks; those of several embedders are merged by rank."""
    if plan.unavailable and not plan.has_vector:
        raise EmbeddingError(
            f"{next(iter(plan.unavailable.values()))} To search by words, use --mode lexical."
        )
    lists = [_refined(by_shard, places, plan) for places in by_vectors]
    if len(lists) == 1:
        return lists[0]
    ranks = [(rank, one) for ranked in lists for rank, one in enumerate(ranked, 1)]
    ranks.sort(key=lambda item: (item[0], item[1].candidate.order))
    return [one._replace(score=1 / (K + rank)) for rank, one in ranks]


def _without_copies(found: list[Found], ranked: list[Ranked]) -> list[Ranked]:
    """Fold near copies and overloads among the best candidates of each kind."""
    shards = {one.part.shard.id: at for at, one in enumerate(found)}
    best = ranked[:CANDIDATES]
    places = [(shards[one.candidate.shard], one.candidate.chunk) for one in best]
    folded = [
        best[one.shown]._replace(
            score=best[one.scored].score,
            also=tuple(best[other].candidate for other in one.also),
        )
        for one in fold(found, _pieces(found, places), len(places))
    ]
    return [*folded, *ranked[CANDIDATES:]]


def _pieces(found: list[Found], places: list[Place]) -> list[Piece]:
    of_place = dict[Place, Piece]()
    for at, one in enumerate(found):
        shard = one.part.shard
        chunks = [chunk for number, chunk in places if number == at]
        names = shard.names_in(np.array(chunks, np.int64))
        for chunk, own in zip(chunks, names, strict=True):
            file = int(shard.chunk_file[chunk]) * len(found) + at
            label = own or (shard.label(chunk),)
            of_place[at, chunk] = Piece((at, chunk), file, label, bool(own))
    return [of_place[place] for place in places]


def _refined(by_shard: list[Found], by_vectors: list[Scored], plan: SearchPlan) -> list[Ranked]:
    """Rescore one embedder's closest chunks by exact vectors; the rest follow.

    Only the shipped table is exact and fast enough: an endpoint would need a request.
    """
    if not by_vectors:
        return []
    own = by_shard[by_vectors[0][0][0]].space
    embedder, vector = plan.embedders[own], plan.vector(own)
    if vector is None or not isinstance(embedder, StaticEmbedder):
        return [Ranked(_candidate(by_shard, *place), score) for place, score in by_vectors]
    near, far = by_vectors[:REFINED], by_vectors[REFINED:]
    inputs = []
    for (at, chunk), _ in near:
        shard = by_shard[at].part.shard
        inputs.append(embedder_input(shard.paths[int(shard.chunk_file[chunk])], shard.text(chunk)))
    cosines = embedder.embed_precisely(inputs) @ vector.astype(np.float64)
    exact = np.round(cosines, DIGITS).tolist()
    refined = [
        Ranked(_candidate(by_shard, *place), score)
        for (place, _), score in zip(near, exact, strict=True)
    ]
    refined.sort(key=lambda one: (-one.score, one.candidate.order))
    last = refined[-1].score if refined else math.inf
    for place, score in far:
        last = min(last, score)
        refined.append(Ranked(_candidate(by_shard, *place), last))
    return refined


def _below(ranked: list[Ranked], rest: list[Ranked]) -> list[Ranked]:
    """Return the rest with scores below that of the last ranked one."""
    if not ranked or not rest:
        return rest
    offset = ranked[-1].score - rest[0].score
    return [one._replace(score=one.score + offset) for one in rest]
