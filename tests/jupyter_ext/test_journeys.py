"""Ten journeys of a stranger in a real JupyterLab: what they do, and what must not happen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from urllib.parse import quote

import nbformat
import pytest

from tests.browser import RUN_ALL, write_notebook
from tests.conftest import write_tree
from tests.jupyter_ext.test_jobs import many_files
from tests.jupyter_ext.test_lab import (
    SELECTED,
    SIDE,
    STATUS,
    execute,
    in_scope,
    limit,
    open_path,
    query_of,
    show_panel,
)

SETUP = "%load_ext codeintel_nb\n%scope clear"
KERNELS = "window.jupyterapp.serviceManager.kernels.running"
PATH = "window.jupyterapp.shell.currentWidget?.context?.path"


@pytest.fixture(scope="module")
def births(lab):
    """Index a project of eight notebooks with 13 matches of ``read_csv`` in Python cells."""
    root = lab.root / "births"
    (root / "notebooks").mkdir(parents=True)
    write_tree(root, {".git/HEAD": "", "notes/load.md": "Use read_csv.\n"})
    for number in range(8):
        calls = 2 if number < 5 else 1
        cells = [
            nbformat.v4.new_markdown_cell(f"# Births {number}\n\nLoaded with `read_csv`."),
            *(
                nbformat.v4.new_code_cell(
                    f"import pandas as pd\nframe{call} = pd.read_csv('births{call}.csv')",
                    execution_count=call + 3,
                )
                for call in range(calls)
            ),
            nbformat.v4.new_code_cell(
                "def average_by_month(frame):\n"
                "    '''Group rows by month and average them.'''\n"
                f"    return frame.groupby('month').mean() + {number}"
            ),
        ]
        notebook = nbformat.v4.new_notebook(cells=cells)
        nbformat.write(notebook, root / "notebooks" / f"{number}.ipynb")
    lab.index(root, "births")
    yield root
    assert lab.ask("DELETE", "repositories/births").status == 204
    shutil.rmtree(root)


def kernels_of(page):
    return len(list(page.evaluate(f"Array.from({KERNELS}(), one => one.id)")))


def test_find(births, lab, open_lab):
    """Type, read rows with cell and execution count, open one: the match is selected."""
    page = open_lab("births/find.ipynb", SETUP)
    panel = show_panel(page)
    query_of(panel).fill("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()
    row = panel.locator(".hit").first
    assert row.locator(".label").inner_text() == "[3] 2"
    assert row.get_attribute("title").startswith("Cell 2 · In [3] · line 2")
    row.click()
    page.wait_for_function(f"{PATH} === 'births/notebooks/0.ipynb'")
    page.wait_for_function(f"({SELECTED})() === 'read_csv('")
    panel.locator(".preview", has_text="Cell 2 · In [3] · line 2").wait_for()


@pytest.mark.slow
def test_step_through_hits_under_a_scope(births, lab, open_lab):
    """Thirteen matches in eight notebooks: list, scope and position stay, no kernel starts."""
    page = open_lab("births/step.ipynb", SETUP)
    panel = show_panel(page)
    limit(panel, "python")
    query_of(panel).fill("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()
    before = kernels_of(page)
    opened = []
    query_of(panel).focus()
    for number in range(13):
        page.keyboard.press("F4")
        page.wait_for_function(
            "([path, count]) => window.jupyterapp.shell.currentWidget?.context?.path !== path"
            f" || ({SELECTED})() === 'read_csv('",
            arg=["births/step.ipynb", number],
        )
        page.wait_for_function(f"({SELECTED})() === 'read_csv('")
        opened.append(page.evaluate(PATH))
        assert panel.locator(".summary").inner_text() == "13 results in 8 files"
    assert len(set(opened)) == 8
    assert kernels_of(page) == before
    page.locator(STATUS, has_text="Scope: births python").wait_for()
    assert panel.locator(".chip", has_text="python").count() == 1
    page.keyboard.press("Shift+F4")
    page.wait_for_function(f"{PATH} === {opened[-2]!r}")


@pytest.mark.slow
def test_open_a_hit_in_a_package(lab, open_lab):
    """A file outside of the server's root opens read-only, at its line, with its path to copy."""
    command = [sys.executable, "-m", "codeintel_nb.cli", "index", "--package", "filelock"]
    environment = {**os.environ, "CODEINTEL_HOME": str(lab.home)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    page = open_lab("package.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_role("button", name="+ limit").click()
    panel.locator(".popover").get_by_role("button", name="Everything").click()
    query_of(panel).fill("class BaseFileLock")
    panel.locator(".hit").first.wait_for(timeout=60_000)
    panel.locator(".hit").first.click()
    viewer = page.locator(".codeintel-Viewer")
    viewer.locator(".cm-line", has_text="class BaseFileLock").first.wait_for()
    viewer.locator(".cm-selectionBackground, .cm-activeLine").first.wait_for()
    page.get_by_role("button", name="Copy path").wait_for()
    viewer.locator(".cm-content").press("x")
    assert "xclass" not in viewer.inner_text()
    names = [one["name"] for one in lab.ask("GET", "repositories").json["repositories"]]
    package = next(name for name in names if name.startswith("pkg:filelock"))
    assert lab.ask("DELETE", f"repositories/{quote(package, safe='')}").status == 204


@pytest.mark.slow
def test_find_similar_to_a_cell(births, lab, open_lab):
    """One button at a cell lists cells that do the same."""
    page = open_lab(
        "births/similar.ipynb", SETUP, "monthly = data.groupby('month').mean()  # average rows"
    )
    show_panel(page)
    page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    execute(page, "codeintel:find-similar")
    panel = page.locator(SIDE)
    assert panel.get_by_role("radio", name="Meaning").get_attribute("aria-checked") == "true"
    panel.locator(".hit", has_text="month").first.wait_for()


@pytest.mark.slow
def test_send_to_notebook(births, lab, open_lab):
    """The search becomes a cell, whose DataFrame has the rows of the list."""
    page = open_lab("births/send.ipynb", SETUP)
    panel = show_panel(page)
    query_of(panel).fill("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()
    panel.get_by_role("button", name="Send to notebook").click()
    panel.get_by_role("menuitem", name="As a DataFrame").click()
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
        " === 'hits = %textsearch read_csv(\\nhits.to_df()'"
    )
    execute(page, "notebook:run-cell")
    page.wait_for_function("document.querySelectorAll('.dataframe tbody tr').length === 13")


@pytest.mark.slow
def test_cancel_indexing(lab, open_lab):
    """Cancel stops the run for good, and says how to go on."""
    many_files(lab.root / "large", 3000)
    write_tree(lab.root / "large", {".git/HEAD": ""})
    page = open_lab("large/cancel.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_role("button", name='Index "large"').click()
    panel.locator(".job progress[value]").wait_for()
    panel.get_by_label("Cancel indexing").click()
    panel.get_by_text(re.compile("cancelled|was stopped", re.I)).first.wait_for()
    page.wait_for_timeout(3000)
    job = lab.ask("GET", "repositories/large/job").json
    assert job["state"] == "cancelled", "nothing has begun it again"
    assert panel.locator(".job progress").is_hidden()
    lab.ask("DELETE", "repositories/large")


def test_first_run(lab, open_lab):
    """One button indexes this project; text search works before; examples can be clicked."""
    write_tree(
        lab.root / "new", {".git/HEAD": "", "a.py": "def read_csv(path):\n    return path\n"}
    )
    page = open_lab("new/first.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_text("This project is not indexed yet").wait_for()
    panel.get_by_role("button", name="read_csv", exact=True).click()
    panel.locator(".hit mark", has_text="read_csv").wait_for()
    panel.get_by_role("button", name="Clear", exact=True).click()
    panel.get_by_role("button", name='Index "new"').click()
    in_scope(page, "of 2 files")
    query_of(panel).fill("read_*")
    panel.get_by_role("radio", name="Symbols").click()
    panel.locator(".hit", has_text="def read_csv(path)").wait_for()
    assert panel.get_by_text("not indexed yet").count() == 0
    assert lab.ask("DELETE", "repositories/new").status == 204


@pytest.mark.slow
def test_empty_scope(births, lab, open_lab):
    """A scope without files is amber, says so, and has the way out beside it."""
    page = open_lab("births/empty.ipynb", SETUP, "%scope set --include 'nowhere/**'")
    panel = show_panel(page)
    panel.locator(".chips.amber").wait_for()
    page.locator(f"{STATUS} .codeintel-amber").wait_for()
    panel.get_by_text("No file is in scope").wait_for()
    panel.locator(".offer").get_by_role("button", name="Clear").click()
    panel.locator(".chips:not(.amber)").wait_for()
    query_of(panel).fill("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()


@pytest.mark.slow
def test_two_notebooks(births, lab, open_lab):
    """Results stay when another notebook is active; its scope is an offer."""
    write_notebook(lab.root / "elsewhere.ipynb", SETUP)
    page = open_lab("births/one.ipynb", SETUP)
    panel = show_panel(page)
    limit(panel, "python")
    query_of(panel).fill("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()
    open_path(page, "elsewhere.ipynb")
    panel.get_by_text("elsewhere.ipynb is active now.").wait_for()
    page.wait_for_timeout(1000)
    assert panel.locator(".summary").inner_text() == "13 results in 8 files"
    page.locator(STATUS, has_text="Scope: births python").wait_for()
    panel.get_by_role("button", name="Search in its scope").click()
    panel.locator(".chip", has_text="python").wait_for(state="detached")
    assert panel.get_by_text("is active now").count() == 0


@pytest.mark.slow
def test_keyboard_alone(births, lab, open_lab):
    """Search, read, open, go back and recall a query without the mouse."""
    page = open_lab("births/keys.ipynb", SETUP)
    panel = show_panel(page)
    execute(page, "codeintel:search")
    page.keyboard.type("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function(f"{PATH} === 'births/notebooks/0.ipynb'")
    execute(page, "codeintel:search")
    page.keyboard.type("average_by")
    panel.get_by_text("8 results in 8 files").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    panel.locator(".row[aria-selected=true].hit").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function(f"{PATH} === 'births/notebooks/1.ipynb'")
    execute(page, "codeintel:search")
    page.keyboard.press("Escape")
    assert query_of(panel).input_value() == ""
    page.keyboard.press("ArrowUp")
    assert query_of(panel).input_value() == "average_by"
    page.keyboard.press("ArrowUp")
    assert query_of(panel).input_value() == "read_csv("
    panel.get_by_text("13 results in 8 files").wait_for()
    page.keyboard.press("Tab")
    for _ in range(12):
        if page.evaluate("document.activeElement.classList.contains('list')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    panel.locator(".row.file[aria-expanded=false]").first.wait_for()
    page.keyboard.press("End")
    page.keyboard.press("Delete")
    page.keyboard.press("Control+b")  # JupyterLab's own: hides the side bar
    page.locator(SIDE).wait_for(state="hidden")
    page.keyboard.press("Control+b")


ROWS_IN_VIEW = """side => {
  const seen = document.querySelector(`${side} .list`).getBoundingClientRect();
  return [...document.querySelectorAll(`${side} .row`)].filter(row => {
    const box = row.getBoundingClientRect();
    return box.top >= seen.top - 1 && box.bottom <= seen.bottom + 1;
  }).length;
}"""
SCROLL = """async side => {
  const list = document.querySelector(`${side} .list`);
  const times = [];
  for (let step = 0; step < 40; step++) {
    const began = performance.now();
    list.scrollTop += 400;
    list.dispatchEvent(new Event('scroll'));
    times.push(performance.now() - began);
    await new Promise(requestAnimationFrame);
  }
  return times.sort((a, b) => a - b)[20];
}"""


@pytest.mark.slow
def test_thirty_rows_in_a_narrow_panel(births, lab, open_lab):
    """At 250 by 1,000 pixels at least 30 rows are in view, and the box stays while they scroll."""
    write_tree(lab.root / "births", {"many.txt": "several read_csv here\n" * 60})
    page = open_lab("births/narrow.ipynb", SETUP)
    page.set_viewport_size({"width": 1300, "height": 1000})
    panel = show_panel(page)
    query_of(panel).fill("read_csv")
    panel.get_by_text(re.compile(r"\d+ results in")).wait_for()
    assert panel.bounding_box()["width"] <= 260
    assert page.evaluate(ROWS_IN_VIEW, SIDE) >= 30
    before = query_of(panel).bounding_box()
    page.evaluate("side => (document.querySelector(`${side} .list`).scrollTop = 500)", SIDE)
    panel.locator(".sticky").wait_for()
    assert query_of(panel).bounding_box() == before
    (lab.root / "births" / "many.txt").unlink()


@pytest.mark.slow
def test_ten_thousand_hits_scroll(lab, open_lab):
    """All of them can be reached; few rows are in the page, and a step costs little scripting."""
    lines = "needle in the hay\n" * 500
    write_tree(
        lab.root / "hay", {".git/HEAD": "", **{f"d{i % 5}/f{i}.txt": lines for i in range(20)}}
    )
    page = open_lab("hay/scroll.ipynb", SETUP)
    panel = show_panel(page)
    query_of(panel).fill("needle in")
    panel.get_by_text("10,000 results in 20 files").wait_for()
    assert page.evaluate(SCROLL, SIDE) <= 8  # ms
    (drawn,) = page.evaluate(
        "performance.getEntriesByName('codeintel:rows').map(one => one.duration).slice(-1)"
    )
    assert drawn <= 30  # ms, from the answer to the rows
    assert panel.locator(".row").count() <= 150
    for _ in range(60):
        height = page.evaluate(
            "side => { const list = document.querySelector(`${side} .list`);"
            " list.scrollTop = list.scrollHeight; return list.scrollHeight; }",
            SIDE,
        )
        if height == 21 * (10_000 + 20):
            break
        page.wait_for_timeout(100)
    assert height == 21 * (10_000 + 20)
    page.wait_for_timeout(200)
    assert panel.locator(".row.hit").last.get_attribute("title") == "line 500"
    assert panel.locator(".row").count() <= 150


def test_menu_of_a_hit(births, lab, open_lab):
    """Copy, exclude and search by folder from a hit; dismissed rows leave the list."""
    page = open_lab("births/menu.ipynb", SETUP)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = show_panel(page)
    query_of(panel).fill("read_csv(")
    panel.get_by_text("13 results in 8 files").wait_for()
    panel.locator(".hit").first.click(button="right")
    panel.get_by_role("menuitem", name="Copy path").click()
    panel.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "notebooks/0.ipynb"
    panel.locator(".hit").first.hover()
    panel.locator(".hit").first.get_by_label("Dismiss").click()
    assert panel.locator(".hit").first.locator(".label").inner_text() == "[4] 2"
    panel.locator(".row.file").first.click(button="right")
    panel.get_by_role("menuitem", name="Exclude this file").click()
    panel.get_by_text("11 results in 7 files").wait_for()
    panel.locator(".chip", has_text="/notebooks/0.ipynb").wait_for()


@pytest.mark.slow
def test_recent_searches_keep_their_mode_and_switches(births, lab, open_lab):
    """The box's history and the list of recent searches bring back the whole search."""
    page = open_lab("births/recent.ipynb", SETUP)
    panel = show_panel(page)
    panel.get_by_role("button", name="Use a regular expression").click()
    query_of(panel).fill(r"read_\w+\(")
    panel.get_by_text("13 results in 8 files").wait_for()
    query_of(panel).press("Enter")  # remembered once a result is opened
    panel.get_by_role("radio", name="Symbols").click()
    query_of(panel).fill("average_*")
    panel.get_by_text("8 definitions in 8 files").wait_for()
    query_of(panel).press("ArrowUp")
    panel.get_by_role("radio", name="Text", checked=True).wait_for()
    panel.get_by_text("13 results in 8 files").wait_for()
    query_of(panel).press("ArrowDown")
    panel.get_by_role("radio", name="Symbols", checked=True).wait_for()
    query_of(panel).fill("")
    entry = panel.locator(".entry", has_text=r"read_\w+\(")
    assert entry.locator("small").inner_text() == ".*"
    entry.click()
    panel.get_by_text("13 results in 8 files").wait_for()


@pytest.mark.slow
def test_folder_of_results_narrows_what_the_scope_includes(births, lab, open_lab):
    """A folder among the facets leaves as many results as it counts."""
    page = open_lab("births/facets.ipynb", SETUP, "%scope set --repo births --include '*.md'")
    write_tree(births, {"notebooks/more.md": "read_csv\n"})
    lab.index(births, "births")
    panel = show_panel(page)
    query_of(panel).fill("read_csv")
    panel.get_by_text("2 results in 2 files").wait_for()
    panel.get_by_role("button", name="+ limit").click()
    panel.locator(".choices button", has_text="notebooks/ 1").click()
    panel.get_by_text("1 result in 1 file").wait_for()
    chip = panel.locator(".chip", has_text="/notebooks/**/*.md")
    chip.get_by_role("button").click()
    panel.get_by_title("Files to include, in place of the scope's, and to exclude").click()
    include = panel.get_by_role("textbox", name="files to include")
    include.fill("*.md")
    panel.get_by_text("2 results in 2 files").wait_for()
    panel.locator(".choices button", has_text="notebooks/ 1").click()
    panel.get_by_text("1 result in 1 file").wait_for()
    assert include.input_value() == "/notebooks/**/*.md"
    panel.locator(".row.file").click(button="right")
    panel.get_by_role("menuitem", name="Search in this folder").click()
    panel.locator(".chip", has_text="/notebooks/**").wait_for()
    assert include.input_value() == ""
    (births / "notebooks" / "more.md").unlink()
    lab.index(births, "births")


@pytest.mark.slow
def test_widgets_of_a_notebook_opened_by_a_hit(births, lab, open_lab):
    """Opened without a kernel, a notebook draws its widgets once it has one."""
    name = "births/slider.ipynb"
    write_notebook(lab.root / name, "import ipywidgets\nipywidgets.IntSlider(description='births')")
    lab.index(births, "births")
    page = open_lab("births/widgets.ipynb", SETUP)
    panel = show_panel(page)
    query_of(panel).fill("IntSlider(")
    panel.locator(".hit").first.click()
    page.wait_for_function(f"{PATH} === {name!r}")
    page.wait_for_function(f"({SELECTED})() === 'IntSlider('")
    page.wait_for_timeout(500)  # for an error on the console
    page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.changeKernel({name: 'python3'})"
    )
    page.evaluate(RUN_ALL)
    page.locator(".jp-OutputArea .widget-slider", has_text="births").wait_for()


@pytest.mark.slow
def test_scope_words_become_chips(births, lab, open_lab):
    page = open_lab("births/words.ipynb", SETUP)
    panel = show_panel(page)
    query_of(panel).press_sequentially("read_csv -path:notebooks lang:markdown ")
    panel.locator(".chip", has_text="markdown").wait_for()
    panel.locator(".chip", has_text="**/notebooks/**").wait_for()
    assert query_of(panel).input_value().strip() == "read_csv"
    panel.get_by_text("1 result in 1 file").wait_for()
    query_of(panel).press("Control+Shift+C")  # JupyterLab's own: the command palette
    page.locator(".lm-CommandPalette input").wait_for()


@pytest.mark.slow
def test_selection_of_several_lines_is_searched_by_meaning(births, lab, open_lab):
    page = open_lab("births/select.ipynb", SETUP, "x = 1\ny = x.groupby('month').mean()\nz = y")
    show_panel(page)
    page.evaluate(
        """() => {
          const {content} = window.jupyterapp.shell.currentWidget;
          content.activeCellIndex = 1;
          content.activeCell.editor.setSelection(
            {start: {line: 0, column: 0}, end: {line: 2, column: 5}});
        }"""
    )
    execute(page, "codeintel:search-selection")
    panel = page.locator(SIDE)
    panel.get_by_role("radio", name="Meaning", checked=True).wait_for()
    panel.locator(".hit", has_text="average_by_month").first.wait_for()


@pytest.mark.slow
def test_links_of_a_cell_open_at_the_match(births, lab, open_lab):
    """A link in results opens the notebook's cell, as a click in the panel does."""
    page = open_lab("births/links.ipynb", SETUP, "%textsearch read_csv(")
    page.locator(".jp-OutputArea a", has_text="Cell 2 · In [3] · line 2").first.click()
    page.wait_for_function(f"{PATH} === 'births/notebooks/0.ipynb'")
    page.wait_for_function(f"({SELECTED})() === 'read_csv('")


@pytest.mark.slow
def test_toolbar_of_results(births, lab, open_lab):
    """Results in a cell become a DataFrame in the next one, and go to the panel."""
    page = open_lab("births/toolbar.ipynb", SETUP, "%textsearch read_csv(")
    page.locator(".jp-OutputArea a", has_text="DataFrame").first.click()
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
        ".startsWith('hits = %textsearch')"
    )
    page.locator(".jp-OutputArea a", has_text="panel").first.click()
    page.locator(SIDE).get_by_text(re.compile(r"\d+ results in \d+ files")).wait_for()
    assert query_of(page.locator(SIDE)).input_value() == "read_csv("
