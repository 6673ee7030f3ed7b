"""A real JupyterLab in headless Chromium: notebooks with real kernels.

The page fails if a request leaves the machine.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import TOKEN, Server, running

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
RUN_ALL = """async () => {
  const app = window.jupyterapp, w = app.shell.currentWidget;
  await w.context.ready; await w.sessionContext.ready; await w.sessionContext.session.kernel.info;
  await app.commands.execute('notebook:run-all-cells');
}"""
# whether a file is shown with the cursor on a line
OPENED = """([path, line]) => {
  const content = window.jupyterapp.shell.currentWidget;
  return content?.context?.path === path
    && content.content.editor?.getCursorPosition().line === line - 1;
}"""
QUIET = (
    "favicon",
    "manifest",
    "Autofocus processing",
    "was preloaded using link preload",
    "debugger state",
)  # messages of JupyterLab itself


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a JupyterLab with the small shop indexed as ``shop``."""
    pytest.importorskip(
        "jupyterlab", reason="JupyterLab is not installed: pip install 'codeintel-nb[test]'"
    )
    from tests.conftest import FILES, write_tree

    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    environment = {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    options = ("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly")
    with running(folder, *options, environment=environment, program="jupyterlab") as made:
        write_tree(made.root / "shop", dict(FILES))
        made.index(made.root / "shop", "shop")
        yield made


@pytest.fixture(scope="module")  # its event loop would conflict with others
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api",
        reason="playwright is not installed: pip install 'codeintel-nb[test]'",
    )
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        # shared by all tests, so that Lab's own files load once
        yield browser.new_context(viewport={"width": 1300, "height": 1000})
        browser.close()


@contextmanager
def watched(chromium: Any, server: Server, folder: Path) -> Iterator[Any]:
    """Yield a page; fail if a request leaves the machine or the console shows an error."""
    made = chromium.new_page()
    made.set_default_timeout(120_000)
    outside: list[str] = []
    said: list[str] = []
    made.on(
        "request",
        lambda request: (
            outside.append(request.url)
            if not request.url.startswith((f"http://127.0.0.1:{server.port}", "data:", "blob:"))
            else None
        ),
    )
    made.on(
        "console",
        lambda message: (
            said.append(message.text)
            if message.type == "error" and not any(word in message.text for word in QUIET)
            else None
        ),
    )
    made.on(
        "pageerror",
        lambda error: (
            said.append(str(error)) if not any(word in str(error) for word in QUIET) else None
        ),
    )
    made.expected = []  # errors that the test itself causes
    yield made
    said = [text for text in said if not any(word in text for word in made.expected)]
    made.screenshot(path=str(folder / "last.png"))
    made.close()
    assert not outside, f"requests left the machine: {outside}"
    assert not said, f"the console shows errors: {said}"


@pytest.fixture
def page(chromium: Any, lab: Server, tmp_path: Path) -> Iterator[Any]:
    with watched(chromium, lab, tmp_path) as made:
        yield made
    for session in lab.ask("GET", "sessions", api=True).json:
        lab.ask("DELETE", f"sessions/{session['id']}", api=True)


def write_notebook(path: Path, *cells: str) -> None:
    written = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell{i}",
            "metadata": {},
            "outputs": [],
            "source": cell,
        }
        for i, cell in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.write_text(
        json.dumps(
            {
                "cells": written,
                "metadata": {"kernelspec": kernel},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        )
    )


@pytest.fixture
def open_lab(lab: Server, page: Any) -> Callable[..., Any]:
    """Return a function: open a notebook of these cells in JupyterLab and run it."""

    def open_one(name: str, *cells: str, run: bool = True) -> Any:
        write_notebook(lab.root / name, *cells)
        page.goto(f"http://127.0.0.1:{lab.port}{lab.base_url}lab/tree/{name}?reset&token={TOKEN}")
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext")
        if run:
            page.evaluate(RUN_ALL)
        return page

    return open_one
