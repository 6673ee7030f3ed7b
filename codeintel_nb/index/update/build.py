"""Index builds in a child process at low priority.

A grammar that crashes or exhausts memory ends the child, not the kernel.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

import msgspec

from ...embedding.embedders import id_of
from ...errors import CodeIntelError, EngineError, IndexingCancelled
from ...settings import Settings
from ...sources.languages.grammar_folder import TEMPORARY, use_grammar_folder
from ...sources.repository import Repository
from ..store import Snapshot, Store, StoredRepository
from .parse_guard import MAX_CRASHES, ParseGuard, crashed_file
from .plan import plan_update
from .report import IndexReport, Progress
from .subprocess_job import (
    Cancelled,
    Failure,
    JobInput,
    Output,
    ask,
    end,
    how_it_ended,
    spawn,
)
from .updater import embedder_of, update

STOP_S = 8.0  # grace period for a stopped child to write a shard


class Job(msgspec.Struct, frozen=True):
    """Job of a child, one line of JSON on stdin."""

    settings: Settings
    repository: Repository
    rebuild: bool = False
    only: tuple[str, ...] | None = None  # paths to update; None for all
    # files to index by lines, without parsing: each crashed an earlier child
    avoid: tuple[str, ...] = ()


_Line = Progress | IndexReport | Failure


def build(
    settings: Settings,
    repository: Repository,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    rebuild: bool = False,
    look_here: bool = True,
    only: Sequence[str] | None = None,
) -> IndexReport:
    """Bring a repository's index up to date in a child process.

    ``cancel`` or Ctrl-C ends the child and harms nothing. With ``look_here``, this process first
    checks for changes, and starts no child if there are none. A server leaves the check to the
    child, because it blocks the interpreter for a moment. ``only`` limits the update to some paths
    and those below them; if it is empty, nothing is checked.

    Raises
    ------
    SourceError, ShardError : the child reported it; the message is the child's.
    IndexingCancelled, EngineError : the child was cancelled or died; the last good index stays.
    """
    stored = Store(settings.home).create(repository)
    if (
        (look_here or only == ())
        and not rebuild
        and (report := _nothing_to_do(settings, repository, only)) is not None
    ):
        return report
    job = Job(settings, repository, rebuild, None if only is None else tuple(only))
    while True:
        try:
            return _in_child(settings, job, stored, progress, cancel)
        except _Crashed as crash:
            # a grammar crashed on this file; shards published before the crash remain
            if crash.path in job.avoid or len(job.avoid) >= MAX_CRASHES:
                raise EngineError(str(crash)) from None
            job = msgspec.structs.replace(job, avoid=(*job.avoid, crash.path))


class InterruptedAtEnd(KeyboardInterrupt):
    """Interrupt during a run's last write; the index is complete."""


class _Crashed(EngineError):
    """Crash of the child while it parsed a file."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def _in_child(
    settings: Settings,
    job: Job,
    stored: StoredRepository,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event | None,
) -> IndexReport:
    with (
        tempfile.TemporaryFile() as stderr,
        # removed here, because a killed child does not clean up
        tempfile.TemporaryDirectory(prefix="codeintel-grammars-") as scratch,
    ):
        child = spawn(
            "codeintel_nb.index.update.build", stderr, stored.folder, {TEMPORARY: scratch}
        )
        try:
            ask(child, msgspec.json.encode(job, enc_hook=str))
            return _follow(child, stored, progress, cancel, stderr)
        except BrokenPipeError:
            raise _died(child.wait(), stored, stderr) from None
        finally:
            end(child)


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
    child: subprocess.Popen[bytes],
    stored: StoredRepository,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event | None,
    stderr: IO[bytes],
) -> IndexReport:
    output = Output(child)
    try:
        for line in output.lines(
            cancel, lambda: 0.0 if getattr(cancel, "is_urgent", False) else STOP_S
        ):
            message: Any = msgspec.json.decode(line, type=_Line)
            if isinstance(message, IndexReport):
                return message
            if isinstance(message, Failure):
                raise message.exception()
            if progress is not None:
                progress(message)
    except KeyboardInterrupt:
        stop = threading.Event()
        stop.set()
        with suppress(Cancelled):
            for line in output.lines(stop, lambda: STOP_S):
                if isinstance(msgspec.json.decode(line, type=_Line), IndexReport):
                    raise InterruptedAtEnd from None
        raise
    except Cancelled:
        raise IndexingCancelled(
            f"Indexing {stored.repository.name!r} was cancelled. Files indexed earlier remain "
            f"searchable. To resume, run: codeintel refresh {stored.repository.name}"
        ) from None
    raise _died(child.wait(), stored, stderr)


def _died(status: int, stored: StoredRepository, stderr: IO[bytes]) -> EngineError:
    how = (
        f"The process indexing {stored.repository.name!r} {how_it_ended(status, stderr)}"
        " Files indexed earlier remain searchable. To retry, run codeintel index again."
    )
    path = crashed_file(stored.folder, status)
    return _Crashed(how, path) if path else EngineError(how)


def main() -> None:
    """Run the job on stdin; print progress, then the outcome."""
    jobs = JobInput()
    job = msgspec.json.decode(jobs.next(), type=Job, dec_hook=lambda kind, value: kind(value))
    try:
        with suppress(EngineError):  # without grammars, files are indexed by lines and counted
            use_grammar_folder(job.settings.home)
        stored = Store(job.settings.home).create(job.repository)
        _say(
            update(
                stored,
                job.settings,
                embedder_of(stored, job.settings, job.rebuild),
                _say,
                job.rebuild,
                job.only,
                ParseGuard(stored.folder),
                job.avoid,
                jobs.stop.is_set,
            )
        )
    except CodeIntelError as error:
        _say(Failure.of(error))


def _say(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
