"""Side bar, status bar and commands of real JupyterLab and Notebook 7 in headless Chromium."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

import codeintel_nb
import jupyter_ext
from tests.browser import OPENED, watched, write_notebook
from tests.conftest import FILES, write_tree
from tests.jupyter_ext.test_jobs import many_files
from tests.live import TOKEN, running
from tests.notebook.test_panel import HOSTILE, run_cell

HERE = Path(jupyter_ext.__file__).parent
SIDE = ".codeintel-SidePanel"
STATUS = ".codeintel-Status"
SETUP = "%load_ext codeintel_nb\n%scope clear"
# folder to keep screenshots in, the README's picture among them
SCREENSHOTS = os.environ.get("CODEINTEL_SCREENSHOTS")

# session of a page without a notebook
SESSION = """() => {
  return performance.getEntriesByType('resource')
    .map((one) => one.name.match(/sessions\\/(page-[^/]+)\\/panel/)?.[1])
    .filter(Boolean).pop();
}"""


def show_panel(page):
    page.evaluate(
        "window.jupyterapp.restored"
        ".then(() => window.jupyterapp.commands.execute('codeintel:search'))"
    )
    panel = page.locator(SIDE)
    panel.get_by_label("Search in scope", exact=True).wait_for()
    return panel


def query_of(place):
    return place.get_by_label("Search in scope", exact=True)


def in_scope(page, counts):
    """Wait until so many files are in scope, by the status bar: ``4 of 9 files``."""
    page.wait_for_function(
        "([status, counts]) => document.querySelector(`${status} button`)?.title.includes(counts)",
        arg=[STATUS, counts],
    )


def limit(place, *names):
    """Switch limits in the popover."""
    place.get_by_role("button", name="+ limit").click()
    for name in names:
        place.locator(
            ".popover button", has_text=re.compile(rf"^{re.escape(name)}( [\d,]+)?$")
        ).click()
    place.get_by_role("button", name="+ limit").click()


def execute(page, command, **given):
    return page.evaluate(
        "([command, given]) => window.jupyterapp.commands.execute(command, given)", [command, given]
    )


def open_path(page, path):
    execute(page, "docmanager:open", path=path)
    page.wait_for_function(
        "path => window.jupyterapp.shell.currentWidget?.context?.path === path"
        " && window.jupyterapp.shell.currentWidget.context.isReady",
        arg=path,
    )


def keep(page, name, tmp_path, **given):
    """Save a screenshot for inspection, and in the folder CODEINTEL_SCREENSHOTS."""
    for folder in (tmp_path, *([Path(SCREENSHOTS)] if SCREENSHOTS else [])):
        page.screenshot(path=str(folder / f"{name}.png"), **given)


def test_python_package_and_lab_extension_share_one_version():
    package = json.loads((HERE / "lab" / "package.json").read_text())
    built = json.loads((HERE / "labextension" / "package.json").read_text())
    said = re.search(r"VERSION = '([^']+)'", (HERE / "lab" / "src" / "version.ts").read_text())[1]
    assert package["version"] == built["version"] == said == codeintel_nb.__version__


def test_extension_bundle_is_small_and_self_contained():
    """Limit the compressed size of the scripts; they load nothing from elsewhere."""
    built = [path for path in (HERE / "labextension" / "static").iterdir() if path.suffix == ".js"]
    assert len(built) >= 3
    assert sum(len(gzip.compress(path.read_bytes())) for path in built) < 100_000
    assert not any(re.search(rb"https?://(?!www\.w3\.org/)", path.read_bytes()) for path in built)


@pytest.mark.slow
def test_scope_syncs_both_ways_and_panel_follows_the_notebook(lab, open_lab):
    write_notebook(lab.root / "other.ipynb", SETUP, "%scope set --lang javascript")
    page = open_lab("first.ipynb", SETUP, "%scope")
    panel = show_panel(page)
    in_scope(page, "9 of 9 files")
    limit(panel, "python")
    in_scope(page, "4 of 9 files")
    page.locator(STATUS, has_text="Scope: shop python").wait_for()
    run_cell(page, 1)
    page.locator(".jp-OutputArea-output", has_text="4 of 9 files").wait_for()

    open_path(page, "other.ipynb")
    in_scope(page, "9 of 9 files")
    page.locator(STATUS, has_text="Scope: shop").wait_for()
    run_cell(page, 0)
    page.locator(".jp-OutputArea-output:visible", has_text="no scope was set").wait_for()
    run_cell(page, 1)
    page.locator(".jp-OutputArea-output:visible", has_text="1 of 9 files").wait_for()
    # set by the magic; the page is notified
    page.locator(STATUS, has_text="Scope: shop javascript").wait_for(timeout=10_000)
    panel.locator(".chip", has_text="javascript").wait_for(timeout=10_000)

    open_path(page, "first.ipynb")
    page.locator(STATUS, has_text="Scope: shop python").wait_for()
    in_scope(page, "4 of 9 files")

    page.evaluate(
        "window.jupyterapp.commands.execute('console:create',"
        " {kernelPreference: {name: 'python3'}, activate: true}).then(() => true)"
    )
    # a console has its own kernel and scope
    in_scope(page, "9 of 9 files")


@pytest.mark.slow
def test_panel_updates_keep_typed_text_and_focus(lab, open_lab):
    page = open_lab("typing.ipynb", SETUP)
    panel = show_panel(page)
    in_scope(page, "9 of 9 files")
    panel.get_by_role("button", name="+ limit").click()
    glob = panel.get_by_label("Include: type a glob, press Enter to add it")
    glob.press_sequentially("src/**/ca")
    kernel = page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
    lab.ask("PUT", f"sessions/{kernel}/scope", {"languages": ["python"]})
    lab.index(lab.root / "shop", "shop")  # a run's events
    in_scope(page, "4 of 9 files")
    assert glob.input_value() == "src/**/ca"
    assert page.evaluate("document.activeElement.placeholder") == "src/**"
    page.expected.append("400 (Bad Request)")
    glob.fill("!no")
    glob.press("Enter")
    panel.locator(".chips .error", has_text="!no").wait_for()
    glob.fill("src/**")
    glob.press("Enter")
    in_scope(page, "2 of 9 files")
    panel.get_by_label("Remove src/**").click()
    in_scope(page, "4 of 9 files")
    panel.get_by_role("button", name="This project").click()
    in_scope(page, "9 of 9 files")


@pytest.mark.slow
def test_the_last_click_wins(lab, open_lab):
    """Delay a reset to the project until earlier scope changes are sent."""
    page = open_lab("clicks.ipynb", SETUP)
    panel = show_panel(page)
    in_scope(page, "9 of 9 files")
    held = []
    to_scope = re.compile(r"/scope(\?|$)")
    page.route(
        to_scope,
        lambda route: (
            held.append(route) if not held and route.request.method == "PUT" else route.continue_()
        ),
    )
    limit(panel, "python", "javascript", "This project")
    page.wait_for_timeout(1000)  # a reset that does not wait would have arrived by now
    held[0].continue_()
    in_scope(page, "9 of 9 files")
    page.wait_for_timeout(1000)
    kernel = page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
    assert lab.ask("GET", f"sessions/{kernel}/scope").json.get("is_default")


@pytest.mark.slow
def test_scope_of_one_kernel_is_never_written_to_another(lab, open_lab):
    """Offer nothing to click until the second notebook's scope arrives."""
    write_notebook(lab.root / "second.ipynb", SETUP)
    page = open_lab("one.ipynb", SETUP, "%scope set --repo shop --include 'src/**'")
    panel = show_panel(page)
    in_scope(page, "2 of 9 files")
    held = []
    page.route("**/panel*", lambda route: held.append(route))
    open_path(page, "second.ipynb")
    panel.get_by_text("Connecting to the Jupyter server").wait_for()
    assert panel.locator(".chip button").count() == 0
    waiting, held[:] = held[:], []
    for route in waiting:
        route.continue_()
    page.unroute("**/panel*")
    in_scope(page, "9 of 9 files")
    open_path(page, "one.ipynb")
    in_scope(page, "2 of 9 files")


