"""Where chunks lie on a map: their vectors in two dimensions, so that chunks of like meaning lie close together.

Some thousand landmarks, taken from all shards, are laid out by t-SNE once; every other chunk is placed among the
landmarks closest to it. So all shards share one map, and a shard's points are computed once and kept beside it.

References
----------
van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra
from ..scopes.storage import replace
from .shard import Shard
from .vectors import decode

LANDMARKS = 4000
NEIGHBOURS = 10
SHARPNESS = 0.02  # how much closer, in cosine, a landmark must be to count e times as much
OUTGROWN = 4  # times as many chunks as when the landmarks were laid out: they are laid out anew
_BATCH = 20_000

Floats = npt.NDArray[np.float32]


class Landmarks(NamedTuple):
    """Vectors (m, dim), normalized, and where they lie (m, 2), about -1 to 1."""

    vectors: Floats
    places: Floats
    chunks: int  # that there were in all when they were laid out
    embedder: str

    @property
    def id(self) -> str:
        return hashlib.sha256(self.places.tobytes()).hexdigest()[:12]


class Projection:
    """The map of a home, kept in a folder of it, and in memory where that cannot be written. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._landmarks: Landmarks | None = None
        self._points: dict[str, Floats] = {}  # by id of the shard

    def prepare(self, shards: Sequence[Shard]) -> None:
        """Have landmarks that serve these shards, all that there are: new ones take some ten seconds."""
        chunks = sum(shard.manifest.chunks for shard in shards)
        embedder = shards[0].manifest.embedder
        known = _read(self.folder / "landmarks.npz") or self._landmarks  # another process may have laid them out anew
        if known is None or known.embedder != embedder or chunks > OUTGROWN * known.chunks:
            known = _laid_out(shards, chunks, embedder)
            written = io.BytesIO()
            np.savez(written, vectors=known.vectors, places=known.places, chunks=np.int64(chunks), embedder=np.frombuffer(embedder.encode(), np.uint8))
            _keep(self.folder / "landmarks.npz", written.getvalue())
        if self._landmarks is None or known.id != self._landmarks.id:
            self._landmarks = known
            self._points.clear()
        self._forget_all_but({shard.id for shard in shards})

    def points(self, shard: Shard) -> Floats:
        """Where the shard's chunks lie (n, 2)."""
        found = self._points.get(shard.id)
        if found is None:
            found = self._points[shard.id] = self._kept_or_placed(shard)
        return found

    def _kept_or_placed(self, shard: Shard) -> Floats:
        assert self._landmarks is not None
        kept = self.folder / f"{shard.id}-{self._landmarks.id}.bin"
        try:
            points: Floats = np.frombuffer(kept.read_bytes(), "<f4").reshape(-1, 2)
            if len(points) == shard.manifest.chunks:
                return points
        except (OSError, ValueError):
            pass  # not there, or cut short
        points = _placed(shard, self._landmarks)
        _keep(kept, points.astype("<f4").tobytes())
        return points

    def _forget_all_but(self, shards: set[str]) -> None:
        """The points of shards that answer no more, and those of other landmarks, are of no use."""
        assert self._landmarks is not None
        for gone in self._points.keys() - shards:
            del self._points[gone]
        for kept in self.folder.glob("*-*.bin"):
            shard, _, of = kept.stem.rpartition("-")
            if shard not in shards or of != self._landmarks.id:
                with suppress(OSError):
                    kept.unlink()


def _laid_out(shards: Sequence[Shard], chunks: int, embedder: str) -> Landmarks:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from openTSNE import TSNE
    except ImportError:
        raise MissingExtra("map", needed_by="A map of the code") from None
    random = np.random.default_rng(0)
    wanted = min(LANDMARKS, chunks)
    parts = [random.choice(shard.manifest.chunks, min(shard.manifest.chunks, -(-wanted * shard.manifest.chunks // max(1, chunks))), replace=False) for shard in shards]
    vectors = np.concatenate([_normalized(shard, np.sort(part)) for shard, part in zip(shards, parts, strict=True)])
    if len(vectors) < 4:  # nothing that could be laid out
        places = np.zeros((len(vectors), 2), np.float32)
        places[:, 0] = np.arange(len(vectors))
    else:
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = TSNE(perplexity=perplexity, metric="cosine", initialization="random" if len(vectors) < 50 else "pca", n_jobs=2, random_state=0).fit(vectors)
        places = np.asarray(fitted, np.float32)
    places = places - places.mean(axis=0)
    spread = float(np.abs(places).max()) if len(places) else 0.0
    return Landmarks(vectors, (places / (spread or 1.0)).astype(np.float32), chunks, embedder)


def _placed(shard: Shard, landmarks: Landmarks) -> Floats:
    import faiss

    points = np.zeros((shard.manifest.chunks, 2), np.float32)
    faiss.omp_set_num_threads(1)
    near = min(NEIGHBOURS, len(landmarks.vectors))
    for begin in range(0, shard.manifest.chunks, _BATCH):
        vectors = _normalized(shard, np.arange(begin, min(begin + _BATCH, shard.manifest.chunks)))
        closeness, which = faiss.knn(vectors, landmarks.vectors, near, metric=faiss.METRIC_INNER_PRODUCT)
        weights = np.exp((closeness - closeness[:, :1]) / SHARPNESS)
        weights /= weights.sum(axis=1, keepdims=True)
        points[begin : begin + len(vectors)] = np.einsum("ij,ijk->ik", weights, landmarks.places[which])
    return points


def _normalized(shard: Shard, chunks: npt.NDArray[np.int64]) -> Floats:
    vectors = decode(shard.vectors.codes[chunks])
    normalized: Floats = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return normalized


def _keep(path: Path, data: bytes) -> None:
    """What can be computed again is not worth an error on a full disk."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data)


def _read(kept: Path) -> Landmarks | None:
    try:
        with np.load(io.BytesIO(kept.read_bytes()), allow_pickle=False) as held:
            return Landmarks(held["vectors"], held["places"], int(held["chunks"]), held["embedder"].tobytes().decode())
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None  # not there, or damaged
