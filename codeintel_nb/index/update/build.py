"""Index builds and compactions in a child process at low priority.

A grammar that crashes or exhausts memory ends the child, not the kernel.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ...embedding.embedders import id_of
from ...errors import CodeIntelError, EmbeddingError, EngineError, IndexingCancelled
from ...settings import Settings
from ...sources.languages.grammar_folder import TEMPORARY, use_grammar_folder
from ...sources.repository import Repository
from ..shard.cache import Shards
from ..store import Snapshot, Store, StoredRepository
from .parse_guard import MAX_CRASHES, ParseGuard, crashed_file
from .plan import plan_update
from .processes import Compacted, Compaction, IndexProcess, IndexProcesses, Ready, Update
from .report import IndexReport, Progress
from .subprocess_job import Cancelled, Failure, JobInput
from .updater import embedder_of, update
from .work import BuildCluster

STOP_S = 8.0  # grace period for a stopped child to write a shard


_Line = Progress | IndexReport | Compacted | Failure | Ready


def build(
    settings: Settings,
    repository: Repository,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    rebuild: bool = False,
    look_here: bool = True,
    only: Sequence[str] | None = None,
    processes: IndexProcesses | None = None,
) -> IndexReport:
    """Bring a repository's index up to date in a child process.

    ``cancel`` or Ctrl-C ends the child and harms nothing. With ``look_here``, this process first
    checks for changes, and starts no child if there are none. A server leaves the check to the
    child, because it blocks the interpreter for a moment. ``only`` limits the update to some paths
    and those below them; if it is empty, nothing is checked. Such an update leaves its process to
    ``processes``, for the next one.

    Raises
    ------
    SourceError, ShardError : the child reported it; the message is the child's.
    IndexingCancelled, EngineError : the child was cancelled or died; the last good index stays.
    """
    stored = Store(settings.home).create(repository)
    if (
        (look_here or (only is not None and not only))
        and not rebuild
        and (report := _nothing_to_do(settings, repository, only)) is not None
    ):
        return report
    processes = processes or IndexProcesses(stored.folder)
    # a run over a whole folder may take much memory; an endpoint's key may change
    stays = bool(processes.idle_s and only is not None and not repository.embedder)
    job = Update(settings, repository, stays, rebuild, None if only is None else tuple(only))
    while True:
        try:
            return _in_child(processes, job, stored, progress, cancel)
        except _Unanswered:
            continue  # the idle process had died; the next one is new
        except _Crashed as crash:
            # a grammar crashed on this file; shards published before the crash remain
            if crash.path in job.avoid or len(job.avoid) >= MAX_CRASHES:
                raise EngineError(str(crash)) from None
            job = msgspec.structs.replace(job, avoid=(*job.avoid, crash.path))


class InterruptedAtEnd(KeyboardInterrupt):
    """Interrupt during a run's last write; the index is complete."""


class _Unanswered(Exception):
    """Death of a formerly idle process before it began its job."""


class _Crashed(EngineError):
    """Crash of the child while it parsed a file."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def _in_child(
    processes: IndexProcesses,
    job: Update,
    stored: StoredRepository,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event | None,
) -> IndexReport:
    with processes.running(job) as process:
        return _follow(process, stored, progress, cancel)


def _nothing_to_do(
    settings: Settings, repository: Repository, only: Sequence[str] | None = None
) -> IndexReport | None:
    """Return an up-to-date index's report, or None, without a child."""
    stored = Store(settings.home).create(repository)
    try:
        plan = plan_update(stored, settings, id_of(settings.home, repository.embedder), only=only)
    except FileNotFoundError:
        return None
    if not plan.is_empty:
        return None
    return unchanged(repository, plan.snapshot, plan.unchanged, plan.skipped, plan.secrets)


def unchanged(
    repository: Repository,
    snapshot: Snapshot,
    files: int,
    skipped: Mapping[str, int],
    secrets: Sequence[str],
) -> IndexReport:
    """Return the report of a run without changes."""
    return IndexReport(
        repository=repository.name, files=snapshot.files, chunks=snapshot.chunks,
        content_bytes=snapshot.content_bytes, indexed=0, removed=0, unchanged=files,
        embedded=0, reused=0, skipped=dict(skipped), secrets=tuple(secrets), seconds=0.0,
    )  # fmt: skip


