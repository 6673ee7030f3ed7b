"""Parse guard: a grammar that crashes, hangs or raises affects only its file."""

import os

import pytest

from codeintel_nb import Workspace
from codeintel_nb.errors import EngineError
from tests.conftest import write_tree

# runs in the indexing child, in place of a faulty grammar
FAULTS = """
import os, re, signal
from codeintel_nb.index.update import parse_guard as guard
from codeintel_nb.sources import document

guard.MAX_S = 1.0
cut = document.document_of

def document_of(path, data, *others):
    if b"crashes" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"spins" in data:
        re.match("(a+)+$", "a" * 50 + "b")  # without releasing the GIL
    if b"raises" in data:
        raise TypeError("as a bug would")
    if b"is killed" in data:
        os.kill(os.getpid(), signal.SIGKILL)
    return cut(path, data, *others)

document.document_of = document_of
"""
FAILED = "read by lines, as its grammar failed"
SLOW = "read by lines, as its grammar took too long"
TREE = {
    "a.py": "def before(): ...\n",
    "b.py": "def it_crashes(): ...\n",
    "c.py": "def between(): ...\n",
    "d.rb": "def it_spins\nend\n",
    "e.js": "function it_raises() {}\n",
    "f.py": "def behind(): ...\n",
    "g.ipynb": (
        '{"cells": [{"cell_type": "code", "source": "crashes = 1"}], "metadata": {}, "nbformat": 4}'
    ),
}


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    write_tree(tmp_path / "faults", {"sitecustomize.py": FAULTS})
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join([str(tmp_path / "faults"), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )
    workspace = Workspace.open(tmp_path / "home")
    yield workspace
    workspace.close()


@pytest.mark.slow
def test_failing_grammar_costs_only_its_file(faulty, tmp_path):
    root = write_tree(tmp_path / "tree", TREE)
    report = faulty.index(root, name="tree")
    assert report.files == len(TREE)
    assert report.skipped[FAILED] == 4
    assert {hit.path for hit in faulty.search_text("crashes")} == {"b.py", "g.ipynb"}
    assert faulty.search_text("crashes = 1")[0].cell == 0, "the notebook keeps its cells"
    assert {hit.path for hit in faulty.search_text("it_spins")} == {"d.rb"}
    names = {name for (name,) in faulty.sql("select name from symbols").rows()}
    assert names == {"before", "between", "behind"}

    assert faulty.index(root, name="tree").unchanged == len(TREE), (
        "crashed files are not parsed again; failed ones are, and fail again"
    )
    (root / "a.py").write_text("def after(): ...\n")
    report = faulty.index(root, name="tree")
    assert (report.indexed, report.skipped[FAILED]) == (1, 4)
    report = faulty.refresh("tree", rebuild=True)
    assert (report.files, report.skipped[FAILED]) == (len(TREE), 4)
    assert faulty.symbols("after")


def test_child_killed_from_outside_is_not_restarted(faulty, tmp_path):
    with pytest.raises(EngineError, match="killed by SIGKILL"):
        faulty.index(write_tree(tmp_path / "tree", {"a.py": "# is killed\n"}))


TIMED_OUT = """
import os
from codeintel_nb.sources import document
from codeintel_nb.sources.languages import syntax
cut = document.document_of

def document_of(path, data, *others):
    if b"slow_one" in data and os.environ.get("SLOW"):
        raise syntax.ParseTimeout
    return cut(path, data, *others)

document.document_of = document_of
"""


@pytest.fixture
def slow(tmp_path, monkeypatch):
    write_tree(tmp_path / "slow", {"sitecustomize.py": TIMED_OUT})
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join([str(tmp_path / "slow"), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )
    monkeypatch.setenv("SLOW", "1")
    workspace = Workspace.open(tmp_path / "home")
    yield workspace
    workspace.close()


def test_timed_out_file_is_reported_and_parsed_again(slow, tmp_path, monkeypatch):
    root = write_tree(
        tmp_path / "tree", {"a.py": "def slow_one(): ...\n", "b.py": "def other(): ...\n"}
    )
    assert slow.index(root).skipped[SLOW] == 1
    assert slow.status()[0].examples[SLOW] == ["a.py"]
    assert not slow.symbols("slow_one")
    assert slow.index(root).skipped[SLOW] == 1
    monkeypatch.delenv("SLOW")
    assert slow.index(root).skipped == {}
    assert slow.symbols("slow_one")
    assert slow.status()[0].skipped == {}


@pytest.mark.slow
def test_file_that_keeps_timing_out_is_skipped_until_it_changes(slow, tmp_path, monkeypatch):
    root = write_tree(tmp_path / "tree", {"a.py": "def slow_one(): ...\n"})
    for _ in range(4):
        assert slow.index(root).skipped[SLOW] == 1
    monkeypatch.delenv("SLOW")
    assert slow.index(root).skipped[SLOW] == 1
    (root / "a.py").write_text("def slow_one_changed(): ...\n")
    assert slow.index(root).skipped == {}
    assert slow.symbols("slow_one_changed")
