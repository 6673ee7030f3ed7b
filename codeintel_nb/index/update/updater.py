"""Updater of an index: shards for changes, tombstones for deletions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress

import msgspec
import numpy as np

from ...embedding.embedder import Embedder
from ...embedding.embedders import Embedders, id_of
from ...embedding.endpoint.client import EndpointEmbedder
from ...errors import CodeIntelError, IndexingCancelled, ShardError
from ...files import replace, storage_errors
from ...settings import Settings
from ...sources.document import BY_LINES
from ...sources.git.folder import head_commit
from ...sources.walk import MAX_EXAMPLES
from ..shard.cache import Shards
from ..shard.shard import Shard
from ..store import ShardRef, Snapshot, StoredRepository, read_snapshot, write_snapshot
from .known_vectors import known_vectors
from .machine import fitting_workers
from .parse_guard import ParseGuard, sweep_marks
from .partial_vectors import PartialVectors, either
from .plan import Plan, plan_update
from .ranges import Range, RangeBuilder, RangeProgress, RangeResult, ranges_of
from .report import IndexReport, Progress
from .work import BuildCluster, Work
from .workers import build_here, build_in_workers
from .write_lock import one_writer, sweep

MIN_BYTES = 8_000_000  # to read; for less, starting workers would take longer


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
    cache: Shards | None = None,
    cluster: BuildCluster | None = None,
) -> IndexReport:
    """Update a repository's index, as its only writer.

    Once ``stopped`` returns true, the files read so far are written as a shard and
    IndexingCancelled is raised.

    ``only`` limits the update to those paths and everything below them. ``guard`` records the file
    being parsed; the files in ``avoid`` are indexed without parsing. ``cache`` keeps shards open
    for the next update. ``cluster`` builds several ranges on other machines.
    """
    began = time.perf_counter()
    progress(Progress("listing files"))
    with one_writer(stored):
        plan = plan_update(stored, settings, embedder.id, rebuild, only, cache)
        old = _replaced(stored) if rebuild or not plan.snapshot.shards else plan.snapshot
        sweep_marks(stored.folder)
        run = _Run(stored, settings, embedder, plan, old, guard, tuple(avoid), cluster)
        try:
            run.index(progress, stopped)
        except BaseException:
            with suppress(CodeIntelError, OSError):  # the first error counts
                run.show_cluster()
            raise
        if run.is_stopped:
            run.show_cluster()
            raise IndexingCancelled(
                f"Indexing {stored.repository.name!r} was cancelled. Files indexed so far are "
                f"kept. To resume, run: codeintel refresh {stored.repository.name}"
            )
        run.write_seen()
        snapshot = run.finish()
        if run.partial is not None:
            run.partial.delete()
        sweep(stored, snapshot, settings.retired_shard_age_s)
    return IndexReport(
        repository=stored.repository.name, files=snapshot.files, chunks=snapshot.chunks,
        content_bytes=snapshot.content_bytes,
        indexed=sum(len(result.added) for result in run.results.values()),
        removed=len(plan.gone), unchanged=plan.unchanged + run.count("same"),
        embedded=run.count("embedded"), reused=run.count("reused"),
        skipped=snapshot.skipped, secrets=snapshot.secrets, seconds=time.perf_counter() - began,
        truncated=embedder.truncated if isinstance(embedder, EndpointEmbedder) else 0,
        cluster_problem="" if cluster is None else cluster.problem,
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
        avoid: tuple[str, ...],
        cluster: BuildCluster | None,
    ) -> None:
        self.stored, self.settings, self.embedder, self.plan = stored, settings, embedder, plan
        self.guard, self.avoid, self.cluster = guard, avoid, cluster
        self.generation = old.generation
        self.retired = dict(old.retired)
        self.replaced = [
            ref.id
            for ref in old.shards
            if ref.id not in {current.id for current in plan.snapshot.shards}
        ]
        self.kept = [(ref.id, set(ref.dead)) for ref in plan.snapshot.shards]
        self.shards = {shard.id: shard for shard in plan.shards}
        self.vector_sources = plan.shards or _openable(stored, old)
        self.partial = PartialVectors(stored.folder, embedder) if embedder.is_remote else None
        self.results: dict[int, RangeResult] = {}  # by the number of the range
        self.is_changed = bool(self.replaced)  # the set of live files differs
        self.is_stopped = False

    def index(self, progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> None:
        ranges = ranges_of(self.plan, self.settings)
        files = len(self.plan.suspects)
        size = sum(stat.size for stat in self.plan.suspects)

        def report(event: RangeProgress) -> None:
            progress(Progress(event.stage, event.files, files, event.bytes, size))

        # closed at once if a result cannot be taken: workers must not go on
        with closing(self._build(ranges, report, stopped)) as results:
            for number, result in results:
                self._take(number, result)
        self.is_stopped = self.count("files") < files
        for path in self.plan.gone:
            self.plan.seen.unparsed.pop(path, None)

    def count(self, field: str) -> int:
        """Return the sum of a field over all ranges."""
        return sum(getattr(result, field) for result in self.results.values())

    def _build(
        self,
        ranges: list[Range],
        progress: Callable[[RangeProgress], None],
        stopped: Callable[[], bool],
    ) -> Generator[tuple[int, RangeResult], None, None]:
        """Yield the results of ranges, built by workers if that is faster."""
        keeps_partial = not self.replaced  # a stopped rebuild leaves the index unchanged
        reusable = tuple(shard.id for shard in self.vector_sources)
        work = Work(self.settings, self.stored.repository, reusable, self.avoid, keeps_partial)
        if self.cluster is not None and len(ranges) > 1 and not self.embedder.is_remote:
            yield from self.cluster.build(work, ranges, progress, stopped)
            return
        if workers := self._workers(ranges):
            yield from build_in_workers(work, ranges, workers, progress, stopped)
            return
        lookup, keep = known_vectors(self.vector_sources, self.embedder), None
        if self.partial is not None:
            lookup, keep = either(lookup, self.partial.known()), self.partial.append
        builder = RangeBuilder(
            self.stored, self.settings, self.embedder, lookup, keep, self.guard, self.avoid
        )
        yield from build_here(builder, ranges, progress, stopped, keeps_partial)

    def _workers(self, ranges: list[Range]) -> int:
        """Return the number of worker processes; 0 to build in this process."""
        size, count = sum(stat.size for stat in self.plan.suspects), self.settings.build_workers
        if self.embedder.is_remote or (size < MIN_BYTES and count < 2):
            # an endpoint limits the speed; for little text, starting workers takes longer
            return 0
        workers = min(count or fitting_workers(), sum(map(len, ranges)))
        # a fresh worker for each shard takes less memory than one process for all
        return 0 if workers == len(ranges) == 1 else workers

    @property
    def is_on_cluster(self) -> bool:
        """Whether other machines build: then the snapshot is replaced once, at the end."""
        return self.cluster is not None and self.cluster.is_connected

    def _take(self, number: int, result: RangeResult) -> None:
        """Record a range's result, and publish its shard."""
        cache = self.plan.seen
        self.results[number] = result
        cache.touched |= result.touched
        cache.refused |= result.refused
        for path in result.added:
            cache.refused.pop(path, None)
            cache.touched.pop(path, None)
        for path in result.parsed:
            cache.unparsed.pop(path, None)
        cache.unparsed |= result.unparsed
        for path in result.lost:
            self._drop(path)
        if result.shard:
            self._publish(result)

    def left_out(self) -> tuple[dict[str, int], dict[str, list[str]]]:
        """Return the number of files left out, and examples, by reason."""
        counts = Counter(self.plan.skipped)
        examples = {reason: [*paths] for reason, paths in self.plan.examples.items()}
        for number in sorted(self.results):
            for reason, path in self.results[number].left_out:
                counts[reason] += 1
                _add_example(examples, reason, path)
        unparsed = self.plan.seen.unparsed
        for reason in [reason for reason in counts if reason.startswith(BY_LINES)]:
            del counts[reason]
            examples.pop(reason, None)
        for path in sorted(unparsed):
            counts[unparsed[path].reason] += 1
            _add_example(examples, unparsed[path].reason, path)
        return dict(+counts), examples

    def _drop(self, path: str) -> None:
        if place := self.plan.places.get(path):
            self.kept[place.shard][1].add(place.file)
            self.is_changed = True

    def _publish(self, result: RangeResult) -> None:
        self.shards[result.shard] = Shard(self.stored.shards / result.shard)
        for path in result.added:
            self._drop(path)
        self.is_changed = True
        if not self.is_on_cluster:
            self._show()

    def show_cluster(self) -> None:
        """Publish what a cluster built before the run ended early."""
        if self.is_on_cluster:
            self._show()

    def _show(self) -> None:
        """Publish what was built so far, unless it is a rebuild: that replaces all at its end."""
        if self.is_changed and not self.replaced:
            self.write_seen()
            self._write(complete=self.plan.snapshot.complete)

    def write_seen(self) -> None:
        """Save the records of refused and line-indexed files.

        This comes before the snapshot that lists their shards. Otherwise a search in between would
        read refused files again, and the next run would not parse line-indexed files.
        """
        with storage_errors(self.stored.folder):
            replace(self.stored.folder / "seen.json", msgspec.json.encode(self.plan.seen))

    def finish(self) -> Snapshot:
        for path in self.plan.gone:
            self._drop(path)
        now = time.time()
        dead = [
            shard_id
            for shard_id, gone in self.kept
            if len(gone) == self.shards[shard_id].manifest.files
        ]
        self.kept = [one for one in self.kept if one[0] not in dead]
        self.retired.update(dict.fromkeys(dead, now))
        self.retired.update(dict.fromkeys(self.replaced, now))
        return (
            self._write(complete=True) if self._differs(self.plan.snapshot) else self.plan.snapshot
        )

    def _differs(self, old: Snapshot) -> bool:
        """Whether a new snapshot would differ from the old."""
        left_out = (*self.left_out(), tuple(self.plan.secrets[:200]))
        return (
            self.is_changed
            or not old.complete
            or left_out != (old.skipped, old.examples, old.secrets)
        )

    def _write(self, complete: bool) -> Snapshot:
        refs = []
        files = chunks = content_bytes = 0
        added = (self.results[number].shard for number in sorted(self.results))
        current = [*self.kept, *((shard_id, set[int]()) for shard_id in added if shard_id)]
        for shard_id, dead in current:
            shard = self.shards[shard_id]
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
        skipped, examples = self.left_out()
        snapshot = Snapshot(
            generation=self.generation, embedder=self.embedder.id, shards=tuple(refs),
            retired=self.retired, complete=complete, files=files, chunks=chunks,
            content_bytes=content_bytes, skipped=skipped, examples=examples,
            secrets=tuple(self.plan.secrets[:200]), indexed_at=time.time(),
            commit=head_commit(self.stored.repository.root),
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


def _add_example(examples: dict[str, list[str]], reason: str, path: str) -> None:
    paths = examples.setdefault(reason, [])
    if len(paths) < MAX_EXAMPLES and path not in paths:
        paths.append(path)
