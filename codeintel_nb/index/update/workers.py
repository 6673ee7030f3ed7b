"""Worker processes of an update.

Of many ranges, each worker builds one at a time. Of few, it reads one piece at a time, and then
writes the shard of all pieces of a range.
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
from ...settings import Settings
from ...sources.languages.grammar_folder import use_grammar_folder
from ...sources.repository import Repository
from ..shard.contents import Known
from ..shard.shard import Shard
from ..store import Store
from .known_vectors import known_vectors
from .parse_guard import MARK, MAX_CRASHES, ParseGuard, crashed_file
from .ranges import Range, RangeBuilder, RangeProgress, RangeResult
from .subprocess_job import Failure, JobInput, ask, end, how_it_ended, spawn, tell_to_stop

MIN_RANGES = 4  # for each worker, to let it build whole ranges


class Work(msgspec.Struct, frozen=True):
    """What all jobs of a run have in common."""

    settings: Settings
    repository: Repository
    reusable: tuple[str, ...]  # shards whose vectors may be reused
    avoid: tuple[str, ...]  # files to index without parsing
    keeps_partial: bool  # whether a stopped range is written


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
    mark: str  # name of the file that names the file being parsed
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

    The progress is that of all ranges together.
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

    A task whose process crashed while parsing a file is done again, with that file by lines.

    Raises
    ------
    CodeIntelError : a worker failed, or died.
    """
    with _Pool(work, ranges, count, progress) as pool:
        yield from pool.results(stopped)


