import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codeintel_nb import Scope
from codeintel_nb.notebook.display import present
from codeintel_nb.search.query import MODES
from codeintel_nb.search.ranking.features import FEATURES
from codeintel_nb.search.ranking.model import default_model
from tests.search.test_same_in_any_cut import QUESTIONS, copied, opened

WORDS = st.sampled_from(
    "magic cell run history the InteractiveShell run_cell Magics test parse line of widget".split()
)


@pytest.fixture(scope="module")
def ipython(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    workspace = opened(folder / "home", 10**9)
    workspace.index(copied(folder / "tree"), name="tree")
    yield workspace
    workspace.close()


@given(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), st.sampled_from(MODES))
@example("magic", "hybrid")
def test_parts_sum_up_to_the_score(ipython, query, mode):
    for hit in ipython.semantic_search(query, limit=40, mode=mode, why=True):
        assert hit.why.score == hit.score
        if mode == "dense" or hit.why.parts[0].name == "rest":  # not scored by features
            assert len(hit.why.parts) == 1
            continue
        steps = [round(part.value * 10_000) for part in hit.why.parts]
        assert sum(steps) == round(hit.score * 10_000)
        assert all(
            abs(part.value * 10_000 - step) < 1e-6
            for part, step in zip(hit.why.parts, steps, strict=True)
        )
        assert all(steps), "parts of zero are left out"


def test_explaining_changes_no_rank(ipython):
    for question in QUESTIONS[:6]:
        explained = ipython.semantic_search(question, limit=60, why=True)
        plain = ipython.semantic_search(question, limit=60)
        assert [(hit.path, hit.start_line, hit.score) for hit in explained] == [
            (hit.path, hit.start_line, hit.score) for hit in plain
        ]
        assert all(hit.why is None for hit in plain)


def test_parts_say_what_they_come_from(ipython, shop):
    (hit,) = ipython.semantic_search("InteractiveShell", limit=1, why=True)
    details = {part.name: part.detail for part in hit.why.parts}
    assert details["definition"] == "defines InteractiveShell"
    assert details["path"] == "words of the query in the path: InteractiveShell"
    hits = shop.semantic_search("total price of an empty cart", limit=60, why=True)
    details = {part.name: part.detail for hit in hits for part in hit.why.parts}
    assert details["test"] == "the path says test"
    assert " by words: " in details["words"]
    assert "cosine" in details["meaning"]
    assert details["further piece"] == "the 2nd best piece of its file"


def test_explanation_is_shown_with_its_hit(shop):
    results = shop.semantic_search("total price of a cart", limit=1, why=True)
    assert f"{results[0].why.parts[0].value:+8.2f}  {results[0].why.parts[0].name}" in repr(results)
    assert f"score {results[0].score:.2f}" in present(results)["text/html"]
    parts = results.to_dicts()[0]["why"]["parts"]
    assert [part["value"] for part in parts] == [part.value for part in results[0].why.parts]
    assert "why" not in results.to_df(columns="all").columns


def test_every_feature_has_a_weight_and_a_reason():
    assert len(default_model().weights) == len(FEATURES)
    assert all(one.compute.__doc__ for one in FEATURES.values())
    assert abs(default_model().weights).min() > 0


def test_results_say_whether_anything_fits(ipython):
    good = ipython.semantic_search("how are magics registered")
    bad = ipython.semantic_search("customer invoices with value added tax")
    assert good.fits
    assert not bad.fits
    assert bad.confidence < 0.5 < good.confidence <= 1
    assert "nothing fits well" in repr(bad)
    assert "nothing fits well" not in repr(good)
    assert ipython.semantic_search("magic", mode="dense").confidence is None
    assert ipython.search_text("magic").fits
    nothing = ipython.semantic_search("magic", Scope(include=("no such/**",)))
    assert (nothing.hits, nothing.confidence) == ((), None)
