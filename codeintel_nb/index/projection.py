"""Map of the chunks in two dimensions; chunks of like meaning are neighbours.

t-SNE lays out some thousand landmarks, sampled from all shards, once. Every other chunk is placed
among its closest landmarks. All shards thus share one map, and each shard's points are computed
once and stored beside the landmarks.

References
----------
van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import ENOENT
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import CodeIntelError, EngineError, MissingExtra, SearchError
from ..scopes.storage import make_private, replace
from .child import Cancelled, Failure, Output, ask, end, how_it_ended, read_job, serve_parent, spawn
from .report import Progress
from .shard import Shard
from .vectors import decode

LANDMARKS = 4000
NEIGHBOURS = 10
SHARPNESS = 0.02  # cosine gain that multiplies a landmark's weight by e
OUTGROWN = 4  # growth factor of the chunks since the last layout that triggers a new one
LAYOUT_CHUNKS = 150_000  # placing this many takes about as long as the layout
ITERATIONS, CALLED_EVERY = 750, 25  # of t-SNE
STAGE = "drawing the map"
LANDMARKS_FILE = "landmarks.npz"
ATTEMPTS = 3  # as another process may lay out the same map
_BATCH = 20_000

Floats = npt.NDArray[np.float32]


class Landmarks(NamedTuple):
    """Normalized vectors (m, dim), and their places (m, 2), about -1 to 1."""

    vectors: Floats
    places: Floats
    chunks: int  # of all shards at the time of the layout
    embedder: str

    @property
    def id(self) -> str:
        return hashlib.sha256(self.places.tobytes()).hexdigest()[:12]

    def serves(self, shards: Sequence[Shard]) -> bool:
        """Whether the shards' chunks can be placed among these landmarks."""
        chunks = sum(shard.manifest.chunks for shard in shards)
        return self.embedder == shards[0].manifest.embedder and chunks <= OUTGROWN * self.chunks


class Projection:
    """Map of a home, cached in a folder of it, or in memory if that is unwritable.

    Not thread-safe.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._landmarks: Landmarks | None = None
        self._points: dict[str, Floats] = {}  # by shard id

    def prepare(
        self,
        shards: Sequence[Shard],
        progress: Callable[[Progress], None] = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> None:
        """Load the map positions of all chunks; a child process computes missing ones.

        Raises
        ------
        MissingExtra : a layout is due but openTSNE is not installed.
        SearchError : the caller cancelled it.
        EngineError : the child died, or the map could not be written.
        FileNotFoundError : a shard was replaced meanwhile.
        """
        for _ in range(ATTEMPTS):  # another process may replace the landmarks at any time
            landmarks = _read(self.folder / LANDMARKS_FILE) or self._landmarks
            is_due = landmarks is None or not landmarks.serves(shards)
            if landmarks is not None and not is_due:
                self._use(landmarks, shards)
                if all(self._is_placed(shard) for shard in shards):
                    break
            if self._lay_out(shards, None if is_due else landmarks, progress, cancel):
                break
        else:
            raise EngineError(
                f"The map could not be written to {self.folder}. "
                "Free some space, and draw it again."
            )
        self._forget_all_but({shard.id for shard in shards})

    def points(self, shard: Shard) -> Floats:
        """Return the positions of a shard's chunks, (n, 2), after ``prepare``.

        Raises
        ------
        FileNotFoundError : the shard is newer than the map.
        """
        if shard.id not in self._points:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(shard.folder))
        return self._points[shard.id]

    def _use(self, landmarks: Landmarks, shards: Sequence[Shard]) -> None:
        if self._landmarks is None or landmarks.id != self._landmarks.id:
            self._landmarks = landmarks
            self._points.clear()

    def _is_placed(self, shard: Shard) -> bool:
        """Whether a shard's points are loaded; loads stored ones."""
        assert self._landmarks is not None
        if (
            shard.id not in self._points
            and (points := _read_points(self.folder, shard, self._landmarks)) is not None
        ):
            self._points[shard.id] = points
        return shard.id in self._points

    def _lay_out(
        self,
        shards: Sequence[Shard],
        landmarks: Landmarks | None,
        progress: Callable[[Progress], None],
        cancel: threading.Event | None,
    ) -> bool:
        """Run the child and load its points; return whether none was missing."""
        if landmarks is None and find_spec("openTSNE") is None:
            raise MissingExtra("map", needed_by="A map of the code")
        with tempfile.TemporaryDirectory(prefix="codeintel-map-") as scratch:
            folder = self.folder if _can_write(self.folder) else Path(scratch)
            # never overwrite newer landmarks
            if landmarks is not None and not (folder / LANDMARKS_FILE).exists():
                _write(folder / LANDMARKS_FILE, landmarks)
            job = Layout(
                tuple(str(shard.folder) for shard in shards), str(folder), landmarks is None
            )
            _in_child(job, progress, cancel)
            layout = _read(folder / LANDMARKS_FILE)
            if layout is None:
                return False
            self._use(layout, shards)
            for shard in shards:
                points = _read_points(folder, shard, layout)
                if points is None:
                    return False
                self._points[shard.id] = points
            return True

    def _forget_all_but(self, shards: set[str]) -> None:
        """Delete the points of other shards and of other landmarks."""
        assert self._landmarks is not None
        for gone in self._points.keys() - shards:
            del self._points[gone]
        for file in self.folder.glob("*-*.bin"):
            shard, _, of = file.stem.rpartition("-")
            if shard not in shards or of != self._landmarks.id:
                with suppress(OSError):
                    file.unlink()