class _Worker:
    """Worker process with its output and the mark of its parse guard."""

    def __init__(self, number: int, work: Work, lines: queue.Queue[tuple[_Worker, bytes]]) -> None:
        self.number, self.mark = number, f"{MARK}-{number}"
        self.task: _Task | None = None  # while it is busy
        self._folder = Store(work.settings.home).stored(work.repository).folder
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by ``close``)
        self.child = spawn("codeintel_nb.index.update.workers", self._stderr, self._folder)
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines: queue.Queue[tuple[_Worker, bytes]]) -> None:
        assert self.child.stdout is not None
        with suppress(ValueError):  # closed by ``close``
            for line in self.child.stdout:
                lines.put((self, line))
        lines.put((self, b""))

    def begin(self, work: Work, task: _Task) -> None:
        self.task = task
        job = msgspec.json.encode(_Job(work, self.mark, task), enc_hook=str)
        with suppress(BrokenPipeError):  # the end of its output follows
            ask(self.child, job)

    def crashed_file(self) -> str:
        """Return the path that a dead worker was parsing when it crashed."""
        return crashed_file(self._folder, self.child.wait(), self.mark)

    def how_it_ended(self) -> str:
        return how_it_ended(self.child.wait(), self._stderr)

    def close(self) -> None:
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
        self._opened = ExitStack()
        self._workers: list[_Worker] = []  # alive
        self._started = 0
        self._folder = ""  # of pieces; empty if whole ranges are built
        self._parts: dict[int, dict[int, RangeResult]] = {}  # of unfinished ranges, by piece
        self._events: dict[tuple[int, int], RangeProgress] = {}  # the last one of each task
        try:
            self._tasks = deque(self._cut(count))
            for _ in range(min(count, len(self._tasks))):
                self._start()
        except BaseException:
            self._opened.close()
            raise

    def _cut(self, count: int) -> list[_Task]:
        if len(self._ranges) >= MIN_RANGES * count:
            return [_Task(number, files=pieces) for number, pieces in enumerate(self._ranges)]
        shards = Store(self._work.settings.home).stored(self._work.repository).shards
        with storage_errors(shards):
            shards.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.mkdtemp(prefix=".building-", dir=shards)
        self._opened.callback(shutil.rmtree, self._folder, ignore_errors=True)
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
        self._opened.close()

    def _start(self) -> None:
        worker = _Worker(self._started, self._work, self._lines)
        self._started += 1
        self._workers.append(worker)
        self._opened.callback(worker.close)
        self._fill()

    def _fill(self) -> None:
        """Give the next tasks to idle workers."""
        for worker in self._workers:
            if worker.task is None and self._tasks:
                worker.begin(self._work, self._tasks.popleft())

    def _undone(self) -> list[_Task]:
        """Return the tasks waiting or at work."""
        return [*self._tasks, *(one.task for one in self._workers if one.task is not None)]

    def results(self, stopped: Callable[[], bool]) -> Iterator[tuple[int, RangeResult]]:
        """Yield the results of all ranges; after a stop, those of what was read."""
        is_stopped = False
        while self._undone():
            if not is_stopped and stopped():
                is_stopped = True
                yield from self._stop()
            with suppress(queue.Empty):
                worker, line = self._lines.get(timeout=0.1)
                if worker.task is not None:  # else it ended while idle
                    yield from self._take(worker, worker.task, line, is_stopped)
            self._fill()

    def _stop(self) -> Iterator[tuple[int, RangeResult]]:
        """Stop reading files; assemble the pieces read."""
        self._tasks = deque(task for task in self._tasks if task.pieces)
        for worker in self._workers:
            if worker.task is not None:
                tell_to_stop(worker.child)
        for number in [*self._parts]:
            yield from self._finish(number)

    def _take(
        self, worker: _Worker, task: _Task, line: bytes, is_stopped: bool
    ) -> Iterator[tuple[int, RangeResult]]:
        """Take a line of a worker's output; yield the result of a finished range."""
        if not line:
            self._replace(worker, task, is_stopped)
            return
        event: RangeProgress | RangeResult | Failure = msgspec.json.decode(line, type=_Line)
        if isinstance(event, Failure):
            raise event.exception()
        if isinstance(event, RangeProgress):
            self._report(task, event)
            return
        worker.task = None
        if task.pieces:
            yield task.range, self._joined(task.range, event.shard)
            return
        self._report(task, RangeProgress("writing", event.files, event.size))
        if not self._folder:
            self._renew(worker)
            yield task.range, event
            return
        self._parts.setdefault(task.range, {})[task.piece] = event
        yield from self._finish(task.range)

    def _renew(self, worker: _Worker) -> None:
        """Replace a worker: what one range leaves in fragments adds to the next one's memory."""
        self._workers.remove(worker)
        worker.close()
        if self._tasks:
            self._start()

    def _finish(self, number: int) -> Iterator[tuple[int, RangeResult]]:
        """Assemble a range if no task of it is left; yield the result if there is no shard."""
        if any(task.range == number for task in self._undone()):
            return
        parts = self._parts[number]
        files = sum(part.files for part in parts.values())
        filled = [self._file(number, piece) for piece in sorted(parts) if parts[piece].added]
        is_whole = files == sum(map(len, self._ranges[number]))
        if filled and (is_whole or self._work.keeps_partial):
            self._tasks.appendleft(_Task(number, pieces=filled))
        else:
            yield number, self._joined(number, "")

    def _joined(self, number: int, shard: str) -> RangeResult:
        """Return the result of a range, from those of its pieces."""
        parts, joined = self._parts.pop(number), RangeResult()
        for piece in sorted(parts):
            joined.append(parts[piece])
            with suppress(OSError):
                os.unlink(self._file(number, piece))
        joined.shard = shard
        return joined

    def _report(self, task: _Task, event: RangeProgress) -> None:
        self._events[task.range, task.piece] = event
        events = self._events.values()
        stage = "indexing" if any(one.files for one in self._undone()) else "writing"
        files, size = sum(one.files for one in events), sum(one.bytes for one in events)
        self._progress(RangeProgress(stage, files, size))

    def _replace(self, worker: _Worker, task: _Task, is_stopped: bool) -> None:
        """Start another worker on the task of a dead one, unless it would die as well."""
        path, avoid = worker.crashed_file(), self._work.avoid
        if not path or path in avoid or len(avoid) >= MAX_CRASHES:
            raise EngineError(
                f"A process indexing {self._work.repository.name!r} {worker.how_it_ended()} "
                "Files indexed earlier remain searchable. To use less memory, set "
                "CODEINTEL_BUILD_WORKERS=1. To retry, run codeintel index again."
            )
        self._workers.remove(worker)
        worker.close()
        self._work = msgspec.structs.replace(self._work, avoid=(*avoid, path))
        if not is_stopped:
            self._tasks.appendleft(task)
        self._start()


def main() -> None:
    """Do the tasks given on stdin; print progress and results."""
    jobs, source = JobInput(), _Source()
    while True:
        job = msgspec.json.decode(jobs.next(), type=_Job, dec_hook=lambda kind, value: kind(value))
        try:
            for event in source.done(job, jobs.stop.is_set):
                _say(event)
        except CodeIntelError as error:
            _say(Failure.of(error))


class _Source:
    """What a worker keeps from one task to the next."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()  # of the shards with vectors to reuse
        self._lookup: Known | None = None
        self._has_grammars = False

    def done(self, job: _Job, stopped: Callable[[], bool]) -> Iterator[RangeProgress | RangeResult]:
        """Do a task, yielding its progress and its result."""
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


def _say(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
