"""Builds by several worker processes: the same shards, and recovery from a crash."""

import os
import threading

import msgspec
import psutil
import pytest

from codeintel_nb import Workspace
from codeintel_nb.errors import EngineError
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.index.update import machine, workers
from codeintel_nb.index.update.ranges import RangeFile, _cut
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree
from tests.index.many_parts import functions_tree, parts
from tests.index.test_guard import FAILED, FAULTS
from tests.live import children_of

WORKER = "codeintel_nb.index.update.workers"


@pytest.fixture
def tree(tmp_path):
    return functions_tree(tmp_path / "tree")


@pytest.fixture
def opened(tmp_path):
    workspaces = []

    def opened(name, workers, shard_bytes=120_000, piece_bytes=9_000):
        settings = msgspec.structs.replace(
            Settings.from_environment(tmp_path / name),
            build_workers=workers,
            shard_bytes=shard_bytes,
            piece_bytes=piece_bytes,
        )
        workspaces.append(Workspace(settings, follow=False))
        return workspaces[-1]

    yield opened
    for workspace in workspaces:
        workspace.close()


@pytest.mark.parametrize(
    ("shard_bytes", "shards"),
    [
        pytest.param(12_000, range(12, 99), marks=pytest.mark.slow),
        (120_000, range(2, 9)),
        pytest.param(10**7, [1], marks=pytest.mark.slow),
    ],
)
def test_any_number_of_workers_writes_the_same_shards(opened, tree, shard_bytes, shards):
    (tree / "part1" / "photo.py").write_bytes(b"\0")
    (tree / "part3" / "empty.bin").write_bytes(b"\0")
    alone, together = opened("alone", 1, shard_bytes), opened("together", 3, shard_bytes)
    first = alone.index(tree)
    second = together.index(tree)
    assert len(parts(alone)) in shards
    assert parts(alone) == parts(together)
    assert msgspec.structs.replace(first, seconds=0) == msgspec.structs.replace(second, seconds=0)
    assert alone.status()[0].examples == together.status()[0].examples != {}
    (tree / "part2" / "f002.py").write_text("def changed(): ...\n")
    (tree / "part4" / "f004.py").unlink()
    for workspace in (alone, together):
        report = workspace.index(tree)
        assert (report.indexed, report.removed) == (1, 1)
        report = workspace.refresh(report.repository, rebuild=True)
        assert (report.files, report.embedded) == (119, 0), "vectors are reused"
    assert parts(alone) == parts(together)


def test_progress_of_workers_adds_up(opened, tree):
    events = []
    report = opened("home", 2).index(tree, progress=events.append)
    reading = [event for event in events if event.stage in ("indexing", "writing")]
    assert len({event.files_total for event in reading}) == 1
    assert reading[-1].files_total == report.files
    assert sorted(event.share for event in reading) == [event.share for event in reading]


