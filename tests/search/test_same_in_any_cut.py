"""The same files give the same hits, regardless of the index's sharding and history."""

from __future__ import annotations

import shutil
from pathlib import Path

import IPython
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb import Scope, Workspace
from codeintel_nb.index.shard.vectors import VectorIndex, top
from codeintel_nb.search.query import MODES
from codeintel_nb.search.semantic import closest
from codeintel_nb.search.semantic.plan import CANDIDATES
from codeintel_nb.settings import Settings
from tests.conftest import write_tree

QUESTIONS = (
    "where is the traceback of an exception printed", "how are magics registered", "magic",
    "run_cell", "InteractiveShell.run_cell", "def", "complete a name while it is typed",
    "history of the session in a database", "import", "return self",
    "show a picture in the notebook", "the of and", "os path join", "colour of the prompt",
    "test that a directory is removed",
)  # fmt: skip
TEXTS = (
    ("import", False),
    ("self", False),
    (r"def\s+_\w+", True),
    ("e", False),
    ("get_ipython", False),
    (r"class \w+\(", True),
)
SCOPES = (
    Scope(),
    Scope(include_globs=("core/**",)),
    Scope(languages=("python",), exclude_globs=("**/tests/**",)),
    Scope(kinds=("function", "method")),
)


def copied(root: Path) -> Path:
    """Copy a tree, some files several times, so that their chunks tie in every score."""
    shutil.copytree(IPython.__path__[0], root, ignore=shutil.ignore_patterns("__pycache__"))
    for number in range(12):
        (root / f"copy {number}").mkdir()
        for name in ("core/magic.py", "core/history.py", "utils/path.py"):
            shutil.copy(root / name, root / f"copy {number}")
    return root


def opened(home: Path, shard_bytes: int) -> Workspace:
    return Workspace(
        msgspec.structs.replace(Settings.from_environment(home), shard_bytes=shard_bytes),
        here=None,
        follow=False,
    )


@pytest.fixture(scope="module")
def cuts(tmp_path_factory):
    """Yield one tree in one shard, in seven or more, and in an index updated from other files."""
    folder = tmp_path_factory.mktemp("cuts")
    root = copied(folder / "tree")
    one, seven, grown = (
        opened(folder / "one", 10**9),
        opened(folder / "seven", 400_000),
        opened(folder / "grown", 10**9),
    )
    hidden = folder / "hidden"
    shutil.move(root / "core", hidden)
    (root / "gone.py").write_text("import magic\n\n\ndef run_cell():\n    return history\n" * 400)
    changed = root / "copy 3" / "history.py"
    text = changed.read_text()
    changed.write_text(text + "\n\ndef traceback_of_an_exception():\n    return magic\n" * 50)
    grown.index(root, name="tree")
    shutil.move(hidden, root / "core")
    (root / "gone.py").unlink()
    changed.write_text(text)
    for workspace in (grown, one, seven):
        workspace.index(root, name="tree")
    yield one, seven, grown
    for workspace in (one, seven, grown):
        workspace.close()


def shards(workspace):
    return workspace._repositories.view(Scope()).targets


def test_the_cuts_differ(cuts):
    one, seven, grown = cuts
    assert len(shards(one)) == 1
    assert len(shards(seven)) >= 7
    assert sum(len(target.dead) for target in shards(grown)) > 0
    assert len(shards(grown)) == 2


def answer(results):
    return (
        [(hit.path, hit.start_line, hit.score, hit.symbol) for hit in results.hits],
        results.total,
        results.reason,
        results.total_exact,
    )


def values(of, count):
    """Return a test's values; those after the first ``count`` run in .ci/full."""
    return [*of[:count], *(pytest.param(one, marks=pytest.mark.slow) for one in of[count:])]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("question", values(QUESTIONS, 1))
def test_semantic_hits_and_scores(cuts, question, mode):
    for scope in SCOPES:
        for limit in (3, 60, 700):
            one, seven, grown = (
                answer(workspace.semantic_search(question, scope, limit=limit, mode=mode))
                for workspace in cuts
            )
            assert one == seven == grown
            assert len(one[0]) == limit or mode != "dense"


@pytest.fixture
def coarse_first(cuts, monkeypatch):
    """Compare coarse codes first, although there are few chunks."""
    monkeypatch.setattr(closest, "MIN_SHORTLIST", 300)
    for workspace in cuts:
        monkeypatch.setattr(workspace._engine, "full_scan_chunks", 1000)


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
@pytest.mark.parametrize("question", values(QUESTIONS[:6], 1))
def test_hits_with_a_coarse_first_step(cuts, coarse_first, question, mode):
    for scope in SCOPES[:2]:
        deepest = None
        for limit in (700, 60, 3):
            one, seven, grown = (
                answer(workspace.semantic_search(question, scope, limit=limit, mode=mode))[0]
                for workspace in cuts
            )
            assert one == seven == grown
            deepest = deepest or one
            assert one == deepest[:limit], "a larger limit appends hits"
            scores = [score for _, _, score, _ in one]
            assert scores == sorted(scores, reverse=True)


