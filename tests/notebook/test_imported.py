"""Packages imported by a kernel for its notebook, and the notebook's project folder."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from codeintel_nb.sources.project import project_of

LIST = """
import json, sys
import ipykernel, IPython, jedi
{imports}
from codeintel_nb.notebook.kernel_packages import imported_packages
print(json.dumps([name for name, _ in imported_packages(dict(globals()) if {asked} else {{}})]))
"""


def imported(imports, asked=False):
    return set(
        json.loads(
            subprocess.run(
                [sys.executable, "-c", LIST.format(imports=imports, asked=asked)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    )


def test_packages_only_the_kernel_needs_are_left_out():
    assert imported("import json, asyncio") == set()
    found = imported("import pandas")
    assert {"pandas", "numpy", "dateutil"} <= found, "dependencies of pandas count as imported"
    assert not found & {"ipykernel", "IPython", "jedi", "tornado", "codeintel_nb", "json"}


def test_kernel_packages_imported_by_the_notebook_are_listed():
    assert {"IPython", "jedi"} <= imported("", asked=True)


@pytest.mark.parametrize(
    ("mark", "at"),
    [
        (".git", "shop"),
        ("pyproject.toml", "shop"),
        ("package.json", "shop/web"),
        (None, "shop/web/notebooks"),
    ],
)
def test_project_is_the_folder_with_a_marker(tmp_path, mark, at):
    here = tmp_path / "shop" / "web" / "notebooks"
    here.mkdir(parents=True)
    if mark:
        (tmp_path / at / mark).mkdir()
    assert project_of(here) == tmp_path / at
    assert project_of(here, tmp_path / "shop" / "web") == (
        tmp_path / at if at != "shop" else here
    ), "the search stops at the server's root"


def test_home_folder_is_not_a_project(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "notes").mkdir()
    assert project_of(tmp_path / "notes") == tmp_path / "notes"
