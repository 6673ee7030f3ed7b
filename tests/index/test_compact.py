"""Compaction: same answers from fewer shards, with concurrent readers and writers."""

import json
import os
import time

import msgspec
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.index.store import Store, read_snapshot, write_snapshot
from codeintel_nb.index.update import write_lock
from codeintel_nb.index.update.compact import MAX_SMALL_SHARDS, compact, compact_in_child
from codeintel_nb.index.update.updater import update
from codeintel_nb.index.update.write_lock import COMPACTING, acquire_lock, one_writer, sweep
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree


@pytest.fixture
def setup(tree, tmp_path):
    """Return a repository of many small shards and the function to update it."""
    configured = Settings(home=tmp_path / "home")
    stored = Store(configured.home).create(worktree(tree, "shop"))

    def run():
        return update(stored, configured, default_embedder(), lambda event: None)

    run()
    for i in range(MAX_SMALL_SHARDS + 2):
        write_tree(
            tree,
            {
                f"more/f{i}.py": (
                    f"class Part{i}:\n"
                    f"    '''Part {i} of é.'''\n\n"
                    "    def price(self):\n"
                    f"        return {i}\n"
                )
            },
        )
        run()
    cells = [
        {"cell_type": "code", "source": "%%sql\nselect 1 as part"},
        {"cell_type": "code", "source": "part = 1"},
    ]
    write_tree(
        tree,
        {
            "more/n.ipynb": json.dumps(
                {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            )
        },
    )
    (tree / "more" / "f0.py").unlink()
    run()
    return stored, configured, tree, run


def answers(settings):
    """Return the index's answers to queries of every kind."""
    workspace = Workspace(settings)
    tables = {
        table: sorted(workspace.sql(f"select * from {table}").rows(), key=str)
        for table in ("files", "symbols")
    }
    chunks = sorted(
        workspace.sql(
            "select path, start_line, end_line, kind, symbol, cell, language from chunks"
        ).rows(),
        key=str,
    )
    return (
        [
            msgspec.structs.replace(hit, revision="")
            for hit in workspace.search_text(".", regex=True, limit=10_000)
        ],
        [
            (hit.path, hit.start_line, hit.symbol, round(hit.score, 4))
            for hit in workspace.semantic_search("the price of a part", limit=20)
        ],
        [hit.path for hit in workspace.semantic_search("Part3", limit=3)],
        workspace.list_paths(Scope(exclude_globs=("more/**",))).hits,
        [row[1:] for row in tables["files"]] and sorted(row[1] for row in tables["files"]),
        len(tables["symbols"]),
        chunks,
        [
            msgspec.structs.replace(status, index_bytes=0, indexed_at=0)
            for status in workspace.status()
        ],
    )


def shards_of(stored):
    return [ref.id for ref in read_snapshot(stored.folder).shards]


def test_merging_small_shards_keeps_all_answers(setup):
    stored, configured, _, run = setup
    before, old = answers(configured), shards_of(stored)
    assert len(old) > MAX_SMALL_SHARDS
    assert compact(stored, configured, default_embedder())
    assert len(shards_of(stored)) < len(old) / 2
    assert answers(configured) == before
    assert not compact(stored, configured, default_embedder()), "no merge is due"
    assert run().indexed == 0, "file sizes and mtimes were carried over"
    assert all((stored.shards / shard_id).is_dir() for shard_id in old), (
        "readers may still have them open"
    )


def test_mostly_dead_shard_is_rewritten(setup):
    stored, configured, tree, run = setup
    compact(stored, configured, default_embedder())
    for path in tree.rglob("*.py"):
        path.write_text(path.read_text() + "# changed\n")
    run()
    before = answers(configured)
    assert compact(stored, configured, default_embedder())
    assert answers(configured) == before
    assert all(
        len(ref.dead) <= 0.5 * Shard(stored.shards / ref.id).manifest.files
        for ref in read_snapshot(stored.folder).shards
    )


def test_updates_during_compaction_are_not_lost(setup):
    stored, configured, tree, run = setup
    changed = []

    def progress(event):
        if not changed:
            changed.append(event)
            (tree / "more" / "f1.py").write_text("value = 'written during the merge'\n")
            (tree / "more" / "f2.py").unlink()
            run()

    assert compact(stored, configured, default_embedder(), progress)
    workspace = Workspace(configured)
    assert "more/f2.py" not in [hit.path for hit in workspace.list_paths()]
    assert workspace.open_file("shop", "more/f1.py").text == "value = 'written during the merge'"
    paths = [hit.path for hit in workspace.list_paths()]
    assert len(paths) == len(set(paths))


def test_merge_is_abandoned_when_its_shards_are_replaced(setup):
    stored, configured, _, _ = setup

    def progress(event):
        if event.files_done == 0:
            update(stored, configured, default_embedder(), lambda event: None, rebuild=True)

    assert not compact(stored, configured, default_embedder(), progress)
    assert not list(stored.shards.glob(f"{COMPACTING}*"))
    assert len(shards_of(stored)) == 1


def test_open_readers_survive_and_late_ones_reload_the_snapshot(setup):
    stored, configured, _, _ = setup
    early, late = Workspace(configured), Workspace(configured)
    expected = early.search_text("price").hits
    late.status()  # reads the snapshot, opens no shard
    old = shards_of(stored)
    compact(stored, configured, default_embedder())
    write_snapshot(
        stored.folder,
        msgspec.structs.replace(
            read_snapshot(stored.folder), retired=dict.fromkeys(old, time.time() - 601)
        ),
    )
    with one_writer(stored):
        assert set(sweep(stored, read_snapshot(stored.folder), 600)) >= set(old) - set(
            shards_of(stored)
        )
    assert [hit.path for hit in early.search_text("price").hits] == [hit.path for hit in expected]
    assert [hit.path for hit in late.search_text("price").hits] == [hit.path for hit in expected]


def test_sweep_removes_a_killed_merge_but_not_a_running_one(setup):
    stored, configured, _, run = setup
    (stored.shards / f"{COMPACTING}dead").mkdir()
    seen = []

    def progress(event):
        run()  # sweeps
        seen.append(len(list(stored.shards.glob(f"{COMPACTING}*"))))

    compact(stored, configured, default_embedder(), progress)
    assert min(seen) >= 1
    with one_writer(stored):
        sweep(stored, read_snapshot(stored.folder), 600)
    assert not list(stored.shards.glob(f"{COMPACTING}*"))


def test_sweep_spares_a_merge_that_begins_beside_it(setup, monkeypatch):
    stored, *_ = setup
    is_compacting = write_lock._is_compacting

    def begin_after(one):
        was_compacting = is_compacting(one)
        (stored.shards / f"{COMPACTING}new").mkdir()
        return was_compacting

    monkeypatch.setattr(write_lock, "_is_compacting", begin_after)
    with one_writer(stored):
        sweep(stored, read_snapshot(stored.folder), 600)
    assert (stored.shards / f"{COMPACTING}new").is_dir()


def test_one_merge_at_a_time(setup):
    stored, configured, _, _ = setup
    before = shards_of(stored)
    lock = acquire_lock(stored.folder / "compact.lock", 0)
    try:
        compact_in_child(configured, stored.repository)  # another one runs: no error
    finally:
        lock.release()
    assert shards_of(stored) == before
    compact_in_child(configured, stored.repository)
    assert len(shards_of(stored)) < len(before)


@pytest.mark.slow
def test_workspace_compacts_automatically(tree, tmp_path):
    for follow in (True, False):
        workspace = Workspace(Settings.from_environment(tmp_path / f"home{follow}"), follow=follow)
        for i in range(MAX_SMALL_SHARDS + 2):
            write_tree(tree, {f"more/f{i}.py": f"x = {i}\n"})
            os.utime(tree / "more" / f"f{i}.py", (1, i + 1000 * follow))
            workspace.index(tree, name="shop")
        stored = Store(workspace.settings.home).stored(workspace.repository("shop"))
        ends = time.monotonic() + 30
        while len(shards_of(stored)) > MAX_SMALL_SHARDS and follow and time.monotonic() < ends:
            time.sleep(0.05)
        assert len(shards_of(stored)) <= MAX_SMALL_SHARDS
        assert (
            len(workspace.search_text("x = ", Scope(include_globs=("more/**",))))
            == MAX_SMALL_SHARDS + 2
        )
        workspace.close()


def test_child_reports_the_error(setup):
    stored, configured, _, _ = setup
    part = stored.shards / shards_of(stored)[-1] / "content.bin"
    part.write_bytes(b"cut")
    with pytest.raises(Exception, match="Nothing is lost"):
        compact_in_child(configured, stored.repository)