@pytest.mark.slow
def test_cleared_query_shows_no_late_results(lab, open_lab):
    page = open_lab("gone.ipynb", SETUP)
    panel = show_panel(page)
    in_scope(page, "9 of 9 files")
    page.route(
        "**/panel*",
        lambda route: (
            time.sleep(0.6) if '"search"' in (route.request.post_data or "") else None,
            route.continue_(),
        ),
    )
    query = panel.get_by_label("Search in scope", exact=True)
    query.fill("cart")
    time.sleep(0.3)
    query.press("Escape")
    time.sleep(1)
    assert query.input_value() == ""
    assert panel.locator(".hit").count() == 0
    query.fill("cart")
    panel.locator(".hit").first.wait_for()
    query.press("ArrowDown")
    chosen = query.get_attribute("aria-activedescendant")
    assert panel.locator(f"#{chosen}").get_attribute("aria-selected") == "true"
    query.fill("price")
    page.wait_for_function(
        f"document.querySelector('{SIDE} input[type=search]')"
        ".getAttribute('aria-activedescendant') === null"
    )


def test_restart_keeps_the_scope_and_kernel_change_offers_it(lab, open_lab):
    page = open_lab("kernels.ipynb", SETUP, "%scope set --lang css", "%scope")
    panel = show_panel(page)
    page.locator(STATUS, has_text="Scope: shop css").wait_for()
    page.expected.append("Canceled future for")  # a request that JupyterLab had sent before
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info")
    time.sleep(1)
    assert page.locator(STATUS).inner_text() == "Scope: shop css"
    page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext"
        ".changeKernel({name: 'python3'}).then(() => true)"
    )
    page.locator(STATUS, has_text="Scope: shop").wait_for()
    panel.get_by_text("Your previous kernel searched --repo shop --lang css").wait_for()
    panel.get_by_role("button", name="Restore", exact=True).click()
    page.locator(STATUS, has_text="Scope: shop css").wait_for()
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info")
    run_cell(page, 0)  # clears it
    page.locator(STATUS, has_text="Scope: shop").wait_for()


