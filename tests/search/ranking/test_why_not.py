import re

import pytest

from codeintel_nb import Scope
from codeintel_nb.search.why import ordinal
from tests.conftest import write_tree


def asked(workspace, query, place, scope=None, **options):
    return workspace.semantic_search(query, scope, why_not=place, **options).why_not


def test_lines_out_of_scope(shop):
    answer = asked(shop, "charge a card", "src/shop/payment.py:8", Scope(languages=("javascript",)))
    assert answer.startswith("src/shop/payment.py:1 is out of scope: the scope has ")
    assert "javascript" in answer
    answer = asked(shop, "charge a card", "src/shop/payment.py", Scope(exclude=("src/**",)))
    assert "src/**" in answer


def test_lines_that_are_not_indexed(shop):
    answer = asked(shop, "charge a card", "src/shop/paiment.py:3")
    assert answer == (
        "src/shop/paiment.py:3 is not indexed in the repositories in scope: shop. "
        "Did you mean src/shop/payment.py?"
    )
    answer = asked(shop, "charge a card", "zzz")
    assert answer == "zzz is not indexed in the repositories in scope: shop."


def test_lines_behind_others(shop):
    hits = shop.semantic_search("charge a card", limit=50, why_not="web/app.js:1")
    position = [hit.path for hit in hits].index("web/app.js")
    assert f"web/app.js:1 is the {ordinal(position + 1)} hit" in hits.why_not
    assert f"with a score of {hits[position].score:.2f}" in hits.why_not
    assert "file " in hits.why_not
    first = hits[0]
    assert "is the first hit" in asked(shop, "charge a card", f"{first.path}:{first.start_line}")
    assert hits.why_not in repr(hits)


def test_place_as_results_of_several_repositories_name_it(shop, tmp_path):
    shop.index(write_tree(tmp_path / "more", {"lib/a.py": "x = 1\n"}), name="more")
    assert "lib/a.py:1 is the " in asked(shop, "charge a card", "more/lib/a.py:1")
    assert "is not indexed" in asked(shop, "charge a card", "shop/lib/a.py:1")


def test_lines_beyond_the_candidates(tmp_path, make_workspace):
    files = {f"a{i}.py": f"def charge_card_{i}():\n    return {i}\n" for i in range(300)}
    files["z.md"] = "Zebras graze.\n"
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "many", files))
    assert asked(workspace, "charge a card", "z.md:1") == (
        "z.md:1 is without a word of the query and 301st by meaning; "
        "only the first 200 of each are ranked."
    )
    hits = workspace.semantic_search("charge a card", mode="dense", limit=0)
    assert len(hits) == 301
    assert re.fullmatch(
        r"a7\.py:1 is [\d]+(st|nd|rd|th) by meaning\.",
        asked(workspace, "charge a card", "a7.py:1", mode="dense"),
    )


def test_search_that_was_stopped(shop):
    answer = asked(shop, "charge a card", "web/app.js:1", timeout_s=1e-9)
    assert answer == "The search was stopped before web/app.js:1 was compared."


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"),
     (21, "21st"), (102, "102nd"), (111, "111th"), (1003, "1,003rd")],
)  # fmt: skip
def test_ranks_are_read_aloud(number, text):
    assert ordinal(number) == text


@pytest.mark.parametrize("place", [":", "a.py:x", "\0", "a\nb.py:3", ":3"])
def test_place_that_is_none(shop, place):
    assert "is not indexed" in asked(shop, "charge a card", place)
