"""Map of chunks in two dimensions; neighbours have like meaning.

t-SNE lays out some thousand landmarks, sampled from all shards, once. Every other chunk is placed
among its closest landmarks. All shards thus share one map, and each shard's points are computed
once and stored beside the landmarks.

References
----------
van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENOENT
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ...errors import CodeIntelError, EngineError, MissingExtra, SearchError
from ...files import make_private, replace
from ...index.locking import acquire_lock
from ...index.shard.shard import Shard
from ...index.update.report import Progress
from ...index.update.subprocess_job import (
    Cancelled,
    Failure,
    JobInput,
    Output,
    ask,
    end,
    how_it_ended,
    spawn,
)
from .landmarks import (
    LANDMARKS_FILE,
    Floats,
    Landmarks,
    points_file,
    read_landmarks,
    read_points,
    write_landmarks,
)
from .placing import laid_out, placed

LAYOUT_CHUNKS = 150_000  # placing this many takes about as long as the layout
STAGE = "drawing the map"
WAIT_S = 0.2  # for the lock, between checks for a cancellation


class Projection:
    """Map of a home, cached in its folder if writable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._landmarks: Landmarks | None = None
        self._points: dict[str, Floats] = {}  # by shard id
        self._turn = threading.Lock()  # one thread at a time

    @contextmanager
    def laid_out(
        self,
        shards: Sequence[Shard],
        progress: Callable[[Progress], None] = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> Iterator[None]:
        """Prepare the map, and keep it while the block reads ``points``.

        The errors are those of ``prepare``.
        """
        while not self._turn.acquire(timeout=WAIT_S):
            if cancel is not None and cancel.is_set():
                raise SearchError("Drawing the map was interrupted.")
        try:
            if any(shard.manifest.chunks for shard in shards):
                self.prepare(shards, progress, cancel)
            yield
        finally:
            self._turn.release()

    def prepare(
        self,
        shards: Sequence[Shard],
        progress: Callable[[Progress], None] = lambda event: None,
        cancel: threading.Event | None = None,
    ) -> None:
        """Load all chunks' places; a child process computes missing ones.

        Raises
        ------
        MissingExtra : a layout is due but scikit-learn is not installed.
        SearchError : the caller cancelled it.
        EngineError : the child died, or the map could not be written.
        FileNotFoundError : a shard was replaced meanwhile.
        """
        if self._is_loaded(shards):
            return
        with self._locked(cancel):
            if not self._is_loaded(shards):  # another process may have laid it out meanwhile
                self._lay_out(shards, progress, cancel)
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

    def _is_loaded(self, shards: Sequence[Shard]) -> bool:
        """Whether all points are in memory; loads those on disk."""
        landmarks = self._present(shards)
        if landmarks is None:
            return False
        self._use(landmarks)
        return all(self._is_placed(shard) for shard in shards)

    def _present(self, shards: Sequence[Shard]) -> Landmarks | None:
        """Return the current landmarks; None if new ones are due."""
        landmarks = read_landmarks(self.folder / LANDMARKS_FILE) or self._landmarks
        return landmarks if landmarks is not None and landmarks.serves(shards) else None

    @contextmanager
    def _locked(self, cancel: threading.Event | None) -> Iterator[None]:
        """Lock out other processes, if the folder is writable."""
        from filelock import Timeout

        if not _can_write(self.folder):
            yield
            return
        while True:
            try:
                lock = acquire_lock(self.folder.with_suffix(".lock"), WAIT_S)
                break
            except Timeout:
                if cancel is not None and cancel.is_set():
                    raise SearchError("Drawing the map was interrupted.") from None
        try:
            yield
        finally:
            lock.release()

    def _use(self, landmarks: Landmarks) -> None:
        if self._landmarks is None or landmarks.id != self._landmarks.id:
            self._landmarks = landmarks
            self._points.clear()

    def _is_placed(self, shard: Shard) -> bool:
        """Whether a shard's points are loaded; loads stored ones."""
        assert self._landmarks is not None
        if (
            shard.id not in self._points
            and (points := read_points(self.folder, shard, self._landmarks)) is not None
        ):
            self._points[shard.id] = points
        return shard.id in self._points

    def _lay_out(
        self,
        shards: Sequence[Shard],
        progress: Callable[[Progress], None],
        cancel: threading.Event | None,
    ) -> None:
        """Run the child and load its points."""
        landmarks = self._present(shards)
        if landmarks is None and find_spec("sklearn") is None:
            raise MissingExtra("map", needed_by="The code map")
        with tempfile.TemporaryDirectory(prefix="codeintel-map-") as scratch:
            folder = self.folder if _can_write(self.folder) else Path(scratch)
            if landmarks is not None and not (folder / LANDMARKS_FILE).exists():
                write_landmarks(folder / LANDMARKS_FILE, landmarks)
            job = Layout(
                tuple(str(shard.folder) for shard in shards), str(folder), landmarks is None
            )
            _in_child(job, progress, cancel)
            layout = read_landmarks(folder / LANDMARKS_FILE)
            points = [layout and read_points(folder, shard, layout) for shard in shards]
            if layout is None or any(one is None for one in points):
                raise EngineError(
                    f"The map cannot be written to {folder}. Free some space, and draw it again."
                )
            self._use(layout)
            for shard, one in zip(shards, points, strict=True):
                assert one is not None
                self._points[shard.id] = one

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
    """Job of the child, a JSON line on standard input."""

    shards: tuple[str, ...]  # their folders
    folder: str  # for the landmarks and the points
    anew: bool  # lay out new landmarks; else use those in the folder


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Message of success: everything is written."""


class Swept(msgspec.Struct, frozen=True, tag="swept"):
    """Message about a shard replaced meanwhile; the caller retries."""

    path: str


_Line = Progress | Failure | Done | Swept


def _in_child(
    job: Layout, progress: Callable[[Progress], None], cancel: threading.Event | None
) -> None:
    with tempfile.TemporaryFile() as stderr:
        child = spawn("codeintel_nb.search.code_map.layout", stderr, Path(job.folder))
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
            f"The process laying out the map {how_it_ended(child.wait(), stderr)} "
            "Draw it again; if that fails too, run: codeintel doctor"
        )


def main() -> None:
    """Run the child: lay out landmarks, place chunks, report progress."""
    job = msgspec.json.decode(JobInput().next(), type=Layout)
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
    landmarks = None if job.anew else read_landmarks(folder / LANDMARKS_FILE)
    chunks = sum(shard.manifest.chunks for shard in shards)
    total = chunks + (LAYOUT_CHUNKS if landmarks is None else 0)
    offset = 0

    def report(share: float) -> None:
        _print(Progress(STAGE, bytes_done=offset + int(share), bytes_total=total))

    if landmarks is None:
        landmarks = laid_out(shards, chunks, lambda share: report(share * LAYOUT_CHUNKS))
        write_landmarks(folder / LANDMARKS_FILE, landmarks)
        offset += LAYOUT_CHUNKS
    for shard in shards:
        if read_points(folder, shard, landmarks) is None:
            points = placed(shard, landmarks, report)
            replace(points_file(folder, shard, landmarks), points.astype("<f4").tobytes())
        offset += shard.manifest.chunks


def _print(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _can_write(folder: Path) -> bool:
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