def _follow(
    process: IndexProcess,
    stored: StoredRepository,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event | None,
) -> IndexReport:
    outcome = _outcome(process, stored, progress, cancel)
    process.settle()
    if isinstance(outcome, Failure):
        raise outcome.exception()
    return outcome


def _outcome(
    process: IndexProcess,
    stored: StoredRepository,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event | None,
) -> IndexReport | Failure:
    has_begun = False
    try:
        for line in process.lines(
            cancel, lambda: 0.0 if getattr(cancel, "is_urgent", False) else STOP_S
        ):
            has_begun = True
            message: Any = msgspec.json.decode(line, type=_Line)
            if isinstance(message, IndexReport | Failure):
                return message
            if progress is not None:
                progress(message)
    except KeyboardInterrupt:
        stop = threading.Event()
        stop.set()
        with suppress(Cancelled):
            for line in process.lines(stop, lambda: STOP_S):
                message = msgspec.json.decode(line, type=_Line)
                if isinstance(message, IndexReport):
                    raise InterruptedAtEnd from None
                if isinstance(message, Failure):
                    break
        raise
    except Cancelled:
        raise IndexingCancelled(
            f"Indexing {stored.repository.name!r} was cancelled. Files indexed earlier remain "
            f"searchable. To resume, run: codeintel refresh {stored.repository.name}"
        ) from None
    if process.is_reused and not has_begun:
        raise _Unanswered
    raise _died(process, stored)


def _died(process: IndexProcess, stored: StoredRepository) -> EngineError:
    status, how = process.wait()
    message = (
        f"The process indexing {stored.repository.name!r} {how}"
        " Files indexed earlier remain searchable. To retry, run codeintel index again."
    )
    path = crashed_file(stored.folder, status)
    return _Crashed(message, path) if path else EngineError(message)


def main(make_cluster: Callable[[], BuildCluster] | None = None) -> None:
    """Run the jobs on stdin; print the progress of each, then its outcome."""
    jobs, runner = JobInput(os.environ.get(TEMPORARY, "")), _JobRunner(make_cluster)
    stays = True
    while stays:
        job: Update | Compaction = msgspec.json.decode(
            jobs.next(), type=Update | Compaction, dec_hook=lambda kind, value: kind(value)
        )
        try:
            _say(runner.run(job, jobs.stop.is_set))
        except CodeIntelError as error:
            _say(Failure.of(error))
        if stays := job.stays:
            _say(Ready())


class _JobRunner:
    """Runner of a child's jobs, with the state kept between them."""

    def __init__(self, make_cluster: Callable[[], BuildCluster] | None) -> None:
        self._make_cluster = make_cluster
        self._shards: Shards | None = None
        self._has_grammars = False

    def run(self, job: Update | Compaction, stopped: Callable[[], bool]) -> _Line:
        """Run a job; return its outcome."""
        settings, store = job.settings, Store(job.settings.home)
        if isinstance(job, Compaction):
            from .compact import compact

            stored = store.stored(job.repository)
            with suppress(EmbeddingError):  # no such entry any more: an update will say so
                compact(stored, settings, embedder_of(stored, settings), _say)
            return Compacted()
        if not self._has_grammars:
            with suppress(EngineError):  # without grammars, files are indexed by lines and counted
                use_grammar_folder(settings.home)
                self._has_grammars = True
        shards = self._shards = self._shards or Shards(store.root)
        shards.keep_existing()
        stored = store.stored(job.repository)
        embedder = embedder_of(stored, settings, job.rebuild)
        guard = ParseGuard(stored.folder)
        return update(
            stored, settings, embedder, _say, job.rebuild, job.only, guard, job.avoid, stopped,
            shards, None if self._make_cluster is None else self._make_cluster(),
        )  # fmt: skip


def _say(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
