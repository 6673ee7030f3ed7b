"""Vectors of one byte a component, in a FAISS file that is searched by mmap, always inside a mask.

The quantizer is fixed by the dimension alone: equal vectors have equal codes in every shard, so a code can be copied
from shard to shard when a chunk is met again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ShardError
from .manifest import damaged
from .mapping import map_file

Codes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

MARGIN = 64  # extra chunks fetched from FAISS, whose scores differ in the last digits
BLUR = 1e-5  # upper bound of that difference
DIGITS = 7  # of a score; further digits depend on the order of summation
SCORED = (
    1 << 16
)  # chunks scored at a time, to bound the memory: with equal scores it may be all of a shard
FEW = (
    1500  # chunks in scope up to which gathering their codes beats a scan with a bitmap (measured)
)


def component_range(dim: int) -> float:
    """Largest absolute component that a code can say: 6.4 times that of a vector with equal components."""
    return float(min(1.0, 6.4 / np.sqrt(dim)))


def encode(vectors: Floats) -> Codes:
    limit = component_range(vectors.shape[1])
    steps = np.floor((vectors + limit) * np.float32(255 / (2 * limit)))
    codes: Codes = np.clip(steps, 0, 255).astype(np.uint8)
    return codes


def decode(codes: Codes) -> Floats:
    """The vectors that the codes stand for, as FAISS reads them: the middle of each step."""
    limit = component_range(codes.shape[1])
    return (codes.astype(np.float32) + 0.5) * np.float32(2 * limit / 255) - np.float32(limit)


def write_vectors(path: Path, codes: Codes) -> None:
    faiss = _faiss()
    dim = codes.shape[1]
    index = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT
    )
    limit = component_range(dim)
    faiss.copy_array_to_vector(np.array([-limit, 2 * limit], np.float32), index.sq.trained)
    index.is_trained = True
    if len(codes):
        index.add_sa_codes(np.ascontiguousarray(codes))
    faiss.write_index(index, str(path))


FAISS_SQ = (
    b"IxSQ"  # with which FAISS begins a file of scalar-quantized vectors, and then their dimension
)


class Found(NamedTuple):
    ids: Ids  # chunks, best first; ties in chunk order
    scores: npt.NDArray[np.float64]  # cosine from the codes, independent of the shard


class VectorIndex:
    """The vectors of one shard, opened by mmap."""

    def __init__(self, path: Path, count: int, dim: int) -> None:
        self.path, self.count, self.dim = path, count, dim
        self._index: Any = None
        mapped = map_file(path)
        if len(mapped) < count * dim:
            raise ShardError(f"The vectors of shard {path.parent.name} are cut short.")
        if (
            mapped[: len(FAISS_SQ)] != FAISS_SQ
            or int.from_bytes(mapped[len(FAISS_SQ) : len(FAISS_SQ) + 4], "little") != dim
        ):
            raise ShardError(f"The vectors of shard {path.parent.name} do not begin as such.")
        # FAISS writes the codes last, so numpy finds them without it
        self.codes: Codes = np.frombuffer(
            mapped, np.uint8, count * dim, len(mapped) - count * dim
        ).reshape(count, dim)

    def search(
        self, query: Floats, k: int, mask: npt.NDArray[np.bool_] | None, in_scope: int
    ) -> Found:
        """Return the k chunks in the mask closest to the query; filters during the search, so none is lost."""
        k = min(k, in_scope)
        if k <= 0:
            return Found(np.zeros(0, np.int64), np.zeros(0, np.float64))
        ids = self._candidates(query, k, mask, in_scope)
        scores = self._scores(query, ids)
        best = top(scores, k)
        return Found(ids[best], scores[best])

    def _candidates(
        self, query: Floats, k: int, mask: npt.NDArray[np.bool_] | None, in_scope: int
    ) -> Ids:
        """Return a sorted superset of the k closest chunks, with all ties for the last place."""
        fetch = k + MARGIN
        while in_scope > max(FEW, fetch):
            ids, scores = self._scan(query, fetch, mask)
            if scores[k - 1] - scores[-1] > BLUR:
                return np.sort(ids)
            fetch *= 8  # many ties, such as copies of a file
        return np.arange(self.count) if mask is None else np.flatnonzero(mask)

    def _scores(self, query: Floats, ids: Ids) -> npt.NDArray[np.float64]:
        limit = component_range(self.dim)
        step = 2 * limit / 255
        vector = query.reshape(-1).astype(np.float64)
        products = np.empty(len(ids))
        for begin in range(0, len(ids), SCORED):
            block = slice(begin, begin + SCORED)
            # not a BLAS product: its threads wait for one another for 5 to 8 ms where the cores are busy
            np.einsum(
                "ij,j->i",
                self.codes[ids[block]].astype(np.float64),
                vector * step,
                out=products[block],
            )
        scores: npt.NDArray[np.float64] = np.round(
            products + (step / 2 - limit) * float(vector.sum()), DIGITS
        )
        return scores

    def _scan(
        self, query: Floats, k: int, mask: npt.NDArray[np.bool_] | None
    ) -> tuple[Ids, Floats]:
        faiss = _faiss()
        if self._index is None:
            if (
                not self.path.exists()
            ):  # FAISS would say RuntimeError; a reader that comes late retries on this
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
        faiss.omp_set_num_threads(
            1
        )  # holds for this thread alone: more threads on busy cores are 5 times slower
        parameters = faiss.SearchParameters()
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            parameters.sel = faiss.IDSelectorBitmap(bits)
        scores, ids = self._index.search(query.reshape(1, -1), k, params=parameters)
        found = ids[0] >= 0
        return ids[0][found], scores[0][found]


def _faiss() -> Any:
    """FAISS, loaded when it is first needed: importing it takes a tenth of a second."""
    import faiss

    return faiss


def top(scores: npt.NDArray[np.floating[Any]], k: int) -> Ids:
    """Return the positions of the k highest scores, highest first; ties in input order."""
    if k < len(scores):
        last = -np.partition(-scores, k - 1)[
            k - 1
        ]  # negated: on the plain scores it is slow with many ties
        above = np.flatnonzero(scores > last)
        best = np.sort(np.concatenate([above, np.flatnonzero(scores == last)[: k - len(above)]]))
    else:
        best = np.arange(len(scores))
    return best[np.argsort(-scores[best], kind="stable")]
