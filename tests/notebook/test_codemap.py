"""%codemap and results.map(): which points are drawn, which are lit, and what stays in a saved notebook."""

import base64
import io
import re

import pytest
from PIL import Image

from codeintel_nb.api.embedded import EmbeddedClient
from codeintel_nb.errors import SearchError
from codeintel_nb.search.hit import Results
from tests.conftest import write_tree
from tests.notebook.test_magics import ready, run, shell  # noqa: F401 (fixtures)


def test_the_scope_is_drawn_and_hits_are_lit(ready):  # noqa: F811
    ready("%scope set --lang python")
    drawn = ready("%codemap charge a credit card")
    assert set(drawn.points["language"]) == {"python"}
    assert drawn.points.loc[drawn.hits[0], "path"] == "src/shop/payment.py"
    assert drawn.scatter.selection().tolist() == drawn.hits
    assert re.fullmatch(r"map of \d+ chunks in scope, \d+ hits lit", repr(drawn))
    ready("%scope clear")


def test_a_sample_has_every_hit(ready, monkeypatch):  # noqa: F811
    """What is lit is the hit's own chunk, however few of the others are drawn."""
    from codeintel_nb.notebook import codemap

    whole = ready("hits = %textsearch cart\nhits.map()")
    monkeypatch.setattr(codemap, "MOST_POINTS", 4)
    few = ready("hits.map()")
    assert len(few.points) < len(whole.points) == few.total
    places = [drawn.points.loc[drawn.hits, ["path", "line"]].to_numpy().tolist() for drawn in (few, whole)]
    assert sorted(places[0]) == sorted(places[1])


def test_results_draw_their_own_scope(ready):  # noqa: F811
    drawn = ready("hits = %textsearch --lang python charge_card\nhits.map('language')")
    assert set(drawn.points["language"]) == set(drawn.points["group"]) == {"python"}
    (lit,) = drawn.points.loc[drawn.hits, "path"].unique()
    assert lit == "src/shop/payment.py"


@pytest.mark.parametrize("by", ["folder", "language", "kind"])
def test_colours_say_what_was_asked_for(ready, by):  # noqa: F811
    drawn = ready(f"%codemap --by {by}")
    groups = set(drawn.points["group"])
    expected = {"folder": {"src", "tests", "web"}, "language": {"python", "javascript", "markdown"}, "kind": {"function", "class"}}[by]
    assert expected <= groups
    assert not drawn.hits


def test_a_folder_may_be_called_as_the_rest_is(run, tmp_path):  # noqa: F811
    for i in range(10):
        write_tree(tmp_path / "t", {f"folder{i}/a.py": f"x = {i}\n", "others/b.py": "y = 1\n", "others/c.py": "z = 1\n"})
    run(f"%codeindex add {tmp_path / 't'}")
    groups = run("%codemap").points["group"]
    assert list(groups.cat.categories).count("others") == 1


def test_hovering_shows_the_code_and_a_click_asks_to_open_it(ready):  # noqa: F811
    drawn = ready("%codemap")
    row = drawn.points.index[drawn.points["path"] == "src/shop/payment.py"][0]
    drawn.scatter.widget.hovering = int(row)
    assert drawn.place.place["title"].startswith("shop: src/shop/payment.py:")
    assert "".join(text for _, _, text in drawn.place.place["segments"]).strip()
    drawn.scatter.widget.hovering = None
    assert "Hover" in drawn.place.place["note"]
    drawn.scatter.selection([row])
    assert drawn.place.opened == 1
    assert drawn.place.place["line"] == drawn.points.loc[row, "line"]
    drawn.scatter.selection([0, 1])
    assert drawn.place.opened == 1, "many chosen open none"


def test_a_file_that_is_gone_says_so(ready, tree):  # noqa: F811
    drawn = ready("%codemap")
    row = drawn.points.index[drawn.points["path"] == "web/app.js"][0]
    (tree / "web" / "app.js").unlink()
    drawn.scatter.widget.hovering = int(row)
    assert drawn.place.place["note"] or drawn.place.place["segments"]
    assert drawn.place.place["title"] == f"shop: web/app.js:{drawn.points.loc[row, 'line']}"


def test_what_stays_in_a_saved_notebook_is_a_picture(ready):  # noqa: F811
    drawn = ready("hits = %textsearch charge_card\nhits.map()")
    held = drawn._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in held
    picture = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", held["text/html"])[1])))
    assert picture.size == (640, 400)
    assert len(picture.convert("RGB").getcolors(10_000)) > 2, "points, and black for the hits"
    assert held["text/plain"] == repr(drawn)


def test_what_goes_wrong_is_one_line(ready, run):  # noqa: F811
    ready("%codemap --by colour")
    assert "choose folder, language or kind" in run.err + run.out
    ready("%codemap --include 'nothing/**'")
    assert "nothing to draw" in run.err + run.out


def test_without_the_magics_there_is_no_map(shop, monkeypatch):
    monkeypatch.setattr(Results, "mapper", None)
    with pytest.raises(SearchError, match="%load_ext"):
        EmbeddedClient(shop).operations.workspace.search_text("cart").map()
