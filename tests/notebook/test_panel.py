"""Requests and display of the notebook panel, in this process and in a real JupyterLab."""

import re
import threading
import time
from pathlib import Path

import filelock
import pytest
from IPython.core.interactiveshell import InteractiveShell

from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.notebook.panel import Panel, SetScope
from codeintel_nb.scopes.scope import Scope
from tests.browser import OPENED
from tests.conftest import write_tree
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.usefixtures("no_project")

CELL = ".jp-OutputArea .codeintel"  # not the panel in the side bar
HOSTILE = {
    "evil/<img src=x onerror=window.ran=1>.py": "needle = '<script>window.ran = 1</script>'\n",
    "evil/rtl\u202egnp.py": "needle = '\u202e\u0000</pre><svg onload=window.ran=1>'\n".replace(
        "\u0000", "\x07"
    ),
    "evil/long.py": "needle = '" + "x" * 100_000 + "'\n",
}


@pytest.fixture
def panel(shop):
    made = Panel(EmbeddedClient(shop))
    made.said = []
    made.send = lambda message, buffers=None: made.said.append(message)
    yield made
    made.close()


def ask(panel, **content):
    panel._on_message(panel, {"number": 7, **content}, [])
    said = panel.said[-1]
    assert said["number"] == 7
    return said


def test_state_lists_the_available_choices(panel):
    state = panel.state
    assert state["scope"] == {}
    assert state["counts"][0] == state["counts"][1] == 9
    assert [*map(list, state["repositories"])] == [["shop", 9]]
    assert ["python", 4] in [list(row) for row in state["languages"]]
    assert {row[0] for row in state["kinds"]} >= {"function", "class", "markdown"}


def test_click_adds_imported_packages_to_the_scope(shop):
    shell = InteractiveShell()
    shell.user_ns["filelock"] = filelock
    client = EmbeddedClient(shop)
    panel = Panel(client, shell)
    panel.said = []
    panel.send = lambda message, buffers=None: panel.said.append(message)
    ask(panel, what="scope", scope={"repos": ["shop"], "languages": ["python"]})
    assert "imported but not indexed" in ask(panel, what="imports")["error"]
    assert client.get_scope().scope == Scope(repos=("shop",), languages=("python",))
    package = shop.index_package("filelock").repository
    answer = ask(panel, what="imports")["answer"]
    assert list(answer["scope"]["repos"]) == [package, "shop"]
    assert client.get_scope().scope == Scope(repos=(package, "shop"), languages=("python",))
    assert answer["counts"][0] > 9
    panel.close()


def test_scope_can_be_set_counted_saved_and_used(panel):
    answer = ask(panel, what="scope", scope={"languages": ["py"]})["answer"]
    assert list(answer["scope"]["languages"]) == ["python"]
    assert answer["counts"] == (4, 9)
    assert len(answer["languages"]) > 1, "languages that a click would add"
    assert ask(panel, what="count", scope={"languages": ["python"], "exclude_globs": ["tests"]})[
        "answer"
    ] == (3, 9)
    assert panel._client.get_scope().scope == Scope(languages=("python",)), (
        "counting does not set the scope"
    )
    assert ask(panel, what="save", name="mine")["answer"]["saved"] == ("mine",)
    ask(panel, what="scope", scope={})
    assert ask(panel, what="use", name="mine")["answer"]["counts"] == (4, 9)


def test_hits_are_grouped_by_file_and_marked(panel):
    answer = ask(panel, what="search", query="charge_card")["answer"]
    assert [file["path"] for file in answer["files"]] == ["README.md", "src/shop/payment.py"]
    row = answer["files"][1]["rows"][0]
    assert (row["line"], row["symbol"]) == (8, "charge_card")
    assert row["text"] == "def charge_card(card, cents):"
    assert [row["text"][start:end] for start, end in row["marks"]] == ["charge_card"]
    meant = ask(panel, what="search", query="read a cart from a file", mode="meaning")
    assert meant["answer"]["files"][0]["path"] == "src/shop/cart.py"


