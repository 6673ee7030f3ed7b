"""The map in JupyterLab: frames per second while zooming.

Peer: jupyter-scatter with the same points.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Corpus, show
from tests.browser import RUN_ALL, write_notebook
from tests.live import TOKEN, running

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]

OURS = "%load_ext codeintel_nb\ndrawn = %codemap --repo site --by language\ndrawn"
PEER = """import jscatter, pandas
points = pandas.DataFrame({name: drawn.points[name] for name in ("x", "y", "group")})
points["group"] = points["group"].astype("category")
plot = jscatter.Scatter(data=points, x="x", y="y", color_by="group", height=480, axes=False)
plot.size(default=2)
plot.show()"""
ZOOM = """async (canvas) => {
  canvas.scrollIntoView();
  await new Promise((done) => setTimeout(done, 3000));  // the peer's points fly to their places
  const box = canvas.getBoundingClientRect(), began = performance.now();
  let frames = 0;
  return await new Promise((done) => {
    const next = () => {
      canvas.dispatchEvent(new WheelEvent('wheel', {
        deltaY: frames % 2 ? 15 : -15, ctrlKey: true, bubbles: true, cancelable: true,
        clientX: box.x + 200, clientY: box.y + 200,
      }));
      frames++;
      const gone = performance.now() - began;
      gone > 3000 ? done(1000 * frames / gone) : requestAnimationFrame(next);
    };
    next();
  });
}"""


def test_zooming_a_map(corpus: Corpus, chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip(
        "jscatter", reason="jupyter-scatter is not installed: pip install 'codeintel-nb[test]'"
    )
    environment = {"CODEINTEL_HOME": str(corpus.workspace.settings.home)}
    with running(
        tmp_path / "lab",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        environment=environment,
        program="jupyterlab",
    ) as server:
        write_notebook(server.root / "map.ipynb", OURS, PEER, "len(drawn.points['x'])")
        page = chromium.new_page()
        page.set_default_timeout(180_000)
        page.goto(
            f"http://127.0.0.1:{server.port}{server.base_url}lab/tree/map.ipynb?reset&token={TOKEN}"
        )
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext")
        page.evaluate(RUN_ALL)
        points = int(page.locator(".jp-Cell").nth(2).locator(".jp-OutputArea-output").inner_text())
        rates = [
            page.locator(".jp-Cell").nth(cell).locator("canvas").first.evaluate(ZOOM)
            for cell in (0, 1)
        ]
        page.close()
    show(
        f"a map of {points:,} points in headless Chromium without a graphics card",
        ("", "frames a second while zooming"),
        list(zip(("this map", "jupyter-scatter"), rates, strict=True)),
    )
    assert rates[0] > rates[1]
