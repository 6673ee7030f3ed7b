"""Worker processes of an update.

With many ranges, each worker builds a whole range at a time. With few, it reads a piece at a time;
the last step assembles the pieces of a range into its shard.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from ...embedding.embedder import default_embedder
from ...errors import CodeIntelError, EngineError
from ...files import storage_errors
from ...sources.languages.grammar_folder import use_grammar_folder
from ..shard.contents import Known
from ..shard.shard import Shard
from ..store import Store
from .known_vectors import known_vectors
from .parse_guard import MAX_CRASHES, ParseGuard, crashed_file
from .ranges import Range, RangeBuilder, RangeProgress, RangeResult
from .subprocess_job import STOP, Failure, JobInput, ask, end, how_it_ended, spawn, whole_lines
from .work import Work

MIN_RANGES = 4  # per worker; with fewer, ranges are read in pieces


class _Task(msgspec.Struct, frozen=True):
    """A range to build, a piece of it to read, or its pieces to assemble."""

    range: int
    piece: int = 0
    files: Range = []  # of the range, or of the piece alone
    path: str = ""  # file to write the piece to
    pieces: list[str] = []  # files of the pieces to assemble


class _Job(msgspec.Struct, frozen=True):
    """Line of a worker's input."""

    work: Work
    mark: str  # name of the parse guard's file
    task: _Task


_Line = RangeProgress | RangeResult | Failure


def build_here(
    builder: RangeBuilder,
    ranges: Sequence[Range],
    progress: Callable[[RangeProgress], None],
    stopped: Callable[[], bool],
    keeps_partial: bool,
) -> Iterator[tuple[int, RangeResult]]:
    """Build ranges in this process; yield their numbers and results.

    Progress is totalled over all ranges.
    """
    files = size = 0
    for number, pieces in enumerate(ranges):
        for event in builder.build(pieces, stopped, keeps_partial):
            if isinstance(event, RangeResult):
                yield number, event
                files, size = files + event.files, size + event.size
                if event.files < sum(map(len, pieces)):
                    return
            else:
                progress(RangeProgress(event.stage, files + event.files, size + event.bytes))


def build_in_workers(
    work: Work,
    ranges: Sequence[Range],
    count: int,
    progress: Callable[[RangeProgress], None],
    stopped: Callable[[], bool],
) -> Iterator[tuple[int, RangeResult]]:
    """Build ranges in processes; yield their numbers and results as they finish.

    If a worker crashes while parsing a file, its task is retried with that file indexed by lines.

    Raises
    ------
    CodeIntelError : a worker failed, or died.
    """
    with _Pool(work, ranges, count, progress) as pool:
        yield from pool.results(stopped)


class _Worker:
    """Worker process with its output and the mark of its parse guard."""

    def __init__(self, number: int, work: Work, lines: queue.Queue[tuple[_Worker, bytes]]) -> None:
        self.mark = f"{work.mark}-{number}"
        self.task: _Task | None = None  # while it is busy
        self.tasks = 0  # number begun
        self.has_answered = False  # for its task
        self._folder = Store(work.settings.home).stored(work.repository).folder
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by ``close``)
        self.child = spawn("codeintel_nb.index.update.workers", self._stderr, self._folder)
        self._input: queue.Queue[bytes] = queue.Queue()
        try:
            threading.Thread(target=self._read, args=(lines,), daemon=True).start()
            threading.Thread(target=self._write, daemon=True).start()
        except RuntimeError:  # no memory for a thread
            self.close()
            raise

    def _read(self, lines: queue.Queue[tuple[_Worker, bytes]]) -> None:
        assert self.child.stdout is not None
        try:
            for line in whole_lines(self.child.stdout):
                lines.put((self, line))
        finally:
            lines.put((self, b""))

    def _write(self) -> None:
        """Send the input: a long job waits until the worker has started."""
        with suppress(OSError, ValueError):  # it has exited; the end of its output tells
            while line := self._input.get():
                ask(self.child, line)

    def begin(self, work: Work, task: _Task) -> None:
        self.task, self.has_answered = task, False
        self.tasks += 1
        self._input.put(msgspec.json.encode(_Job(work, self.mark, task), enc_hook=str))

    def stop(self) -> None:
        """Ask the worker to end its task early."""
        self._input.put(STOP)

    def crashed_file(self) -> str:
        """Return the path that a dead worker was parsing when it crashed."""
        return crashed_file(self._folder, self.child.wait(), self.mark)

    def how_it_ended(self) -> str:
        return how_it_ended(self.child.wait(), self._stderr)

    def close(self) -> None:
        self._input.put(b"")
        end(self.child)
        self._stderr.close()
        with suppress(OSError):
            (self._folder / self.mark).unlink(missing_ok=True)


