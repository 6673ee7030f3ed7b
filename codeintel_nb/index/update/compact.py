"""Compaction: merging of small shards and mostly dead ones.

Searches and updates continue meanwhile. The new shard is written from the contents of the old ones,
without the repository's write lock; only adding it to the snapshot takes the lock. Files replaced
in the meantime are tombstones in it from the start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np

from ...embedding.embedder import Embedder
from ...errors import EngineError
from ...files import storage_errors
from ...settings import Settings
from ...sources.chunk import Chunk, Document, Symbol
from ...sources.repository import Repository
from ..locking import acquire_lock
from ..shard.contents import Contents
from ..shard.shard import KINDS, Shard
from ..shard.symbol_texts import SymbolTexts
from ..shard.text_flags import ENDS_WITH_NEWLINE
from ..shard.writer import ShardWriter
from ..store import ShardRef, Snapshot, Store, StoredRepository, read_snapshot, write_snapshot
from .known_vectors import known_vectors
from .processes import Compacted, Compaction, IndexProcesses
from .report import Progress
from .subprocess_job import Cancelled, Failure
from .write_lock import COMPACTING, one_writer, sweep

MAX_SMALL_SHARDS = 8  # more are merged
FEWEST_MERGED = 4  # fewer are not worth rewriting the merged shard
SMALL_SHARE = 0.1  # of the size of a full shard
MAX_DEAD_SHARE = 0.5  # of a shard's text
GROWTH = 2  # a shard over this multiple of all smaller ones together is not merged
WAIT_S = 600.0  # for a running update


def to_merge(snapshot: Snapshot, opened: Callable[[str], Shard], shard_bytes: int) -> list[str]:
    """Return shards to merge: the smallest, or one mostly dead."""
    live: dict[str, int] = {}
    for ref in snapshot.shards:
        shard = opened(ref.id)
        dead = np.array(ref.dead, np.int64)
        live[ref.id] = shard.size - int((shard.file_start[dead + 1] - shard.file_start[dead]).sum())
        if len(dead) == shard.manifest.files or live[ref.id] < (1 - MAX_DEAD_SHARE) * shard.size:
            return [ref.id]
    small = sorted(
        (ref.id for ref in snapshot.shards if live[ref.id] < SMALL_SHARE * shard_bytes),
        key=live.__getitem__,
    )
    if len(small) <= MAX_SMALL_SHARDS:
        return []
    merged, size = small[:FEWEST_MERGED], sum(live[shard_id] for shard_id in small[:FEWEST_MERGED])
    for shard_id in small[FEWEST_MERGED:]:
        if live[shard_id] > GROWTH * size and len(small) - len(merged) < MAX_SMALL_SHARDS:
            break
        merged.append(shard_id)
        size += live[shard_id]
    return merged


def compact(
    stored: StoredRepository,
    settings: Settings,
    embedder: Embedder,
    progress: Callable[[Progress], None] = lambda event: None,
) -> bool:
    """Merge shards while due; return whether any were merged.

    At most one process compacts a repository.
    """
    has_merged = False
    with _one_compactor(stored) as alone:
        while alone and (
            merged := to_merge(
                snapshot := read_snapshot(stored.folder),
                lambda shard_id: Shard(stored.shards / shard_id),
                settings.shard_bytes,
            )
        ):
            if snapshot.embedder != embedder.id:
                break  # an update will embed everything anew
            if not _merge(
                stored,
                settings,
                embedder,
                [ref for ref in snapshot.shards if ref.id in merged],
                progress,
            ):
                break
            has_merged = True
    return has_merged


def _merge(
    stored: StoredRepository,
    settings: Settings,
    embedder: Embedder,
    refs: list[ShardRef],
    progress: Callable[[Progress], None],
) -> bool:
    """Replace some shards with one of all their live files.

    Return False if all of them have left the snapshot meanwhile.
    """
    shards = [Shard(stored.shards / ref.id) for ref in refs]
    live = [
        np.setdiff1d(np.arange(shard.manifest.files), ref.dead).tolist()
        for ref, shard in zip(refs, shards, strict=True)
    ]
    files = sorted(
        (
            (shards[i].paths[number], i, number)
            for i, numbers in enumerate(live)
            for number in numbers
        ),
        key=lambda file: file[0].split("/"),
    )
    symbols = [_symbols(shard) for shard in shards]
    place = {(refs[i].id, number): at for at, (_, i, number) in enumerate(files)}
    last = 0.0
    contents = Contents(embedder, known_vectors(shards, embedder))
    with ShardWriter(stored.shards, contents, COMPACTING) as writer:
        for at, (_, i, number) in enumerate(files):
            shard = shards[i]
            writer.add(
                _document(shard, number, symbols[i].get(number, [])), shard.file_state(number)
            )
            if time.monotonic() - last > 0.1:
                last = time.monotonic()
                progress(Progress(COMPACTING, at, len(files)))
        if files:
            writer.write()
        with one_writer(stored, WAIT_S):
            snapshot = read_snapshot(stored.folder)
            now = {ref.id: ref for ref in snapshot.shards}
            if not any(ref.id in now for ref in refs):
                return False
            # all files of a shard that left the snapshot were replaced or removed
            lost = {
                (ref.id, number)
                for i, ref in enumerate(refs)
                for number in (set(now[ref.id].dead) - set(ref.dead) if ref.id in now else live[i])
            }
            dead = sorted(place[file] for file in lost)
            merged = [ShardRef(writer.publish(), tuple(dead))] if files else []
            _replace(stored, snapshot, {ref.id for ref in refs}, merged, settings)
    return True


def _replace(
    stored: StoredRepository,
    snapshot: Snapshot,
    ids: set[str],
    merged: list[ShardRef],
    settings: Settings,
) -> None:
    """Replace shards with ``merged`` in the snapshot; needs the lock."""
    now = {ref.id for ref in snapshot.shards}
    others = [ref for ref in snapshot.shards if ref.id not in ids]
    replaced = msgspec.structs.replace(
        snapshot,
        generation=snapshot.generation + 1,
        shards=(*others, *merged),
        retired={**snapshot.retired, **dict.fromkeys(ids & now, time.time())},
    )
    write_snapshot(stored.folder, replaced)
    sweep(stored, replaced, settings.retired_shard_age_s)


def _document(shard: Shard, number: int, symbols: list[Symbol]) -> Document:
    """Return a file as passed to the shard's writer."""
    first, end = int(shard.file_chunk[number]), int(shard.file_chunk[number + 1])
    language = shard.language(number)
    columns = (
        part[first:end].tolist()
        for part in (
            shard.chunk_line,
            shard.chunk_end_line,
            shard.chunk_kind,
            shard.chunk_cell,
            shard.chunk_language,
        )
    )
    chunks = [
        Chunk(
            line,
            end_line,
            KINDS[kind],
            shard.label(first + i),
            None if cell < 0 else cell,
            "" if shard.languages[own] == language else shard.languages[own],
        )
        for i, (line, end_line, kind, cell, own) in enumerate(zip(*columns, strict=True))
    ]
    content = bytes(
        shard.content[int(shard.file_start[number]) : int(shard.file_start[number + 1])]
    )
    return Document(
        shard.paths[number],
        language,
        content,
        shard.file_hash[number].tobytes(),
        chunks,
        symbols,
        bool(shard.file_flags[number] & ENDS_WITH_NEWLINE),
    )


