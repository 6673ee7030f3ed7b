"""A Dask cluster of two workers beside one machine: cost of searches, growth, and builds.

The peer is the local engine, on the same machine and files.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import psutil
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.engines.fleet.dask_fleet import DaskFleet
from codeintel_nb.engines.fleet.fleet_engine import FleetEngine
from codeintel_nb.engines.fleet.host import packed
from codeintel_nb.engines.local import LocalEngine
from codeintel_nb.index.store import Store
from codeintel_nb.search.query import Bounds
from codeintel_nb.settings import Settings
from tests.benchmarks.conftest import FULL, Corpus, children_s, show
from tests.benchmarks.grown import grow
from tests.fleet.cluster import dask_cluster
from tests.index.many_parts import parts as parts_of
from tests.waiting import until

pytestmark = pytest.mark.benchmark

COPIES = (1, 3, 9)
ROUNDS = 3
QUESTIONS = (
    "where are retries of a failed request counted", "how is a parquet file read in chunks",
    "convert a timestamp between time zones", "scheduler of processes in the kernel",
    "compute the eigenvalues of a matrix", "parse a regular expression",
    "cache of compiled templates", "allocate a page of memory", "train a random forest",
    "draw a bar chart", "hash a password", "merge two tables on a key",
)  # fmt: skip
WORDS = ("check_is_fitted", "get_params", "kmalloc_array", "read_csv", "nowhere_to_be_found")
NAMES = ("read_csv", "to_dict", "get_params")

Search = Callable[[Workspace], int]


class Cost(NamedTuple):
    """Of one search, in milliseconds: wall time, CPU here, and CPU of each host."""

    wall: float
    own: float
    hosts: list[float]


def by_meaning(workspace: Workspace) -> int:
    return len([workspace.semantic_search(question) for question in QUESTIONS])


def by_text(workspace: Workspace) -> int:
    return len([workspace.search_text(word, limit=50) for word in WORDS])


def by_name(workspace: Workspace) -> int:
    return len([workspace.symbols(name, limit=50) for name in NAMES])


SEARCHES: dict[str, Search] = {"meaning": by_meaning, "text": by_text, "definitions": by_name}


@contextmanager
def engines(home: Path, own: Path) -> Iterator[tuple[Workspace, Workspace, DaskFleet]]:
    """Open a home that is only read, with the local engine and with one on two workers."""
    settings = Settings.from_environment(own, {"CODEINTEL_SHARED": str(home)})
    fleet = DaskFleet("local", settings, str(Store(settings.home).root))
    with (
        Workspace(settings, here=None, follow=False) as alone,
        Workspace(
            settings, here=None, follow=False,
            engine=lambda local: FleetEngine(cast("LocalEngine", local), fleet),
        ) as together,
    ):  # fmt: skip
        until(lambda: len(fleet.hosts()) == 2)
        yield alone, together, fleet


def cost(search: Search, workspace: Workspace, hosts: list[psutil.Process]) -> Cost:
    """Return the median costs of a search."""
    search(workspace)
    rounds = []
    for _ in range(ROUNDS):
        before = _now(hosts)
        scale = 1000 / search(workspace)
        after = _now(hosts)
        wall, own, *by_host = [(two - one) * scale for one, two in zip(before, after, strict=True)]
        rounds.append(Cost(wall, own, by_host))
    median = statistics.median
    return Cost(
        median(one.wall for one in rounds), median(one.own for one in rounds),
        [median(one.hosts[at] for one in rounds) for at in range(len(hosts))],
    )  # fmt: skip


def _now(hosts: list[psutil.Process]) -> list[float]:
    """Return the time, and the CPU time of this process and of the hosts, in seconds."""
    own = [sum(one.cpu_times()[:2]) for one in hosts]
    return [time.perf_counter(), time.process_time(), *own]


def empty_trip_ms(fleet: DaskFleet) -> float:
    """Return the median time of a call that does nothing."""
    host, times = fleet.hosts()[0], []
    for _ in range(100):
        began = time.perf_counter()
        fleet.gather({host: fleet.call(host, packed("ping"))}, Bounds())
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


@pytest.mark.slow
@pytest.mark.parametrize("copies", COPIES)
def test_cost_as_an_index_grows(indexed: Workspace, tmp_path: Path, copies: int) -> None:
    """To ten million chunks: the shards of the big tree again and again, as hard links."""
    home = grow(indexed.settings.home, indexed.settings.home / f"grown-{copies}", copies)
    with engines(home, tmp_path / "own") as (alone, together, fleet):
        pids: dict[str, int] = fleet._client.run(os.getpid)
        hosts = [psutil.Process(pid) for pid in pids.values()]
        costs = {
            name: (cost(search, alone, []), cost(search, together, hosts))
            for name, search in SEARCHES.items()
        }
        trip_ms = empty_trip_ms(fleet)
        memory = [round(one.memory_full_info().uss / 1e6) for one in hosts]
        targets = alone._repositories.view(Scope()).targets
        chunks = alone.count(Scope()).chunks
    show(
        f"{chunks:,} chunks in {len(targets)} shards; an empty trip takes {trip_ms:.2f} ms; "
        f"memory of a host beside mapped files: {memory} MB",
        ("ms a search", "local: wall", "CPU", "fleet: wall", "driver's CPU", "hosts' CPU",
         "trips more", "driver / local", "hosts / local", "first host's share"),
        [(name, one.wall, one.own, two.wall, two.own, sum(two.hosts),
          (two.wall - one.wall) / trip_ms, two.own / one.own, sum(two.hosts) / one.own,
          two.hosts[0] / sum(two.hosts))
         for name, (one, two) in costs.items()],
    )  # fmt: skip
    local, fleet_cost = costs["meaning"]
    assert 0.3 < fleet_cost.hosts[0] / sum(fleet_cost.hosts) < 0.7
    assert sum(fleet_cost.hosts) < 2 * local.own
    assert fleet_cost.own < 0.5 * local.own


def build_beside(root: Path, work: Path, shard_bytes: int, ratio: float) -> None:
    """Build an index by two workers of this machine, and by two hosts; compare their CPU time."""
    with dask_cluster(work) as programs:
        rows, parts = [], []
        for name, engine in (("two workers", ""), ("two hosts", f"dask://{programs.address}")):
            settings = msgspec.structs.replace(
                Settings.from_environment(work / name, {}),
                engine=engine, build_workers=2, shard_bytes=shard_bytes,
            )  # fmt: skip
            with Workspace(settings, here=None, follow=False) as workspace:
                before, began = children_s() + programs.cpu_s(), time.perf_counter()
                report = workspace.index(root, name="tree")
                cpu_s = children_s() + programs.cpu_s() - before
                rows.append((name, cpu_s, time.perf_counter() - began))
                parts.append(parts_of(workspace))
                assert report.cluster_problem == ""
    show(
        f"build of {report.content_bytes / 1e6:,.0f} MB in {len(parts[0])} shards: the same bytes",
        ("", "CPU s", "wall s"), rows,
    )  # fmt: skip
    assert parts[0] == parts[1]
    assert len(parts[0]) > 1
    assert rows[1][1] <= ratio * rows[0][1]


def test_build_on_two_hosts(corpus: Corpus, tmp_path: Path) -> None:
    build_beside(corpus.root, tmp_path, 64_000_000 if FULL else 4_000_000, 1.5)


@pytest.mark.slow
def test_big_build_on_two_hosts(big: Path, tmp_path: Path) -> None:
    build_beside(big, tmp_path, 64_000_000, 1.2)
