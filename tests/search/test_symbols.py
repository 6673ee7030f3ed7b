"""Definitions by name: the matches, their order and their details."""

import re
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from codeintel_nb.errors import ScopeError, SearchError, ShardError
from codeintel_nb.index.shard.details import Details
from codeintel_nb.index.shard.letters import NameLetters
from codeintel_nb.index.shard.texts import Texts, text_arrays
from codeintel_nb.scopes.scope import Scope
from codeintel_nb.search.query import Bounds
from codeintel_nb.search.symbols import _Name, _occurrences
from tests.conftest import write_tree

TREE = {
    "a/frame.py": '''class Frame:
    """A table.

    With columns.
    """

    # joins two tables
    def merge(self, other):
        def merge_rows(): ...

    def to_csv(self): ...


def merge(left, right):
    return left.merge(right)


def mergesort(values): ...
''',
    "b/frame.js": "class Frame {\n  merge(other) { return other; }\n}\nfunction Merge() {}\n",
    "c/settings.toml": "[tool.merge]\nlevel = 3\n",
    "d/work.ipynb": (
        '{"cells": [{"cell_type": "markdown", "source": "# Merge"}, '
        '{"cell_type": "code", "source": "def merge_cell():\\n    pass\\n"}], '
        '"metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    ),
    "e/Frame.java": "/** Sorts. */\nclass Sorter {\n  int sortAll() { return 1; }\n}\n",
}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    from codeintel_nb import Workspace

    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    workspace.index(write_tree(tmp_path_factory.mktemp("tree"), TREE), name="frames")
    yield workspace
    workspace.close()


def named(results):
    return [f"{hit.path}:{hit.start_line} {hit.symbol}" for hit in results]


def test_exact_name_precedes_prefix_and_substring_matches(frames):
    found = frames.symbols("merge")
    assert named(found) == [
        # the same name, shorter ones first
        "a/frame.py:14 merge", "a/frame.py:8 Frame.merge", "b/frame.js:2 Frame.merge",
        "b/frame.js:4 Merge", "c/settings.toml:1 tool.merge", "a/frame.py:18 mergesort",
        "d/work.ipynb:2 merge_cell", "a/frame.py:9 Frame.merge.merge_rows",
    ]  # fmt: skip
    assert (found.total, found.truncated, found.total_exact) == (8, False, True)
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    cut = frames.symbols("merge", limit=3)
    assert (named(cut), cut.total, cut.truncated) == (named(found)[:3], 8, True)


def test_member_is_found_by_its_qualified_name(frames):
    assert named(frames.symbols("Frame.merge"))[:2] == [
        "a/frame.py:8 Frame.merge",
        "b/frame.js:2 Frame.merge",
    ]
    assert named(frames.symbols("Frame::to_csv")) == ["a/frame.py:11 Frame.to_csv"]


def test_definition_has_its_kind_signature_and_doc(frames):
    (hit,) = frames.symbols("Frame.merge", scope=Scope(languages=("python",)), kind="method")
    assert (hit.kind, hit.signature, hit.doc) == (
        "method",
        "def merge(self, other)",
        "joins two tables",
    )
    assert (hit.start_line, hit.end_line, hit.language) == (8, 9, "python")
    hit = frames.symbols("Frame")[0]
    assert (hit.kind, hit.signature, hit.doc) == ("class", "class Frame", "A table.")
    (hit,) = frames.symbols("merge_cell")
    assert hit.cell == 1


def test_the_scope_is_obeyed(frames):
    assert {
        hit.language for hit in frames.symbols("merge", scope=Scope(languages=("javascript",)))
    } == {"javascript"}
    assert {hit.path for hit in frames.symbols("merge", scope=Scope(include_globs=("a/**",)))} == {
        "a/frame.py"
    }
    assert {hit.kind for hit in frames.symbols("merge", scope=Scope(kinds=("function",)))} == {
        "function"
    }
    assert {hit.kind for hit in frames.symbols("merge", kind=("class", "text"))} == {"text"}
    assert not frames.symbols("merge", kind="markdown")
    with pytest.raises(ScopeError, match="markup"):
        frames.symbols("merge", kind="markup")


@pytest.mark.parametrize("name", ["Frame.mereg", "Frame::mereg", "Frame#mereg", " mereg "])
def test_similar_names_however_a_name_is_written(frames, name):
    assert "Frame.merge" in [hit.symbol for hit in frames.symbols(name)]
    assert "Frame.merge" in [hit.symbol for hit in frames.symbols(name.replace("eg", "ge"))]


def test_unknown_name_finds_similar_names(frames):
    assert "e/Frame.java:3 Sorter.sortAll" in named(frames.symbols("sortAl1"))
    assert named(frames.symbols("megre"))[0].endswith("merge")
    assert not frames.symbols("zzzzqqqq")
    assert not frames.symbols("zz*"), "a glob is never matched approximately"


def test_bad_names_are_refused(frames):
    for name in ("", "  ", ".", "a" * 501):
        with pytest.raises(SearchError, match="name"):
            frames.symbols(name)
    with pytest.raises(SearchError, match="limit"):
        frames.symbols("a", limit=-1)


PIECES = st.sampled_from(["merge", "Frame", "*", "?", "m", "[a-s]", "_", "to_", "r", "."])


@pytest.mark.slow
@settings(max_examples=150)
@given(
    glob=st.lists(PIECES, min_size=1, max_size=4).map("".join).filter(lambda text: text.strip("."))
)
def test_glob_matches_like_fnmatch(frames, glob):
    """Match the whole qualified name or any part of it after a dot."""
    rows = frames.sql("select path, start_line, container, name from symbols").rows()
    labels = {
        (path, line): f"{container}.{name}".strip(".").lower()
        for path, line, container, name in rows
    }
    folded = re.sub(r"\[.*?\]", lambda match: match[0], glob.lower())
    is_glob = any(mark in glob for mark in "*?[")

    def fits(label):
        tails = [label[i:] for i in range(len(label)) if i == 0 or label[i - 1] == "."]
        return any(fnmatchcase(tail, folded) for tail in tails)

    if is_glob:
        found = {(hit.path, hit.start_line) for hit in frames.symbols(glob, limit=1000)}
        assert found == {place for place, label in labels.items() if fits(label)}


def test_changed_file_is_found_after_reindexing(frames, make_workspace, tmp_path):
    workspace = make_workspace()
    root = write_tree(tmp_path / "t", {"a.py": "def before(): ...\n"})
    workspace.index(root, name="t")
    (root / "a.py").write_text("def after(): ...\n")
    workspace.index(root, name="t")
    assert named(workspace.symbols("after")) == ["a.py:1 after"]
    assert not workspace.symbols("before")


@pytest.fixture
def details(make_workspace, tmp_path):
    """Return a small workspace, and the file with the details of its only shard."""
    workspace = make_workspace()
    text = 'def merge(left):\n    """Join."""\n\n\ndef merged(): ...\n'
    workspace.index(write_tree(tmp_path / "small", {"a.py": text}), name="small")
    (path,) = workspace.settings.home.rglob("details.bin")
    return workspace, path


def test_damaged_details_are_reported(details):
    workspace, path = details
    data = bytearray(path.read_bytes())
    data[-64:] = bytes(64)  # the compressed block
    path.write_bytes(data)
    workspace._shards.keep_only(set())
    with pytest.raises(ShardError, match=r"details\.bin cannot be read.*--rebuild"):
        workspace.symbols("merge")[0]


def test_columns_without_details_read_none(details, monkeypatch):
    workspace, _ = details
    monkeypatch.setattr(Details, "columns", None)
    results = workspace.symbols("merge")
    assert (results.files(), results["path"], results["symbol"]) == (
        1,
        ["a.py", "a.py"],
        ["merge", "merged"],
    )
    with pytest.raises(TypeError):
        results["doc"]


NAMES = st.text(st.sampled_from("abcdefgxyz_ABCXYZ0189.é\u0130-$"), min_size=1, max_size=14)


@given(st.lists(NAMES, min_size=1, max_size=30), NAMES)
def test_letters_rule_out_no_similar_name(names, query):
    """Compare with every name: what letters rule out has too little in common."""
    texts = text_arrays("x", names)
    letters = NameLetters(texts["x_texts"], texts["x_ends"])
    target = query.rpartition(".")[2].lower()
    alike = letters.alike(target, 0.7)
    for name, is_possible in zip(names, alike.tolist(), strict=True):
        last = name.rpartition(".")[2].lower()
        if fuzz.ratio(target, last) >= 70:
            assert is_possible, (target, last)


@given(
    st.lists(st.text("aAb._ékK", min_size=1, max_size=6), min_size=1, max_size=12),
    st.text("aAb._kK\u212a", min_size=1, max_size=3).filter(lambda name: name != "."),
)
def test_scores_of_many_labels_are_those_of_each(labels, name):
    arrays = text_arrays("symbol", labels)
    texts = Texts(arrays["symbol_texts"], arrays["symbol_ends"])
    matcher = _Name(name)
    numbers, starts = _occurrences(
        texts, matcher.needle.encode(), np.ones(len(labels), bool), Bounds()
    )
    expected = [
        (score, len(label), number)
        for number, label in enumerate(labels)
        if label.isascii() and (score := matcher.score(label))
    ]
    actual = matcher.scored(texts, numbers, starts)
    assert [*zip(*(column.tolist() for column in actual), strict=True)] == expected
