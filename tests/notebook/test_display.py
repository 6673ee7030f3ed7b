import html
import json
import re
from html.parser import HTMLParser

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbconvert import HTMLExporter

from codeintel_nb import Scope
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.notebook.display import coloured, relative_target
from codeintel_nb.notebook.magics import load
from tests.conftest import write_tree

HOSTILE = (
    "<script>alert(1)</script> </pre></div> <img src=x onerror=alert(2)>"
    " \u202eevil\u202c \x1b[31m & \"quoted\" 'x' cart"
)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def hostile(tmp_path, make_workspace):
    write_tree(
        tmp_path / "evil",
        {
            '<img src=x onerror=alert("name")>.py': f"# {HOSTILE}\ndef cart(): pass\n",
            "long.py": "cart = '" + "x" * 100_000 + "'\n",
            "fence.md": "# cart\n\n````python\ncart\n````\n",
        },
    )
    workspace = make_workspace()
    workspace.index(tmp_path / "evil")
    return workspace


def test_hostile_content_is_shown_as_text(hostile):
    for results in (
        hostile.search_text("cart"),
        hostile.semantic_search("cart with scripts"),
        hostile.list_paths(),
    ):
        bundle = results._repr_mimebundle_()
        page = Tags(bundle["text/html"])
        assert page.open == []
        assert set(page.tags) <= {
            "table",
            "caption",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "br",
            "small",
            "code",
            "a",
            "div",
            "pre",
            "span",
            "mark",
            "p",
            "em",
            "details",
            "summary",
            "b",
        }
        assert set(page.attributes) <= {"style", "class", "href", "scope", "open"}
        for text in (bundle["text/plain"], bundle["text/html"]):
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert len(bundle["text/html"]) < 60_000


def test_html_avoids_markup_stripped_from_untrusted_notebooks(shop):
    html = shop.search_text("cart")._repr_mimebundle_()["text/html"]
    assert "<style" not in html
    assert "var(" not in html
    assert "data-" not in html


def test_code_is_monospace_on_an_nbconvert_page(shop, chromium, tmp_path):
    """Override nbconvert's style sheet, which shows preformatted output in its text font."""
    html = shop.search_text("cart", Scope(languages=("python",)))._repr_mimebundle_()["text/html"]
    output = nbformat.v4.new_output("execute_result", {"text/html": html}, execution_count=1)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("%textsearch cart", outputs=[output])]
    )
    (tmp_path / "page.html").write_text(HTMLExporter().from_notebook_node(notebook)[0])
    page = chromium.new_page()
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.goto((tmp_path / "page.html").as_uri())
    code = page.locator("td pre").first
    assert code.evaluate("element => getComputedStyle(element).fontFamily") == "monospace"
    assert (
        code.evaluate("element => getComputedStyle(element).backgroundColor") == "rgba(0, 0, 0, 0)"
    ), "the row's background shows through"
    page.close()


def test_matches_are_marked(shop):
    html = shop.search_text("charge_card", Scope(languages=("python",)))._repr_mimebundle_()[
        "text/html"
    ]
    assert re.search(r"<mark>charge_card</mark>", re.sub(r"</?span[^>]*>", "", html))
    html = shop.semantic_search("charging a card")._repr_mimebundle_()["text/html"]
    assert "<mark>Charge</mark>" in re.sub(r"</?span[^>]*>", "", html)


def test_marks_span_tokens_and_lose_no_character():
    text = "def f(x):\n    return x < 3 & 'a'\n"
    html = coloured(text, "python", [(2, 7), (20, 30)])
    import html as escaping

    assert escaping.unescape(re.sub(r"<[^>]+>", "", html)) == text
    assert Tags(html).open == []
    assert html.count("<mark>") >= 2


def test_links_open_the_line_only_if_the_file_is_reachable(shop, tree, monkeypatch):
    monkeypatch.chdir(tree)
    html = shop.search_text("charge_card", Scope(languages=("python",)))._repr_mimebundle_()[
        "text/html"
    ]
    assert 'href="src/shop/payment.py#line=7"' in html
    assert ">line 8</a>" in html
    monkeypatch.chdir(tree / "web")
    assert relative_target(str(tree), "src/a b.py") is None
    monkeypatch.setenv("JUPYTER_SERVER_ROOT", str(tree))
    assert relative_target(str(tree), "src/a b.py") == "../src/a b.py"


def test_markdown_renders_on_github(hostile):
    text = hostile.semantic_search("cart", Scope(languages=("markdown",)))._repr_mimebundle_()[
        "text/markdown"
    ]
    assert re.search(r"^`{5}markdown\n(?:.*\n)*?`{5}$", text, re.M), (
        "the fence is longer than any inside"
    )
    names = hostile.list_paths()._repr_mimebundle_()["text/markdown"]
    assert "<img" not in names.replace("\\<", "")


