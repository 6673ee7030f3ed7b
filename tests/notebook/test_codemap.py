"""%codemap and results.map(): which points are drawn, which are lit, and what stays in a saved notebook."""

import base64
import io
import re

import nbformat
import pytest
from PIL import Image

from codeintel_nb.api.embedded import EmbeddedClient
from codeintel_nb.errors import SearchError
from codeintel_nb.notebook.codemap import CodeMap
from codeintel_nb.search.hit import Results
from tests.conftest import write_tree
from tests.notebook.test_magics import ready, run, shell  # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("no_project")


def test_the_scope_is_drawn_and_hits_are_lit(ready):  # noqa: F811
    ready("%scope set --lang python")
    drawn = ready("%codemap charge a credit card")
    assert set(drawn.points["language"]) == {"python"}
    assert drawn.points["path"][drawn.lit[0]] == "src/shop/payment.py"
    assert drawn.hits == drawn.lit
    assert len(drawn.x) == len(drawn.y) == 4 * len(drawn.group) == 4 * len(drawn.points["line"])
    assert sum(points for _, _, points in drawn.groups) == len(drawn.group)
    assert re.fullmatch(r"map of \d+ chunks in scope, \d+ hits lit", repr(drawn))
    ready("%scope clear")


def test_a_sample_has_every_hit(ready, monkeypatch):  # noqa: F811
    """What is lit is the hit's own chunk, however few of the others are drawn."""
    from codeintel_nb.notebook import codemap

    whole = ready("hits = %textsearch cart\nhits.map()")
    monkeypatch.setattr(codemap, "MOST_POINTS", 4)
    few = ready("hits.map()")
    assert len(few.group) < len(whole.group) == few.total
    assert len({*places(few, range(len(few.group)))}) == len(few.group), "none is drawn twice"
    assert places(few, few.lit) == places(whole, whole.lit)


def places(drawn, rows):
    return sorted((drawn.points["path"][row], int(drawn.points["line"][row])) for row in rows)


def test_results_draw_their_own_scope(ready):  # noqa: F811
    drawn = ready("hits = %textsearch --lang python charge_card\nhits.map('language')")
    assert set(drawn.points["language"]) == set(drawn.points["group"]) == {"python"}
    assert {path for path, _ in places(drawn, drawn.lit)} == {"src/shop/payment.py"}


@pytest.mark.parametrize("by", ["folder", "language", "kind"])
def test_colours_say_what_was_asked_for(ready, by):  # noqa: F811
    drawn = ready(f"%codemap --by {by}")
    groups = set(drawn.points["group"])
    expected = {
        "folder": {"src", "tests", "web"},
        "language": {"python", "javascript", "markdown"},
        "kind": {"function", "class"},
    }[by]
    assert expected <= groups
    assert not drawn.lit


def test_a_folder_may_be_called_as_the_rest_is(run, tmp_path):  # noqa: F811
    for i in range(10):
        write_tree(
            tmp_path / "t",
            {f"folder{i}/a.py": f"x = {i}\n", "others/b.py": "y = 1\n", "others/c.py": "z = 1\n"},
        )
    run(f"%codeindex add {tmp_path / 't'}")
    drawn = run("%codemap")
    assert [name for name, _, _ in drawn.groups].count("others") == 1
    assert sum(points for _, _, points in drawn.groups) == len(drawn.group)


@pytest.fixture
def asked(monkeypatch):
    """What the kernel answers the view of a map."""
    sent = []
    monkeypatch.setattr(CodeMap, "send", lambda self, content: sent.append(content))

    def ask(drawn, **question):
        drawn._handle_custom_msg({"number": len(sent), **question}, [])
        assert sent[-1].pop("number") == len(sent) - 1
        return sent[-1].get("answer", sent[-1].get("error"))

    return ask


def test_a_points_code_is_told(ready, asked):  # noqa: F811
    drawn = ready("%codemap")
    row = drawn.points["path"].tolist().index("src/shop/payment.py")
    told = asked(drawn, what="look", row=row)
    assert told["title"] == f"shop: src/shop/payment.py:{drawn.points['line'][row]}"
    assert told["line"] == drawn.points["line"][row]
    assert told["cell"] is None
    assert "".join(text for _, _, text in told["segments"]).strip()
    assert "out of bounds" in asked(drawn, what="look", row=10_000)
    assert "Invalid value" in asked(drawn, what="leap")


def test_a_point_of_a_notebook_is_its_cell(run, asked, tmp_path):  # noqa: F811
    cells = [
        nbformat.v4.new_markdown_cell("# Prices"),
        nbformat.v4.new_code_cell("def price(item):\n    return item.price\n"),
        nbformat.v4.new_code_cell("def tax(item):\n    return 2\n"),
    ]
    (tmp_path / "t").mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=cells,
            metadata={
                "kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}
            },
        ),
        tmp_path / "t" / "prices.ipynb",
    )
    run(f"%codeindex add {tmp_path / 't'}")
    drawn = run("%codemap")
    told = [asked(drawn, what="look", row=row) for row in range(len(drawn.group))]
    assert sorted(one["cell"] for one in told) == [0, 1, 2]
    (tax,) = (one for one in told if "tax" in "".join(text for _, _, text in one["segments"][:6]))
    assert tax["cell"] == 2
    assert "prices.ipynb [2] " in tax["title"]


def test_what_is_drawn_around_is_chosen(ready, asked):  # noqa: F811
    drawn = ready("%codemap")
    assert asked(drawn, what="choose", rows=[0, 1]).startswith("2 chunks in ")
    assert drawn.chosen == [0, 1]
    assert asked(drawn, what="choose", rows=[]) == ""
    assert drawn.chosen == []


def test_a_file_that_is_gone_says_so(ready, asked, tree):  # noqa: F811
    drawn = ready("%codemap")
    row = drawn.points["path"].tolist().index("web/app.js")
    (tree / "web" / "app.js").unlink()
    told = asked(drawn, what="look", row=row)
    assert told["note"] or told["segments"]
    assert told["title"] == f"shop: web/app.js:{drawn.points['line'][row]}"


def test_what_stays_in_a_saved_notebook_is_a_picture(ready):  # noqa: F811
    drawn = ready("hits = %textsearch charge_card\nhits.map()")
    held, _ = drawn._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in held
    picture = Image.open(
        io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", held["text/html"])[1]))
    )
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
