"""Semantic search: candidates by words, by vectors and by definition, all inside the scope; fused; reranked."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import SearchError
from ..index.embedder import Embedder, embedder_input
from ..index.shard import IS_GENERATED, KINDS, Shard
from ..index.vectors import Found, top
from ..index.words import FILLERS, WORD, terms_of
from .fusion import reciprocal_rank_fusion
from .hit import Hit
from .mask import ScopeMask
from .query import SemanticQuery
from .rerank import Asked, Candidate, read_query, rerank

CANDIDATES = 200  # of each kind and shard that go into the ranking
DENSE_WEIGHT = 0.6  # in the fusion; BM25 has the rest
REFINED = 30  # candidates beyond the limit whose vectors are computed anew: codes of one byte blur the last digits
MOST_SNIPPET_CHARACTERS = 4000


class Statistics(NamedTuple):
    """Of the collection, for BM25; those of several shards add up."""

    chunks: int
    total_length: int
    frequencies: dict[str, int]

    def __or__(self, other: Statistics) -> Statistics:
        summed = {term: n + other.frequencies.get(term, 0) for term, n in self.frequencies.items()}
        return Statistics(self.chunks + other.chunks, self.total_length + other.total_length, summed)

    def weights(self) -> dict[str, float]:
        """Inverse document frequency of each term."""
        return {term: math.log(1 + (self.chunks - n + 0.5) / (n + 0.5)) for term, n in self.frequencies.items()}


class SearchPlan(NamedTuple):
    """A query prepared once for all shards."""

    query: SemanticQuery
    asked: Asked
    terms: tuple[str, ...]
    vector: npt.NDArray[np.float32] | None  # None where vectors are left out
    embedder: Embedder

    @property
    def dense_weight(self) -> float:
        """One word says too little for a vector to help."""
        if self.query.mode == "hybrid":
            return DENSE_WEIGHT if len(self.query.text.split()) > 1 else 0.0
        return 1.0 if self.query.mode == "dense" else 0.0


def plan_search(query: SemanticQuery, embedder: Embedder) -> SearchPlan:
    words = WORD.findall(query.text)
    telling = [word for word in words if word.lower() not in FILLERS] or words
    terms = () if query.mode == "dense" else tuple(dict.fromkeys(term for word in telling for term in terms_of(word)))
    plan = SearchPlan(query, read_query(query.text), terms, None, embedder)
    return plan._replace(vector=embedder.embed_query(query.text)[0]) if plan.dense_weight else plan


def statistics(shard: Shard, terms: tuple[str, ...]) -> Statistics:
    lexicon = shard.lexicon
    return Statistics(shard.manifest.chunks, lexicon.total_length, {term: lexicon.frequency(term) for term in terms})


def candidates(shard: Shard, repo: str, mask: ScopeMask, plan: SearchPlan, collection: Statistics) -> list[Candidate]:
    """A shard's best chunks by each means, never one outside of the mask."""
    if shard.manifest.embedder != plan.embedder.id and plan.vector is not None:
        raise SearchError(
            f"{repo!r} was indexed with the embedding {shard.manifest.embedder}, this version asks with {plan.embedder.id}. "
            "Index it again: codeintel index PATH --rebuild"
        )
    lexical: dict[int, float] = {}
    dense: dict[int, float] = {}
    defining: dict[int, list[tuple[str, bool]]] = {}
    if plan.terms:
        scores = shard.lexicon.scores(collection.weights(), collection.total_length / max(1, collection.chunks), mask.chunks)
        best = top(scores, CANDIDATES)
        lexical = {int(i): float(scores[i]) for i in best if scores[i] > 0}
    if plan.vector is not None:
        dense = dict(zip(*(values.tolist() for values in _closest(shard, mask, plan)), strict=True))
    if plan.query.mode != "dense":
        for name in plan.asked.names:
            for chunk, same_case in shard.definitions(name):
                if mask.chunks is None or mask.chunks[chunk]:
                    defining.setdefault(chunk, []).append((name, same_case))
    return [
        Candidate(
            shard.id, chunk, repo, shard.paths[file := int(shard.chunk_file[chunk])], int(shard.chunk_line[chunk]), lexical.get(chunk, 0.0),
            dense.get(chunk, -1.0), tuple(defining.get(chunk, ())), bool(shard.file_flags[file] & IS_GENERATED), shard.label(chunk),
        )
        for chunk in {**lexical, **dense, **defining}
    ]  # fmt: skip


def rank(found: list[Candidate], plan: SearchPlan) -> list[tuple[Candidate, float]]:
    """Fuse the merged candidates of all shards, and rerank them."""
    by_words = sorted((c for c in found if c.lexical > 0), key=lambda c: (-c.lexical, c.order))[:CANDIDATES]
    by_vectors = sorted((c for c in found if c.dense > -1), key=lambda c: (-c.dense, c.order))[:CANDIDATES]
    if plan.query.mode == "dense":
        return [(c, c.dense) for c in by_vectors[: plan.query.limit]]
    weight = plan.dense_weight
    scores = reciprocal_rank_fusion([([c.key for c in by_words], 1 - weight), ([c.key for c in by_vectors], weight)])
    chosen = [c for c in found if c.key in scores or c.defines]
    return rerank(chosen, scores, plan.asked, plan.query.limit)


def _closest(shard: Shard, mask: ScopeMask, plan: SearchPlan) -> Found:
    """The chunks in scope closest to the query, by exact vectors where vectors alone decide the order."""
    assert plan.vector is not None
    most = max(CANDIDATES, plan.query.limit)
    found = shard.vectors.search(plan.vector, most, mask.chunks, mask.chunks_in_scope)
    if plan.query.mode != "dense":
        return found
    few = found.ids[: plan.query.limit + REFINED]
    inputs = [embedder_input(shard.paths[int(shard.chunk_file[chunk])], shard.text(chunk)) for chunk in few.tolist()]
    exact = plan.embedder.embed_code(inputs) @ plan.vector
    best = top(exact, plan.query.limit)
    return Found(few[best], exact[best])


def hydrate(shard: Shard, candidate: Candidate, score: float) -> Hit:
    """The hit that a candidate stands for, its snippet read from the mapped content."""
    chunk = candidate.chunk
    file = int(shard.chunk_file[chunk])
    cell = int(shard.chunk_cell[chunk])
    return Hit(
        repo=candidate.repo, path=candidate.path, start_line=candidate.start_line, end_line=int(shard.chunk_end_line[chunk]), score=round(score, 6),
        snippet=shard.text(chunk)[:MOST_SNIPPET_CHARACTERS].rstrip("\n"), snippet_line=candidate.start_line, language=shard.languages[int(shard.chunk_language[chunk])],
        kind=KINDS[int(shard.chunk_kind[chunk])], symbol=shard.label(chunk), cell=None if cell < 0 else cell, revision=shard.revision(file),
    )  # fmt: skip