class _Pool:
    """Workers of one run, and their tasks."""

    def __init__(
        self,
        work: Work,
        ranges: Sequence[Range],
        count: int,
        progress: Callable[[RangeProgress], None],
    ) -> None:
        self._work, self._ranges, self._progress = work, ranges, progress
        self._lines: queue.Queue[tuple[_Worker, bytes]] = queue.Queue()
        self._resources = ExitStack()
        self._workers: list[_Worker] = []  # alive
        self._started = 0
        self._folder = ""  # of pieces; empty if whole ranges are built
        self._parts: dict[int, dict[int, RangeResult]] = {}  # of unfinished ranges, by piece
        self._events: dict[tuple[int, int], RangeProgress] = {}  # the last one of each task
        try:
            self._tasks = deque(self._make_tasks(count))
            for _ in range(min(count, len(self._tasks))):
                self._start()
        except BaseException:
            self._resources.close()
            raise

    def _make_tasks(self, count: int) -> list[_Task]:
        if count == 1 or len(self._ranges) >= MIN_RANGES * count:
            return [_Task(number, files=pieces) for number, pieces in enumerate(self._ranges)]
        shards = Store(self._work.settings.home).stored(self._work.repository).shards
        with storage_errors(shards):
            shards.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.mkdtemp(prefix=".building-", dir=shards)
        self._resources.callback(shutil.rmtree, self._folder, ignore_errors=True)
        return [
            _Task(number, piece, [files], self._file(number, piece))
            for number, pieces in enumerate(self._ranges)
            for piece, files in enumerate(pieces)
        ]

    def _file(self, number: int, piece: int) -> str:
        return os.path.join(self._folder, f"{number}-{piece}")

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def _start(self) -> None:
        worker = _Worker(self._started, self._work, self._lines)
        self._started += 1
        self._workers.append(worker)
        self._resources.callback(worker.close)
        self._assign()

    def _assign(self) -> None:
        """Give the next tasks to idle workers."""
        for worker in self._workers:
            if worker.task is None and self._tasks:
                worker.begin(self._work, self._tasks.popleft())

    def _unfinished_tasks(self) -> list[_Task]:
        """Return the queued and running tasks."""
        return [*self._tasks, *(one.task for one in self._workers if one.task is not None)]

    def results(self, stopped: Callable[[], bool]) -> Iterator[tuple[int, RangeResult]]:
        """Yield the results of all ranges; after a stop, those of the files read so far."""
        is_stopped = False
        while self._unfinished_tasks():
            if not is_stopped and stopped():
                is_stopped = True
                yield from self._stop()
            with suppress(queue.Empty):
                worker, line = self._lines.get(timeout=0.1)
                if worker.task is not None:
                    yield from self._take(worker, worker.task, line, is_stopped)
                elif worker in self._workers:  # it ended while idle
                    self._remove(worker)
            if self._tasks and not self._workers:
                self._start()
            self._assign()

    def _stop(self) -> Iterator[tuple[int, RangeResult]]:
        """Stop reading files; assemble the pieces read."""
        self._tasks = deque(task for task in self._tasks if task.pieces)
        for worker in self._workers:
            if worker.task is not None:
                worker.stop()
        for number in [*self._parts]:
            yield from self._finish(number)

    def _take(
        self, worker: _Worker, task: _Task, line: bytes, is_stopped: bool
    ) -> Iterator[tuple[int, RangeResult]]:
        """Take a line of a worker's output; yield the result of a finished range."""
        if not line:
            yield from self._replace(worker, task, is_stopped)
            return
        worker.has_answered = True
        event: RangeProgress | RangeResult | Failure = msgspec.json.decode(line, type=_Line)
        if isinstance(event, Failure):
            raise event.exception()
        if isinstance(event, RangeProgress):
            self._report(task, event)
            return
        worker.task = None
        if task.pieces:
            yield task.range, self._join(task.range, event.shard)
            return
        self._report(task, RangeProgress("writing", event.files, event.size))
        if not self._folder:
            self._renew(worker)
            yield task.range, event
            return
        self._parts.setdefault(task.range, {})[task.piece] = event
        yield from self._finish(task.range)

    def _renew(self, worker: _Worker) -> None:
        """Replace a worker, as its fragmented memory would add to that of the next range."""
        self._remove(worker)
        if self._tasks:
            self._start()

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.close()

    def _finish(self, number: int) -> Iterator[tuple[int, RangeResult]]:
        """Queue the assembly of a range with no task left, or yield its result without a shard."""
        if any(task.range == number for task in self._unfinished_tasks()):
            return
        parts = self._parts[number]
        files = sum(part.files for part in parts.values())
        filled = [self._file(number, piece) for piece in sorted(parts) if parts[piece].added]
        is_whole = files == sum(map(len, self._ranges[number]))
        if filled and (is_whole or self._work.keeps_partial):
            self._tasks.appendleft(_Task(number, pieces=filled))
        else:
            yield number, self._join(number, "")

    def _join(self, number: int, shard: str) -> RangeResult:
        """Return the result of a range, from those of its pieces."""
        parts, joined = self._parts.pop(number), RangeResult()
        for piece in sorted(parts):
            joined.append(parts[piece])
            with suppress(OSError):
                os.unlink(self._file(number, piece))
        joined.shard = shard
        return joined

    def _report(self, task: _Task, event: RangeProgress) -> None:
        key = task.range, task.piece
        last = self._events.get(key)
        if last is None or last.files < event.files:  # a retried task begins again
            self._events[key] = event
        events = self._events.values()
        stage = "indexing" if any(one.files for one in self._unfinished_tasks()) else "writing"
        files, size = sum(one.files for one in events), sum(one.bytes for one in events)
        self._progress(RangeProgress(stage, files, size))

    def _replace(
        self, worker: _Worker, task: _Task, is_stopped: bool
    ) -> Iterator[tuple[int, RangeResult]]:
        """Retry a dead worker's task in a new worker, unless that would crash again."""
        path, avoid = worker.crashed_file(), self._work.avoid
        # it may have died while it was idle, before the task
        is_blameless = not path and worker.tasks > 1 and not worker.has_answered
        if not is_blameless and (not path or path in avoid or len(avoid) >= MAX_CRASHES):
            raise EngineError(
                f"A process indexing {self._work.repository.name!r} {worker.how_it_ended()} "
                "Files indexed earlier remain searchable. If memory ran out, set "
                "CODEINTEL_BUILD_WORKERS=1. To retry, run codeintel index again."
            )
        self._remove(worker)
        if path:
            self._work = msgspec.structs.replace(self._work, avoid=(*avoid, path))
        if not is_stopped:
            self._tasks.appendleft(task)
            self._start()
        elif task.range in self._parts:
            yield from self._finish(task.range)


