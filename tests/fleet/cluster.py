"""A Dask cluster of programs, as a site has it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.full.programs import free_port, running, until


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
