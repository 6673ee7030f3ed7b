"""A real Ray cluster of two nodes: the same answers, a lost actor, a lost node, a hung host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

import msgspec
import psutil
import pytest

from codeintel_nb.engines.choice import fleet_of
from tests.fleet.cluster import serving
from tests.fleet.law import answer, assert_lawful, opened
from tests.full.programs import free_port
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore::FutureWarning")]
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}
STARTS = 3  # a node of Ray gives up after 15 s on a busy machine


def start_cluster():
    """Start a head without CPUs, and two nodes."""
    from ray.cluster_utils import Cluster

    for attempt in range(STARTS):
        cluster = None
        try:
            head = {**NODE, "num_cpus": 0, "include_dashboard": False}
            cluster = Cluster(initialize_head=True, head_node_args=head)
            for _ in range(2):
                cluster.add_node(**NODE)
            return cluster
        except Exception:
            if cluster is not None:
                with suppress(Exception):
                    cluster.shutdown()
            if attempt == STARTS - 1:
                raise
    raise AssertionError


@pytest.fixture(scope="module")
def cluster():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    started = start_cluster()
    yield started
    started.shutdown()


@pytest.fixture(scope="module")
def hosts(home, cluster):
    settings = msgspec.structs.replace(home, engine=f"ray://{cluster.address}")
    fleet = fleet_of(settings)()
    until(lambda: len(fleet.hosts()) == 2)
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def fleet(home, hosts):
    with opened(home, hosts) as workspace:
        yield workspace


def actors():
    return [one.pid for one in psutil.process_iter(["cmdline"]) if is_actor(one)]


def is_actor(process):
    return any("RayHost" in word for word in process.info["cmdline"] or ())


def whole(fleet, hosts):
    until(lambda: len(hosts.hosts()) == 2)
    fleet._engine.hosts.suspects.clear()


def test_same_hits_scores_order_and_counts(local, fleet, hosts, asked):
    whole(fleet, hosts)
    assert_lawful(fleet, local, asked)


def test_killed_actor_loses_no_answer(local, fleet, hosts, asked):
    whole(fleet, hosts)
    before = set(hosts.hosts())
    os.kill(actors()[0], signal.SIGKILL)
    for one in asked[:60]:
        assert answer(fleet, *one) == answer(local, *one)
    until(lambda: len(actors()) == 2)
    whole(fleet, hosts)
    assert set(hosts.hosts()) == before  # nodes


def test_hung_host_ends_the_search_at_its_limit(fleet, hosts):
    whole(fleet, hosts)
    hung = actors()[0]
    os.kill(hung, signal.SIGSTOP)
    try:
        results = fleet.search_text("magic", limit=900, timeout_s=1.0)
        assert results.reason == "time"
        assert not results.total_exact
        assert fleet.search_text("magic", limit=900, timeout_s=30.0).total_exact
    finally:
        os.kill(hung, signal.SIGCONT)


def test_node_that_goes_and_one_that_comes(local, fleet, hosts, cluster, asked):
    whole(fleet, hosts)
    gone = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
    cluster.remove_node(gone, allow_graceful=False)
    for one in asked[:60]:
        assert answer(fleet, *one) == answer(local, *one)
    cluster.add_node(**NODE)
    whole(fleet, hosts)
    for one in asked[60:120]:
        assert answer(fleet, *one) == answer(local, *one)


def test_server_on_a_cluster_ends_in_order(home, cluster, tmp_path):
    """Ray's own handler of SIGTERM would end it at once."""
    with serving(cluster.address, home, tmp_path / "log") as (server, search):
        assert len(search().body["results"]["hits"]) == 3
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        assert "SIGTERM" not in (tmp_path / "log").read_text()


def test_absent_cluster_is_named(home):
    """In a process of its own: this one has joined a cluster."""
    program = (
        "from codeintel_nb.engines.choice import fleet_of\n"
        "from codeintel_nb.errors import EngineError\n"
        "from codeintel_nb.settings import Settings\n"
        f"variables = {{'CODEINTEL_ENGINE': 'ray://127.0.0.1:{free_port()}'}}\n"
        f"settings = Settings.from_environment({str(home.home)!r}, variables)\n"
        "try:\n"
        "    fleet_of(settings)()\n"
        "except EngineError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "cannot be joined ([Errno 111] Connection refused)" in done.stdout, done.stderr[-2000:]
