"""Background indexing: one run at a time, with many followers."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from ..errors import CodeIntelError, IndexingCancelled, ScopeError
from ..index.update.report import IndexReport, Progress
from ..index.update.stops import Cancellation
from ..operations.answers import JobState
from ..sources.repository import Repository
from .threads import DaemonExecutor

Tell = Callable[[JobState], None]


class Indexes(Protocol):
    """Signature of the function that runs a job: ``Indexer.index``."""

    def __call__(
        self,
        repository: Repository,
        progress: Callable[[Progress], None] | None,
        cancel: threading.Event | None,
        rebuild: bool,
        only: Sequence[str] | None,
        requested: bool,
    ) -> IndexReport: ...


class _Job:
    def __init__(
        self,
        repository: Repository,
        rebuild: bool,
        only: Sequence[str] | None,
        requested: bool,
        before: _Job | None = None,
    ) -> None:
        self.repository = repository
        self.rebuild = rebuild
        self.only = only
        self.requested = requested
        self.before = before  # the run that this one follows
        self.state = JobState(repository.name, "waiting")
        self.cancel = Cancellation()
        self.followers: dict[int, Tell] = {}
        self.moved_at = time.monotonic()

    def reads_other(self, repository: Repository) -> bool:
        """Whether the run reads another folder, or omits wanted outputs."""
        return self.repository.root != repository.root or (
            repository.outputs and not self.repository.outputs
        )

    def does_less(self, rebuild: bool) -> bool:
        """Whether the run does less than a user's request."""
        return not self.requested or self.only is not None or (rebuild and not self.rebuild)

    def all(self) -> Iterator[_Job]:
        """Yield the run and its predecessors."""
        job: _Job | None = self
        while job is not None:
            yield job
            job = job.before


class Jobs:
    """Runs of ``index``, by name of the repository.

    A cancelled or failed run leaves the existing index.
    """

    def __init__(self, index: Indexes, told: Tell = lambda state: None) -> None:
        self._index = index
        self._told = told  # called with every state of every run
        self._jobs: dict[str, _Job] = {}  # the last run of each repository
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._worker = DaemonExecutor(1, "codeintel-index")

    def start(
        self,
        repository: Repository,
        rebuild: bool = False,
        only: Sequence[str] | None = None,
        requested: bool = True,
    ) -> JobState:
        """Begin a run, or join one neither ended nor cancelled.

        A run that is not ``requested`` does not resume a stopped one. If a request asks for more
        than a waiting run does, the run is extended. A new run is queued after one that is running
        or reads another folder.
        """
        with self._lock:
            job = self._jobs.get(repository.name)
            if job is None or job.state.ended or job.cancel.is_set():
                return self._begin(_Job(repository, rebuild, only, requested))
            is_other = job.reads_other(repository)
            if requested and (is_other or job.does_less(rebuild)):
                if is_other or job.state.state != "waiting":
                    return self._begin(_Job(repository, rebuild, only, requested, job))
                job.only, job.rebuild, job.requested = None, job.rebuild or rebuild, True
            return job.state

    def _begin(self, job: _Job) -> JobState:
        self._jobs[job.repository.name] = job
        self._worker.submit(self._run, job)
        return job.state

    def states(self) -> list[JobState]:
        return [job.state for job in list(self._jobs.values())]

    def state(self, name: str) -> JobState:
        """Return the state of a repository's last run.

        Raises
        ------
        ScopeError : there was none.
        """
        job = self._jobs.get(name)
        if job is None:
            raise ScopeError(
                f"{name!r} has not been indexed since this server started, "
                "so there is no run to show."
            )
        return job.state

    def cancel(self, name: str) -> JobState:
        """Cancel a repository's runs; followers are notified at their end."""
        self.state(name)
        for job in self._jobs[name].all():
            job.cancel.set()
        return self.state(name)

    def follow(self, name: str, tell: Tell) -> Callable[[], None]:
        """Call ``tell`` with each state; return a function to stop.

        This thread calls it with the present state, another thread with the new ones.
        """
        self.state(name)
        job, number = self._jobs[name], next(self._numbers)
        with self._lock:
            job.followers[number] = tell
            tell(job.state)
        return lambda: job.followers.pop(number, None) and None

    def wait(self, name: str) -> JobState:
        """Wait for the present run's end; return its last state."""
        last: queue.SimpleQueue[JobState] = queue.SimpleQueue()
        self.follow(name, lambda state: last.put(state) if state.ended else None)
        return last.get()

    def stuck(self, after_s: float) -> list[str]:
        """Return repositories with a run silent for ``after_s`` seconds."""
        now = time.monotonic()
        jobs = [(name, job) for name, last in list(self._jobs.items()) for job in last.all()]
        return [
            name
            for name, job in jobs
            if job.state.state == "running" and now - job.moved_at > after_s
        ]

    def close(self) -> None:
        """Cancel all runs and wait; notify followers of unstarted ones."""
        jobs = [job for last in list(self._jobs.values()) for job in last.all()]
        for job in jobs:
            job.cancel.shut_down()
        self._worker.shutdown()
        for job in jobs:
            if not job.state.ended:
                self._tell(
                    job,
                    JobState(
                        job.repository.name,
                        "cancelled",
                        None,
                        None,
                        "IndexingCancelled",
                        "The server shut down before the run began.",
                    ),
                )

    def _run(self, job: _Job) -> None:
        def moved(progress: Progress) -> None:
            self._tell(job, msgspec.structs.replace(job.state, state="running", progress=progress))

        try:
            if not job.cancel.is_set():
                moved(Progress("starting", repository=job.repository.name))
            report = self._index(
                job.repository, moved, job.cancel, job.rebuild, job.only, job.requested
            )
            ended = JobState(job.repository.name, "done", job.state.progress, report)
        except IndexingCancelled as error:
            ended = JobState(
                job.repository.name,
                "cancelled",
                job.state.progress,
                None,
                type(error).__name__,
                str(error),
            )
        except CodeIntelError as error:
            ended = JobState(
                job.repository.name,
                "cancelled" if job.cancel.is_set() else "failed",
                job.state.progress,
                None,
                type(error).__name__,
                str(error),
            )
        except Exception as error:  # a bug must not leave the followers waiting
            ended = JobState(
                job.repository.name,
                "failed",
                job.state.progress,
                None,
                "EngineError",
                f"Indexing failed: {type(error).__name__}: {error}",
            )
        self._tell(job, ended)

    def _tell(self, job: _Job, state: JobState) -> None:
        with self._lock:
            job.state = state
            job.moved_at = time.monotonic()
            self._told(state)
            for tell in list(job.followers.values()):
                tell(state)
            if state.ended:
                job.followers.clear()
                job.before = None
