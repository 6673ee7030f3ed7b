"""Vectors of bytes in a FAISS file, searched by mmap.

The quantizer depends on the dimension alone. Equal vectors have equal codes in every shard, so the
code of a recurring chunk can be copied between shards.
"""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import ShardError
from .coarse import CoarseCodes, Near
from .codes import Codes, Floats, component_range, encode
from .cutoff import Cutoff
from .id_lists import Ids
from .manifest import damaged
from .mapping import map_file

MARGIN = 64  # extra candidates from FAISS, as its scores differ in the last digits
BLUR = 1e-5  # upper bound of that difference
DIGITS = 7  # of a score; further digits depend on the order of summation
# chunks scored at a time, to bound memory: with equal scores, all of a shard may be candidates
SCORED = 1 << 16
# largest scope where gathering the codes beats a scan with a bitmap (measured)
FEW = 1500
MAX_MEANS = 500  # file means cached per shard: half a megabyte for 256 dimensions
MAX_AVERAGED = 512  # chunks of a file whose mean is compared with the query


def write_vectors(path: Path, codes: Codes) -> None:
    index = _empty_index(codes.shape[1])
    if len(codes):
        index.add_sa_codes(np.ascontiguousarray(codes))
    _faiss().write_index(index, str(path))


# start of FAISS's files of scalar-quantized vectors; their dimension follows
FAISS_SQ = b"IxSQ"


class Found(NamedTuple):
    ids: Ids  # chunks, best first; ties in chunk order
    scores: npt.NDArray[np.float64]  # cosine from the codes, independent of the shard


