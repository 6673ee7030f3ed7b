"""Candidate chunks of each shard: by words, by vectors and by definitions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from posixpath import commonpath, dirname
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.words import parts_of, stem
from ...index.shard.cutoff import Cutoff
from ...index.shard.id_lists import Ids
from ...index.shard.lexicon import Postings, WordScores
from ...index.shard.shard import Shard
from ...index.shard.vectors import Found as Closest
from ...index.shard.vectors import top
from ..hit import path_order
from ..mask import ScopeMask
from ..ranking.pool import Definition, ShardCandidates, definitions_of, overviews_of
from .plan import SearchPlan

Place = tuple[int, int]  # position of a shard, number of a chunk
Scored = tuple[Place, float]


COMMON = 0.9  # least share of the chunks with a common term


class Statistics(NamedTuple):
    """BM25 statistics of a collection."""

    chunks: int
    total_length: int
    frequencies: dict[str, int]
    files: Counter[tuple[str, str]]  # of each repository and language

    @classmethod
    def summed(cls, shards: Sequence[Statistics]) -> Statistics:
        """Return the statistics of all shards together."""
        frequencies, files = Counter[str](), Counter[tuple[str, str]]()
        for one in shards:
            frequencies.update(one.frequencies)
            files.update(one.files)
        return cls(
            sum(one.chunks for one in shards),
            sum(one.total_length for one in shards),
            dict(frequencies),
            files,
        )

    def weights(self) -> dict[str, float]:
        """Return the inverse document frequency of each term."""
        return {
            term: math.log(1 + (self.chunks - n + 0.5) / (n + 0.5))
            for term, n in self.frequencies.items()
        }

    def is_common(self, term: str, folders: frozenset[str]) -> bool:
        """Whether a term names a folder above all files, and almost every chunk has it."""
        return term in folders and self.frequencies.get(term, 0) > COMMON * self.chunks

    def language_shares(self) -> dict[tuple[str, str], float]:
        """Return the share of each repository's files in each language."""
        of_repo = Counter[str]()
        for (repo, _), files in self.files.items():
            of_repo[repo] += files
        return {key: files / of_repo[key[0]] for key, files in self.files.items()}


class Part(NamedTuple):
    """A shard with the masks of a search."""

    shard: Shard
    repo: str
    mask: ScopeMask
    live: ScopeMask  # all live files


class Scores(NamedTuple):
    """Chunks of a shard, ascending, with what the ranking needs of each."""

    chunks: Ids
    words: npt.NDArray[np.float64]  # BM25
    cosines: npt.NDArray[np.float64]
    covered: npt.NDArray[np.float64]  # share of the query's terms, by weight

    def only(self, chunks: Ids) -> Scores:
        """Return some of the chunks, ascending."""
        at = np.searchsorted(self.chunks, chunks)
        return Scores(chunks, self.words[at], self.cosines[at], self.covered[at])


class Found(NamedTuple):
    """Best chunks of a shard by each method, in scope."""

    part: Part
    lexical_ids: Ids
    lexical: npt.NDArray[np.float32]  # BM25, above 0
    closest: list[Closest]  # by vectors, one per step of the search
    defines: dict[int, Definition]
    overviews: list[int]  # chunks that say what the repository is about, if the query asks
    by_words: WordScores  # of every chunk
    weights: list[float]  # of the query's terms
    vector: npt.NDArray[np.float32] | None  # of the query
    scored: Scores | None = None  # of all chunks above, if another process scored them

    @property
    def space(self) -> str:
        """Return the space of the shard's vectors."""
        return self.part.shard.manifest.space

    def candidates(self, chunks: Ids) -> ShardCandidates:
        """Return some chunks, ascending, with their scores."""
        if self.scored is not None:
            return self._with(self.scored.only(chunks))
        words = self.by_words.scores[chunks].astype(np.float64)
        covered = np.zeros(len(chunks))
        for weight, own in zip(self.weights, self.by_words.having, strict=True):
            if len(chunks) and len(own):
                covered += weight * _are_among(chunks, own)
        vectors = self.part.shard.vectors
        cosines = (
            np.zeros(len(chunks))
            if self.vector is None or not len(chunks)
            else vectors.scores(self.vector, chunks)
        )
        return self._with(Scores(chunks, words, cosines, covered / (sum(self.weights) or 1.0)))

    def _with(self, scores: Scores) -> ShardCandidates:
        return ShardCandidates(
            self.part.shard, self.part.repo, scores.chunks, scores.words, scores.cosines,
            self.vector, self.defines, scores.covered,
        )  # fmt: skip

    def scores(self) -> Scores:
        """Return the scores of all chunks above."""
        lists = [self.lexical_ids, *(one.ids for one in self.closest)]
        others = np.array([*self.defines, *self.overviews], np.int64)
        chunks = np.unique(np.concatenate([*lists, others])).astype(np.int64)
        candidates = self.candidates(chunks)
        return Scores(chunks, candidates.lexical, candidates.dense, candidates.covered)


