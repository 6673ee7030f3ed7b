"""Semantic search: words, vectors and definitions, fused and reranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..embedding.embedder import Embedder, embedder_input
from ..embedding.words import FILLERS, WORD, terms_of
from ..errors import SearchError
from ..index.shard.shard import KINDS, Shard
from ..index.shard.text_flags import IS_GENERATED
from ..index.shard.vectors import DIGITS, Ids, top
from ..index.shard.vectors import Found as Closest
from .cells import cell_line
from .fusion import reciprocal_rank_fusion
from .hit import Hit, path_order
from .mask import ScopeMask
from .query import MAX_RANKED_CHUNKS, SemanticQuery
from .rerank import Candidate, QueryIntent, parse_query, penalty, rerank

CANDIDATES = 200  # of each kind, reranked
REFINED = 64  # closest chunks rescored by exact vectors: codes are off by 0.001
DENSE_WEIGHT = 0.6  # in the fusion; the rest is for BM25
MAX_SIGNATURE_CHARACTERS = 200
MAX_SNIPPET_CHARACTERS = 4000


class Statistics(NamedTuple):
    """BM25 statistics of a collection; those of shards add up."""

    chunks: int
    total_length: int
    frequencies: dict[str, int]

    def __or__(self, other: Statistics) -> Statistics:
        summed = {term: n + other.frequencies.get(term, 0) for term, n in self.frequencies.items()}
        return Statistics(
            self.chunks + other.chunks, self.total_length + other.total_length, summed
        )

    def weights(self) -> dict[str, float]:
        """Return the inverse document frequency of each term."""
        return {
            term: math.log(1 + (self.chunks - n + 0.5) / (n + 0.5))
            for term, n in self.frequencies.items()
        }


class SearchPlan(NamedTuple):
    """A query prepared once for all shards."""

    query: SemanticQuery
    intent: QueryIntent
    terms: tuple[str, ...]
    vector: npt.NDArray[np.float32] | None  # None: vectors are unused, or the query has no words
    embedder: Embedder

    @property
    def dense_weight(self) -> float:
        """Return the weight of vectors in the fusion.

        In hybrid mode it is 0 for one word, too little for a vector to help.
        """
        if self.query.mode == "hybrid":
            return DENSE_WEIGHT if len(self.query.query.split()) > 1 else 0.0
        return 1.0 if self.query.mode == "dense" else 0.0


def plan_search(query: SemanticQuery, embedder: Embedder) -> SearchPlan:
    words = WORD.findall(query.query)
    keywords = [word for word in words if word.lower() not in FILLERS] or words
    terms = (
        ()
        if query.mode == "dense"
        else tuple(dict.fromkeys(term for word in keywords for term in terms_of(word)))
    )
    plan = SearchPlan(query, parse_query(query.query), terms, None, embedder)
    vector = embedder.embed_query(query.query)[0] if plan.dense_weight else None
    # without words all chunks are equally close
    return plan._replace(vector=vector) if vector is not None and vector.any() else plan


class Part(NamedTuple):
    """A shard with the masks of a search."""

    shard: Shard
    repo: str
    mask: ScopeMask
    live: ScopeMask  # all live files


class Found(NamedTuple):
    """Best chunks of a shard by each method, in scope."""

    part: Part
    lexical_ids: Ids
    lexical: npt.NDArray[np.float32]  # BM25, above 0
    dense_ids: Ids
    dense: npt.NDArray[np.float64]  # cosine
    defines: dict[int, tuple[tuple[str, bool], ...]]


def statistics(part: Part, terms: tuple[str, ...]) -> Statistics:
    """Count a shard's live chunks, in total and for each term."""
    lexicon, live = part.shard.lexicon, part.live.chunks
    if live is None:
        frequencies = {term: lexicon.frequency(term) for term in terms}
        return Statistics(part.shard.manifest.chunks, lexicon.total_length, frequencies)
    frequencies = {term: int(live[lexicon.postings(term)[0]].sum()) for term in terms}
    return Statistics(
        part.live.chunks_in_scope, int(lexicon.lengths[live].sum(dtype=np.int64)), frequencies
    )


