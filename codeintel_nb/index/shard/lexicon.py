"""BM25 postings of a shard: chunks and counts by term.

References
----------
Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.vocabulary import Vocabulary, WordParts, Words
from ...embedding.words import hash_of, terms_of
from .arrays import Array, open_arrays, write_arrays
from .id_lists import IdLists, packed
from .lengths import length_arrays, lengths_in, starts_of

K1 = 1.5  # how soon further mentions of a term stop counting
B = 0.75  # how much a long chunk is discounted
# counts of a term in a chunk: one bit tells whether the term is repeated, which is rare; if so,
# four bits give the step. Above 10, the nearest step changes a score by about a hundredth
STEPS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 19, 26, 40, 110], np.uint8)
_COUNTS = np.arange(256)[:, None]
_RANKED = 4096  # postings per entry of the rank directory, a cumulative count of repeated terms
MAX_POSITIONS = 1_000  # cached, of terms; then the cache is cleared
_STEP_OF = np.abs(_COUNTS / (_COUNTS + K1) - STEPS / (STEPS + K1)).argmin(axis=1).astype(np.uint8)


class LexiconBuilder:
    """Collector of chunks' terms, written in order of their hashes."""

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}
        self._forget(Vocabulary())
        self._postings: list[tuple[Array, Array, Array]] = []  # terms, chunks, counts
        self._lengths: list[Array] = []
        self._chunks = 0

    def _forget(self, vocabulary: Vocabulary) -> None:
        """Begin with the terms of another vocabulary's words."""
        self._vocabulary, self._word_terms = vocabulary, WordParts()
        self._rows = np.zeros(0, np.int64)  # of the words in ``_word_terms``; -1: not there

    def add(self, words: Words) -> None:
        """Add the words of the next chunks."""
        if words.vocabulary is not self._vocabulary:
            self._forget(words.vocabulary)
        self._learn(words.numbers)
        terms, lengths = self._word_terms.ids_of(self._rows[words.numbers])
        owners = np.repeat(words.owners, lengths)
        keys, counts = np.unique(owners * (1 << 32) + terms, return_counts=True)
        self._postings.append(
            (
                (keys & 0xFFFFFFFF).astype(np.uint32),
                ((keys >> 32) + self._chunks).astype(np.uint32),
                np.minimum(counts, 255).astype(np.uint8),
            )
        )
        self._lengths.append(np.bincount(owners, minlength=words.texts).astype(np.uint32))
        self._chunks += words.texts

    def _learn(self, numbers: Array) -> None:
        """Split the words that are new here into terms."""
        words, terms = self._vocabulary.words, self._terms
        more = len(words) - len(self._rows)
        self._rows = np.concatenate([self._rows, np.full(more, -1)])
        is_new = np.zeros(len(self._rows), bool)
        is_new[numbers] = True
        for number in np.flatnonzero(is_new & (self._rows < 0)).tolist():
            self._rows[number] = len(self._word_terms)
            self._word_terms.append(
                terms.setdefault(term, len(terms)) for term in terms_of(words[number])
            )

    def extend(self, other: LexiconBuilder) -> None:
        """Append the terms of the next chunks."""
        own = self._terms
        ids = np.array([own.setdefault(term, len(own)) for term in other._terms], np.uint32)
        self._postings += [
            (ids[terms], chunks + np.uint32(self._chunks), counts)
            for terms, chunks, counts in other._postings
        ]
        self._lengths += other._lengths
        self._chunks += other._chunks

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cache of words."""
        return {**self.__dict__, "_vocabulary": None, "_word_terms": None, "_rows": None}

    def write(self, path: Path) -> None:
        hashes = np.fromiter(map(hash_of, self._terms), np.uint64, len(self._terms))
        by_hash = np.argsort(hashes)
        rank = np.empty(len(hashes), np.uint64)
        rank[by_hash] = np.arange(len(hashes), dtype=np.uint64)
        # term, chunk and count in one number, sorted in place
        keys = np.empty(sum(len(terms) for terms, _, _ in self._postings), "<u8")
        at = 0
        while self._postings:
            terms, chunks, counts = self._postings.pop()
            part = keys[at : at + len(terms)]
            part[:] = rank[terms]
            part <<= np.uint64(28)
            part |= chunks
            part <<= np.uint64(4)
            part |= _STEP_OF[counts]
            at += len(terms)
        keys.sort()
        starts = np.searchsorted(
            keys, np.arange(len(hashes) + 1, dtype=np.uint64) << np.uint64(32)
        ).astype(np.uint32)
        low = keys.view("<u4")[::2]
        chunks, steps = low >> 4, (low & 15).astype(np.uint8)
        del keys, low
        lengths = np.concatenate(self._lengths or [np.zeros(0, np.uint32)]).astype(np.uint32)
        lists = packed(chunks, starts[:-1].astype(np.int64), self._chunks)
        several = steps > 0
        ranks = np.cumsum(
            [0, *several[: len(several) // _RANKED * _RANKED].reshape(-1, _RANKED).sum(axis=1)]
        ).astype(np.uint32)
        tf: dict[str, Array] = {
            "several": np.packbits(several, bitorder="little"),
            "ranks": ranks,
            "counts": _halved(steps[several]),
        }
        own = {"hashes": hashes[by_hash], **length_arrays("lengths", lengths)}
        write_arrays(path, {**own, **lists, **tf})


def _halved(steps: Array) -> Array:
    """Pack two steps to a byte, the first one lower."""
    even = np.append(steps, np.zeros(len(steps) % 2, np.uint8)).reshape(-1, 2)
    halved: Array = even[:, 0] | even[:, 1] << 4
    return halved


Postings = npt.NDArray[np.integer[Any]]  # chunks with a term, ascending


class WordScores(NamedTuple):
    """BM25 of every chunk, and the chunks with each term."""

    scores: npt.NDArray[np.float32]
    having: list[Postings]


class Lexicon:
    """The BM25 postings of one shard, opened by mmap."""

    def __init__(self, path: Path) -> None:
        arrays = open_arrays(path)
        self._hashes = arrays["hashes"]
        self._several, self._ranks, self._counts = (
            arrays["several"],
            arrays["ranks"],
            arrays["counts"],
        )
        self.lengths: npt.NDArray[np.uint32] = lengths_in(arrays, "lengths")
        self._lists = IdLists(arrays, len(self.lengths))
        # first posting of each term, and the end; stored in a shard of format 7
        self._starts = arrays["starts"] if "starts" in arrays else starts_of(self._lists.counts)
        self._positions: dict[str, int] = {}  # of the terms of recent queries; -1 for none
        self.total_length = int(self.lengths.sum(dtype=np.int64))

    def postings(self, term: str) -> tuple[Postings, npt.NDArray[np.uint8]]:
        """Return a term's ordered chunks, and counts rounded to STEPS."""
        at = self._position(term)
        if at is None:
            return np.zeros(0, np.int64), np.zeros(0, np.uint8)
        start, end = int(self._starts[at]), int(self._starts[at + 1])
        several = np.flatnonzero(self._are_repeated(start, end))
        ranked = start // _RANKED
        before = self._are_repeated(ranked * _RANKED, start)
        first = int(self._ranks[ranked]) + int(np.count_nonzero(before))
        halves = self._counts[first // 2 : (first + len(several) + 1) // 2]
        steps = np.empty(2 * len(halves), np.uint8)
        steps[::2] = halves & 15
        steps[1::2] = halves >> 4
        counts = np.ones(end - start, np.uint8)
        counts[several] = STEPS[steps[first % 2 :][: len(several)]]
        return self._lists.read(at), counts

    def _are_repeated(self, start: int, end: int) -> npt.NDArray[np.bool_]:
        """Return, for each posting, whether the chunk repeats the term."""
        bits = np.unpackbits(self._several[start // 8 : (end + 7) // 8], bitorder="little")
        return bits[start % 8 :][: end - start].view(np.bool_)

    def frequency(self, term: str) -> int:
        """Return the number of chunks with the term."""
        at = self._position(term)
        return 0 if at is None else int(self._starts[at + 1]) - int(self._starts[at])

    def _position(self, term: str) -> int | None:
        at = self._positions.get(term)  # another thread may clear the cache
        if at is None:
            if len(self._positions) >= MAX_POSITIONS:
                self._positions.clear()
            target = np.uint64(hash_of(term))
            at = int(self._hashes.searchsorted(target))
            is_there = at < len(self._hashes) and self._hashes[at] == target
            self._positions[term] = at = at if is_there else -1
        return None if at < 0 else at

    def scores(
        self,
        weights: dict[str, float],
        mean_length: float,
        mask: npt.NDArray[np.bool_] | None,
    ) -> WordScores:
        """Score the chunks in the mask by BM25.

        ``weights`` are the terms with their inverse document frequencies.
        """
        scores, having = np.zeros(len(self.lengths), np.float32), list[Postings]()
        for term, weight in weights.items():
            chunks, counts = self.postings(term)
            if mask is not None:
                inside = mask[chunks]
                chunks, counts = chunks[inside], counts[inside]
            tf = counts.astype(np.float32)
            norm = K1 * (1 - B) + (K1 * B / mean_length) * self.lengths.take(chunks)
            scores[chunks] += weight * tf / (norm.astype(np.float32) + tf)
            having.append(chunks)
        return WordScores(scores, having)