class Layout(msgspec.Struct, frozen=True):
    """Job of the child, one line of JSON on its standard input."""

    shards: tuple[str, ...]  # their folders
    folder: str  # for the landmarks and the points
    anew: bool  # lay out new landmarks; else use those in the folder


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Message of success: everything is written."""


class Swept(msgspec.Struct, frozen=True, tag="swept"):
    """Message about a shard replaced meanwhile; the caller retries with current ones."""

    path: str


_Line = Progress | Failure | Done | Swept


def _in_child(
    job: Layout, progress: Callable[[Progress], None], cancel: threading.Event | None
) -> None:
    with tempfile.TemporaryFile() as stderr:
        child = spawn("codeintel_nb.index.projection", stderr, Path(job.folder))
        try:
            ask(child, msgspec.json.encode(job))
            for line in Output(child).lines(cancel):
                message: _Line = msgspec.json.decode(line, type=_Line)
                if isinstance(message, Done):
                    return
                if isinstance(message, Failure):
                    raise message.exception()
                if isinstance(message, Swept):
                    raise FileNotFoundError(ENOENT, os.strerror(ENOENT), message.path)
                progress(message)
        except Cancelled:
            raise SearchError("Drawing the map was interrupted.") from None
        except BrokenPipeError:
            pass
        finally:
            end(child)
        raise EngineError(
            f"The process that lays out the map {how_it_ended(child.wait(), stderr)} "
            "Draw it again; if that fails too, run: codeintel doctor"
        )


def main() -> None:
    """Run the child: lay out landmarks, place all chunks and report progress."""
    job = msgspec.json.decode(read_job(), type=Layout)
    serve_parent()
    try:
        _make(job)
        _print(Done())
    except FileNotFoundError as error:
        _print(Swept(str(error.filename)))
    except CodeIntelError as error:
        _print(Failure.of(error))
    except OSError as error:
        _print(Failure.of(EngineError(str(error))))


def _make(job: Layout) -> None:
    shards, folder = [Shard(Path(name)) for name in job.shards], Path(job.folder)
    landmarks = None if job.anew else _read(folder / LANDMARKS_FILE)
    chunks = sum(shard.manifest.chunks for shard in shards)
    total = chunks + (LAYOUT_CHUNKS if landmarks is None else 0)
    offset = 0

    def report(share: float) -> None:
        _print(Progress(STAGE, bytes_done=offset + int(share), bytes_total=total))

    if landmarks is None:
        landmarks = _laid_out(shards, chunks, lambda share: report(share * LAYOUT_CHUNKS))
        _write(folder / LANDMARKS_FILE, landmarks)
        offset += LAYOUT_CHUNKS
    for shard in shards:
        if _read_points(folder, shard, landmarks) is None:
            points = _placed(shard, landmarks, report)
            replace(_points_file(folder, shard, landmarks), points.astype("<f4").tobytes())
        offset += shard.manifest.chunks


def _print(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _laid_out(shards: Sequence[Shard], chunks: int, report: Callable[[float], None]) -> Landmarks:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from openTSNE import TSNE
    embedder = shards[0].manifest.embedder
    steps = 0

    def on_iterations(*_: object) -> bool:
        nonlocal steps
        steps += CALLED_EVERY
        report(min(1.0, steps / ITERATIONS))
        return False

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
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = TSNE(
                perplexity=perplexity,
                metric="cosine",
                initialization="random" if len(vectors) < 50 else "pca",
                n_jobs=2,
                random_state=0,
                callbacks=on_iterations,
                callbacks_every_iters=CALLED_EVERY,
            ).fit(vectors)
        places = np.asarray(fitted, np.float32)
    places = places - places.mean(axis=0)
    spread = float(np.abs(places).max()) if len(places) else 0.0
    return Landmarks(vectors, (places / (spread or 1.0)).astype(np.float32), chunks, embedder)


def _placed(shard: Shard, landmarks: Landmarks, report: Callable[[float], None]) -> Floats:
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


def _points_file(folder: Path, shard: Shard, landmarks: Landmarks) -> Path:
    return folder / f"{shard.id}-{landmarks.id}.bin"


def _read_points(folder: Path, shard: Shard, landmarks: Landmarks) -> Floats | None:
    try:
        points: Floats = np.frombuffer(
            _points_file(folder, shard, landmarks).read_bytes(), "<f4"
        ).reshape(-1, 2)
    except (OSError, ValueError):
        return None  # missing or truncated
    return points if len(points) == shard.manifest.chunks else None


def _can_write(folder: Path) -> bool:
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _write(path: Path, landmarks: Landmarks) -> None:
    buffer = io.BytesIO()
    embedder = np.frombuffer(landmarks.embedder.encode(), np.uint8)
    np.savez(
        buffer,
        vectors=landmarks.vectors,
        places=landmarks.places,
        chunks=np.int64(landmarks.chunks),
        embedder=embedder,
    )
    replace(path, buffer.getvalue())


def _read(path: Path) -> Landmarks | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return Landmarks(
                arrays["vectors"],
                arrays["places"],
                int(arrays["chunks"]),
                arrays["embedder"].tobytes().decode(),
            )
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None  # missing or damaged


if __name__ == "__main__":
    main()
