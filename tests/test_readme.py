"""README's Python runs as printed."""

import re
from pathlib import Path

import codeintel_nb
from tests.conftest import write_tree

README = (Path(codeintel_nb.__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(from codeintel_nb.*?)^```$", README, re.MULTILINE | re.DOTALL)
CORE = """
def read_parquet(path, chunks):
    \"\"\"Read a parquet file in chunks.\"\"\"
    return path.to_parquet()


def _join_all(frames):
    return frames
"""


def test_python_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEINTEL_HOME", str(tmp_path / "index"))
    monkeypatch.chdir(write_tree(tmp_path / "src" / "pandas", {"pandas/core/frame.py": CORE}))
    current, opened = BLOCKS
    names: dict = {}
    exec(opened, names)  # the folder is indexed here
    assert names["hits"]["path"] == ["pandas/core/frame.py"] * len(names["hits"])
    assert "pandas/core/frame.py:" in capsys.readouterr().out
    exec(current, names)
    assert names["ws"].search_text("to_parquet", word=True)["path"] == ["pandas/core/frame.py"]
    names["ws"].client._local.workspace.close()
