"""Crash test: kills a writer at random moments, or fails its writes. Run by test_durability.py.

    python -m tests.index.killed FOLDER kill|fail COUNT SEED

Each round changes a tree, forks a writer that builds, updates or compacts its index, and ends it.
Afterwards a reader opened before the first round must still answer from one complete snapshot,
checksums must match, and the next write must succeed and leave no orphan. Prints the outcomes as a
line of JSON: number of writers per kind of work and progress.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

from codeintel_nb import Workspace
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.index.shard.manifest import crc32_of
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.index.store import Store, StoredRepository, read_snapshot
from codeintel_nb.index.update.compact import compact, to_merge
from codeintel_nb.index.update.updater import update
from codeintel_nb.index.update.write_lock import one_writer, sweep
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree

FILES = 24
ENDED_BY_ITSELF = 7  # exit status of a writer that reported a failed write with our own error


def main(folder: Path, how: str, count: int, seed: int) -> None:
    rng = random.Random(seed)
    tree = folder / "tree"
    settings = msgspec.structs.replace(
        Settings.from_environment(folder / "home"), shard_bytes=4_000
    )
    for number in range(FILES):
        write(tree, number, 0)
    stored = Store(settings.home).create(worktree(tree, "killed"))
    embedder = default_embedder()
    update(stored, settings, embedder, lambda event: None)
    reader = Workspace(settings)
    versions = dict.fromkeys(range(FILES), 0)
    takes: dict[str, float] = {}  # seconds of an undisturbed write, by kind
    ended: Counter[str] = Counter()
    for round_ in range(1, count + 1):
        work = rng.choice(("build", "update", "compact"))
        before = dict(versions)
        for number in rng.sample(range(FILES), 15 if work == "compact" else rng.randrange(1, 9)):
            write(tree, number, round_)
            versions[number] = round_
        if work == "compact":  # most of a shard is dead, so a merge is due
            update(stored, settings, embedder, lambda event: None)
            before = dict(versions)
            if not to_merge(
                read_snapshot(stored.folder),
                lambda shard_id: Shard(stored.shards / shard_id),
                settings.shard_bytes,
            ):
                work = "update"
        generation = read_snapshot(stored.folder).generation
        began = time.monotonic()
        child = os.fork()
        if not child:
            write_index(stored, settings, work, rng.randrange(8_000) if how == "fail" else None)
        if how == "kill" and work in takes:
            time.sleep(rng.uniform(0, 1.1 * takes[work]))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if how == "kill":
            assert os.WIFSIGNALED(status) or status == 0, status
            through = not os.WIFSIGNALED(status)
        else:
            assert os.WIFEXITED(status), status
            assert os.WEXITSTATUS(status) in (0, ENDED_BY_ITSELF), status
            through = status == 0
        if through:
            took = time.monotonic() - began
            takes[work] = 0.7 * takes.get(work, took) + 0.3 * took
        moved = read_snapshot(stored.folder).generation > generation
        ended[
            f"{work}: {'done' if through else 'after a publication' if moved else 'before one'}"
        ] += 1
        check(reader, stored, before, versions)
        update(stored, settings, embedder, lambda event: None)
        check(reader, stored, versions, versions)
        with one_writer(stored):
            sweep(stored, read_snapshot(stored.folder), 0)
        left = {folder.name for folder in stored.shards.iterdir()}
        assert left == {ref.id for ref in read_snapshot(stored.folder).shards}, left
    print(json.dumps(ended))


def write(tree: Path, number: int, version: int) -> None:
    path = tree / f"part{number:02}" / f"file{number:02}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"VERSION = {version}\n\n\n"
        + "".join(
            f"def function_{i}_of_{number}(value):\n    return value * {version} + {i}\n\n\n"
            for i in range(10)
        )
    )


def write_index(
    stored: StoredRepository, settings: Settings, work: str, most_bytes: int | None
) -> None:
    """Run the writer in its own process. Does not return."""
    try:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        if work == "compact":
            compact(stored, settings, default_embedder())
        else:
            update(
                stored, settings, default_embedder(), lambda event: None, rebuild=work == "build"
            )
    except Exception as error:  # any failure must surface as an error of ours
        ours = type(
            error
        ).__module__ == "codeintel_nb.errors" and "last good index remains searchable" in str(error)
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(ENDED_BY_ITSELF if ours else 1)
    os._exit(0)


def check(
    reader: Workspace, stored: StoredRepository, before: dict[int, int], after: dict[int, int]
) -> None:
    """Check the answers and the checksums.

    The reader must see one complete snapshot: each file once, in its old or its new version.
    """
    paths = [hit.path for hit in reader.list_paths()]
    assert len(paths) == len(set(paths)) == FILES, paths
    assert len(reader.semantic_search("the value of a function", limit=FILES, mode="lexical")) > 0
    for number in range(FILES):
        text = reader.open_file("killed", f"part{number:02}/file{number:02}.py").text
        assert text.startswith((f"VERSION = {before[number]}\n", f"VERSION = {after[number]}\n")), (
            number,
            text[:20],
            before[number],
            after[number],
        )
    for ref in read_snapshot(stored.folder).shards:
        for name, part in Shard(stored.shards / ref.id).manifest.parts.items():
            assert crc32_of(stored.shards / ref.id / name) == part.crc32, name


if __name__ == "__main__":
    base = Path(sys.argv[1])
    try:
        main(base, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    finally:
        shutil.rmtree(base, ignore_errors=True)