class VectorIndex:
    """Vectors of one shard, opened by mmap."""

    def __init__(self, path: Path, count: int, dim: int) -> None:
        self.path, self.count, self.dim = path, count, dim
        self._index: Any = None
        self._means: dict[int, Floats] = {}  # of files, by their first chunk
        mapped = map_file(path)
        if len(mapped) < count * dim:
            raise ShardError(f"The vectors of shard {path.parent.name} are truncated.")
        if (
            mapped[: len(FAISS_SQ)] != FAISS_SQ
            or int.from_bytes(mapped[len(FAISS_SQ) : len(FAISS_SQ) + 4], "little") != dim
        ):
            raise ShardError(f"The vectors of shard {path.parent.name} have an invalid header.")
        # FAISS writes the codes last, so numpy finds them without it
        self.codes: Codes = np.frombuffer(
            mapped, np.uint8, count * dim, len(mapped) - count * dim
        ).reshape(count, dim)

    @cached_property
    def _coarse(self) -> CoarseCodes:
        return CoarseCodes.beside(self.path, self.codes)

    def near(
        self,
        query: Floats,
        least: int,
        mask: npt.NDArray[np.bool_] | None,
        limit: int | None = None,
    ) -> Near:
        """Return the chunks in the mask nearest to the query by coarse codes.

        All chunks within ``limit`` are returned, by default within one that admits ``least``.
        """
        return self._coarse.near(encode(query.reshape(1, -1)), least, mask, limit)

    def search(
        self,
        query: Floats,
        mask: npt.NDArray[np.bool_] | None,
        in_scope: int,
        cutoff: Cutoff,
    ) -> Found:
        """Return the chunks in the mask closest to the query: ``cutoff.most``, and none below it.

        The mask applies during the search, so no result is lost.
        """
        most = min(cutoff.most, in_scope)
        if most <= 0:
            return Found(np.zeros(0, np.int64), np.zeros(0, np.float64))
        return self._best(query, self._candidates(query, most, mask, in_scope, cutoff), cutoff)

    def best_of(self, query: Floats, ids: Ids, cutoff: Cutoff) -> Found:
        """Return the chunks of ``ids`` (ascending) closest to the query, as ``search`` does."""
        if len(ids) > FEW:
            index = _empty_index(self.dim)
            index.add_sa_codes(self.codes.take(ids, axis=0))
            ids = ids[_candidates(index, query, cutoff.most, len(ids), cutoff)]
        return self._best(query, ids, cutoff)

    def _best(self, query: Floats, ids: Ids, cutoff: Cutoff) -> Found:
        scores = self.scores(query, ids)
        above = np.flatnonzero(scores >= cutoff.score)
        ids, scores = ids[above], scores[above]
        best = top(scores, cutoff.most)
        cutoff.add(scores[best])
        return Found(ids[best], scores[best])

    def _candidates(
        self,
        query: Floats,
        k: int,
        mask: npt.NDArray[np.bool_] | None,
        in_scope: int,
        cutoff: Cutoff,
    ) -> Ids:
        """Return a sorted superset of the k closest above the cutoff, with ties."""
        if in_scope > FEW:
            parameters = None
            if mask is not None:
                faiss = _faiss()
                parameters = faiss.SearchParameters()
                bits = np.packbits(mask, bitorder="little")
                parameters.sel = faiss.IDSelectorBitmap(bits)
            ids = _candidates(self._faiss_index(), query, k, in_scope, cutoff, parameters)
            if len(ids) < in_scope:
                return ids
        return np.arange(self.count) if mask is None else np.flatnonzero(mask)

    def scores(self, query: Floats, ids: Ids) -> npt.NDArray[np.float64]:
        """Return the cosine of chunks with the query, from the codes."""
        limit = component_range(self.dim)
        step = 2 * limit / 255
        vector = query.reshape(-1).astype(np.float64)
        products = np.empty(len(ids))
        for begin in range(0, len(ids), SCORED):
            block = slice(begin, begin + SCORED)
            # not a BLAS product: on busy cores its threads wait 5 to 8 ms for one another
            np.einsum(
                "ij,j->i",
                self.codes.take(ids[block], axis=0).astype(np.float64),
                vector * step,
                out=products[block],
            )
        scores: npt.NDArray[np.float64] = np.round(
            products + (step / 2 - limit) * float(vector.sum()), DIGITS
        )
        return scores

    def mean_scores(self, query: Floats, firsts: Ids, ends: Ids) -> npt.NDArray[np.float64]:
        """Return the cosine of the query with the mean of each run of chunks.

        A run goes from its first chunk to its end, exclusive; only ``MAX_AVERAGED`` are read.
        """
        if not len(firsts):
            return np.zeros(0)
        runs = firsts.tolist()
        means = {first: mean for first in runs if (mean := self._means.get(first)) is not None}
        missing = np.array([first not in means for first in runs])
        if missing.any():
            fresh = self._unit_means(firsts[missing], ends[missing])
            # copies: a view would keep the means of a whole query
            rows = zip(firsts[missing].tolist(), map(np.copy, fresh), strict=True)
            new = dict(rows)
            means |= new
            if len(self._means) + len(new) > MAX_MEANS:
                self._means.clear()
            self._means |= islice(new.items(), MAX_MEANS)
        vector = query.reshape(-1).astype(np.float64)
        together = np.stack([means[first] for first in runs])
        cosines: npt.NDArray[np.float64] = np.einsum("ij,j->i", together, vector)
        return np.round(cosines, DIGITS)

    def _unit_means(self, firsts: Ids, ends: Ids) -> Floats:
        """Return the normalized mean of each run."""
        counts = np.minimum(ends - firsts, MAX_AVERAGED)
        runs = zip(firsts.tolist(), (firsts + counts).tolist(), strict=True)
        # np.add.reduceat takes three times as long
        totals = np.stack(
            [np.add.reduce(self.codes[first:end], axis=0, dtype=np.uint32) for first, end in runs]
        )
        limit = component_range(self.dim)
        means = (totals / counts[:, None] + 0.5) * (2 * limit / 255) - limit
        lengths = np.sqrt(np.einsum("ij,ij->i", means, means))
        directions: Floats = (means / np.maximum(1e-9, lengths)[:, None]).astype(np.float32)
        return directions

    def _faiss_index(self) -> Any:
        """Return the FAISS index, opened once."""
        faiss = _faiss()
        if self._index is None:
            # FAISS would raise RuntimeError; a late reader retries on FileNotFoundError
            if not self.path.exists():
                raise FileNotFoundError(self.path)
            try:
                self._index = faiss.read_index(
                    str(self.path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
                )
            except RuntimeError as error:
                raise damaged(
                    self.path.parent,
                    f"its vectors cannot be read: {str(error).splitlines()[0][:200]}",
                ) from error
            if self._index.ntotal != self.count or self._index.d != self.dim:
                raise damaged(
                    self.path.parent, f"it has {self._index.ntotal} vectors instead of {self.count}"
                )
        return self._index


def _candidates(
    index: Any, query: Floats, k: int, count: int, cutoff: Cutoff, parameters: Any = None
) -> Ids:
    """Return a sorted superset of the k closest of ``count``, with ties; all if too many tie."""
    # for this thread alone; more threads on busy cores are 5 times slower
    _faiss().omp_set_num_threads(1)
    fetch, least = k + MARGIN, cutoff.score - BLUR
    while fetch < count:
        (scores,), (ids,) = index.search(query.reshape(1, -1), fetch, params=parameters)
        if scores[k - 1] - scores[-1] > BLUR or scores[-1] < least:
            return np.sort(ids[scores >= least])
        fetch *= 8  # many ties, such as copies of a file
    return np.arange(count)


def _empty_index(dim: int) -> Any:
    faiss = _faiss()
    index = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT
    )
    limit = component_range(dim)
    faiss.copy_array_to_vector(np.array([-limit, 2 * limit], np.float32), index.sq.trained)
    index.is_trained = True
    return index


def _faiss() -> Any:
    """Import FAISS at its first use: it takes 0.1 s."""
    import faiss

    return faiss


def top(scores: npt.NDArray[np.floating[Any]], k: int) -> Ids:
    """Return the k best positions, best first, ties in order."""
    if k < len(scores):
        # negated: partitioning the plain scores is slow with many ties
        last = -np.partition(-scores, k - 1)[k - 1]
        above = np.flatnonzero(scores > last)
        best = np.sort(np.concatenate([above, np.flatnonzero(scores == last)[: k - len(above)]]))
    else:
        best = np.arange(len(scores))
    return best[np.argsort(-scores[best], kind="stable")]
