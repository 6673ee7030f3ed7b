"""Builds on hosts: the same shards, lost hosts, cancellation, and no cluster at all."""

from __future__ import annotations

import contextlib
import os
import threading

import msgspec
import pytest

from codeintel_nb import Workspace
from codeintel_nb.engines.fleet import building
from codeintel_nb.engines.fleet.host import packed
from codeintel_nb.engines.fleet.host_builds import Slots
from codeintel_nb.engines.fleet.in_process import InProcessFleet
from codeintel_nb.errors import IndexingCancelled
from codeintel_nb.index.shard.manifest import read_manifest
from codeintel_nb.index.store import read_snapshot
from codeintel_nb.index.update import build
from codeintel_nb.index.update.report import ignore
from codeintel_nb.index.update.updater import embedder_of, update
from codeintel_nb.settings import Settings
from tests.conftest import write_tree
from tests.fleet.cluster import dask_cluster
from tests.full.programs import free_port
from tests.index.test_guard import FAILED, FAULTS


@pytest.fixture
def tree(tmp_path):
    return write_tree(
        tmp_path / "tree",
        {
            f"part{n % 7}/f{n:03}.py": "".join(
                f"def function_{n}_{i}(value):\n    return value + {i}\n\n\n" for i in range(30)
            )
            for n in range(120)
        },
    )


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask")) as programs:
        yield programs.address


def settings_of(folder, **changes):
    changes = {"shard_bytes": 30_000, "build_workers": 2, **changes}
    return msgspec.structs.replace(Settings.from_environment(folder, {}), **changes)


def parts(workspace):
    """Return the parts of each shard, with their checksums."""
    (stored,) = workspace._repositories.all()
    return [
        read_manifest(stored.shards / ref.id).parts for ref in read_snapshot(stored.folder).shards
    ]


def generation(workspace):
    (stored,) = workspace._repositories.all()
    return read_snapshot(stored.folder).generation


def test_hosts_write_the_shards_of_one_machine(tmp_path, tree, scheduler):
    (tree / "part1" / "photo.py").write_bytes(b"\0")
    own = settings_of(tmp_path / "own")
    other = settings_of(tmp_path / "other", engine=f"dask://{scheduler}")
    events = []
    with Workspace(own, follow=False) as alone, Workspace(other, follow=False) as together:
        first = alone.index(tree)
        second = together.index(tree, progress=events.append)
        assert second.cluster_problem == ""
        assert msgspec.structs.replace(first, seconds=0) == msgspec.structs.replace(
            second, seconds=0
        )
        assert len(parts(alone)) >= 6
        assert parts(alone) == parts(together)
        assert generation(together) == 1  # swapped once
        assert events[-1].files_done == events[-1].files_total
        shares = [event.share for event in events]
        assert shares == sorted(shares)
        (tree / "part2" / "f002.py").write_text("def changed(): ...\n")
        for workspace in (alone, together):
            assert workspace.index(tree).indexed == 1
            report = workspace.refresh(first.repository, rebuild=True)
            assert report.embedded == 0, "vectors are reused"
        assert parts(alone) == parts(together)


def test_crash_on_a_host_costs_only_its_file(tmp_path, tree, monkeypatch):
    write_tree(tmp_path / "faults", {"sitecustomize.py": FAULTS})
    path = [str(tmp_path / "faults"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    (tree / "part3" / "f0.py").write_text("def it_crashes(): ...\n")
    with built_here(tmp_path, monkeypatch) as workspace:
        report = workspace.index(tree, name="tree")
        assert (report.files, report.skipped[FAILED]) == (121, 1)
        (stored,) = workspace._repositories.all()
        assert not [*stored.folder.glob("reading-*")]


@contextlib.contextmanager
def built_here(tmp_path, monkeypatch, fleet=InProcessFleet):
    """Open a workspace whose builds run in this process, on a fleet of threads."""
    settings = settings_of(tmp_path / "home")

    def build_here(settings, repository, progress, cancel, rebuild, *rest):
        cluster = building.Cluster()
        stored = build.Store(settings.home).create(repository)
        hosts = fleet(settings, str(stored.folder.parent))
        monkeypatch.setattr(building, "fleet_of", lambda settings: lambda: hosts)
        return update(
            stored, settings, embedder_of(stored, settings), progress or ignore, rebuild,
            stopped=lambda: cancel is not None and cancel.is_set(), cluster=cluster,
        )  # fmt: skip

    monkeypatch.setattr(build, "build", build_here)
    with Workspace(settings, follow=False) as workspace:
        yield workspace


class OneDies(InProcessFleet):
    """Two hosts, of which one is lost in the middle of its builds."""

    started = 0

    def hosts(self):
        return [*super().hosts()][: 1 if self.started > 2 else 2]

    def call(self, host, call):
        self.started += b"start_build" in call
        if host == "thread-1" and self.started > 2:
            return super().call(host, packed("nothing"))  # its answer is an error
        return super().call(host, call)


def test_ranges_of_a_lost_host_are_built_by_another(tmp_path, tree, monkeypatch):
    with built_here(tmp_path, monkeypatch, OneDies) as workspace:
        report = workspace.index(tree)
        assert report.files == 120
        assert len(workspace.search_text("def function_", limit=5_000)) == 3_600
        paths = [hit.path for hit in workspace.list_paths()]
        assert len(set(paths)) == len(paths) == 120


def test_hosts_without_the_files_leave_the_build_here(tmp_path, tree, monkeypatch):
    def make(settings, root):
        fleet = InProcessFleet(settings, root)
        for host in fleet._hosts.values():
            host.build_slots = lambda work: Slots("elsewhere", 0)
        return fleet

    with built_here(tmp_path, monkeypatch, make) as workspace:
        report = workspace.index(tree)
        assert report.files == 120
        assert "No host of the cluster can build" in report.cluster_problem


def test_cancelled_build_keeps_what_hosts_read(tmp_path, tree, scheduler):
    settings = settings_of(tmp_path / "home", engine=f"dask://{scheduler}", shard_bytes=12_000)
    cancel = threading.Event()

    def note(event):
        if event.files_done > 20:
            cancel.set()

    with Workspace(settings, follow=False) as workspace:
        with pytest.raises(IndexingCancelled):
            workspace.index(tree, progress=note, cancel=cancel)
        report = workspace.index(tree)
        assert report.files == 120
        assert 0 < report.unchanged < 120


def test_absent_cluster_leaves_the_build_here(tmp_path, tree, monkeypatch):
    settings = settings_of(tmp_path / "home", engine=f"dask://127.0.0.1:{free_port()}")
    with Workspace(settings, follow=False) as workspace:
        report = workspace.index(tree)
    assert report.files == 120
    assert "does not answer" in report.cluster_problem
