"""Programs of a site: a Dask cluster, and a server whose searches run on a Ray cluster."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from codeintel_nb.settings import Settings
from tests.full.programs import Answer, ask, free_port, running
from tests.waiting import until


class Programs(NamedTuple):
    """A scheduler's address, and its and the workers' processes."""

    address: str
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """Return the CPU time of all of them, in seconds."""
        above = [psutil.Process(pid) for pid in self.pids]
        every = [*above, *(one for own in above for one in own.children(recursive=True))]
        return sum(sum(one.cpu_times()[:4]) for one in every)


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[Programs]:
    """Run a scheduler and worker processes; ``folder`` gets their logs."""
    host, port = "127.0.0.1", str(free_port())
    program = [sys.executable, "-m"]
    head = [*program, "distributed.cli.dask_scheduler", "--host", host, "--port", port]
    worker = [*program, "distributed.cli.dask_worker", f"{host}:{port}"]
    options = ["--nworkers", workers, "--nthreads", 2, "--local-directory", folder]
    with (
        running([*head, "--no-dashboard"], folder / "scheduler.log") as scheduler,
        running([*worker, "--no-dashboard", *options], folder / "workers.log") as own,
    ):
        until(lambda: socket.create_connection((host, int(port))).close() is None)
        until(lambda: (folder / "workers.log").read_text().count("Registered to") >= workers)
        yield Programs(f"{host}:{port}", (scheduler.pid, own.pid))


@contextmanager
def serving(
    address: str, home: Settings, log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], Answer]]]:
    """Run a server on the cluster; yield its process, and a function that searches."""
    words = [sys.executable, "-m", "codeintel_nb.cli", "serve", "--port", str(port := free_port())]
    engine = ["--engine", f"ray://{address}", "--home", str(home.home), "--no-token"]
    query, header = {"pattern": "magic", "limit": 3}, {"X-Session-ID": "one"}
    url = f"http://127.0.0.1:{port}/codeintel/v1"
    with running([*words, *engine], log) as server:
        until(lambda: ask("GET", f"{url}/health").status == 200)
        until(lambda: "not connected" not in str(ask("GET", f"{url}/health").body))
        yield server, lambda: ask("POST", f"{url}/search/text", body=query, **header)