def texts_of(results):
    """Return the views of results without markup, by MIME type."""
    bundle = results._repr_mimebundle_()
    kinds = ("text/plain", "text/html", "text/markdown")
    return {kind: html.unescape(re.sub("<[^>]+>", "", bundle[kind])) for kind in kinds}


@pytest.mark.parametrize("context", [1, 3, 6, 20])
def test_context_is_shown_whole(tmp_path, make_workspace, context):
    lines = [f"row{number}x" for number in range(1, 60)]
    lines[29] += " needle"
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "t", {"a.txt": "\n".join(lines)}), name="t")
    for kind, text in texts_of(workspace.search_text("needle", context=context)).items():
        rows = [int(number) for number in re.findall(r"row(\d+)x", text)]
        assert rows == [*range(30 - context, 31 + context)], kind
        assert "row30x needle" in text, kind


@pytest.mark.parametrize("before", [0, 100, 230, 300, 1500, 3000])
@pytest.mark.parametrize("context", [0, 1])
def test_long_line_is_shown_around_its_match(tmp_path, make_workspace, before, context):
    line = "a" * before + " needle " + "b" * 500
    workspace = make_workspace()
    text = f"{'c' * 50_000}\n{line}\nlast\n"
    workspace.index(write_tree(tmp_path / "t", {"a.txt": text}), name="t")
    results = workspace.search_text("needle", context=context)
    snippet = results[0].snippet.split("\n")
    assert len(snippet) == 1 + 2 * context
    assert max(map(len, snippet)) <= 2000
    for kind, shown in texts_of(results).items():
        assert ("needle b" in shown) == (before < 2000), kind  # a hit has so much of a line
        assert ("…a" in shown) == (118 < before < 2000), kind
        assert ("b…" in shown) == (before < 2000), kind
        assert max(map(len, re.findall("[abc]+", shown))) < 240, kind


def test_only_the_first_hits_are_shown_with_the_total(shop, tree):
    write_tree(tree, {"many.py": "many_things = 1\n" * 300})
    shop.refresh("shop")
    results = shop.search_text("many_things", limit=200)
    plain = repr(results)
    assert plain.count("many.py:") == 10
    assert "10 of 300 matches" in plain
    assert repr(results[:3]).count("many.py:") == 3
    html = results._repr_mimebundle_()["text/html"]
    assert html.count("many_things</mark>") == 200, "all hits of the value are in the output"
    assert "_.show" not in html
    longer = shop.search_text("many_things", limit=0)._repr_mimebundle_()["text/html"]
    assert longer.count("many_things</mark>") == 200
    assert "<code>_.show(300)</code> shows more" in longer


def test_empty_results_describe_the_searched_scope(shop):
    assert "no matches · all 9 files" in repr(shop.search_text("no such thing"))
    html = shop.search_text("x", Scope(include_globs=("nowhere",)))._repr_mimebundle_()["text/html"]
    assert "%scope clear" in html


@pytest.fixture
def births(tmp_path, make_workspace, monkeypatch):
    """Index a notebook with prose, code, a plot and output, in the folder that Jupyter shows."""
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": PIXEL, "text/plain": "<Figure size 432x288 with 1 Axes>"}
    )
    cells = [
        nbformat.v4.new_markdown_cell("# Births\n\nIt's the births in `births.csv`, by month."),
        nbformat.v4.new_code_cell(
            "births = load()\nbirths.plot()", execution_count=29, outputs=[picture]
        ),
        nbformat.v4.new_code_cell(
            "print(births)",
            execution_count=30,
            outputs=[nbformat.v4.new_output("stream", text="many births\n")],
        ),
    ]
    (tmp_path / "t").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "t" / "births by month.ipynb")
    workspace = make_workspace()
    workspace.index(tmp_path / "t", outputs=True)
    monkeypatch.chdir(tmp_path)
    return workspace


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_cells_are_named_as_jupyter_shows_them(births):
    html = births.search_text("births")._repr_mimebundle_()["text/html"]
    for place in (
        "Cell 1 · line 3",
        "Cell 2 · In [29] · line 2",
        "Cell 3 · In [30] · line 1",
        "Cell 3 · In [30] · output · line 1",
    ):
        assert f">{place}</a>" in html
    assert (
        'href="t/births%20by%20month.ipynb#codeintel&amp;line=5&amp;cell=1&amp;cell_line=2'
        '&amp;column=1&amp;length=6"' in html
    )


def test_prose_is_shown_as_prose(births):
    """Words after an apostrophe are no string, and words are wrapped at blanks only."""
    html = births.search_text("by month", Scope())._repr_mimebundle_()["text/html"]
    (row,) = re.findall(r"<pre style='([^']*)'>(.*?)</pre>", html)
    assert "font-family:inherit" in row[0]
    assert "overflow-wrap:normal" in row[0]
    assert re.sub("</?mark>", "", row[1]) == "It&#x27;s the births in `births.csv`, by month."


