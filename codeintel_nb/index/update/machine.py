"""Processors and memory that a build may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

import psutil

WORKER_BYTES = 800_000_000  # memory of a worker at most
_GROUP = Path("/sys/fs/cgroup")  # of a container, on Linux


def fitting_workers() -> int:
    """Return the number of worker processes that fit this machine now, at least 1."""
    return max(1, min(_processors(), _free_bytes() // WORKER_BYTES))


def _processors() -> int:
    """Return the number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no limit, or another system
        quota, period = (_GROUP / "cpu.max").read_text().split()
        count = min(count, math.ceil(int(quota) / int(period)))
    return count


def _free_bytes() -> int:
    free = int(psutil.virtual_memory().available)
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # no limit, or another system
            limit = int((_GROUP / most).read_text())
            free = min(free, limit - int((_GROUP / used).read_text()) + _cached_bytes(used))
    return max(0, free)


def _cached_bytes(used: str) -> int:
    """Return the file pages of the container, which the system drops when it needs memory."""
    for line in (_GROUP / used).with_name("memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0
