"""A server outlives the head of its Ray cluster; a file of its own, as Ray reads limits once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.fleet.cluster import serving
from tests.full.programs import free_port

pytestmark = pytest.mark.full
RAY = Path(sys.executable).parent / "ray"
HEAD_S = 75  # Ray ends a process that cannot reach the head for a minute


def test_server_outlives_the_head_of_its_cluster(home, tmp_path):
    port = free_port()
    words = ["--head", "--port", str(port), "--num-cpus", "1", "--include-dashboard=false"]
    memory = ["--object-store-memory", "100000000", "--disable-usage-stats"]
    subprocess.run([RAY, "start", *words, *memory], check=True, capture_output=True)
    try:
        with serving(f"127.0.0.1:{port}", home, tmp_path / "log") as (server, search):
            for one in psutil.process_iter(["name", "cmdline"]):
                if one.info["name"] == "gcs_server" and str(port) in " ".join(one.info["cmdline"]):
                    one.kill()
            ends_at = time.monotonic() + HEAD_S
            while time.monotonic() < ends_at:
                assert len(search().body["results"]["hits"]) == 3
                assert server.poll() is None
                time.sleep(1)
    finally:
        subprocess.run([RAY, "stop", "--force"], check=True, capture_output=True)
