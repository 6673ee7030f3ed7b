"""Scopes of some kinds: a text search returns the lines that a hit would give this kind."""

import json
import random

import msgspec
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.index.shard.shard import KINDS
from codeintel_nb.search.text import kind_ranges
from codeintel_nb.settings import Settings
from tests.conftest import write_tree

SHORT = """import needle

class Cart:
    needle = 1

    def add(self):
        def inner():
            return "needle é"
        return needle

    def empty(self): ...  # needle

def make(needle):
    return needle

needle = make(needle)
"""
PATTERNS = [
    {"pattern": "needle"},
    {"pattern": r"needl[e]\b", "regex": True},
    {"pattern": r"\<needle", "regex": True},
    {"pattern": r"n\w+e é", "regex": True},
    {"pattern": "needle\n", "regex": False},
]


def notebook(*sources):
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": one} for one in sources]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module", params=[1_000_000, 30_000], ids=["one shard", "several"])
def workspace(request, tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("kinds"), random.Random(7)
    tree = {
        "short.py": SHORT,
        "a.ipynb": notebook("needle = 1\n", SHORT),
        "b.md": "# needle\n\nneedle",
    }
    for number in range(40):
        body = ["class Big:", "    needle = 0"]
        for method in range(draw.randint(1, 30)):
            body += [f"    def m{method}(self):", *["        needle += 1"] * draw.randint(1, 9)]
            body += ["", "    needle = 2"] * draw.randint(0, 1)
        tree[f"d{number % 3}/f{number}.py"] = "\n".join([*body, "needle = 3", SHORT])
        tree[f"d{number % 3}/f{number}.go"] = "package needle\n\nfunc f() int { return needle }\n"
    settings = Settings.from_environment(folder / "home")
    settings = msgspec.structs.replace(settings, shard_bytes=request.param)
    with Workspace(settings, follow=False) as workspace:
        workspace.index(write_tree(folder / "tree", tree), name="t")
        yield workspace


@pytest.fixture(params=[(0.0, 1 << 14), (0.0, 7), (2.0, 7)], ids=["all", "batches", "candidates"])
def _cut_by(request, monkeypatch):
    """Cut all chunks into lines, at once and in batches, or the candidates alone."""
    share, batch = request.param
    monkeypatch.setattr(kind_ranges, "FEW_SHARE", share)
    monkeypatch.setattr(kind_ranges, "BATCH", batch)
    kind_ranges._runs.clear()


@pytest.mark.usefixtures("_cut_by")
@pytest.mark.parametrize("options", PATTERNS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_lines_of_a_kind_are_those_whose_hits_have_it(workspace, kind, options):
    every = workspace.search_text(**options, limit=0)
    expected = [hit for hit in every if hit.kind == kind]
    found = workspace.search_text(**options, limit=0, scope=Scope(kinds=(kind,)))
    assert [*found] == expected
    assert (found.total, found.total_exact) == (len(expected), True)
    assert [*workspace.search_text(**options, limit=3, scope=Scope(kinds=(kind,)))] == expected[:3]
    counted = workspace.search_text(**options, show="counts", scope=Scope(kinds=(kind,)))
    assert counted.total == len(expected)
    files = {hit.path for hit in workspace.list_paths(Scope(kinds=(kind,)))}
    assert files >= {hit.path for hit in expected}


def test_kinds_beside_other_limits(workspace):
    narrow = Scope(kinds=("method", "module"), languages=("python",), include_globs=("d1/**",))
    expected = [
        hit
        for hit in workspace.search_text("needle", limit=0)
        if hit.kind in narrow.kinds and hit.language == "python" and hit.path.startswith("d1/")
    ]
    assert {hit.kind for hit in expected} == {"method", "module"}
    assert [*workspace.search_text("needle", limit=0, scope=narrow)] == expected


def test_kind_of_a_hit_is_found_under_a_scope_of_it(workspace):
    for hit in workspace.search_text("needle", limit=200):
        assert hit in [*workspace.search_text("needle", limit=0, scope=Scope(kinds=(hit.kind,)))]
