"""%codemap and results.map(): points, highlighted hits and the output saved in a notebook."""

import base64
import io
import re

import nbformat
import pytest
from PIL import Image

from codeintel_nb import Scope
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.errors import SearchError
from codeintel_nb.notebook.codemap import CodeMap, points_in
from codeintel_nb.search.results import Results
from tests.conftest import write_tree
from tests.notebook.test_magics import ready, run, shell  # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("no_project")


def test_map_draws_the_scope_and_highlights_hits(ready):  # noqa: F811
    ready("%scope set --lang python")
    drawn = ready("%codemap charge a credit card")
    assert set(drawn.points["language"]) == {"python"}
    assert drawn.points["path"][drawn.lit[0]] == "src/shop/payment.py"
    assert drawn.hits == drawn.lit
    assert len(drawn.x) == len(drawn.y) == 4 * len(drawn.group) == 4 * len(drawn.points["line"])
    assert sum(points for _, _, points in drawn.groups) == len(drawn.group)
    assert re.fullmatch(r"code map of \d+ chunks in scope, \d+ hits highlighted", repr(drawn))
    ready("%scope clear")


@pytest.mark.slow
def test_sampled_map_keeps_every_hit(ready, monkeypatch):  # noqa: F811
    """Highlight every hit's own chunk, however few others are drawn."""
    from codeintel_nb.notebook import codemap

    whole = ready("hits = %textsearch cart\nhits.map()")
    monkeypatch.setattr(codemap, "MAX_POINTS", 4)
    few = ready("hits.map()")
    assert len(few.group) < len(whole.group) == few.total
    assert len({*places(few, range(len(few.group)))}) == len(few.group), "no point is drawn twice"
    assert places(few, few.lit) == places(whole, whole.lit)


def places(drawn, rows):
    return sorted((drawn.points["path"][row], int(drawn.points["line"][row])) for row in rows)


def test_map_of_results_uses_their_scope(ready):  # noqa: F811
    drawn = ready("hits = %textsearch --lang python charge_card\nhits.map('language')")
    assert set(drawn.points["language"]) == set(drawn.points["group"]) == {"python"}
    assert {path for path, _ in places(drawn, drawn.lit)} == {"src/shop/payment.py"}


@pytest.mark.slow
@pytest.mark.parametrize("by", ["folder", "language", "kind"])
def test_points_are_grouped_by_the_requested_field(ready, by):  # noqa: F811
    drawn = ready(f"%codemap --by {by}")
    groups = set(drawn.points["group"])
    expected = {
        "folder": {"src", "tests", "web"},
        "language": {"python", "javascript", "markdown"},
        "kind": {"function", "class"},
    }[by]
    assert expected <= groups
    assert not drawn.lit


@pytest.mark.slow
def test_folder_named_others_does_not_duplicate_the_rest_group(run, tmp_path):  # noqa: F811
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
    """Return a function that sends a map its view's message and returns the answer."""
    sent = []
    monkeypatch.setattr(CodeMap, "send", lambda self, content: sent.append(content))

    def ask(drawn, **question):
        drawn._handle_custom_msg({"number": len(sent), **question}, [])
        assert sent[-1].pop("number") == len(sent) - 1
        return sent[-1].get("answer", sent[-1].get("error"))

    return ask


@pytest.mark.slow
def test_point_details_include_its_code(ready, asked):  # noqa: F811
    drawn = ready("%codemap")
    row = drawn.points["path"].tolist().index("src/shop/payment.py")
    told = asked(drawn, what="look", row=row)
    assert told["title"] == f"shop: src/shop/payment.py:{drawn.points['line'][row]}"
    assert told["line"] == drawn.points["line"][row]
    assert told["cell"] is None
    assert "".join(text for _, _, text in told["segments"]).strip()
    assert "out of bounds" in asked(drawn, what="look", row=10_000)
    assert "Invalid value" in asked(drawn, what="leap")


def test_notebook_point_refers_to_its_cell(run, asked, tmp_path):  # noqa: F811
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
    assert tax["title"].endswith("prices.ipynb · Cell 3"), "as Jupyter numbers it"


@pytest.mark.slow
def test_lasso_chooses_points(ready, asked):  # noqa: F811
    drawn = ready("%codemap")
    assert asked(drawn, what="choose", rows=[0, 1]).startswith("2 chunks in ")
    assert drawn.chosen == [0, 1]
    assert asked(drawn, what="choose", rows=[]) == ""
    assert drawn.chosen == []


@pytest.mark.slow
def test_point_of_a_deleted_file_still_has_details(ready, asked, tree):  # noqa: F811
    drawn = ready("%codemap")
    row = drawn.points["path"].tolist().index("web/app.js")
    (tree / "web" / "app.js").unlink()
    told = asked(drawn, what="look", row=row)
    assert told["note"] or told["segments"]
    assert told["title"] == f"shop: web/app.js:{drawn.points['line'][row]}"


def test_saved_notebook_contains_a_picture_of_the_map(ready):  # noqa: F811
    drawn = ready("hits = %textsearch charge_card\nhits.map()")
    held, _ = drawn._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in held
    picture = Image.open(
        io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", held["text/html"])[1]))
    )
    assert picture.size == (640, 400)
    assert len(picture.convert("RGB").getcolors(10_000)) > 2, (
        "colours of points, and black for hits"
    )
    assert held["text/plain"] == repr(drawn)


def test_invalid_map_request_prints_an_error(ready, run):  # noqa: F811
    ready("%codemap --by colour")
    assert "Choose folder, language or kind" in run.err + run.out
    ready("%codemap --include 'nothing/**'")
    assert "nothing to draw" in run.err + run.out


def test_map_without_the_magics_is_an_error(shop, monkeypatch):
    monkeypatch.setattr(Results, "mapper", None)
    with pytest.raises(SearchError, match="%load_ext"):
        shop.search_text("cart").map()


@pytest.mark.slow
def test_clusters_are_named_searched_and_narrowed_to(make_workspace, tmp_path, asked):
    """Three topics far apart: each has a name of its words; a click on it sets the scope."""
    topics = {
        "money": "charge invoice payment currency refund",
        "space": "planet orbit rocket comet gravity",
        "music": "violin chord melody rhythm octave",
    }
    files = {}
    for topic, words in topics.items():
        first, second, third, fourth, fifth = words.split()
        for i in range(60):
            files[f"{topic}/{first}_{i}.py"] = (
                f"def {first}_{second}_{i}({third}, {fourth}):\n"
                f"    # the {fifth} of a {first}, from {second} and {third}\n"
                f"    {fifth} = {third} * {i} + {fourth}\n    return {fifth}, {second!r}\n"
            )
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "t", files))
    client = EmbeddedClient(workspace)
    client.set_scope(Scope(repos=("t",)))
    scope = client.get_scope().scope
    drawn = CodeMap(client, points_in(client, scope, "folder"), scope=scope)
    assert len(drawn.clusters) >= 3
    for words in topics.values():
        assert any(set(name.split()) & set(words.split()) for _, _, name in drawn.clusters)
    assert "hits highlighted" in asked(drawn, what="find", query="orbit of a planet")
    assert {drawn.points["path"][row].partition("/")[0] for row in drawn.lit[:5]} == {"space"}
    number = next(
        i
        for i, (_, _, name) in enumerate(drawn.clusters)
        if set(name.split()) & set(topics["music"].split())
    )
    assert "about" in asked(drawn, what="narrow", cluster=number)
    narrowed = workspace.list_paths(client.get_scope().scope)
    assert {path.partition("/")[0] for path in narrowed["path"]} == {"music"}