@pytest.mark.slow
def test_panel_recovers_after_a_server_restart(tmp_path, chromium):
    """Restart the server: the panel reports the outage and recovers without a reload."""
    with running(
        tmp_path / "lab",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        program="jupyterlab",
    ) as server:
        write_tree(server.root / "shop", dict(FILES))
        server.index(server.root / "shop", "shop")
        page = chromium.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"http://127.0.0.1:{server.port}{server.base_url}lab?reset&token={TOKEN}")
        page.wait_for_function("window.jupyterapp?.commands.hasCommand('codeintel:search')")
        panel = show_panel(page)
        limit(panel, "python")
        in_scope(page, "4 of 9 files")
        server.stop()
        panel.get_by_label("Search in scope", exact=True).fill("cart")
        page.wait_for_function(
            "status => document.querySelector(`${status} button`).title.includes('Retrying')",
            arg=STATUS,
        )
        server.start()
        # in-memory scopes are lost with the server
        in_scope(page, "9 of 9 files")
        panel.get_by_label("Search in scope", exact=True).fill("charge_card")
        panel.locator(".hit mark", has_text="charge_card").first.wait_for()
        server.ask("PUT", f"sessions/{page.evaluate(SESSION)}/scope", {"languages": ["css"]})
        # notifications arrive again
        page.locator(STATUS, has_text="Scope: css").wait_for(timeout=10_000)
        page.close()