def candidates(part: Part, plan: SearchPlan, collection: Statistics, most: int) -> Found:
    """Return a shard's ``most`` best chunks by words, and by vectors.

    Includes the definitions of the query's names.
    """
    shard, mask = part.shard, part.mask
    if shard.manifest.embedder != plan.embedder.id and plan.vector is not None:
        raise SearchError(
            f"{part.repo!r} was indexed with the embedding {shard.manifest.embedder}, "
            f"but this version uses {plan.embedder.id}. "
            "To rebuild the index, run: codeintel index PATH --rebuild"
        )
    lexical_ids, lexical = np.zeros(0, np.int64), np.zeros(0, np.float32)
    closest = Closest(np.zeros(0, np.int64), np.zeros(0, np.float64))
    defines: dict[int, tuple[tuple[str, bool], ...]] = {}
    if plan.terms:
        scores = shard.lexicon.scores(
            collection.weights(),
            max(1, collection.total_length) / max(1, collection.chunks),
            mask.chunks,
        )
        matching = np.flatnonzero(scores > 0)  # a few; partitioning many zeros is slow
        lexical_ids = matching[top(scores[matching], most)]
        lexical = scores[lexical_ids]
    if plan.vector is not None:
        closest = shard.vectors.search(plan.vector, most, mask.chunks, mask.chunks_in_scope)
    if plan.query.mode != "dense":
        for name in plan.intent.names:
            for chunk, same_case in shard.definitions(name):
                if mask.chunks is None or mask.chunks[chunk]:
                    defines[chunk] = (*defines.get(chunk, ()), (name, same_case))
    return Found(part, lexical_ids, lexical, closest.ids, closest.scores, defines)


def rank(found: list[Found], plan: SearchPlan) -> list[tuple[Candidate, float]]:
    """Rank the candidates of all shards, independent of the sharding.

    The best 200 of each kind are fused and reranked; a larger limit appends the others by fused
    rank. So the first hits are the same for every limit.
    """
    limit, deep = plan.query.limit, depth(plan.query)
    by_words = _best(found, [(one.lexical_ids, one.lexical) for one in found], deep)
    by_vectors = _best(found, [(one.dense_ids, one.dense) for one in found], deep)
    if plan.query.mode == "dense":
        return _refined(found, by_vectors, plan)[:limit]
    pool = _Candidates(found, by_words, by_vectors)
    head = _fused(by_words[:CANDIDATES], by_vectors[:CANDIDATES], plan.dense_weight)
    defining = [(at, chunk) for at, one in enumerate(found) for chunk in one.defines]
    shortlist = sorted(
        (pool.candidate(*place) for place in {*head, *defining}), key=lambda c: c.order
    )
    ranked = rerank(
        shortlist,
        {pool.candidate(*place).key: score for place, score in head.items()},
        plan.intent,
        limit,
    )
    if len(ranked) >= limit or deep == CANDIDATES:
        return ranked
    scores = _fused(by_words, by_vectors, plan.dense_weight)
    rest = [
        (c, scores[place] * penalty(c, plan.intent))
        for place in scores.keys() - {*head, *defining}
        for c in [pool.candidate(*place)]
    ]
    rest.sort(key=lambda pair: (-pair[1], pair[0].order))
    return [*ranked, *_below(ranked, rest)][:limit]


def depth(query: SemanticQuery) -> int:
    """Return the number of candidates of each kind per shard."""
    return CANDIDATES if query.limit <= CANDIDATES else MAX_RANKED_CHUNKS


Place = tuple[int, int]  # position of a shard, number of a chunk
Scored = tuple[Place, float]


class _Candidates:
    """Cache of candidates by place, filled on demand."""

    def __init__(
        self, by_shard: list[Found], by_words: list[Scored], by_vectors: list[Scored]
    ) -> None:
        self._found, self._lexical, self._dense = by_shard, dict(by_words), dict(by_vectors)
        self._cache: dict[Place, Candidate] = {}

    def candidate(self, at: int, chunk: int) -> Candidate:
        place = at, chunk
        candidate = self._cache.get(place)
        if candidate is None:
            part, defines = self._found[at].part, self._found[at].defines
            shard = part.shard
            file = int(shard.chunk_file[chunk])
            candidate = self._cache[place] = Candidate(
                shard.id, chunk, part.repo, shard.paths[file], int(shard.chunk_line[chunk]),
                self._lexical.get(place, 0.0), self._dense.get(place, -1.0), defines.get(chunk, ()),
                bool(shard.file_flags[file] & IS_GENERATED), shard.label(chunk),
            )  # fmt: skip
        return candidate


def _best(
    by_shard: list[Found], scored: Sequence[tuple[Ids, npt.NDArray[np.floating[Any]]]], most: int
) -> list[Scored]:
    """Return all shards' best places in order, ties by path."""
    scores = np.concatenate([of for _, of in scored]) if scored else np.zeros(0)
    if not len(scores):
        return []
    chunks = np.concatenate([ids for ids, _ in scored])
    owners = np.repeat(np.arange(len(scored)), [len(ids) for ids, _ in scored])
    if len(scores) > most:
        last = -np.partition(-scores, most - 1)[most - 1]
        best = np.flatnonzero(scores >= last)  # with all ties for the last place
        scores, chunks, owners = scores[best], chunks[best], owners[best]
    order = np.argsort(-scores, kind="stable")
    places = list(
        zip(
            zip(owners[order].tolist(), chunks[order].tolist(), strict=True),
            scores[order].tolist(),
            strict=True,
        )
    )
    ranked = list[Scored]()
    for _, tied in groupby(places, key=itemgetter(1)):
        ones = list(tied)
        ranked += sorted(ones, key=lambda one: _order(by_shard, one[0])) if len(ones) > 1 else ones
    return ranked[:most]