@pytest.fixture
def faulty(tmp_path, monkeypatch, opened):
    write_tree(tmp_path / "faults", {"sitecustomize.py": FAULTS})
    path = [str(tmp_path / "faults"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return opened("home", 2)


def test_crash_of_a_worker_costs_only_its_file(faulty, tree):
    (tree / "part3" / "f0.py").write_text("def it_crashes(): ...\n")
    (tree / "part5" / "f0.py").write_text("def it_crashes_too(): ...\n")
    report = faulty.index(tree, name="tree")
    assert (report.files, report.skipped[FAILED]) == (122, 2)
    assert len(faulty.search_text("it_crashes")) == 2
    assert not children_of(os.getpid(), WORKER, recursive=True)
    (stored,) = faulty._repositories.all()
    assert not [*stored.folder.glob("reading-*")]


def test_killed_worker_ends_the_build_with_advice(faulty, tree):
    (tree / "part3" / "f0.py").write_text("# is killed\n")
    with pytest.raises(EngineError, match=r"killed by SIGKILL.*set CODEINTEL_BUILD_WORKERS=1"):
        faulty.index(tree, name="tree")
    (tree / "part3" / "f0.py").unlink()
    assert faulty.index(tree, name="tree").files == 120


@pytest.mark.parametrize("rebuild", [pytest.param(False, marks=pytest.mark.slow), True])
def test_cancelled_workers_keep_what_they_read(opened, tree, rebuild):
    workspace = opened("home", 2)
    if rebuild:
        workspace.index(tree, name="tree")
        old = parts(workspace)
    cancel = threading.Event()

    def stop(progress):
        if progress.files_done:
            cancel.set()

    with pytest.raises(EngineError, match="was stopped"):
        workspace.index(tree, name="tree", progress=stop, cancel=cancel, rebuild=rebuild)
    (stored,) = workspace._repositories.all()
    if rebuild:
        assert parts(workspace) == old
    else:
        assert 0 < read_snapshot(stored.folder).files < 120
    assert not children_of(os.getpid(), WORKER, recursive=True)
    assert workspace.index(tree, name="tree").files == 120
    assert len({hit.path for hit in workspace.search_text("def function_", limit=0)}) == 120


def test_workers_end_with_the_process_that_started_them(opened, tree):
    workspace, seen = opened("home", 2), []

    def kill(progress):
        if progress.stage == "indexing" and not seen:
            seen.extend(children_of(os.getpid(), WORKER, recursive=True))
            for child in children_of(os.getpid(), "codeintel_nb.index.update.build"):
                child.kill()

    with pytest.raises(EngineError, match="killed by SIGKILL"):
        workspace.index(tree, name="tree", progress=kill)
    assert len(seen) == 2
    psutil.wait_procs(seen, 10)
    assert not any(one.is_running() for one in seen)
    assert workspace.index(tree, name="tree").files == 120


@pytest.mark.parametrize("pieces", [1, 2])
def test_worker_that_dies_while_idle_is_replaced(opened, tree, monkeypatch, pieces):
    """Kill the idle workers: the assembly needs one, at once if all pieces are read."""
    workspace, killed = opened("home", 1), []
    (stored,) = [Store(workspace.settings.home).create(worktree(tree, "tree"))]
    settings = msgspec.structs.replace(workspace.settings, shard_bytes=10**7, piece_bytes=10**7)
    files = [
        RangeFile(path.relative_to(tree).as_posix(), path.stat().st_size)
        for path in sorted(tree.rglob("*.py"))
    ]
    ranges = [[files[:5], files[5:]]]
    finish = workers._Pool._finish

    def finish_after_death(pool, number):
        if len(pool._parts[number]) == pieces:
            for idle in [one for one in pool._workers if one.task is None]:
                idle.child.kill()
                idle.child.wait()
                killed.append(idle)
        yield from finish(pool, number)

    monkeypatch.setattr(workers._Pool, "_finish", finish_after_death)
    work = workers.Work(settings, stored.repository, (), (), True)
    results = [*workers.build_in_workers(work, ranges, 2, lambda event: None, lambda: False)]
    assert killed
    ((number, result),) = results
    assert (number, result.files, len(result.added), bool(result.shard)) == (0, 120, 120, True)


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([0] * 5, 100, [5]),
        ([10, 0, 0], 100, [3]),
        ([30, 40, 30, 0], 50, [2, 2]),
        ([300, 1, 1], 100, [1, 1, 1]),
        ([1, 1, 300], 100, [3]),
        ([50] * 8, 100, [2, 2, 2, 2]),
        ([], 100, [0]),
    ],
)
def test_parts_of_similar_size(sizes, most, expected):
    files = [RangeFile(str(number), size) for number, size in enumerate(sizes)]
    cut = _cut(files, {file.path: file.size for file in files}, most)
    assert [len(part) for part in cut] == expected
    assert [file for part in cut for file in part] == files


def test_empty_files_make_one_shard(opened, tmp_path):
    root = write_tree(tmp_path / "empty", {f"{n}/__init__.py": "" for n in range(40)})
    workspace = opened("home", 1)
    assert workspace.index(root).files == 40
    assert len(parts(workspace)) == 1


def test_workers_fit_the_group_of_a_service(tmp_path, monkeypatch):
    group = write_tree(
        tmp_path / "group",
        {
            "user/job/cpu.max": "max 100000\n",
            "user/cpu.max": "300000 100000\n",
            "user/job/memory.max": "max\n",
            "user/memory.max": "2500000000\n",
            "user/memory.current": "0\n",
            "user/memory.stat": "",
            "cpu/batch/cpu.cfs_quota_us": "200000\n",
            "cpu/batch/cpu.cfs_period_us": "100000\n",
        },
    )
    own = tmp_path / "own"
    monkeypatch.setattr(machine, "_CGROUP", group)
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: range(8), raising=False)
    memory = psutil.virtual_memory()._replace(available=64 * 10**9)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)
    own.write_text("0::/user/job\n")
    assert machine.fitting_workers() == 3
    own.write_text("4:cpu,cpuacct:/batch\n")
    (group / "cpu,cpuacct").symlink_to(group / "cpu")
    assert machine.fitting_workers() == 2
    own.write_text("0::/elsewhere\n")
    assert machine.fitting_workers() == 8


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"memory.max": "2000000000", "memory.current": "300000000", "memory.stat": "x 1\n"}, 2),
        (
            {
                "memory.max": "2000000000",
                "memory.current": "1900000000",
                "memory.stat": "active_file 1\ninactive_file 1600000000\n",
            },
            2,
        ),
        ({"memory.max": "100000000", "memory.current": "1", "memory.stat": ""}, 1),
        ({"memory.max": "max", "memory.current": "1", "memory.stat": ""}, 8),
    ],
)
def test_workers_fit_the_processors_and_memory_of_a_container(
    tmp_path, monkeypatch, limits, expected
):
    monkeypatch.setattr(machine, "_CGROUP", write_tree(tmp_path / "group", limits or {"x": ""}))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: range(8), raising=False)
    memory = psutil.virtual_memory()._replace(available=64 * 10**9)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)
    assert machine.fitting_workers() == expected
    monkeypatch.setattr(
        machine.psutil, "virtual_memory", lambda: memory._replace(available=1_700_000_000)
    )
    assert machine.fitting_workers() == min(expected, 2)


def test_small_tree_starts_no_worker(opened, tree):
    workspace, seen = opened("home", 0), []

    def look(progress):
        seen.extend(children_of(os.getpid(), WORKER, recursive=True))

    assert workspace.index(tree, progress=look).files == 120
    assert seen == []