@pytest.mark.slow
def test_typing_is_debounced_and_the_last_query_wins(lab, open_lab):
    page = open_lab("sidekeys.ipynb", SETUP)
    panel = show_panel(page)
    sent = []
    page.on(
        "request",
        lambda request: (
            sent.append(request)
            if "/panel" in request.url and '"search"' in (request.post_data or "")
            else None
        ),
    )
    panel.get_by_label("Search in scope", exact=True).press_sequentially("charge_card(", delay=60)
    page.wait_for_function(f"document.querySelectorAll('{SIDE} .hit').length === 1")
    assert panel.locator(".row.file .name").all_inner_texts() == ["payment.py"]
    assert 1 <= len(sent) <= 4


# the text selected in the active editor
SELECTED = """() => {
  const content = window.jupyterapp?.shell.currentWidget?.content;
  const editor = content?.editor ?? content?.activeCell?.editor;
  if (!editor) return '';
  const {start, end} = editor.getSelection();
  return editor.model.sharedModel.getSource()
    .slice(editor.getOffsetAt(start), editor.getOffsetAt(end));
}"""
# the notebook's cell is active and in view
AT_CELL = """([path, cell]) => {
  const widget = window.jupyterapp.shell.currentWidget;
  const node = widget?.context?.path === path
    && widget.content?.activeCellIndex === cell && widget.content.activeCell?.node;
  const box = node && node.getBoundingClientRect(),
    seen = node && widget.content.node.getBoundingClientRect();
  return node && box.top >= seen.top - 5 && box.bottom <= seen.bottom + 5;
}"""


@pytest.mark.slow
def test_result_opens_at_its_line_or_notebook_cell(lab, open_lab):
    (lab.root / "work").mkdir()
    write_notebook(
        lab.root / "work" / "notes.ipynb",
        *(f"x{i} = {i}\n" * 30 for i in range(12)),
        "marmalade = 1",
    )
    lab.index(lab.root / "work", "work")
    page = open_lab("results.ipynb", SETUP)
    panel = show_panel(page)
    query = panel.get_by_label("Search in scope", exact=True)
    query.fill("total_price")
    panel.locator(".hit").first.click()
    page.wait_for_function(OPENED, arg=["shop/src/shop/cart.py", 16])
    assert page.evaluate(SELECTED) == "total_price"
    query.fill("marmalade")
    panel.locator(".hit", has_text="[ ] 1").click()
    page.wait_for_function(AT_CELL, arg=["work/notes.ipynb", 12])
    assert page.evaluate(SELECTED) == "marmalade"
    for wrong in (
        {"path": "/etc/passwd", "line": 1},
        {"path": "../secret", "line": 1},
        {"path": "https://x/y", "line": 1},
        {"path": 3},
        {},
    ):
        page.evaluate(
            "args => void window.jupyterapp.commands.execute('codeintel:open', args)", wrong
        )
    time.sleep(0.3)
    assert (
        page.evaluate("window.jupyterapp.shell.currentWidget.context.path") == "work/notes.ipynb"
    ), "an invalid location opens nothing"
    assert lab.ask("DELETE", "repositories/work").status == 204


@pytest.mark.slow
def test_folder_context_menu_narrows_the_scope(lab, open_lab):
    page = open_lab("folders.ipynb", SETUP)
    execute(page, "filebrowser:open-path", path="shop")
    page.locator(".jp-DirListing-item", has_text="src").click(button="right")
    page.locator(".lm-Menu-item", has_text="Search in This Folder").click()
    page.locator(STATUS, has_text="Scope: shop src/**").wait_for()
    in_scope(page, "2 of 9 files")
    execute(page, "filebrowser:activate")
    page.locator(".jp-DirListing-item", has_text="tests").click(button="right")
    page.locator(".lm-Menu-item", has_text="Exclude from Code Search").click()
    page.locator(STATUS, has_text="!tests/**").wait_for()
    execute(page, "codeintel:clear-scope")
    page.locator(STATUS, has_text="Scope: shop").wait_for()
    execute(page, "filebrowser:open-path", path="shop/tests")
    execute(page, "docmanager:open", path="shop/tests/test_cart.py", factory="Editor")
    page.wait_for_function(OPENED, arg=["shop/tests/test_cart.py", 1])
    execute(page, "codeintel:scope-from-folder")
    page.locator(STATUS, has_text="Scope: shop tests/**").wait_for()
    execute(page, "codeintel:clear-scope")
    page.locator(STATUS, has_text="Scope: shop").wait_for()
    page.evaluate(
        "window.jupyterapp.shell.currentWidget.content.editor"
        ".setSelection({start: {line: 0, column: 22}, end: {line: 0, column: 26}})"
    )
    execute(page, "codeintel:search-selection")
    assert page.locator(SIDE).get_by_label("Search in scope", exact=True).input_value() == "Cart"
    page.locator(SIDE).locator(".hit mark", has_text="Cart").first.wait_for()
    page.locator(STATUS).get_by_role("button").click()  # shows the panel
    assert page.locator(SIDE).is_visible()


