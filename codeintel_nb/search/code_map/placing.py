"""Places of landmarks by t-SNE, and of all other chunks among them.

References
----------
van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from ...index.shard.codes import decode
from ...index.shard.shard import Shard
from .landmarks import Floats, Landmarks

LANDMARKS = 2000
NEIGHBOURS = 10
SHARPNESS = 0.02  # cosine gain that multiplies a landmark's weight by e
ITERATIONS = 350  # of t-SNE, the first 250 with exaggeration
COMPONENTS = 50  # main ones of the vectors, from which t-SNE starts
EXPECTED_S = 6.0  # for the layout
TICK_S = 0.3  # between progress reports
_BATCH = 20_000


def laid_out(shards: Sequence[Shard], chunks: int, report: Callable[[float], None]) -> Landmarks:
    """Lay out landmarks, sampled from all shards."""
    embedder = shards[0].manifest.embedder
    random = np.random.default_rng(0)
    target = min(LANDMARKS, chunks)
    parts = [
        random.choice(
            shard.manifest.chunks,
            min(shard.manifest.chunks, -(-target * shard.manifest.chunks // max(1, chunks))),
            replace=False,
        )
        for shard in shards
    ]
    vectors = np.concatenate(
        [_normalized(shard, np.sort(part)) for shard, part in zip(shards, parts, strict=True)]
    )
    if len(vectors) < 4:  # too few for a layout
        places = np.zeros((len(vectors), 2), np.float32)
        places[:, 0] = np.arange(len(vectors))
    else:
        with _reporting(report, EXPECTED_S * len(vectors) / LANDMARKS):
            places = _tsne(vectors)
    places = places - places.mean(axis=0)
    spread = float(np.abs(places).max()) if len(places) else 0.0
    return Landmarks(vectors, (places / (spread or 1.0)).astype(np.float32), chunks, embedder)


def _tsne(vectors: Floats) -> Floats:
    """Return the places of vectors, (n, 2), by t-SNE of their main components."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    main = PCA(min(COMPONENTS, *vectors.shape), random_state=0).fit_transform(vectors)
    layout = TSNE(
        perplexity=min(30.0, (len(vectors) - 1) / 3),
        init="pca" if len(vectors) >= 50 else "random",
        max_iter=ITERATIONS,
        n_jobs=2,
        random_state=0,
    )
    places: Floats = layout.fit_transform(main).astype(np.float32)
    return places


@contextmanager
def _reporting(report: Callable[[float], None], expected_s: float) -> Iterator[None]:
    """Report the estimated share done, as the library reports none."""
    finish, began = threading.Event(), time.monotonic()

    def tick() -> None:
        while not finish.wait(TICK_S):
            report(1 - math.exp(-(time.monotonic() - began) / max(expected_s, 1.0)))

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finish.set()
        thread.join()


def placed(shard: Shard, landmarks: Landmarks, report: Callable[[float], None]) -> Floats:
    """Place a shard's chunks among their closest landmarks, (n, 2)."""
    import faiss

    points = np.zeros((shard.manifest.chunks, 2), np.float32)
    faiss.omp_set_num_threads(1)
    near = min(NEIGHBOURS, len(landmarks.vectors))
    for begin in range(0, shard.manifest.chunks, _BATCH):
        vectors = _normalized(shard, np.arange(begin, min(begin + _BATCH, shard.manifest.chunks)))
        closeness, which = faiss.knn(
            vectors, landmarks.vectors, near, metric=faiss.METRIC_INNER_PRODUCT
        )
        weights = np.exp((closeness - closeness[:, :1]) / SHARPNESS)
        weights /= weights.sum(axis=1, keepdims=True)
        points[begin : begin + len(vectors)] = np.einsum(
            "ij,ijk->ik", weights, landmarks.places[which]
        )
        report(begin + len(vectors))
    return points


def _normalized(shard: Shard, chunks: npt.NDArray[np.int64]) -> Floats:
    vectors = decode(shard.vectors.codes[chunks])
    normalized: Floats = (
        vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    ).astype(np.float32)
    return normalized
