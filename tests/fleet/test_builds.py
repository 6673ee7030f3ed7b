"""Builds on hosts: the same shards, lost hosts, cancellation, and no cluster at all."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from functools import partial
from types import SimpleNamespace

import msgspec
import pytest

from codeintel_nb import Workspace
from codeintel_nb.engines.fleet import building, host_builds
from codeintel_nb.engines.fleet.host import packed
from codeintel_nb.engines.fleet.host_builds import BuildState, HostBuilds, Sample
from codeintel_nb.engines.fleet.in_process import InProcessFleet
from codeintel_nb.errors import EngineError, IndexingCancelled
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.index.update import build
from codeintel_nb.index.update.report import ignore
from codeintel_nb.index.update.updater import embedder_of, update
from codeintel_nb.index.update.work import Work
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree
from tests.fleet.cluster import dask_cluster
from tests.full.programs import free_port
from tests.index.many_parts import functions_tree, parts
from tests.index.test_guard import FAILED, FAULTS


@pytest.fixture
def tree(tmp_path):
    return functions_tree(tmp_path / "tree")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask")) as programs:
        yield programs.address


def settings_of(folder, **changes):
    changes = {"shard_bytes": 30_000, "build_workers": 2, **changes}
    return msgspec.structs.replace(Settings.from_environment(folder, {}), **changes)


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
def built_here(tmp_path, monkeypatch, fleet=InProcessFleet, **changes):
    """Open a workspace whose builds run in this process, on a fleet of threads."""
    settings = settings_of(tmp_path / "home", **changes)

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
        return [*super().hosts()][: 1 if self.started > 1 else 2]

    def call(self, host, call):
        self.started += b"start_build" in call
        if host == "thread-1" and self.started > 1:
            return super().call(host, packed("nothing"))  # its answer is an error
        return super().call(host, call)


def test_ranges_of_a_lost_host_are_built_by_another(tmp_path, tree, monkeypatch):
    with built_here(tmp_path, monkeypatch, OneDies) as workspace:
        report = workspace.index(tree)
        assert report.files == 120
        assert re.match("The host thread-1 (was lost|failed)", report.cluster_problem)
        assert len(workspace.search_text("def function_", limit=5_000)) == 3_600
        paths = [hit.path for hit in workspace.list_paths()]
        assert len(set(paths)) == len(paths) == 120


def test_hosts_with_other_files_leave_the_build_here(tmp_path, tree, monkeypatch):
    def make(settings, root):
        fleet = InProcessFleet(settings, root)
        for host in fleet._hosts.values():
            host.build_slots = lambda work, sample, own=host._builds: own.slots(
                work, [*sample, sample[0]._replace(size=1)]
            )
        return fleet

    with built_here(tmp_path, monkeypatch, make) as workspace:
        report = workspace.index(tree)
        assert report.files == 120
        assert re.search(
            r"The cluster cannot build \(thread-0: it has a different version of .*"
            "This machine built",
            report.cluster_problem,
        )


@pytest.mark.parametrize("path", ["gone.py", "part1/f001.py"])
def test_host_compares_files_with_its_driver(tmp_path, tree, path):
    settings = settings_of(tmp_path / "home")
    stored = Store(settings.home).create(worktree(tree))
    work = Work(settings, stored.repository, (), (), True)
    own = (tree / "part1" / "f001.py").stat()
    same = Sample("part1/f001.py", own.st_size, int(own.st_mtime))
    builds = HostBuilds()
    assert builds.slots(work, [same]).builds == 2
    other = builds.slots(work, [same, Sample(path, own.st_size + 1, int(own.st_mtime))])
    assert other.builds == 0
    assert str(tree / path) in other.reason


class Failing(InProcessFleet):
    """Hosts whose builds fail after some."""

    faulty = ("thread-0",)

    def __init__(self, settings, root):
        super().__init__(settings, root)
        for name in self.faulty:
            host = self._hosts[name]
            host.build_states = partial(self._states, host)

    def _states(self, host, names):
        states = host._builds.states(names)
        fault = BuildState(None, None, None, "OSError: [Errno 28] No space left on device")
        return {name: one if one.result is None else fault for name, one in states.items()}


class AllFailing(Failing):
    faulty = ("thread-0", "thread-1")


def test_fault_of_a_host_is_named_and_others_build(tmp_path, tree, monkeypatch):
    with built_here(tmp_path, monkeypatch, Failing) as workspace:
        report = workspace.index(tree)
        assert report.files == 120
        assert "The host thread-0 failed (OSError: [Errno 28]" in report.cluster_problem
        assert len(set(workspace.search_text("function_", limit=5_000)["path"])) == 120


class FailsAtOnce(Failing):
    """One host, whose first two builds fail in the same moment."""

    failed_together = 0

    def hosts(self):
        return ["thread-0"]

    def _states(self, host, names):
        states = host._builds.states(names)
        if len(names) < 2 or any(one.result is None for one in states.values()):
            return dict.fromkeys(names, BuildState(None, None, None))
        self.failed_together = len(names)
        return super()._states(host, names)


def test_two_builds_of_a_host_fail_at_once(tmp_path, tree, monkeypatch):
    fleets = []

    def make(*settings):
        fleets.append(FailsAtOnce(*settings))
        return fleets[-1]

    with built_here(tmp_path, monkeypatch, make) as workspace:
        report = workspace.index(tree)
    assert fleets[0].failed_together == 2
    assert report.files == 120
    assert "thread-0: OSError: [Errno 28]" in report.cluster_problem


def test_failed_build_keeps_the_parts_of_others(tmp_path, tree, monkeypatch):
    """The host at a range fails: the build ends, and what others built stays."""

    class Late(AllFailing):
        finished = 0

        def _states(self, host, names):
            states = host._builds.states(names)
            self.finished += sum(one.result is not None for one in states.values())
            return states if self.finished < 4 else super()._states(host, names)

    monkeypatch.setattr(building, "MAX_FAULTS", 1)
    with built_here(tmp_path, monkeypatch, Late) as workspace:
        with pytest.raises(
            EngineError, match="failed to build a part of 'tree', most recently thread-"
        ):
            workspace.index(tree, name="tree")
        (stored,) = workspace._repositories.all()
        snapshot = read_snapshot(stored.folder)
        assert not snapshot.complete
        assert 0 < snapshot.files < 120


def test_machine_is_not_overloaded(tmp_path, tree, monkeypatch):
    """Both hosts are on one machine, which may run one build."""
    most = []

    class Counting(InProcessFleet):
        def call(self, host, call):
            if b"start_build" in call:
                runs = [run for one in self._hosts.values() for run in one._builds._runs.values()]
                most.append(sum(run.state.result is None for run in runs))
            return super().call(host, call)

    with built_here(tmp_path, monkeypatch, Counting, build_workers=1) as workspace:
        assert workspace.index(tree).files == 120
    assert len(most) >= 6
    assert max(most) == 0  # others run


def test_range_whose_lease_expired_is_built_again(tmp_path, tree, monkeypatch):
    """Pause the driver for longer than the lease, as a suspended machine does."""
    slept, repeated, again = [], [], building.FleetBuild._again

    def sleep(seconds):
        time.sleep(seconds if slept else 1.0)
        slept.append(seconds)
        monkeypatch.setattr(host_builds, "LEASE_S", 60.0)

    def spied(build, host, name):
        repeated.append(name)
        again(build, host, name)

    monkeypatch.setattr(building.FleetBuild, "_again", spied)
    monkeypatch.setattr(building, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    monkeypatch.setattr(host_builds, "LEASE_S", 0.0)
    with built_here(tmp_path, monkeypatch) as workspace:
        assert workspace.index(tree).files == 120
        assert len(workspace.search_text("def function_", limit=5_000)) == 3_600
    assert repeated


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