def _symbols(shard: Shard) -> dict[int, list[Symbol]]:
    """Return the definitions of each file, by its number."""
    by_file: dict[int, list[Symbol]] = {}
    columns = (shard.symbol_file, shard.symbol_kind, shard.symbol_line, shard.symbol_end_line)
    texts = SymbolTexts(shard, range(shard.symbols))
    for file, kind, line, end_line, name, container, signature, doc in zip(
        *(column.tolist() for column in columns),
        texts.names,
        texts.containers,
        texts.signatures,
        texts.docs,
        strict=True,
    ):
        by_file.setdefault(file, []).append(
            Symbol(name, KINDS[kind], container, signature, line, end_line, doc)
        )
    return by_file


@contextmanager
def _one_compactor(stored: StoredRepository) -> Iterator[bool]:
    """Yield whether this process got the compaction lock, without waiting.

    While the lock is held, sweeps by other processes spare the shard being written.
    """
    from filelock import Timeout

    with storage_errors(stored.folder):
        try:
            lock = acquire_lock(stored.folder / "compact.lock", 0)
        except Timeout:  # an OSError, too
            lock = None
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def compact_in_child(
    settings: Settings,
    repository: Repository,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    processes: IndexProcesses | None = None,
) -> None:
    """Merge the shards that are due, in a child process.

    Raises
    ------
    EngineError : the child failed or was cancelled; the index is intact.
    """
    stored = Store(settings.home).stored(repository)
    processes = processes or IndexProcesses(stored.folder)
    job = Compaction(settings, repository, stays=bool(processes.idle_s and not repository.embedder))
    try:
        with processes.running(job) as process:
            for line in process.lines(cancel):
                message: Any = msgspec.json.decode(line, type=Progress | Compacted | Failure)
                if isinstance(message, Compacted):
                    process.settle()
                    return
                if isinstance(message, Failure):
                    raise _unfinished(repository, f"failed: {message.message}")
                if progress is not None:
                    progress(message)
            raise _unfinished(repository, process.wait()[1])
    except Cancelled:
        raise EngineError(
            f"Compacting the index of {repository.name!r} was interrupted."
            " Nothing is lost; the next update retries."
        ) from None


def _unfinished(repository: Repository, how: str) -> EngineError:
    return EngineError(
        f"The process compacting the index of {repository.name!r} {how}"
        " Nothing is lost; the next update retries."
    )