def test_folder_is_indexed_in_the_background(panel, tmp_path):
    write_tree(tmp_path / "more", {"a.py": "x = 1\n"})
    told = []
    panel.observe(lambda change: told.append(change["new"]["state"]), "job")
    assert ask(panel, what="index", path=str(tmp_path / "more"))["answer"] is None
    until(lambda: panel.job["state"] == "done")
    assert "indexed 1 file " in panel.job["line"]
    until(lambda: ["more", 1] in [*map(list, panel.state["repositories"])])
    assert told[0] == "waiting"
    assert told[-1] == "done"
    ask(panel, what="index", path=str(tmp_path / "nowhere"))
    until(lambda: panel.job["state"] == "failed")
    assert "nowhere" in panel.job["line"]


def test_next_run_may_begin_once_the_outcome_is_shown(panel, tmp_path, monkeypatch):
    write_tree(tmp_path / "more", {"a.py": "x = 1\n"})
    shown, show = threading.Event(), panel._show_state

    def show_late():
        shown.wait(HANG_S)
        show()

    monkeypatch.setattr(panel, "_show_state", show_late)
    try:
        ask(panel, what="index", path=str(tmp_path / "more"))
        until(lambda: panel.job["state"] == "done")
        assert "error" not in ask(panel, what="index", path=str(tmp_path / "nowhere"))
        until(lambda: panel.job["state"] == "failed")
    finally:
        shown.set()


def test_indexing_can_be_cancelled(panel, tmp_path):
    write_tree(
        tmp_path / "many", {f"f{i}.py": f"def f{i}():\n    return {i}\n" * 20 for i in range(3000)}
    )
    ask(panel, what="index", path=str(tmp_path / "many"))
    assert "already" in ask(panel, what="index", path=str(tmp_path / "many"))["error"]
    ask(panel, what="cancel")
    until(lambda: panel.job["state"] not in ("waiting", "running"))
    assert panel.job["state"] == "cancelled"
    assert ask(panel, what="search", query="charge_card")["answer"]["files"], (
        "the previous index still answers"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"what": "search", "query": "(", "regex": True}, "The regular expression '(' is invalid"),
        ({"what": "scope", "scope": {"languages": ["pyton"]}}, "Did you mean"),
        ({"what": "use", "name": "nothing"}, "nothing"),
        ({"what": "steal"}, "Invalid value"),
        ({}, "what"),
        ({"what": "search"}, "query"),
        ({"what": "scope", "scope": 3}, "object"),
    ],
)
def test_invalid_message_gets_an_error_answer(panel, content, said):
    assert said in ask(panel, **content)["error"]


def test_panel_created_directly_shares_the_magics_scope(shop, monkeypatch):
    """Share the magics' client: without a server, each client has its own scope."""
    from IPython.core.interactiveshell import InteractiveShell

    from codeintel_nb.notebook.magics import CodeintelMagics

    shell = InteractiveShell()
    shell.register_magics(CodeintelMagics(shell, EmbeddedClient(shop)))
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    made = Panel()
    shell.run_line_magic("scope", "set --lang javascript")
    shell.events.trigger("post_run_cell", None)
    assert list(made.state["scope"]["languages"]) == ["javascript"]
    made._answer(SetScope(Scope(languages=("css",))))
    assert "css" in repr(shell.run_line_magic("scope", ""))
    made.close()
    shell.events.trigger("post_run_cell", None)


def test_scope_panel_is_reused_until_closed(shop):
    from IPython.core.interactiveshell import InteractiveShell

    from codeintel_nb.notebook.magics import CodeintelMagics

    shell = InteractiveShell()
    shell.kernel = object()  # marks the shell of a kernel
    shell.register_magics(CodeintelMagics(shell, EmbeddedClient(shop)))
    first = shell.run_line_magic("scope", "panel")
    assert shell.run_line_magic("scope", "panel") is first
    first.close()
    second = shell.run_line_magic("scope", "panel")
    assert second is not first
    second.close()


def test_panel_assets_are_small():
    import gzip

    here = Path(__file__).parents[2] / "codeintel_nb" / "notebook"
    assert (
        sum(len(gzip.compress((here / name).read_bytes())) for name in ("panel.js", "panel.css"))
        < 30_000
    )
    assert "innerHTML" not in (here / "panel.js").read_text(), "the kernel's data is shown as text"


