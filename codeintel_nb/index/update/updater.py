"""Updater of an index: shards for changes, tombstones for deletions."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import numpy as np

from ...embedding.embedder import Embedder
from ...embedding.embedders import Embedders, id_of
from ...embedding.endpoint.client import EndpointEmbedder
from ...errors import IndexingCancelled, ShardError, SourceError
from ...files import replace, storage_errors
from ...settings import Settings
from ...sources.chunk import Document, content_hash
from ...sources.document import BY_LINES, UNPARSED, chunk_failsafe, document_by_lines, refusal
from ...sources.opening import TRANSIENT, FileState
from ...sources.source import Reader, source_of
from ...sources.walk import MAX_EXAMPLES, FileStat
from ..comparison import MAX_ATTEMPTS, Refused, Unparsed, is_settled
from ..shard.arrays import Array
from ..shard.shard import Shard
from ..shard.writer import Known, ShardWriter
from ..store import ShardRef, Snapshot, StoredRepository, read_snapshot, write_snapshot
from .parse_guard import ParseGuard
from .partial_vectors import PartialVectors, either
from .plan import Plan, plan_update
from .report import IndexReport, Progress
from .write_lock import one_writer, sweep


def update(
    stored: StoredRepository,
    settings: Settings,
    embedder: Embedder,
    progress: Callable[[Progress], None],
    rebuild: bool = False,
    only: Sequence[str] | None = None,
    guard: ParseGuard | None = None,
    avoid: Sequence[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Update a repository's index, as its only writer.

    Once ``stopped`` returns true, the files read so far are written as a shard and
    IndexingCancelled is raised.

    ``only`` limits the update to those paths and everything below them. ``guard`` records the file
    being parsed; the files in ``avoid`` are indexed without parsing.
    """
    began = time.perf_counter()
    progress(Progress("listing files"))
    with one_writer(stored):
        plan = plan_update(stored, settings, embedder.id, rebuild, only)
        old = _replaced(stored) if rebuild or not plan.snapshot.shards else plan.snapshot
        run = _Run(stored, settings, embedder, plan, old, guard, frozenset(avoid))
        run.index(progress, stopped)
        if run.is_stopped:
            raise IndexingCancelled(
                f"Indexing {stored.repository.name!r} was cancelled. Files indexed so far are "
                f"kept. To resume, run: codeintel refresh {stored.repository.name}"
            )
        run.count_unparsed()
        # before the snapshot: a search in between would treat refused files as changed
        with storage_errors(stored.folder):
            replace(stored.folder / "seen.json", msgspec.json.encode(plan.seen))
        snapshot = run.finish()
        if run.partial is not None:
            run.partial.delete()
        sweep(stored, snapshot, settings.retired_shard_age_s)
    return IndexReport(
        repository=stored.repository.name, files=snapshot.files, chunks=snapshot.chunks,
        content_bytes=snapshot.content_bytes, indexed=run.indexed, removed=len(plan.gone),
        unchanged=plan.unchanged + run.same, embedded=run.embedded, reused=run.reused,
        skipped=snapshot.skipped, secrets=snapshot.secrets, seconds=time.perf_counter() - began,
        truncated=embedder.truncated if isinstance(embedder, EndpointEmbedder) else 0,
    )  # fmt: skip


def embedder_of(stored: StoredRepository, settings: Settings, rebuild: bool = False) -> Embedder:
    """Return a repository's embedder, with the number of dimensions in the index.

    A rebuild probes an endpoint instead, as its model may have changed.

    Raises
    ------
    EmbeddingError : ``embedders.toml`` has no such entry, or is invalid.
    """
    embedders, name = Embedders(settings.home), stored.repository.embedder
    if not name or rebuild:
        return embedders.named(name)
    with suppress(ShardError, OSError):  # found again, and named, by the plan
        snapshot = read_snapshot(stored.folder)
        if snapshot.shards and snapshot.embedder == id_of(settings.home, name):
            shard = Shard(stored.shards / snapshot.shards[0].id)
            return embedders.named(name, shard.manifest.dim)
    return embedders.named(name)


