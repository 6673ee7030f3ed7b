"""The notebooks run from the first cell to the last, on real code, in a live kernel."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_and_every_search_finds_something(path, own_home, tmp_path):
    if path.stem.startswith("05") and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
        if (magic := re.search(r"%\w*search", cell.source)) and "=" not in cell.source[
            : magic.start()
        ]:
            (shown,) = [output for output in cell.outputs if output.output_type == "execute_result"]
            assert {"text/plain", "text/html", "text/markdown"} <= set(shown.data)
            assert "<mark>" in shown.data["text/html"]
            assert "<tbody><tr>" in shown.data["text/html"]


def test_notebooks_are_stored_without_outputs():
    assert [path.name for path in NOTEBOOKS] == [
        "01_quickstart.ipynb",
        "02_scopes.ipynb",
        "03_panel.ipynb",
        "04_sql_and_packages.ipynb",
        "05_assistants_and_teams.ipynb",
    ]
    for path in NOTEBOOKS:
        assert all(not cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)
