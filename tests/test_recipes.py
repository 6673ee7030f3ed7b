"""The recipes of CONTRIBUTING.md: each, applied to a copy, passes its test there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import codeintel_nb

ROOT = Path(codeintel_nb.__file__).parents[1]
GUIDE = ROOT / "codeintel_nb" / "CONTRIBUTING.md"
# files that a recipe may touch: what an addition costs
FILES = {"A language": 3, "An option of a search": 3, "An operation": 5, "An engine": 2}
RECIPES = dict(
    re.findall(r"^### (.+?)\n.*?^```diff\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
)


def test_recipes_are_those_counted_here():
    assert RECIPES.keys() == FILES.keys()


def applied(patch: str, root: Path) -> list[str]:
    """Apply a patch without line numbers; return its files."""
    files = []
    for part in re.split(r"^(?=--- )", patch, flags=re.MULTILINE):
        if not part:
            continue
        header, *hunks = re.split(r"^@@\n", part, flags=re.MULTILINE)
        path = root / re.search(r"^\+\+\+ b/(.+)$", header, re.MULTILINE)[1]
        files.append(path.relative_to(root).as_posix())
        text = "" if "/dev/null" in header else path.read_text()
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(before) == 1 or not before, f"{path.name}: {before}"
            text = text.replace(before, after) if before else after
        path.write_text(text)
    return files


# the operation touches every layer; the others run in .ci/full
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "An operation" else pytest.mark.slow)
        for name in RECIPES
    ],
)
def test_recipe_works_as_printed(name, tmp_path):
    for package in ("codeintel_nb", "jupyter_ext", "tests"):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("lab", "node_modules", "__pycache__", "projects"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = applied(RECIPES[name], tmp_path)
    assert len(files) == FILES[name], files
    (test,) = (path for path in files if path.startswith("tests/"))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
