"""Ranges of an update: neighbouring files, written as one shard.

A range is cut into pieces, which several processes may read at once. Both cuts depend on the sizes
of the files alone, so the same files make the same shards, whatever the number of processes.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from ...embedding.embedder import Embedder
from ...errors import SourceError
from ...files import storage_errors
from ...settings import Settings
from ...sources.chunk import Document, content_hash
from ...sources.document import UNPARSED, chunk_failsafe, document_by_lines, refusal
from ...sources.opening import TRANSIENT, FileState
from ...sources.source import Reader, source_of
from ...sources.walk import FileStat
from ..comparison import MAX_ATTEMPTS, Refused, Unparsed, is_settled
from ..shard.arrays import Array
from ..shard.contents import Contents, Known, Piece
from ..shard.writer import ShardWriter
from ..store import StoredRepository
from .parse_guard import ParseGuard
from .plan import Plan


class RangeFile(msgspec.Struct, frozen=True, array_like=True):
    """File to read."""

    path: str
    size: int
    indexed_hash: bytes = b""  # of the text in the index; empty for a new file
    failure: Unparsed | None = None  # of the last attempt to parse it


class RangeResult(msgspec.Struct, tag="range"):
    """Result of reading a range or a piece."""

    shard: str = ""  # id; empty if no shard was written
    files: int = 0  # read; fewer than given if the run was stopped
    size: int = 0  # of these files, in bytes
    same: int = 0  # unchanged
    embedded: int = 0
    reused: int = 0
    added: list[str] = []
    lost: list[str] = []  # vanished, unreadable or refused
    left_out: list[tuple[str, str]] = []  # reason, and path
    touched: dict[str, FileState] = {}
    refused: dict[str, Refused] = {}
    unparsed: dict[str, Unparsed] = {}
    parsed: list[str] = []  # after an earlier failure

    def append(self, other: RangeResult) -> None:
        """Add the result of the next files."""
        for field in self.__struct_fields__:
            own, more = getattr(self, field), getattr(other, field)
            setattr(self, field, own | more if isinstance(own, dict) else own + more)


class RangeProgress(msgspec.Struct, frozen=True, tag="progress"):
    """Progress of a range: its stage, and the files and bytes read so far."""

    stage: str
    files: int
    bytes: int


VANISHED = "vanished or unreadable"  # reason of a file that is left out
Range = list[list[RangeFile]]  # the files of each piece


def ranges_of(plan: Plan, settings: Settings) -> list[Range]:
    """Cut the files to read into ranges, and these into pieces."""
    files = [_range_file(stat, plan) for stat in plan.suspects]
    # a notebook counts without its images: they are not indexed
    sizes = {file.path: min(file.size, settings.max_file_bytes) for file in files}
    return [
        _cut(one, sizes, settings.piece_bytes)
        for one in _cut(files, sizes, settings.shard_bytes)
        if one
    ]


def _cut(
    files: Sequence[RangeFile], sizes: dict[str, int], max_bytes: int
) -> list[list[RangeFile]]:
    """Cut files into parts of similar size, each at most about ``max_bytes``."""
    total = sum(sizes[file.path] for file in files)
    count = math.ceil(total / max_bytes)
    parts: list[list[RangeFile]] = [[]]
    size = 0
    for file in files:
        if parts[-1] and len(parts) < count and size * count >= total * len(parts):
            parts.append([])
        parts[-1].append(file)
        size += sizes[file.path]
    return parts


def _range_file(stat: FileStat, plan: Plan) -> RangeFile:
    place = plan.places.get(stat.path)
    return RangeFile(
        stat.path,
        stat.size,
        b"" if place is None else place.content_hash,
        plan.seen.unparsed.get(stat.path),
    )


class RangeBuilder:
    """Reader of files, and writer of their shards and pieces.

    ``known`` and ``keep`` are those of ``Contents``.
    """

    def __init__(
        self,
        stored: StoredRepository,
        settings: Settings,
        embedder: Embedder,
        known: Known | None = None,
        keep: Callable[[Array, Array], None] | None = None,
        guard: ParseGuard | None = None,
        avoid: Sequence[str] = (),
    ) -> None:
        self._stored, self._settings, self._embedder = stored, settings, embedder
        self._known, self._keep = known, keep
        self._guard, self._avoid = guard, frozenset(avoid)

    def build(
        self, pieces: Range, stopped: Callable[[], bool], keeps_partial: bool
    ) -> Iterator[RangeProgress | RangeResult]:
        """Yield the progress of a range, then the result with its shard.

        Once ``stopped`` returns true, reading ends. The files read so far become the shard if
        ``keeps_partial``.
        """
        result = RangeResult()
        total = sum(map(len, pieces))
        with self._writer() as writer:
            for files in pieces:
                yield from self._read(files, writer, result, stopped)
                if result.files < total and stopped():
                    break
                writer.contents.end_piece()
            if len(writer) and (keeps_partial or result.files == total):
                yield RangeProgress("writing", result.files, result.size)
                result.shard = writer.save()
            result.embedded, result.reused = writer.contents.embedded, writer.contents.reused
        yield result

    def build_piece(
        self, files: Sequence[RangeFile], path: Path, stopped: Callable[[], bool]
    ) -> Iterator[RangeProgress | RangeResult]:
        """Yield the progress of a piece, then the result; write the piece to a file."""
        result, piece = RangeResult(), Piece(self._embedder, self._known)
        yield from self._read(files, piece, result, stopped)
        with storage_errors(self._stored.shards):
            piece.save(path)
        result.embedded, result.reused = piece.contents.embedded, piece.contents.reused
        yield result

    def assemble(self, pieces: Sequence[Path]) -> Iterator[RangeProgress | RangeResult]:
        """Write the shard of some pieces; yield a result with its id."""
        with self._writer() as writer:
            for path in pieces:
                writer.extend(Piece.load(path))
            yield RangeResult(shard=writer.save())

    def _writer(self) -> ShardWriter:
        contents = Contents(self._embedder, self._known, self._keep)
        return ShardWriter(self._stored.shards, contents)

    def _read(
        self,
        files: Sequence[RangeFile],
        writer: ShardWriter | Piece,
        result: RangeResult,
        stopped: Callable[[], bool],
    ) -> Iterator[RangeProgress]:
        """Add files to a shard or a piece until a stop; yield the progress of the result."""
        last, size = 0.0, result.size
        with source_of(self._stored.repository, self._settings).open() as reader:
            for at, file in enumerate(files, 1):
                self._take(reader, file, writer, result)
                result.files += 1
                size += file.size
                if time.monotonic() - last > 0.1:
                    last = time.monotonic()
                    yield RangeProgress("indexing", result.files, size)
                if at < len(files) and stopped():
                    break
        result.size = size

    def _take(
        self, reader: Reader, file: RangeFile, writer: ShardWriter | Piece, result: RangeResult
    ) -> None:
        path = file.path
        read_at = time.time_ns()
        try:
            data, state = reader.read(path)
        except OSError as error:
            if error.errno in TRANSIENT and not (
                error.errno == errno.EIO and not file.indexed_hash
            ):
                raise SourceError(
                    f"The file {path} of {self._stored.repository.name!r} cannot be read at the "
                    f"moment ({error.strerror}). Files indexed earlier remain searchable. "
                    "Try again."
                ) from error
            result.left_out.append((VANISHED, path))
            result.lost.append(path)
            return
        if not is_settled(state, read_at):
            state = state._replace(mtime_ns=-1)  # read it again next time
        unchanged = file.indexed_hash == content_hash(data)
        if unchanged and (file.failure is None or file.failure.is_settled):
            result.touched[path] = state
            result.same += 1
            return
        reason = refusal(path, data)
        document = self._document(file, data, state, result) if reason is None else None
        if document is not None and len(document.content) > self._settings.max_file_bytes:
            reason = "too large"
        if document is None or reason is not None:
            reason = reason or "too large"
            result.left_out.append((reason, path))
            result.refused[path] = Refused(state, reason)
            result.lost.append(path)
            return
        if unchanged and document.unparsed:
            result.same += 1
            return
        writer.add(document, state)
        result.added.append(path)

    def _document(
        self, file: RangeFile, data: bytes, state: FileState, result: RangeResult
    ) -> Document:
        """Cut a file into chunks, recording parse failures to retry."""
        path, failure = file.path, file.failure
        if failure is not None:
            result.parsed.append(path)
            failure = failure if failure.state == state else None
        if path in self._avoid:
            failure = Unparsed(state, UNPARSED, MAX_ATTEMPTS)
        if failure is not None and failure.is_settled:
            document = document_by_lines(path, data, failure.reason)
        else:
            if self._guard is not None:
                self._guard.begin(path)
            document = chunk_failsafe(path, data, self._stored.repository.outputs)
            if self._guard is not None:
                self._guard.end()
        if document.unparsed:
            attempts = failure.attempts if failure is not None else 0
            result.unparsed[path] = Unparsed(
                state, document.unparsed, min(attempts + 1, MAX_ATTEMPTS)
            )
        return document
