"""Small trees on which a ranking goes wrong, each with a question and the file that answers it."""

import json
from pathlib import Path

import pytest

from tests.conftest import write_tree

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_answer_comes_first(tmp_path, make_workspace, case):
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "tree", case["files"]))
    first, *_ = workspace.semantic_search(case["query"])
    assert first.path == case["want"], case["why"]
