"""What an index and a run over it tell a client; light, so that a client without the engine's parts can read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

NOTHING = "Nothing is indexed yet. Index a folder: codeintel index PATH"
FILE_BYTES = 4_000  # fixed cost of a file, in bytes of text


COMPACTING = "compacting"  # stage after an indexing run


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a build is; ``files_total`` is 0 while the folder is being listed."""

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


class IndexReport(msgspec.Struct, frozen=True, tag="report"):
    """What an index run did."""

    repository: str
    files: int  # that answer now
    chunks: int
    content_bytes: int
    indexed: int  # files read and indexed by this run
    removed: int  # files that answered before and are gone
    unchanged: int
    embedded: int  # chunks whose vectors were computed
    reused: int  # chunks whose vectors were known
    skipped: dict[str, int]
    secrets: tuple[str, ...]
    seconds: float


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
    examples: dict[str, list[str]] = {}  # of what was left out for each reason the first paths
    damaged: str = ""  # why its index cannot be read, and what to do
    state: State = "indexed"  # unfinished: the first run ended early, not stopped by the user
    stopped: str = (
        ""  # progress of a last run stopped by the user: ``at 84 % (3,640 of 4,643 files)``
    )
