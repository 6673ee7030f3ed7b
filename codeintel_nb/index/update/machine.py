"""CPUs and memory that a build may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

WORKER_BYTES = 800_000_000  # maximum memory of a worker
_CGROUP = Path("/sys/fs/cgroup")  # control groups of Linux: containers, services, batch jobs
_OWN_CGROUP = Path("/proc/self/cgroup")


def fitting_workers() -> int:
    """Return the number of worker processes that fit this machine now, at least 1."""
    return max(1, min(_cpus(), _free_bytes() // WORKER_BYTES))


def _cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    for group in _groups(""):
        with suppress(OSError, ValueError):  # no limit
            quota, period = (group / "cpu.max").read_text().split()
            count = min(count, math.ceil(int(quota) / int(period)))
    for group in _groups("cpu"):
        with suppress(OSError, ValueError):
            allowed_us, period_us = (
                int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period")
            )
            if allowed_us > 0:
                count = min(count, math.ceil(allowed_us / period_us))
    return count


def _free_bytes() -> int:
    free = int(psutil.virtual_memory().available)
    for controller, limit_file, usage_file in (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for group in _groups(controller):
            with suppress(OSError, ValueError):  # no limit
                limit, usage = (
                    int((group / name).read_text()) for name in (limit_file, usage_file)
                )
                free = min(free, limit - usage + _cached_bytes(group))
    return max(0, free)


def _groups(controller: str) -> Iterator[Path]:
    """Yield this process's control group and those above it; none on other systems.

    ``controller`` is that of a hierarchy of version 1, or empty for version 2.
    """
    base = _CGROUP / controller
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            group = base / path.lstrip("/")
            while group != base and base in group.parents:
                yield group
                group = group.parent
    yield base  # a container sees its own group here


def _cached_bytes(group: Path) -> int:
    """Return a group's page cache that the kernel can reclaim, in bytes."""
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0
