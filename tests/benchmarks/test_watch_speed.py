"""Freshness: time until a saved file and a switched branch are found, and the cost of a search.

Peer: ripgrep on the tree.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import psutil
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import FULL, SITE, median_ms, show

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]

FILES, SAVED, SWITCHED = (50_000, 6, 2_000) if FULL else (1_000, 3, 100)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy ``FILES`` real Python files, some of them more than once."""
    root = tmp_path_factory.mktemp("tree") / "repo"
    sources = [path for path in sorted(SITE.rglob("*.py")) if path.stat().st_size < 20_000]
    for number in range(FILES):
        source = sources[number % len(sources)]
        path = root / f"copy{number // len(sources)}" / source.relative_to(SITE)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    return root


def test_saved_and_switched(tree: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    workspace.index(tree, name="repo")
    unchanged_s = [timed(lambda: workspace.index(tree, name="repo")) for _ in range(3)]
    first_s = timed(lambda: workspace.search_text("no_such_name_anywhere"))
    asked_ms = median_ms(lambda: workspace.search_text("no_such_name_anywhere"))
    theirs_ms = median_ms(
        lambda: subprocess.run(
            [rg_path(), "--no-config", "no_such_name_anywhere", str(tree)], check=False
        ),
        3,
    )
    watcher = workspace.watch(["repo"])
    time.sleep(3)  # it first scans for earlier changes
    text_ms, semantic_s, cpu_s = [], [], []
    # some folders, such as node_modules, are left out of the index
    paths = sorted(tree / hit.path for hit in workspace.list_paths().hits)
    for number, path in enumerate(paths[:: len(paths) // SAVED][:SAVED]):
        name = f"zanzibar_{number}_quokka"
        path.write_text(
            path.read_text("utf-8", "replace") + f"\n\ndef {name}():\n    return {number}\n"
        )
        began, cpu = time.perf_counter(), _cpu_s()
        assert workspace.search_text(name), "a text search finds the saved file at once"
        text_ms.append((time.perf_counter() - began) * 1000)
        while not any(name in hit.snippet for hit in workspace.semantic_search(name, limit=3)):
            assert time.perf_counter() - began < 60, f"{path} was not indexed"
            time.sleep(0.05)
        semantic_s.append(time.perf_counter() - began)
        cpu_s.append(_cpu_s() - cpu)
        # nobody saves a file every second; the watcher rests as long
        time.sleep(2 * semantic_s[-1])
    for path in paths[5 :: len(paths) // SWITCHED][:SWITCHED]:
        path.write_text("# switched_branch\n" + path.read_text("utf-8", "replace"))
    began = time.perf_counter()
    searches, over = [], threading.Event()

    def search() -> None:
        while not over.is_set():
            at = time.perf_counter()
            assert len(workspace.search_text("# switched_branch", limit=10_000)) == SWITCHED
            assert workspace.semantic_search("where is a package version compared", limit=3)
            searches.append((time.perf_counter() - at) * 1000)

    searcher = threading.Thread(target=search)
    searcher.start()
    try:
        while workspace.search_text("# switched_branch", Scope(), limit=1).coverage.unindexed:
            assert time.perf_counter() - began < 120, "the index did not catch up"
            time.sleep(0.05)
        switched_s = time.perf_counter() - began
    finally:
        over.set()
        searcher.join()
        watcher.close()
    show(
        f"freshness, {FILES:,} files",
        ("", "median", "most"),
        [
            ("saved file found by text, ms", median(text_ms), max(text_ms)),
            ("saved file found by meaning, s", median(semantic_s), max(semantic_s)),
            ("  the first, which starts a process, s", semantic_s[0], semantic_s[0]),
            ("  CPU of all processes, s", median(cpu_s), max(cpu_s)),
            ("  the first, which starts a process, CPU s", cpu_s[0], cpu_s[0]),
            (f"{SWITCHED:,} files switched: until indexed, s", switched_s, switched_s),
            (
                f"  {len(searches)} pairs of searches meanwhile, ms",
                sorted(searches)[len(searches) // 2],
                max(searches),
            ),
            ("update that changes nothing, s", sorted(unchanged_s)[1], max(unchanged_s)),
            ("first text search, which looks at the folder, s", first_s, first_s),
            ("a text search that finds nothing, ms", asked_ms, asked_ms),
            ("rg on the tree that finds nothing, ms", theirs_ms, theirs_ms),
        ],
    )
    assert asked_ms < theirs_ms


def _cpu_s() -> float:
    """Return the CPU time of this process and its children, with those that have ended."""
    me = psutil.Process()
    total = sum(me.cpu_times()[:4])
    for child in me.children(recursive=True):
        with suppress(psutil.Error):
            total += sum(child.cpu_times()[:2])
    return total


def timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began
