"""A real Dask Gateway with a cluster of two workers, behind its proxy and TLS."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest

from codeintel_nb.engines.choice import fleet_of
from codeintel_nb.errors import EngineError
from tests.fleet.law import assert_lawful, opened
from tests.full.programs import free_port, running
from tests.waiting import until

pytestmark = pytest.mark.full
BIN = Path(sys.executable).parent
CONFIGURATION = """
import os
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.DaskGateway.address = "127.0.0.1:{api}"
c.Proxy.address = "127.0.0.1:{proxy}"
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.scheduler_cmd = ["{bin}/dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["{bin}/dask", "worker"]
c.ClusterConfig.environment = {{"PYTHONPATH": os.environ.get("PYTHONPATH", "")}}
c.LocalClusterConfig.clusters_directory = "{folder}"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Start the gateway; yield its client."""
    import dask
    from dask_gateway import Gateway

    folder, proxy = tmp_path_factory.mktemp("gateway"), free_port()
    settings = {"api": free_port(), "proxy": proxy, "bin": BIN, "folder": folder}
    (folder / "config.py").write_text(CONFIGURATION.format(**settings))
    program = shutil.which("dask-gateway-server", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    command = [program, "-f", folder / "config.py"]
    address = f"http://127.0.0.1:{proxy}"
    with dask.config.set({"gateway.address": address}), running(command, folder / "log"):
        client = Gateway()
        until(partial(is_ready, client))
        yield client
        del client
        gc.collect()  # its failing destructor must not disturb what comes next


def is_ready(client):
    try:
        return client.list_clusters() == []
    except ValueError:  # its proxy has no routes yet
        return False


def test_same_hits_scores_order_and_counts(gateway, home, local, asked):
    cluster = gateway.new_cluster()
    cluster.scale(2)
    settings = msgspec.structs.replace(home, engine=f"dask-gateway://{cluster.name}")
    hosts = fleet_of(settings)()
    until(lambda: len(hosts.hosts()) == 2)
    with opened(home, hosts) as fleet:
        assert_lawful(fleet, local, asked)
    cluster.shutdown()


def test_absent_cluster_is_named(gateway, home):
    settings = msgspec.structs.replace(home, engine="dask-gateway://nowhere")
    with pytest.raises(
        EngineError, match="Dask Gateway cluster nowhere does not answer .*not found"
    ):
        fleet_of(settings)()