def test_later_shards_get_the_limit_of_earlier_ones(cuts, coarse_first, monkeypatch):
    _, seven, _ = cuts
    limits, near = [], VectorIndex.near

    def spied(index, query, least, mask, limit=None):
        limits.append(limit)
        return near(index, query, least, mask, limit)

    monkeypatch.setattr(VectorIndex, "near", spied)
    assert seven.semantic_search(QUESTIONS[0], mode="dense").hits
    assert limits[0] is None
    known = [limit for limit in limits if limit is not None]
    assert known == sorted(known, reverse=True)
    assert known[0] > known[-1]


def test_ties_by_words_are_in_path_order_whatever_the_order_of_shards(tmp_path, make_workspace):
    root, workspace = tmp_path / "tree", make_workspace()
    for folder in ("north", "east"):  # the second one becomes a later shard
        texts = (f"alpha {3 * n:05} {7 * n:05} {13 * n:05}\n" for n in range(CANDIDATES))
        write_tree(root, {f"{folder}/{n:03}.txt": text for n, text in enumerate(texts)})
        workspace.index(root, name="tree")
    assert len(shards(workspace)) == 2
    hits = workspace.semantic_search("alpha", mode="lexical").hits
    assert [hit.path for hit in hits] == [f"east/{n:03}.txt" for n in range(10)]


def test_recall_of_coarse_codes(cuts, monkeypatch):
    one = cuts[0]
    expected = [
        one.semantic_search(question, limit=10, mode="dense").hits for question in QUESTIONS
    ]
    monkeypatch.setattr(closest, "MIN_SHORTLIST", 600)
    monkeypatch.setattr(one._engine, "full_scan_chunks", 1000)
    actual = [one.semantic_search(question, limit=10, mode="dense").hits for question in QUESTIONS]
    missing = sum(
        hit not in others for hits, others in zip(expected, actual, strict=True) for hit in hits
    )
    assert missing <= 0.05 * sum(map(len, expected))


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_chunk_missed_by_coarse_codes_is_explained(cuts, monkeypatch, mode):
    one, question = cuts[0], "how are magics registered"
    monkeypatch.setattr(closest, "MIN_SHORTLIST", 1)
    monkeypatch.setattr(closest, "SHORTLIST_SHARE", 0)
    exact = one.semantic_search(question, limit=200, mode="dense").hits
    monkeypatch.setattr(one._engine, "full_scan_chunks", 1000)
    shown = {hit.location for hit in one.semantic_search(question, limit=1, mode="dense")}
    reasons = {
        hit.location: one.semantic_search(question, mode=mode, why_not=hit.location).why_not
        for hit in exact[::20]
    }
    missed = {
        place for place, reason in reasons.items() if "by coarse vectors missed it." in reason
    }
    assert missed
    assert not missed & shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"rank": True}, {"show": "files"}, {"show": "counts"}, {"per_file": 2}], ids=str
)
@pytest.mark.parametrize(("pattern", "regex"), TEXTS)
def test_text_hits_and_totals(cuts, pattern, regex, options):
    for scope in SCOPES:
        for limit in (3, 200, 0):
            one, seven, grown = (
                answer(workspace.search_text(pattern, scope, regex=regex, limit=limit, **options))
                for workspace in cuts
            )
            assert one == seven == grown


@pytest.mark.parametrize(
    "name", values(["run_cell", "get_*", "runcel", "magic", "Magics.*", "_"], 3)
)
def test_definitions(cuts, name):
    for scope in SCOPES:
        for limit in (2, 0):
            one, seven, grown = (
                answer(workspace.symbols(name, None, scope, limit=limit)) for workspace in cuts
            )
            assert one == seven == grown


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("question", values(QUESTIONS[:6], 2))
def test_the_first_hits_are_the_same_for_every_limit(cuts, question, mode):
    one, _, _ = cuts
    everything = answer(one.semantic_search(question, limit=0, mode=mode))[0]
    scores = [score for _, _, score, _ in everything]
    assert scores == sorted(scores, reverse=True)
    assert len({(path, line) for path, line, _, _ in everything}) == len(everything)
    for limit in (1, 10, 199, 200, 201, 450, 1_000):
        assert (
            answer(one.semantic_search(question, limit=limit, mode=mode))[0] == everything[:limit]
        )


def test_a_limit_is_honoured(cuts):
    one, _, _ = cuts
    chunks = one.count().chunks
    assert chunks > 2_000
    for mode in ("hybrid", "dense"):
        results = one.semantic_search("how are magics registered", limit=2_000, mode=mode)
        assert (len(results.hits), results.truncated) == (2_000, False)
        everything = one.semantic_search("how are magics registered", limit=10_000, mode=mode)
        folded = sum(len(hit.also) for hit in everything.hits)
        assert (len(everything.hits) + folded, everything.reason) == (chunks, "")


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 45))
def test_top_breaks_ties_by_position(values, k):
    scores = np.array(values, np.float32)
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]
    assert top(scores, k).tolist() == expected
