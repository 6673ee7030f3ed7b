"""Reports on indexes and indexing, for clients without the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from ...errors import CodeIntelError, IndexingCancelled

ONLY_SHARED = (
    "All repositories here are shared, and only their owners update them. "
    "For an index of your own, run: codeintel index PATH"
)
NOTHING = "Nothing is indexed yet. Index a folder: codeintel index PATH"
FILE_BYTES = 4_000  # fixed cost of a file, in bytes of text


COMPACTING = "compacting"  # stage after an indexing run


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Progress of a build; ``files_total`` is 0 while it lists the folder."""

    stage: str
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    repository: str = ""

    @property
    def share(self) -> float:
        """Return the share done, 0 to 1, from files and bytes."""
        total = self.bytes_total + FILE_BYTES * self.files_total
        return min(1.0, (self.bytes_done + FILE_BYTES * self.files_done) / total) if total else 0.0


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Drop the progress of a run."""


class IndexReport(msgspec.Struct, frozen=True, tag="report"):
    """Result of an indexing run."""

    repository: str
    files: int  # searchable now
    chunks: int
    content_bytes: int
    indexed: int  # files read and indexed by this run
    removed: int  # files dropped from the index because they are gone
    unchanged: int
    embedded: int  # chunks whose vectors were computed
    reused: int  # chunks with vectors copied from existing shards
    skipped: dict[str, int]
    secrets: tuple[str, ...]
    seconds: float
    truncated: int = 0  # chunks too long for the model of an endpoint
    cluster_problem: str = ""  # why hosts of a cluster were missing in the build


State = Literal["indexed", "indexing", "stopped", "unfinished"]


class RepositoryStatus(msgspec.Struct, frozen=True):
    """A repository and the state of its index."""

    name: str
    root: str
    source: str
    version: str
    files: int
    chunks: int
    content_bytes: int
    index_bytes: int
    complete: bool
    indexed_at: float  # seconds since 1970
    skipped: dict[str, int]
    secrets: tuple[str, ...]
    examples: dict[str, list[str]] = {}  # reason -> first paths left out
    damaged: str = ""  # why its index cannot be read, and what to do
    state: State = "indexed"  # unfinished: the first run ended early, not stopped by the user
    # progress of the last run if the user stopped it: ``at 84 % (3,640 of 4,643 files)``
    stopped: str = ""
    embedder: str = ""  # entry of embedders.toml; empty for the shipped table
    shared: str = ""  # home of another owner that has the index; empty: the user's own
    commit: str = ""  # checked out when it was indexed


def each_report(
    runs: Sequence[tuple[str, Callable[[], IndexReport]]],
) -> Iterator[tuple[str, IndexReport | CodeIntelError]]:
    """Yield each run's name and report, or its error.

    Raises
    ------
    IndexingCancelled : a run was cancelled.
    CodeIntelError : the only run failed.
    """
    for name, run in runs:
        try:
            yield name, run()
        except IndexingCancelled:
            raise
        except CodeIntelError as error:
            if len(runs) == 1:
                raise
            yield name, error
