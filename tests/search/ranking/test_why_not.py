import pytest

from codeintel_nb import Scope
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
    answer = asked(shop, "charge a card", "src/shop/nothing.py:3")
    assert answer == "src/shop/nothing.py:3 is not indexed in the repositories in scope: shop."


def test_lines_behind_others(shop):
    hits = shop.semantic_search("charge a card", limit=50, why_not="web/app.js:1")
    position = [hit.path for hit in hits].index("web/app.js")
    assert f"web/app.js:1 is behind {position} other" in hits.why_not
    assert f"with a score of {hits[position].score:.2f}" in hits.why_not
    assert "file " in hits.why_not
    first = hits[0]
    assert "is the first hit" in asked(shop, "charge a card", f"{first.path}:{first.start_line}")
    assert hits.why_not in repr(hits)


def test_lines_beyond_the_candidates(tmp_path, make_workspace):
    files = {f"a{i}.py": f"def charge_card_{i}():\n    return {i}\n" for i in range(300)}
    files["z.md"] = "Zebras graze.\n"
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "many", files))
    answer = asked(workspace, "charge a card", "z.md:1")
    assert answer == (
        "z.md:1 is not ranked: it has no word of the query and "
        "301. by meaning, beyond the first 200."
    )


@pytest.mark.parametrize("place", [":", "a.py:x", "\0", "a\nb.py:3", ":3"])
def test_place_that_is_none(shop, place):
    assert "is not indexed" in asked(shop, "charge a card", place)
