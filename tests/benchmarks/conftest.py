"""Benchmarks: each prints a table comparing us with a named peer in the same run.

They assert answers and generous ratios, never absolute times. By default they are quick and use a
few installed packages; ``CODEINTEL_BENCH=full`` uses the whole site-packages.
"""

from __future__ import annotations

import os
import resource
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from codeintel_nb import Workspace
from codeintel_nb.index.update.report import IndexReport
from codeintel_nb.settings import Settings
from tests.benchmarks.big import make_big

FULL = os.environ.get("CODEINTEL_BENCH") == "full"
SITE = Path(sysconfig.get_path("purelib"))
QUICK = ("IPython", "pygments", "hypothesis", "mypy")


class Corpus(NamedTuple):
    workspace: Workspace
    root: Path
    report: IndexReport
    cpu_s: float  # of the indexing child process
    wall_s: float


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Index real code, once per run."""
    root = SITE
    if not FULL:
        root = tmp_path_factory.mktemp("corpus")
        for name in QUICK:
            if (SITE / name).is_dir():
                os.symlink(SITE / name, root / name)
        root = _copied(root, tmp_path_factory.mktemp("tree") / "site")
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    report = workspace.index(root, name="site")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Corpus(workspace, root, report, cpu, time.perf_counter() - began)


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tree, or take the one of an earlier run from ``CODEINTEL_BIG``."""
    if existing := os.environ.get("CODEINTEL_BIG"):
        return Path(existing)
    return make_big(tmp_path_factory.mktemp("big"), tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="session")
def indexed(big: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Index the tree, watching the memory of all processes; yield its workspace."""
    home, peak, over = tmp_path_factory.mktemp("home"), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            peak[0] = max(peak[0], sum(map(_rss, psutil.Process().children(recursive=True))))

    threading.Thread(target=watch, daemon=True).start()
    workspace = Workspace(Settings.from_environment(home), look_here=False, here=None)
    before, began = children_s(), time.perf_counter()
    report = workspace.index(big, name="big")
    wall_s, cpu_s = time.perf_counter() - began, children_s() - before
    over.set()
    (status,) = workspace.status()
    show(
        f"build of {report.files:,} files, {report.content_bytes / 1e6:,.0f} MB, "
        f"{report.chunks:,} chunks",
        ("wall s", "cpu s", "cpu s / wall s", "peak MB of all processes", "size / text"),
        [(wall_s, cpu_s, cpu_s / wall_s, peak[0] / 1e6,
          status.index_bytes / report.content_bytes)],
    )  # fmt: skip
    yield workspace
    workspace.close()


def _rss(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _copied(links: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(
        links, target, symlinks=False, ignore=shutil.ignore_patterns("__pycache__", "*.so")
    )
    return target


def median_ms(call: Callable[[], object], repeats: int = 9) -> float:
    """Return the median wall time of a call in milliseconds, after one warm-up call."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[len(times) // 2]


def show(title: str, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    cells = [
        head,
        *(tuple(f"{c:,.3f}" if isinstance(c, float) else str(c) for c in row) for row in rows),
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n\n{title}")
    for row in cells:
        print(
            "  "
            + "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        )