def main() -> None:
    """Do the tasks given on stdin; print progress and results."""
    jobs, runner = JobInput(), _TaskRunner()
    while True:
        job = msgspec.json.decode(jobs.next(), type=_Job, dec_hook=lambda kind, value: kind(value))
        try:
            for event in runner.run(job, jobs.stop.is_set):
                _send(event)
        except CodeIntelError as error:
            _send(Failure.of(error))


class _TaskRunner:
    """Runner of a worker's tasks, with the state kept between them."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()  # of the shards with vectors to reuse
        self._lookup: Known | None = None
        self._has_grammars = False

    def run(self, job: _Job, stopped: Callable[[], bool]) -> Iterator[RangeProgress | RangeResult]:
        """Run a task; yield its progress, then its result."""
        work, task, embedder = job.work, job.task, default_embedder()
        stored = Store(work.settings.home).stored(work.repository)
        if not self._has_grammars:
            with suppress(EngineError):  # without grammars, files are indexed by lines
                use_grammar_folder(work.settings.home)
            self._has_grammars = True
        if self._names != work.reusable:
            self._names = work.reusable
            shards = [Shard(stored.shards / name) for name in work.reusable]
            self._lookup = known_vectors(shards, embedder)
        guard = ParseGuard(stored.folder, job.mark)
        builder = RangeBuilder(
            stored, work.settings, embedder, self._lookup, guard=guard, avoid=work.avoid
        )
        if task.pieces:
            return builder.assemble([Path(name) for name in task.pieces])
        if task.path:
            return builder.build_piece(task.files[0], Path(task.path), stopped)
        return builder.build(task.files, stopped, work.keeps_partial)


def _send(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