def _order(by_shard: list[Found], place: Place) -> tuple[tuple[str, list[str]], int]:
    """Return a chunk's tie-breaking key: its position in path order."""
    part = by_shard[place[0]].part
    return path_order(part.repo, part.shard.paths[int(part.shard.chunk_file[place[1]])]), int(
        part.shard.chunk_line[place[1]]
    )


def _fused(
    by_words: list[Scored], by_vectors: list[Scored], dense_weight: float
) -> dict[Place, float]:
    return reciprocal_rank_fusion(
        [
            ([place for place, _ in by_words], 1 - dense_weight),
            ([place for place, _ in by_vectors], dense_weight),
        ]
    )


def _refined(
    by_shard: list[Found], by_vectors: list[Scored], plan: SearchPlan
) -> list[tuple[Candidate, float]]:
    """Rescore the closest chunks by exact vectors; the rest follow."""
    if plan.vector is None:
        return []
    pool = _Candidates(by_shard, [], by_vectors)
    near, far = by_vectors[:REFINED], by_vectors[REFINED:]
    inputs = []
    for (at, chunk), _ in near:
        shard = by_shard[at].part.shard
        inputs.append(embedder_input(shard.paths[int(shard.chunk_file[chunk])], shard.text(chunk)))
    exact = (
        np.round(plan.embedder.embed_code(inputs) @ plan.vector, DIGITS).tolist() if inputs else []
    )
    refined = [
        (pool.candidate(*place), score) for (place, _), score in zip(near, exact, strict=True)
    ]
    refined.sort(key=lambda pair: (-pair[1], pair[0].order))
    return [
        *refined,
        *_below(refined, [(pool.candidate(*place), score) for place, score in far], scale=False),
    ]


def _below(
    ranked: list[tuple[Candidate, float]], rest: list[tuple[Candidate, float]], scale: bool = True
) -> list[tuple[Candidate, float]]:
    """Return the rest with scores capped at the last ranked one."""
    if not ranked or not rest:
        return rest
    last = ranked[-1][1]
    factor = min(1.0, last / rest[0][1]) if scale else 1.0
    return [(candidate, min(last, score * factor)) for candidate, score in rest]


def hydrated(shards: dict[str, Shard], ranked: list[tuple[Candidate, float]]) -> list[Hit]:
    """Return the candidates' hits, reading their snippets from the mapped content."""
    signatures = dict[tuple[str, int], str]()
    for shard_id, shard in shards.items():
        own = [candidate for candidate, _ in ranked if candidate.shard == shard_id]
        signatures |= _signatures(shard, own)
    return [
        _hydrate(shards[candidate.shard], candidate, score, signatures)
        for candidate, score in ranked
    ]


def _hydrate(
    shard: Shard, candidate: Candidate, score: float, signatures: dict[tuple[str, int], str]
) -> Hit:
    chunk = candidate.chunk
    file = int(shard.chunk_file[chunk])
    cell = int(shard.chunk_cell[chunk])
    return Hit(
        repo=candidate.repo, path=candidate.path, start_line=candidate.start_line,
        end_line=int(shard.chunk_end_line[chunk]), score=round(score, 6),
        snippet=shard.text(chunk)[:MAX_SNIPPET_CHARACTERS].rstrip("\n"),
        snippet_line=candidate.start_line,
        language=shard.languages[int(shard.chunk_language[chunk])],
        kind=KINDS[int(shard.chunk_kind[chunk])], symbol=shard.label(chunk),
        cell=None if cell < 0 else cell, revision=shard.revision(file),
        cell_line=cell_line(shard, chunk, candidate.start_line),
        signature=signatures.get((candidate.shard, chunk), ""),
    )  # fmt: skip


def _signatures(shard: Shard, candidates: list[Candidate]) -> dict[tuple[str, int], str]:
    """Return the first lines of the definitions in whose middle chunks begin, by chunk."""
    if not candidates or not len(shard.symbol_line):
        return {}
    chunks = np.array([candidate.chunk for candidate in candidates], np.int64)
    files = shard.chunk_file[chunks].astype(np.int64)
    lines = np.array([candidate.start_line for candidate in candidates], np.int64)
    order = np.lexsort((lines, files))
    numbers = shard.definitions_around(files[order], lines[order])
    begins = np.where(numbers >= 0, shard.symbol_line[numbers].astype(np.int64), lines[order])
    return {
        (shard.id, int(chunks[at])): _line(shard, int(files[at]), int(begin))
        for at, begin in zip(order.tolist(), begins.tolist(), strict=True)
        if begin < lines[at]
    }


def _line(shard: Shard, file: int, line: int) -> str:
    chunk = shard.chunk_at(file, line)
    lines = shard.text(chunk).split("\n")
    text = lines[min(line - int(shard.chunk_line[chunk]), len(lines) - 1)]
    return text.strip()[:MAX_SIGNATURE_CHARACTERS]