def test_plot_of_a_cell_is_a_thumbnail(births):
    html = births.search_text("births.plot")._repr_mimebundle_()["text/html"]
    assert f'<img src="data:image/png;base64,{PIXEL}" alt="output of the cell"' in html
    assert html.count("<img") == 1, "each cell's picture once"
    assert "<img" not in births.search_text("load()")._repr_mimebundle_()["text/markdown"]


def test_counts_are_a_table_sorted_by_count(shop, tree):
    write_tree(tree, {"a_few.py": "thing = 1\n" * 3, "z_many.py": "thing = 1\n" * 30})
    shop.refresh("shop")
    html = shop.search_text("thing", show="counts")._repr_mimebundle_()["text/html"]
    rows = re.findall(r"<td style='text-align:right'>(\d+)</td>.*?>([^<]*)(?:</a>)?</th>", html)
    assert rows[:2] == [("30", "z_many.py"), ("3", "a_few.py")]


def test_hit_by_meaning_shows_its_definition_and_best_lines(tmp_path, make_workspace):
    write_tree(
        tmp_path / "t",
        {
            "a.py": 'def convert(frame, zone):\n    """Convert a frame.\n\n'
            + "".join(f"    Detail number {i}.\n" for i in range(6))
            + '    """\n    shifted = frame.tz_convert(zone)  # to a time zone\n'
            + "    return shifted\n"
        },
    )
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    results = workspace.semantic_search("convert a frame to a time zone")
    html = results._repr_mimebundle_()["text/html"]
    (code,) = re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)
    lines = re.sub("<[^>]+>", "", code).split("\n")
    assert lines[0] == "def convert(frame, zone):"
    assert "    shifted = frame.tz_convert(zone)  # to a time zone" in lines
    assert "…" in lines
    assert len(lines) <= 6


def test_file_outside_of_the_server_links_to_a_read_only_view(shop, tree, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("JUPYTER_SERVER_ROOT", str(tmp_path / "elsewhere"))
    html = shop.search_text("def charge_card")._repr_mimebundle_()["text/html"]
    assert 'href="#codeintel&amp;repo=shop&amp;view=src%2Fshop%2Fpayment.py&amp;line=8"' in html


def test_sql_links_its_paths_and_aligns_text(shop, tree, monkeypatch):
    shell = InteractiveShell()
    magics = load(shell)
    magics.client = EmbeddedClient(shop)
    monkeypatch.chdir(tree)
    table = shop.sql("select path, lines from files where path like '%payment.py'")
    html = table._repr_html_()
    assert "<td style='text-align:left'><a href=\"src/shop/payment.py#line=" not in html
    assert "<td style='text-align:left'><a href=\"src/shop/payment.py\">" in html
    assert re.search(r"<td>\d+</td>", html), "numbers stay right-aligned"
    table = shop.sql("select repo, path, start_line from symbols where name = 'charge_card'")
    assert '<a href="src/shop/payment.py#line=7">' in table._repr_html_()


def test_toolbar_of_results_is_for_jupyter_alone(shop, tree, monkeypatch):
    results = shop.search_text("def charge_card", word=True)
    assert "do=cell" not in results._repr_mimebundle_()["text/html"]
    monkeypatch.setenv("JUPYTER_SERVER_ROOT", str(tree))
    html = results._repr_mimebundle_()["text/html"]
    assert (
        'href="#codeintel&amp;do=cell&amp;as=frame&amp;magic=%25textsearch+--word+def+charge_card"'
        in html
    )
    assert "do=panel&amp;mode=text&amp;query=def+charge_card" in html
    assert "](" in results.to_markdown() or "**" in results.to_markdown()


@pytest.mark.parametrize("data", ["x' onerror='alert(1)", PIXEL[:40], "PHN2Zz4=", ["<", ">"], 3])
def test_picture_that_is_none_is_left_out(tmp_path, make_workspace, data):
    """The text of a picture is anybody's: only base64 of a PNG or JPEG is shown."""
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": data}}
    cell = {"cell_type": "code", "metadata": {}, "source": "needle = 1", "execution_count": 1}
    notebook = {"cells": [{**cell, "outputs": [output]}], "metadata": {}, "nbformat": 4}
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.ipynb").write_text(json.dumps({**notebook, "nbformat_minor": 5}))
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    html = workspace.search_text("needle")._repr_mimebundle_()["text/html"]
    assert "needle" in html
    assert ("<img" in html) == (data == PIXEL[:40]), "a cut PNG is a picture still"
    assert "onerror" not in html
