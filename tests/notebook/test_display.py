import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbconvert import HTMLExporter

from codeintel_nb import Scope
from codeintel_nb.notebook.display import coloured, relative_target
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
        }
        assert set(page.attributes) <= {"style", "class", "href", "scope"}
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
    html = shop.search_text("cart")._repr_mimebundle_()["text/html"]
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
    assert "src/shop/payment.py:8" in html
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


def test_only_the_first_hits_are_shown_with_the_total(shop, tree):
    write_tree(tree, {"many.py": "many_things = 1\n" * 300})
    shop.refresh("shop")
    results = shop.search_text("many_things", limit=200)
    plain = repr(results)
    assert plain.count("many.py:") == 10
    assert "10 of 300 matches" in plain
    assert repr(results[:3]).count("many.py:") == 3
    assert "_.show(50)" in results._repr_mimebundle_()["text/html"]


def test_empty_results_describe_the_searched_scope(shop):
    assert "no matches · all 9 files" in repr(shop.search_text("no such thing"))
    html = shop.search_text("x", Scope(include_globs=("nowhere",)))._repr_mimebundle_()["text/html"]
    assert "%scope clear" in html