class _Run:
    """Update in progress: the shards it adds, the files it retires."""

    def __init__(
        self,
        stored: StoredRepository,
        settings: Settings,
        embedder: Embedder,
        plan: Plan,
        old: Snapshot,
        guard: ParseGuard | None,
        avoid: frozenset[str],
    ) -> None:
        self.stored, self.settings, self.embedder, self.plan = stored, settings, embedder, plan
        self.guard, self.avoid = guard, avoid
        self.generation = old.generation
        self.retired = dict(old.retired)
        self.replaced = [
            ref.id
            for ref in old.shards
            if ref.id not in {current.id for current in plan.snapshot.shards}
        ]
        self.refs = [[ref.id, set(ref.dead)] for ref in plan.snapshot.shards]
        self.shards = {shard.id: shard for shard in plan.shards}
        self.known = known_vectors(plan.shards or _openable(stored, old), embedder)
        self.partial = PartialVectors(stored.folder, embedder) if embedder.is_remote else None
        if self.partial is not None:
            self.known = either(self.known, self.partial.known())
        self.skipped, self.examples = Counter(plan.skipped), plan.examples
        self.indexed = self.same = self.embedded = self.reused = 0
        self.is_changed = bool(self.replaced)  # the set of live files differs
        self.is_stopped = False

    def index(self, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> None:
        with source_of(self.stored.repository, self.settings).open() as reader:
            self._index(reader, progress, stopped)

    def _index(
        self,
        reader: Reader,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> None:
        suspects = self.plan.suspects
        total = sum(stat.size for stat in suspects)
        bytes_done = files = 0
        last = 0.0
        pending = iter(suspects)
        more = True
        while more:
            more = False
            keep = None if self.partial is None else self.partial.append
            with ShardWriter(self.stored.shards, self.embedder, self.known, keep=keep) as writer:
                replaced: list[str] = []
                for stat in pending:
                    self._take(stat, reader, writer, replaced)
                    files, bytes_done = files + 1, bytes_done + stat.size
                    if time.monotonic() - last > 0.1:
                        last = time.monotonic()
                        progress(Progress("indexing", files, len(suspects), bytes_done, total))
                    self.is_stopped = files < len(suspects) and stopped()
                    if self.is_stopped:
                        break
                    if writer.content_bytes >= self.settings.shard_bytes:
                        more = True
                        break
                # a stopped rebuild leaves the index unchanged
                if len(writer) and not (self.is_stopped and self.replaced):
                    progress(Progress("writing", files, len(suspects), bytes_done, total))
                    self._publish(writer, replaced)

    def _take(
        self, stat: FileStat, reader: Reader, writer: ShardWriter, replaced: list[str]
    ) -> None:
        path, cache = stat.path, self.plan.seen
        read_at = time.time_ns()
        try:
            data, state = reader.read(path)
        except OSError as error:
            if error.errno in TRANSIENT and not (
                error.errno == errno.EIO and self.plan.places.get(path) is None
            ):
                raise SourceError(
                    f"The file {path} of {self.stored.repository.name!r} cannot be read at the "
                    f"moment ({error.strerror}). Files indexed earlier remain searchable. "
                    "Try again."
                ) from error
            self._leave("vanished or unreadable", path)
            self._drop(path)
            return
        if not is_settled(state, read_at):
            state = state._replace(mtime_ns=-1)  # read it again next time
        place = self.plan.places.get(path)
        unchanged = place is not None and place.content_hash == content_hash(data)
        if unchanged and (path not in cache.unparsed or cache.unparsed[path].is_settled):
            cache.touched[path] = state
            self.same += 1
            return
        reason = refusal(path, data)
        document = self._document(path, data, state) if reason is None else None
        if document is not None and len(document.content) > self.settings.max_file_bytes:
            reason = "too large"
        if document is None or reason is not None:
            self._refuse(path, reason or "too large", state)
            return
        if unchanged and document.unparsed:
            self.same += 1
            return
        writer.add(document, state)
        self.indexed += 1
        cache.refused.pop(path, None)
        cache.touched.pop(path, None)
        if place is not None:
            replaced.append(path)

    def _refuse(self, path: str, reason: str, state: FileState) -> None:
        self._leave(reason, path)
        self.plan.seen.refused[path] = Refused(state, reason)
        self._drop(path)

    def _document(self, path: str, data: bytes, state: FileState) -> Document:
        """Cut a file into chunks, recording parse failures to retry."""
        failure = self.plan.seen.unparsed.pop(path, None)
        if failure is not None and failure.state != state:
            failure = None
        if path in self.avoid:
            failure = Unparsed(state, UNPARSED, MAX_ATTEMPTS)
        if failure is not None and failure.is_settled:
            document = document_by_lines(path, data, failure.reason)
        else:
            if self.guard is not None:
                self.guard.begin(path)
            document = chunk_failsafe(path, data, self.stored.repository.outputs)
            if self.guard is not None:
                self.guard.end()
        if document.unparsed:
            attempts = failure.attempts if failure is not None else 0
            self.plan.seen.unparsed[path] = Unparsed(
                state, document.unparsed, min(attempts + 1, MAX_ATTEMPTS)
            )
        return document

    def _leave(self, reason: str, path: str) -> None:
        self.skipped[reason] += 1
        if (
            len(examples := self.examples.setdefault(reason, [])) < MAX_EXAMPLES
            and path not in examples
        ):
            examples.append(path)

    def _drop(self, path: str) -> None:
        if place := self.plan.places.get(path):
            self._dead(place.shard).add(place.file)
            self.is_changed = True

    def _dead(self, position: int) -> set[int]:
        dead = self.refs[position][1]
        assert isinstance(dead, set)
        return dead

    def _publish(self, writer: ShardWriter, replaced: list[str]) -> None:
        shard_id = writer.save()
        self.embedded += writer.embedded
        self.reused += writer.reused
        self.shards[shard_id] = Shard(self.stored.shards / shard_id)
        for path in replaced:
            self._drop(path)
        self.refs.append([shard_id, set()])
        self.is_changed = True
        # a rebuild's shards replace the old ones only at the end
        if not self.replaced:
            self._write(complete=self.plan.snapshot.complete)

    def finish(self) -> Snapshot:
        for path in self.plan.gone:
            self._drop(path)
        now = time.time()
        for ref in list(self.refs):
            shard_id, dead = str(ref[0]), ref[1]
            assert isinstance(dead, set)
            if len(dead) == self.shards[shard_id].manifest.files:
                self.refs.remove(ref)
                self.retired[shard_id] = now
        self.retired.update(dict.fromkeys(self.replaced, now))
        return (
            self._write(complete=True) if self._differs(self.plan.snapshot) else self.plan.snapshot
        )

    def count_unparsed(self) -> None:
        """Recount the files indexed by lines."""
        unparsed = self.plan.seen.unparsed
        for path in self.plan.gone:
            unparsed.pop(path, None)
        for reason in [reason for reason in self.skipped if reason.startswith(BY_LINES)]:
            del self.skipped[reason]
            self.examples.pop(reason, None)
        for path, failure in unparsed.items():
            self._leave(failure.reason, path)

    def _differs(self, old: Snapshot) -> bool:
        """Whether a new snapshot would differ from the old."""
        left_out = (dict(+self.skipped), self.examples, tuple(self.plan.secrets[:200]))
        return (
            self.is_changed
            or not old.complete
            or left_out != (old.skipped, old.examples, old.secrets)
        )

    def _write(self, complete: bool) -> Snapshot:
        refs = []
        files = chunks = content_bytes = 0
        for shard_id, dead in self.refs:
            assert isinstance(dead, set)
            shard = self.shards[str(shard_id)]
            refs.append(ShardRef(shard.id, tuple(sorted(dead))))
            gone = np.array(sorted(dead), np.int64)
            files += shard.manifest.files - len(gone)
            chunks += shard.manifest.chunks - int(
                (shard.file_chunk[gone + 1].astype(np.int64) - shard.file_chunk[gone]).sum()
            )
            content_bytes += shard.manifest.content_bytes - int(
                (shard.file_start[gone + 1] - shard.file_start[gone]).sum()
            )
        self.generation += 1
        snapshot = Snapshot(
            generation=self.generation, embedder=self.embedder.id, shards=tuple(refs),
            retired=self.retired, complete=complete, files=files, chunks=chunks,
            content_bytes=content_bytes, skipped=dict(+self.skipped), examples=self.examples,
            secrets=tuple(self.plan.secrets[:200]), indexed_at=time.time(),
        )  # fmt: skip
        write_snapshot(self.stored.folder, snapshot)
        return snapshot


def _replaced(stored: StoredRepository) -> Snapshot:
    """Return the snapshot to be replaced; empty if unreadable."""
    try:
        return read_snapshot(stored.folder)
    except ShardError:
        return Snapshot(generation=int(time.time()))


def _openable(stored: StoredRepository, snapshot: Snapshot) -> list[Shard]:
    """Open undamaged old shards, to reuse their vectors."""
    shards = []
    for ref in snapshot.shards:
        try:
            shards.append(Shard(stored.shards / ref.id))
        except (ShardError, OSError):
            continue
    return shards


def known_vectors(shards: list[Shard], embedder: Embedder) -> Known | None:
    """Return a lookup of one model's codes by input digest.

    None if no shard is of that model.
    """
    usable = [
        shard
        for shard in shards
        if shard.manifest.chunks
        and shard.manifest.embedder == embedder.id
        and shard.manifest.dim == embedder.dim
    ]
    if not usable:
        return None
    digests = np.concatenate([shard.chunk_input for shard in usable])
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    ends = np.cumsum([shard.manifest.chunks for shard in usable])

    def lookup(target: Array) -> tuple[Array, Array]:
        at = np.minimum(np.searchsorted(ordered, target), len(ordered) - 1)
        matches = ordered[at] == target
        rows = order[at[matches]]
        owner = np.searchsorted(ends, rows, "right")
        codes = np.empty((len(rows), usable[0].manifest.dim), np.uint8)
        for i, shard in enumerate(usable):
            mine = owner == i
            codes[mine] = shard.vectors.codes[rows[mine] - (ends[i] - shard.manifest.chunks)]
        return matches, codes

    return lookup