@pytest.mark.slow
def test_hostile_names_and_code_are_shown_as_text(lab, open_lab):
    write_tree(lab.root / "hostile", HOSTILE)
    lab.index(lab.root / "hostile", "hostile<img src=x onerror=window.ran=1>")
    page = open_lab("sidehostile.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_label("Search in scope", exact=True).fill("needle")
    page.wait_for_function(f"document.querySelectorAll('{SIDE} .hit').length === 3")
    time.sleep(0.5)
    assert page.evaluate("window.ran") is None, "no script ran"
    assert panel.locator("script, img").count() == 0
    shown = panel.inner_text()
    assert "<img src=x onerror=window.ran=1>.py" in shown
    assert "\u202e" not in shown
    assert max(map(len, shown.split("\n"))) < 1000
    assert (
        lab.ask(
            "DELETE", "repositories/hostile%3Cimg%20src%3Dx%20onerror%3Dwindow.ran%3D1%3E"
        ).status
        == 204
    )


@pytest.mark.slow
def test_indexing_shows_progress_and_can_be_cancelled(lab, open_lab):
    """Index a project from the panel: cancel, index again, and read the numbers."""
    many_files(lab.root / "many", 2000)
    (lab.root / "many" / ".git").mkdir()
    (lab.root / "many" / ".git" / "HEAD").write_text("")
    page = open_lab("many/indexing.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_text("This project is not indexed yet").wait_for()
    panel.get_by_role("button", name='Index "many"').click()
    panel.get_by_label("Cancel indexing").click()
    panel.get_by_text(re.compile("cancelled|was stopped", re.I)).first.wait_for()
    assert not re.search(r"(?<!%)\bcodeintel (refresh|index)\b", panel.inner_text()), (
        "the panel mentions no terminal command"
    )
    execute(page, "codeintel:index-project")
    panel.locator(".job progress[value]").wait_for(timeout=60_000)
    page.locator(STATUS, has_text=re.compile(r"indexing \d+ %")).wait_for(timeout=60_000)
    panel.get_by_text(re.compile(r"many: .*2,00\d files")).wait_for(timeout=120_000)
    page.locator(STATUS, has_text=re.compile("^Scope: many$")).wait_for()
    page.expected.append("400 (Bad Request)")
    panel.get_by_role("button", name="+ limit").click()
    panel.get_by_label("Save this scope as: type a name, press Enter to save").fill("a/b")
    panel.get_by_label("Save this scope as: type a name, press Enter to save").press("Enter")
    wrong = panel.get_by_role("group", name="Saved").locator(".error")
    wrong.get_by_text("The scope name 'a/b' is invalid").wait_for()
    assert panel.locator(".query .error").inner_text() == "", "that is for errors of searches"
    panel.get_by_label("Save this scope as: type a name, press Enter to save").press("x")
    assert wrong.inner_text() == ""
    assert lab.ask("DELETE", "repositories/many").status == 204


@pytest.mark.slow
def test_readme_pictures(lab, open_lab, tmp_path):
    """Take the README's pictures; CODEINTEL_SCREENSHOTS=notebooks updates them.

    Real code, a scope, a semantic search in a cell, a text search in the side bar; and a moving
    one of a search: typing, a preview, another mode, an opened result.
    """
    import IPython
    from PIL import Image

    shutil.copytree(
        Path(IPython.__file__).parent,
        lab.root / "IPython",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    lab.index(lab.root / "IPython", "IPython")
    setup = (
        "%load_ext codeintel_nb\n%scope set --repo IPython --lang python --exclude '**/tests/**'"
    )
    page = open_lab(
        "find.ipynb", setup, "%semsearch --limit 3 complete a name while the user types"
    )
    panel = show_panel(page)
    frames = []

    def frame(ms):
        path = tmp_path / f"frame{len(frames)}.png"
        page.screenshot(path=str(path), clip={"x": 0, "y": 0, "width": 1300, "height": 800})
        frames.append((path, ms))

    frame(800)
    for text in ("def ", "comp", "lete"):
        query_of(panel).press_sequentially(text)
        panel.locator(".hit").first.wait_for()
        page.wait_for_timeout(400)
        frame(500)
    panel.locator(".hit").nth(3).wait_for()
    page.locator(".jp-OutputArea mark").first.wait_for()
    page.mouse.move(640, 990)
    keep(page, "panel", tmp_path)
    for _ in range(3):
        query_of(panel).press("ArrowDown")
        page.wait_for_timeout(300)
        frame(700)
    query_of(panel).press("Enter")
    page.wait_for_function(f"({SELECTED})() === 'def complete'")
    page.wait_for_timeout(500)
    frame(1800)
    query_of(panel).fill("where is a traceback printed")
    panel.get_by_role("radio", name="Meaning").click()
    panel.get_by_text("chunks").first.wait_for()
    page.wait_for_timeout(600)
    frame(2200)
    pictures = [Image.open(path).convert("RGB").resize((975, 600)) for path, _ in frames]
    palette = [one.quantize(64, dither=Image.Dither.NONE) for one in pictures]
    for folder in (tmp_path, *([Path(SCREENSHOTS)] if SCREENSHOTS else [])):
        palette[0].save(
            folder / "search.gif",
            save_all=True,
            append_images=palette[1:],
            duration=[ms for _, ms in frames],
            loop=0,
            optimize=True,
        )
    assert (tmp_path / "search.gif").stat().st_size < 1_500_000
    readme = (HERE.parent / "README.md").read_text(encoding="utf-8")
    assert "notebooks/panel.png" in readme
    assert "notebooks/search.gif" in readme
    assert lab.ask("DELETE", "repositories/IPython").status == 204


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_and_map_are_accessible(lab, open_lab, tmp_path, theme):
    """Find no serious violation with axe-core in the side bar, a cell or a map."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-core is not installed: pip install 'codeintel-nb[test]'",
    )
    searches = "%textsearch cart", "%semsearch read a cart", "%symbol cart"
    page = open_lab(f"look-{theme}.ipynb", SETUP, "%scope panel", "%codemap", *searches)
    execute(page, "apputils:change-theme", theme=f"JupyterLab {theme.title()}")
    page.wait_for_function(
        "light => document.body.dataset.jpThemeLight === String(light)", arg=theme == "light"
    )
    panel = show_panel(page)
    for place in (panel, page.locator(".jp-OutputArea .codeintel:not(.map)")):
        place.get_by_label("Search in scope", exact=True).fill("cart")
        place.locator(".hit").first.wait_for()
    limit(panel, "python")
    for place in (panel, page.locator(".jp-OutputArea .codeintel:not(.map)")):
        # each panel follows the other
        place.locator(".chip", has_text="python").wait_for(timeout=10_000)
        place.locator(".hit").first.wait_for()
        query_of(place).press("ArrowDown")
        query_of(place).press("ArrowDown")
        place.locator(".preview").wait_for()
    panel.get_by_role("button", name="+ limit").click()
    page.locator(".map canvas").wait_for()
    page.locator(".jp-OutputArea details").first.wait_for()
    keep(page, f"lab-{theme}", tmp_path)
    ours = f"{SIDE}, {STATUS}, .jp-OutputArea .codeintel, .jp-OutputArea details"
    found = axe.Axe().run(page, context=ours).response
    assert found["passes"], "axe-core checked something"
    bad = [
        (one["id"], one["help"], [node["html"][:200] for node in one["nodes"]])
        for one in found["violations"]
    ]
    assert not bad
    execute(page, "apputils:change-theme", theme="JupyterLab Light")


@pytest.mark.slow
def test_version_mismatch_is_reported_on_the_page(lab, page):
    def other(route):
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "x-codeintel-version": "9.9.0"})

    page.route("**/codeintel/v1/**", other)
    page.goto(f"http://127.0.0.1:{lab.port}{lab.base_url}lab?reset&token={TOKEN}")
    page.get_by_text(
        f"this page has version {codeintel_nb.__version__} and the Jupyter server 9.9.0"
    ).wait_for()


@pytest.mark.slow
def test_missing_server_extension_shows_how_to_enable_it(lab, chromium):
    page = chromium.new_page()
    page.route("**/codeintel/v1/**", lambda route: route.fulfill(status=404, body="nothing here"))
    page.goto(f"http://127.0.0.1:{lab.port}{lab.base_url}lab?reset&token={TOKEN}")
    page.wait_for_function("window.jupyterapp?.commands.hasCommand('codeintel:search')")
    show_panel(page).get_by_text("jupyter server extension enable jupyter_ext").wait_for()
    page.close()


@pytest.mark.slow
def test_notebook_7_shows_the_panel(tmp_path, chromium):
    pytest.importorskip(
        "notebook", reason="Notebook 7 is not installed: pip install 'codeintel-nb[test]'"
    )
    with running(
        tmp_path / "notebook", "--JupyterNotebookApp.expose_app_in_browser=True", program="notebook"
    ) as server:
        write_tree(server.root / "shop", dict(FILES))
        server.index(server.root / "shop", "shop")
        write_notebook(
            server.root / "work.ipynb", SETUP, "%scope set --lang python", "%scope panel"
        )
        cells = (f"x{i} = {i}\n" * 30 for i in range(3))
        write_notebook(server.root / "shop" / "notes.ipynb", *cells, "jam = 1\nmarmalade = 2")
        with watched(chromium, server, tmp_path) as page:
            # logged by Notebook 7.6 itself, without any extension
            page.expected.append("reading 'schema'")
            page.goto(
                f"http://127.0.0.1:{server.port}{server.base_url}notebooks/work.ipynb?token={TOKEN}"
            )
            page.wait_for_function(
                "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
            )
            page.evaluate(
                "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info"
            )
            panel = show_panel(page)
            panel.locator(".chip", has_text="shop").wait_for()
            page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
            panel.locator(".chip", has_text="python").wait_for()
            cell = page.locator(".jp-OutputArea .codeintel")
            cell.get_by_label("Search in scope", exact=True).fill("charge_card")
            cell.locator(".hit").first.wait_for()
            panel.get_by_label("Search in scope", exact=True).fill("total_price")
            panel.locator(".hit").first.wait_for()
            keep(page, "notebook7", tmp_path)
            with page.context.expect_page() as opened:
                panel.locator(".hit").first.click()
            tab = opened.value
            tab.wait_for_url("**/edit/shop/src/shop/cart.py**")
            tab.wait_for_function(f"({SELECTED})() === 'total_price'")
            tab.close()
            query_of(panel).fill("marmalade")
            with page.context.expect_page() as opened:
                panel.locator(".hit", has_text="marmalade").click()
            tab = opened.value
            tab.wait_for_url("**/notebooks/shop/notes.ipynb**")
            tab.wait_for_function(f"({SELECTED})() === 'marmalade'")
            assert (
                tab.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex") == 3
            )
            tab.close()


@pytest.mark.slow
def test_map_point_shows_its_code_and_opens_its_file(lab, open_lab, tmp_path):
    page = open_lab(
        "map.ipynb",
        "%load_ext codeintel_nb\n%scope set --repo shop",
        "drawn = %codemap charge a credit card\ndrawn",
        "print(len(drawn.chosen))",
    )
    canvas, title = page.locator(".jp-OutputArea .map canvas"), page.locator(".map .title")
    canvas.wait_for()
    canvas.press("n")
    title.wait_for()
    page.locator(".map .tooltip").wait_for()
    assert page.locator(".map pre.highlight").inner_text().strip()
    keep(page, "map", tmp_path)
    box = canvas.bounding_box()
    corners = [
        (2, 2),
        (box["width"] - 2, 2),
        (box["width"] - 2, box["height"] - 2),
        (2, box["height"] - 2),
    ]
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    page.keyboard.up("Shift")
    chosen = page.locator(".map .picked", has_text="selected").inner_text()
    run_cell(page, 2)
    page.locator(".jp-Cell").nth(2).locator(
        ".jp-OutputArea-output", has_text=chosen.split()[0]
    ).wait_for()
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    canvas.press("n")
    canvas.press("Enter")
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget?.context?.path?.startsWith('shop/')"
    )
    assert (
        page.evaluate("window.jupyterapp.shell.currentWidget.context.path").removeprefix("shop/")
        in FILES
    )


@pytest.mark.slow
def test_notebook_point_opens_its_cell_by_keyboard(lab, open_lab):
    (lab.root / "cells").mkdir()
    write_notebook(
        lab.root / "cells" / "many.ipynb",
        *(f"x{i} = {i}\n" * 30 for i in range(9)),
        "def preserve(marmalade):\n    return marmalade * 2\n",
    )
    lab.index(lab.root / "cells", "cells")
    page = open_lab(
        "keyed.ipynb",
        "%load_ext codeintel_nb\n%scope set --repo cells",
        "hits = %textsearch marmalade\nhits.map()",
    )
    canvas = page.locator(".jp-OutputArea .map canvas")
    canvas.wait_for()
    legend = page.get_by_role("group", name="Groups").get_by_role("button").first
    legend.press("Enter")
    assert legend.get_attribute("aria-pressed") == "false"
    legend.press("Enter")
    canvas.press("n")
    page.locator(".map .title", has_text="many.ipynb · Cell 10").wait_for()
    for key in ("+", "ArrowLeft", "0"):
        canvas.press(key)
    canvas.press("Enter")
    page.wait_for_function(AT_CELL, arg=["cells/many.ipynb", 9])
    assert lab.ask("DELETE", "repositories/cells").status == 204


@pytest.mark.slow
def test_settings_take_effect(lab, open_lab):
    page = open_lab("settings.ipynb", SETUP)
    page.locator(STATUS).wait_for()
    change = (
        "([name, value]) => window.jupyterapp.serviceManager.settings"
        ".save('codeintel-jupyter:plugin', JSON.stringify({[name]: value}))"
    )
    page.evaluate(change, ["showScope", False])
    page.reload()
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext")
    page.locator(STATUS).wait_for(state="hidden")
    page.evaluate(
        "window.jupyterapp.serviceManager.settings.save('codeintel-jupyter:plugin', '{}')"
    )


@pytest.mark.slow
def test_a_project_without_an_index_has_no_count(lab, open_lab):
    write_tree(lab.root / "fresh", {".git/HEAD": "", "a.py": "needle = 1\n"})
    page = open_lab("fresh/begin.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_text("This project is not indexed yet").wait_for()
    panel.get_by_role("button", name='Index "fresh"').wait_for()
    panel.locator(".chip", has_text="fresh").wait_for()
    query_of(panel).fill("needle")
    panel.locator(".hit mark", has_text="needle").wait_for()
