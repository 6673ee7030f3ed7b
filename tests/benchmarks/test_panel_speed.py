"""The panel in JupyterLab: time from the last key to the results.

Peer: rg on the same tree.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import FULL, Corpus, median_ms, show
from tests.benchmarks.test_text_speed import _lines
from tests.live import TOKEN, running

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]

SIDE = ".codeintel-SidePanel"
RUNS = 5 if FULL else 1
KEY_MS = 60  # between two keys, as of a fast typist
QUERIES = (
    "def run_cell(",
    "class Error(",
    "import json, ",
    "deprecated i",
    "nothing_so_f",
)[: None if FULL else 2]  # twelve keys each
WATCH = """() => {
  const panel = document.querySelector('.codeintel-SidePanel');
  const query = panel.querySelector('input[type=search]');
  query.addEventListener('input', () => { window.typed = performance.now(); });
  new MutationObserver(() => { window.drawn = performance.now(); }).observe(
    panel.querySelector('.summary'), { childList: true, characterData: true, subtree: true });
}"""


def test_results_while_typing(corpus: Corpus, chromium: Any, tmp_path: Path) -> None:
    environment = {"CODEINTEL_HOME": str(corpus.workspace.settings.home)}
    rows, sent = [], list[str]()
    with running(
        tmp_path / "lab",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        environment=environment,
        program="jupyterlab",
    ) as server:
        page = chromium.new_page()
        page.set_default_timeout(60_000)
        page.on(
            "request",
            lambda request: (
                sent.append(request.post_data)
                if "/panel" in request.url and '"search"' in (request.post_data or "")
                else None
            ),
        )
        page.goto(f"http://127.0.0.1:{server.port}{server.base_url}lab?reset&token={TOKEN}")
        page.wait_for_function("window.jupyterapp?.commands.hasCommand('codeintel:search')")
        page.evaluate(
            "window.jupyterapp.restored.then("
            "() => window.jupyterapp.commands.execute('codeintel:search'))"
        )
        page.locator(".codeintel-Status", has_text="Scope:").wait_for()
        page.evaluate(WATCH)
        query = page.locator(SIDE).get_by_label("Search in scope", exact=True)
        for text in QUERIES:
            times = []
            for _ in range(RUNS):
                sent.clear()
                query.fill("")
                page.wait_for_timeout(500)
                query.press_sequentially(text, delay=KEY_MS)
                page.wait_for_function("window.drawn > window.typed")
                page.wait_for_timeout(500)  # no older result arrives later
                times.append(page.evaluate("window.drawn - window.typed"))
                assert 1 <= len(sent) <= 4
            found = page.locator(f"{SIDE} .hit").count()
            rg = median_ms(
                partial(
                    _lines,
                    [
                        rg_path(),
                        "--no-config",
                        "--hidden",
                        "--no-ignore",
                        "-F",
                        "-i",
                        "-e",
                        text,
                        str(corpus.root),
                    ],
                    None,
                ),
                1,
            )
            rows.append((text, found, len(sent), times[0], sorted(times)[RUNS // 2], rg))
        page.close()
    show(
        f"the side bar over {corpus.workspace.count().files:,} files: from the last of 12 keys, "
        f"{KEY_MS} ms apart, ms (80 of them wait for a next key)",
        ("", "hits shown", "searches sent", "results, the first time", "median", "rg on the tree"),
        rows,
    )
    assert sorted(row[4] for row in rows)[len(rows) // 2] < 1000
