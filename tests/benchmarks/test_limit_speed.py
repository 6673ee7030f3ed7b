"""Overrun of a search's time limit with two busy cores; peer: ripgrep without a limit."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeintel_nb import Workspace
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import FULL, show
from tests.conftest import write_tree

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]
LIMIT_S = 0.3
FILES, RUNS = (16, 5) if FULL else (8, 2)
SLOW = "a.{60}b.{3}zz"  # re2 abandons its DFA for this one and reads about 2 MB/s
CASES = (  # slow searches
    ("short lines, by re2", "short", SLOW),
    ("one long line", "long", SLOW),
    ("lines together", "short", r"(?s)a.{60}b\n.{3}zz"),
    ("by rg", "short", r"\p{Lu}.{60}b.{3}zz|\w{3}[^\w]a.{60}zz"),
    ("every line", "short", "a"),
)


@pytest.fixture(scope="module")
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Workspace, Path]]:
    """Return trees of short lines and of lines of nearly 2 MB, each indexed and unindexed."""
    chosen = random.Random(7)
    short = "\n".join("".join(chosen.choices("ab é", k=100)) for _ in range(15_000))
    contents = {
        "short": {f"{i}.txt": f"{i}\n{short}" for i in range(FILES)},
        "long": {f"{i}.txt": short.replace("\n", "")[:1_400_000] for i in range(FILES)},
    }
    made = {}
    for name, files in contents.items():
        base = tmp_path_factory.mktemp(name)
        workspace = Workspace.open(base / "home")
        workspace.index(write_tree(base / "tree", files), name=name)
        made[name] = workspace, base / "tree"
        made[f"{name}, not indexed"] = Workspace.open(base / "none"), base / "tree"
    return made


def test_search_stops_at_its_time_limit(
    trees: dict[str, tuple[Workspace, Path]], busy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for what, tree, pattern in CASES:
        for suffix in ("", ", not indexed"):
            workspace, root = trees[tree + suffix]
            monkeypatch.chdir(root)
            beyond, reasons = [], set()
            for _ in range(RUNS):
                began = time.perf_counter()
                results = workspace.search_text(pattern, regex=True, limit=0, deadline=LIMIT_S)
                beyond.append(time.perf_counter() - began - LIMIT_S)
                reasons.add(results.reason)
            began = time.perf_counter()
            multiline = ["--multiline"] if "(?s)" in pattern else []
            subprocess.run(
                [rg_path(), "--no-config", *multiline, "--count", "-e", pattern, "."],
                cwd=root,
                capture_output=True,
                check=False,
            )
            rg_ms = (time.perf_counter() - began) * 1000
            assert reasons <= {"", "time"}, what
            if "time" in reasons and rg_ms > 4000 * (LIMIT_S + 0.5):
                assert 1000 * (max(beyond) + LIMIT_S) < rg_ms, f"{what}: stopped early"
            rows.append(
                (
                    what + suffix,
                    f"{statistics.median(beyond) * 1000:+.0f}",
                    f"{max(beyond) * 1000:+.0f}",
                    "/".join(sorted(reasons)) or "-",
                    f"{rg_ms:.0f}",
                )
            )
    show(
        f"beyond a limit of {LIMIT_S * 1000:.0f} ms, with two busy loops (ms)",
        ("search", "median", "most", "why it ended", "rg, unlimited"),
        rows,
    )