def statistics(part: Part) -> Statistics:
    """Count a shard's live chunks and files, without terms."""
    shard, live = part.shard, part.live.chunks
    lexicon = shard.lexicon
    counts = (
        shard.language_counts
        if part.live.files is None
        else np.bincount(shard.file_language[part.live.files], minlength=len(shard.languages))
    )
    files = Counter(
        {
            (part.repo, name): count
            for name, count in zip(shard.languages, counts.tolist(), strict=True)
        }
    )
    if live is None:
        return Statistics(shard.manifest.chunks, lexicon.total_length, {}, files)
    total_length = int(lexicon.lengths[live].sum(dtype=np.int64))
    return Statistics(part.live.chunks_in_scope, total_length, {}, files)


def frequencies(part: Part, terms: tuple[str, ...]) -> dict[str, int]:
    """Count a shard's live chunks with each term."""
    lexicon, live = part.shard.lexicon, part.live.chunks
    if live is None:
        return {term: lexicon.frequency(term) for term in terms}
    return {term: int(live[lexicon.postings(term)[0]].sum()) for term in terms}


def folders_above(parts: Sequence[Part]) -> frozenset[str]:
    """Return the stems of the folders above all files, such as the project's name."""
    # files are in path order, so the first and the last suffice
    ends = [path for part in parts for path in (*part.shard.paths[:1], *part.shard.paths[-1:])]
    above = commonpath(map(dirname, ends)) if ends else ""
    return frozenset(map(stem, parts_of(above)))


def candidates(
    part: Part, plan: SearchPlan, collection: Statistics, cutoff: Cutoff, closest: list[Closest]
) -> Found:
    """Return a shard's candidates: the best by words, ``closest``, and definitions.

    ``cutoff`` applies to scores by words: chunks below it are skipped.
    """
    shard, mask = part.shard, part.mask
    vector = plan.vector(shard.manifest.space)
    lexical_ids, lexical = np.zeros(0, np.int64), np.zeros(0, np.float32)
    weights = collection.weights()
    mean_length = max(1, collection.total_length) / max(1, collection.chunks)
    by_words = shard.lexicon.scores(weights, mean_length, mask.chunks)
    if plan.terms:
        scores = by_words.scores
        # only matching chunks: partitioning many zeros is slow
        matching = np.flatnonzero(scores >= cutoff.score if cutoff.score > 0 else scores > 0)
        lexical_ids = matching[top(scores[matching], cutoff.most)]
        lexical = scores[lexical_ids]
        cutoff.add(lexical)
    intent, in_scope = plan.intent, mask.chunks
    by_files = plan.query.mode != "dense"
    defines = definitions_of(shard, intent, in_scope) if by_files else {}
    overviews = overviews_of(shard, in_scope) if by_files and intent.is_overview else []
    return Found(
        part, lexical_ids, lexical, closest, defines, overviews, by_words,
        [*weights.values()], vector,
    )  # fmt: skip


def _are_among(chunks: Ids, others: Postings) -> npt.NDArray[np.bool_]:
    """Return the mask of chunks that are in ``others``; both are ascending."""
    places = others.searchsorted(chunks)
    mask: npt.NDArray[np.bool_] = places < len(others)
    mask[mask] = others[places[mask]] == chunks[mask]
    return mask


def best_places(
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