def test_saved_notebook_contains_a_summary(panel):
    bundle = panel._repr_mimebundle_()
    held = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "in scope" in held["text/html"]
    assert "9 of 9 files" in held["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in held


SETUP = "%load_ext codeintel_nb\n%scope clear"


@pytest.mark.slow
def test_scope_and_search_in_lab(lab, open_lab, tmp_path):
    """Set the scope shown by %scope, follow %scope, and search while typing."""
    page = open_lab("panel.ipynb", SETUP, "%scope panel", "%scope", "%scope set --lang javascript")
    panel = page.locator(CELL)
    # the last cell's scope: the panel followed the magic
    panel.locator(".chip", has_text="javascript").wait_for()
    panel.get_by_label("Remove javascript").click()
    panel.get_by_role("button", name="+ limit").click()
    # before the first is answered
    panel.locator(".popover button", has_text=re.compile("^python")).click()
    panel.locator(".chip", has_text="python").wait_for()
    exclude = panel.get_by_label("Exclude: type a glob, press Enter to add it")
    exclude.fill("tests")
    exclude.press("Enter")
    panel.locator(".chip", has_text="tests").wait_for()
    panel.get_by_role("button", name="+ limit").click()
    page.wait_for_timeout(500)
    run_cell(page, 2)
    page.locator(".jp-OutputArea-output", has_text="3 of 9 files").first.wait_for()
    assert "tests" in page.locator(".jp-Cell").nth(2).inner_text()

    query = panel.get_by_label("Search in scope", exact=True)
    query.press_sequentially("total_price")
    panel.locator(".hit mark", has_text="total_price").first.wait_for()
    assert panel.locator(".row.file .name").all_inner_texts() == ["cart.py"]
    query.press("ArrowDown")
    query.press("ArrowDown")
    assert panel.locator(".hit[aria-selected=true]").count() == 1
    query.press("Enter")
    page.wait_for_function(OPENED, arg=["shop/src/shop/cart.py", 16])
    page.evaluate("window.jupyterapp.commands.execute('docmanager:open', {path: 'panel.ipynb'})")
    panel.get_by_title("Use a regular expression").click()
    query.fill("def (add|total)_")
    panel.locator(".hit").nth(1).wait_for()
    query.fill("(")
    panel.locator(".query .error", has_text="invalid").wait_for()
    page.locator(CELL).screenshot(path=str(tmp_path / "panel.png"))


def run_cell(page, index):
    page.evaluate(
        """async (index) => {
          const app = window.jupyterapp, content = app.shell.currentWidget.content;
          content.activeCellIndex = index; await app.commands.execute('notebook:run-cell');
        }""",
        index,
    )


@pytest.mark.slow
def test_typing_is_debounced_and_the_last_query_wins(lab, open_lab):
    page = open_lab("keys.ipynb", SETUP, "%scope panel")
    page.evaluate(
        """() => {
          window.searches = 0;
          const send = WebSocket.prototype.send;
          WebSocket.prototype.send = function (data) {
            const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
            if (text.includes('"what":"search"')) window.searches += 1;
            return send.call(this, data);
          };
        }"""
    )
    query = page.locator(CELL).get_by_label("Search in scope", exact=True)
    query.press_sequentially("charge_card(", delay=60)
    page.wait_for_function(
        "document.querySelectorAll('.jp-OutputArea .codeintel .hit').length === 1"
    )
    assert page.locator(f"{CELL} .row.file .name").all_inner_texts() == ["payment.py"]
    assert page.evaluate("window.searches") <= 4


@pytest.mark.slow
def test_hostile_names_and_code_are_shown_as_text(lab, open_lab, tmp_path):
    write_tree(lab.root / "hostile", HOSTILE)
    lab.index(lab.root / "hostile", "hostile")
    page = open_lab("hostile.ipynb", SETUP, "%scope panel")
    query = page.locator(CELL).get_by_label("Search in scope", exact=True)
    query.fill("needle")
    page.wait_for_function(
        "document.querySelectorAll('.jp-OutputArea .codeintel .hit').length === 3"
    )
    time.sleep(0.5)
    assert page.evaluate("window.ran") is None, "no script ran"
    assert page.locator(f"{CELL} .list :is(script, img)").count() == 0
    shown = page.locator(f"{CELL} .list").inner_text()
    assert "<img src=x onerror=window.ran=1>.py" in shown
    assert "\u202e" not in shown
    assert max(map(len, shown.split("\n"))) < 1000
    assert lab.ask("DELETE", "repositories/hostile").status == 204
