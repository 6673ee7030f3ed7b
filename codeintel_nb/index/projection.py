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
SHARPNESS = 0.02  # how much closer, in cosine, a landmark must be to count e times as much
OUTGROWN = 4  # times as many chunks as when the landmarks were laid out: they are laid out anew
LAYOUT_CHUNKS = 150_000  # laying out the landmarks takes about as long as placing this many
ITERATIONS, CALLED_EVERY = 750, 25  # of t-SNE
STAGE = "drawing the map"
LANDMARKS_FILE = "landmarks.npz"
ATTEMPTS = 3  # to lay out a map that another process lays out too
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

    def serves(self, shards: Sequence[Shard]) -> bool:
        """Whether the shards' chunks can be placed among these landmarks."""
        chunks = sum(shard.manifest.chunks for shard in shards)
        return self.embedder == shards[0].manifest.embedder and chunks <= OUTGROWN * self.chunks


class Projection:
    """The map of a home, kept in a folder of it, and in memory where that cannot be written. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._landmarks: Landmarks | None = None
        self._points: dict[str, Floats] = {}  # by id of the shard

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
        SearchError : it was cancelled.
        EngineError : the child died.
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
                f"The map could not be written to {self.folder}. Free some space, and draw it again."
            )
        self._forget_all_but({shard.id for shard in shards})

    def points(self, shard: Shard) -> Floats:
        """Return the positions of a shard's chunks, (n, 2), after ``prepare``; FileNotFoundError for a newer shard."""
        if shard.id not in self._points:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(shard.folder))
        return self._points[shard.id]

    def _use(self, landmarks: Landmarks, shards: Sequence[Shard]) -> None:
        if self._landmarks is None or landmarks.id != self._landmarks.id:
            self._landmarks = landmarks
            self._points.clear()

    def _is_placed(self, shard: Shard) -> bool:
        """Load a shard's points, if they are stored; return whether they were."""
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
        """Run the child and load the points that it wrote; return whether all were there."""
        if landmarks is None and find_spec("openTSNE") is None:
            raise MissingExtra("map", needed_by="A map of the code")
        with tempfile.TemporaryDirectory(prefix="codeintel-map-") as scratch:
            folder = self.folder if _can_write(self.folder) else Path(scratch)
            if (
                landmarks is not None and not (folder / LANDMARKS_FILE).exists()
            ):  # never over newer ones
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
        """The points of shards that answer no more, and those of other landmarks, are of no use."""
        assert self._landmarks is not None
        for gone in self._points.keys() - shards:
            del self._points[gone]
        for kept in self.folder.glob("*-*.bin"):
            shard, _, of = kept.stem.rpartition("-")
            if shard not in shards or of != self._landmarks.id:
                with suppress(OSError):
                    kept.unlink()


class Layout(msgspec.Struct, frozen=True):
    """Job of the child, one line of JSON on its standard input."""

    shards: tuple[str, ...]  # their folders
    folder: str  # for the landmarks and the points
    anew: bool  # lay out new landmarks; else use those in the folder


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Everything is written."""


class Swept(msgspec.Struct, frozen=True, tag="swept"):
    """A shard was replaced meanwhile; the caller tries again with the present ones."""

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
            f"The process that lays out the map {how_it_ended(child.wait(), stderr)} Draw it again; if that fails too, run: codeintel doctor"
        )


def main() -> None:
    """Lay out landmarks, place all chunks and report progress; called in the child."""
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
    done = 0

    def report(share: float) -> None:
        _print(Progress(STAGE, bytes_done=done + int(share), bytes_total=total))

    if landmarks is None:
        landmarks = _laid_out(shards, chunks, lambda share: report(share * LAYOUT_CHUNKS))
        _write(folder / LANDMARKS_FILE, landmarks)
        done += LAYOUT_CHUNKS
    for shard in shards:
        if _read_points(folder, shard, landmarks) is None:
            points = _placed(shard, landmarks, report)
            replace(_points_file(folder, shard, landmarks), points.astype("<f4").tobytes())
        done += shard.manifest.chunks


def _print(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _laid_out(shards: Sequence[Shard], chunks: int, report: Callable[[float], None]) -> Landmarks:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from openTSNE import TSNE
    embedder = shards[0].manifest.embedder
    steps = 0

    def called(*_: object) -> bool:
        nonlocal steps
        steps += CALLED_EVERY
        report(min(1.0, steps / ITERATIONS))
        return False

    random = np.random.default_rng(0)
    wanted = min(LANDMARKS, chunks)
    parts = [
        random.choice(
            shard.manifest.chunks,
            min(shard.manifest.chunks, -(-wanted * shard.manifest.chunks // max(1, chunks))),
            replace=False,
        )
        for shard in shards
    ]
    vectors = np.concatenate(
        [_normalized(shard, np.sort(part)) for shard, part in zip(shards, parts, strict=True)]
    )
    if len(vectors) < 4:  # nothing that could be laid out
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
                callbacks=called,
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
    written = io.BytesIO()
    embedder = np.frombuffer(landmarks.embedder.encode(), np.uint8)
    np.savez(
        written,
        vectors=landmarks.vectors,
        places=landmarks.places,
        chunks=np.int64(landmarks.chunks),
        embedder=embedder,
    )
    replace(path, written.getvalue())


def _read(kept: Path) -> Landmarks | None:
    try:
        with np.load(io.BytesIO(kept.read_bytes()), allow_pickle=False) as held:
            return Landmarks(
                held["vectors"],
                held["places"],
                int(held["chunks"]),
                held["embedder"].tobytes().decode(),
            )
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None  # not there, or damaged


if __name__ == "__main__":
    main()
