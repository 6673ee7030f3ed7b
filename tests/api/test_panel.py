"""Answers to the panel's requests."""

import importlib.util
import os
import shutil
from pathlib import Path

import msgspec
import nbformat
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

import jupyter_ext
from codeintel_nb import Scope, Workspace
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.errors import ScopeError
from codeintel_nb.index.store import Store
from codeintel_nb.operations.command_line import magic_of
from codeintel_nb.operations.options import OUT, options_of, parse_line, positional_of
from codeintel_nb.output.highlight import without_margin
from codeintel_nb.output.panel.answers import PanelAnswers
from codeintel_nb.output.panel.client import place
from codeintel_nb.output.panel.messages import (
    PanelCount,
    PanelFolder,
    PanelPreview,
    PanelSearch,
    PanelState,
    PanelText,
)
from codeintel_nb.search.query import SemanticQuery, SymbolQuery, TextQuery
from tests.conftest import write_tree

pytestmark = pytest.mark.usefixtures("no_project")


@pytest.fixture
def client(shop):
    """Return a client of the shop."""
    return EmbeddedClient(shop)


def write_two(folder):
    for name in ("one", "two"):
        write_tree(folder / name, {"lib/a.py": f"x = '{name}'\n", "b.py": "y = 1\n"})
    return folder


@pytest.fixture(scope="module")
def indexed_two(tmp_path_factory):
    """Index the repositories ``one`` and ``two``, and return their folder."""
    folder = write_two(tmp_path_factory.mktemp("more"))
    with Workspace.open(folder / "home") as workspace:
        for name in ("one", "two"):
            workspace.index(folder / name, name)
    return folder


@pytest.fixture
def three(shop, indexed_two, tmp_path):
    """Return a client of the shop and of the repositories ``more/one`` and ``more/two``."""
    more = write_two(tmp_path / "more")
    for path in more.rglob("*.py"):
        shutil.copystat(indexed_two / path.relative_to(more), path)
    root = Store(shop.settings.home).root
    for stored in Store(indexed_two / "home").repositories():
        copy = shutil.copytree(stored.folder, root / stored.folder.name)
        description = (copy / "repository.json").read_text().replace(str(indexed_two), str(more))
        (copy / "repository.json").write_text(description)
    return EmbeddedClient(shop)


def answer_panel(client, request, root):
    return PanelAnswers().answer(client, request, root)


def scoped(client, root, path, exclude=False):
    return answer_panel(client, PanelFolder(path, exclude), str(root))


def test_a_folder_narrows_the_scope(three, tmp_path):
    three.set_scope(Scope(languages=("python",)))
    assert scoped(three, tmp_path, "more/one/lib") == {
        "repos": ("one",),
        "include_globs": ("lib/**",),
        "languages": ("python",),
    }
    assert scoped(three, tmp_path, "/more/one/") == {"repos": ("one",), "languages": ("python",)}
    assert scoped(three, tmp_path, "more") == {"repos": ("one", "two"), "languages": ("python",)}
    with pytest.raises(ScopeError, match="not indexed"):
        scoped(three, tmp_path, "nowhere")


def test_folder_is_excluded_from_the_scope(three, tmp_path):
    three.set_scope(Scope(repos=("one",), exclude_globs=("docs",)))
    assert scoped(three, tmp_path, "more/one/lib", True) == {
        "repos": ("one",),
        "exclude_globs": ("docs", "lib/**"),
    }
    three.set_scope(Scope(exclude_globs=("docs",)))
    # a glob applies to every repository
    with pytest.raises(ScopeError, match="would also be excluded from two"):
        scoped(three, tmp_path, "more/one/lib", True)
    assert scoped(three, tmp_path, "more", True) == {
        "repos": ("shop",),
        "exclude_globs": ("docs",),
    }
    three.set_scope(Scope(repos=("one", "two")))
    assert scoped(three, tmp_path, "more/one", True) == {"repos": ("two",)}
    with pytest.raises(ScopeError, match="would leave nothing to search"):
        scoped(three, tmp_path, "more", True)


def test_unindexed_project_in_scope_does_not_widen_an_exclusion(three, tmp_path):
    """An exclusion never spreads to another repository, even with an unindexed project in scope."""
    write_tree(tmp_path / "new" / "project", {".git/HEAD": "", "a.py": "z = 1\n"})
    name = three.workspace.project_scope(tmp_path / "new" / "project").repos[0]
    three.set_scope(Scope(repos=(name, "one", "two")))
    with pytest.raises(ScopeError, match="would also be excluded from two"):
        scoped(three, tmp_path, "more/one/lib", True)
    assert scoped(three, tmp_path, "more/one", True) == {"repos": ("two",)}


def test_files_are_excluded_by_repository(three, tmp_path):
    """A path is excluded at once if no other repository in scope has it."""

    def excluded(path, repo="one"):
        return answer_panel(three, PanelFolder(path, True, repo), "").get("exclude_globs")

    write_tree(tmp_path / "more" / "one", {"only[1].py": "x = 1\n", "own/lib/a.py": "x = 1\n"})
    three.workspace.index(tmp_path / "more" / "one", "one")
    assert excluded("only[1].py") == ("/only\\[1\\].py",)
    assert excluded("own/lib/") == ("/own/lib/**",)
    with pytest.raises(ScopeError, match=r"'/b\.py' would also be excluded from two"):
        excluded("b.py")
    three.set_scope(Scope(repos=("one",)))
    assert excluded("b.py") == ("/b.py",)


def test_folders_among_the_facets_keep_to_the_included_globs(three, tmp_path):
    write_tree(tmp_path / "more" / "one", {"lib/a.md": "x\n", "top/b.md": "x\n", "top/c.py": "x\n"})
    three.workspace.index(tmp_path / "more" / "one", "one")
    three.set_scope(Scope(repos=("one",), include_globs=("*.md",)))
    search = PanelSearch("x")
    facets = answer_panel(three, search, "")["facets"]
    folders = {one["label"]: one for one in facets if one["field"] == "include_globs"}
    assert {name: one["count"] for name, one in folders.items()} == {"lib/": 1, "top/": 1}
    for facet in folders.values():
        three.set_scope(Scope(repos=("one",), include_globs=tuple(facet["values"])))
        assert answer_panel(three, search, "")["total"] == facet["count"]


def test_new_folder_replaces_the_previous_narrowing(three, tmp_path):
    three.set_scope(Scope(**scoped(three, tmp_path, "more/one/lib")))
    assert scoped(three, tmp_path, "more") == {"repos": ("one", "two")}


def test_selected_language_is_always_counted(make_workspace, tmp_path):
    write_tree(
        tmp_path / "t",
        {
            f"f.{ending}": "x\n"
            for ending in "py js ts go rs c cpp java rb php sh lua css html sql".split()
        },
    )
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    client = EmbeddedClient(workspace)
    every = [name for name, _ in workspace.facets().languages.items()]
    assert len(every) > 12
    client.set_scope(Scope(languages=(every[-1],)))
    assert [every[-1], 1] in [
        list(entry) for entry in answer_panel(client, PanelState(), "")["languages"]
    ]


def test_search_in_a_narrowed_folder_finds_only_its_files(three, tmp_path):
    three.set_scope(Scope(**scoped(three, tmp_path, "more/two/lib")))
    found = answer_panel(three, PanelSearch("x ="), str(tmp_path))
    assert [(file["repo"], file["path"], file["place"]) for file in found["files"]] == [
        ("two", "lib/a.py", "more/two/lib/a.py")
    ]


def test_state_counts_files_in_scope(three):
    three.set_scope(Scope(repos=("shop",), include_globs=("src/**",)))
    state = answer_panel(three, PanelState(), "")
    assert state["counts"] == (2, 9)
    assert state["repositories"] == (("one", 2), ("shop", 9), ("two", 2))
    assert answer_panel(three, PanelCount(Scope(repos=("one",))), "") == (2, 2)


def test_place_is_relative_to_the_server_root(tmp_path):
    write_tree(tmp_path, {"shown/repo/a b.py": "", "other/c.py": ""})
    assert (
        place(str(tmp_path / "shown"), str(tmp_path / "shown" / "repo"), "a b.py") == "repo/a b.py"
    )
    assert place(str(tmp_path / "shown"), str(tmp_path / "other"), "c.py") is None
    assert place("", str(tmp_path), "c.py") is None
    (tmp_path / "shown" / "link").symlink_to(tmp_path / "other")
    assert place(str(tmp_path / "shown"), str(tmp_path / "shown" / "link"), "c.py") is None


@given(st.lists(st.text(" \tab", max_size=8), min_size=1, max_size=5), st.data())
def test_removing_the_margin_keeps_the_highlights_in_place(lines, data):
    text = "\n".join(lines)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    shown, spans = without_margin(text, [(start, stop)])
    assert [line.strip() for line in shown.split("\n")] == [line.strip() for line in lines]
    assert not shown.strip() or any(line[:1].strip() for line in shown.split("\n"))
    marked = "".join(shown[a:b] for a, b in spans)
    assert "".join(marked.split()) == "".join(text[start:stop].split())


def rows_of(found):
    return [row for file in found["files"] for row in file["rows"]]


def marked(row):
    return [row["text"][start:end] for start, end in row["marks"]]


@pytest.mark.parametrize("query", ["self.lines.append", "        self.lines.append"])
def test_row_is_shown_without_its_margin(client, query):
    (row,) = rows_of(answer_panel(client, PanelSearch(query), ""))
    assert row["text"] == "self.lines.append((product, count))"
    assert marked(row) == ["self.lines.append"]


def test_long_line_is_cut_around_its_match(make_workspace, tmp_path):
    write_tree(tmp_path / "t", {"a.txt": f"{'x' * 100_000}needle{'y' * 100_000}\n"})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    (row,) = rows_of(answer_panel(EmbeddedClient(workspace), PanelSearch("needle"), ""))
    assert marked(row) == ["needle"]
    assert len(row["text"]) <= 300


def test_pages_are_those_of_one_search(make_workspace, tmp_path):
    """Rows of later pages do not change with the files; a new search sees them as they are."""
    lines = "needle\n" * 30
    write_tree(tmp_path / "t", {f"{name}.txt": lines for name in "abc"})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    client, answers = EmbeddedClient(workspace), PanelAnswers()
    search = PanelSearch("needle", rows=40)
    first = answers.answer(client, search, "")
    assert (len(rows_of(first)), first["total"], first["next"]) == (40, 90, 40)
    assert [file["count"] for file in first["files"]] == [30, 30]
    assert first["summary"] == "90 results in 3 files"
    (tmp_path / "t" / "a.txt").write_text("")
    second = answers.answer(client, msgspec.structs.replace(search, offset=40), "")
    assert [(file["path"], len(file["rows"])) for file in second["files"]] == [
        ("b.txt", 20),
        ("c.txt", 20),
    ]
    last = answers.answer(client, msgspec.structs.replace(search, offset=80), "")
    assert (len(rows_of(last)), last["next"]) == (10, None)
    assert answers.answer(client, search, "")["total"] == 60


def test_facets_count_the_hits(client):
    found = answer_panel(client, PanelSearch("cart"), "")
    counts = {}
    for facet in found["facets"]:
        counts.setdefault(facet["field"], {})[facet["name"]] = facet["count"]
    assert sum(counts["languages"].values()) == found["total"]
    assert counts["include_globs"]["/src/**"] == sum(
        file["count"] for file in found["files"] if file["path"].startswith("src/")
    )
    narrowed = answer_panel(client, PanelSearch("cart", include=("/src/**",)), "")
    assert narrowed["total"] == counts["include_globs"]["/src/**"]


def test_own_scope_of_a_search_replaces_the_sessions(three):
    three.set_scope(Scope(repos=("one",)))
    found = answer_panel(three, PanelSearch("x =", scope=Scope(repos=("two",))), "")
    assert [file["repo"] for file in found["files"]] == ["two"]
    assert answer_panel(three, PanelSearch("cart"), "")["summary"] == "no results"


@pytest.mark.parametrize(
    ("mode", "query", "path"),
    [
        ("meaning", "read a cart from a file", "src/shop/cart.py"),
        ("symbols", "charge_card", "src/shop/payment.py"),
        ("files", "pay shop", "src/shop/payment.py"),
    ],
)
def test_each_mode_finds_its_file(client, mode, query, path):
    found = answer_panel(client, PanelSearch(query, mode=mode), "")
    assert found["files"][0]["path"] == path
    assert bool(found["files"][0]["rows"]) == (mode != "files")


def test_rows_of_a_notebook_are_named_as_jupyter_does(make_workspace, tmp_path):
    """Cell and line as shown, the execution count from the file, outputs as outputs."""
    cells = [
        nbformat.v4.new_markdown_cell("# Births\n\nThe births by month."),
        nbformat.v4.new_code_cell(
            "import pandas\nbirths = 1",
            execution_count=29,
            outputs=[nbformat.v4.new_output("stream", text="one\nbirths: 2\n")],
        ),
        nbformat.v4.new_code_cell("x = 1\n\nbirths += 1"),
    ]
    (tmp_path / "t").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "t" / "a.ipynb")
    workspace = make_workspace()
    workspace.index(tmp_path / "t", outputs=True)
    client, answers = EmbeddedClient(workspace), PanelAnswers()
    search = PanelSearch("births")
    found = answers.answer(client, search, "")
    assert [(row["label"], row["where"]) for row in rows_of(found)] == [
        ("¶ 1", "Cell 1 · line 1"),
        ("¶ 1", "Cell 1 · line 3"),
        ("[29] 2", "Cell 2 · In [29] · line 2"),
        ("[29] out", "Cell 2 · In [29] · output · line 2"),
        ("[ ] 3", "Cell 3 · line 3"),
    ]
    assert [row["is_prose"] for row in rows_of(found)] == [True, True, False, False, False]
    assert [row["is_output"] for row in rows_of(found)] == [False] * 3 + [True, False]
    row = rows_of(found)[2]
    preview = answers.answer(
        client, PanelPreview(search, "t", "a.ipynb", row["line"], row["end_line"], row["cell"]), ""
    )
    assert ["".join(part for _, _, part in pieces) for _, pieces in preview["lines"]] == [
        "import pandas",
        "births = 1",
    ], "the cell, and no line of its neighbours"
    assert preview["title"].startswith("Cell 2 · In [29] · line 2")


def test_text_of_a_file_is_that_on_disk(client, tmp_path):
    text = answer_panel(client, PanelText("shop", "src/shop/payment.py"), "")
    assert text["text"].startswith('"""')
    assert os.path.isdir(text["root"])


def test_text_of_an_unindexed_project_has_its_folder(client, tmp_path):
    """The view copies a whole path, indexed or not."""
    root = write_tree(tmp_path / "new" / "project", {".git/HEAD": "", "a.py": "z = 1\n"})
    scope = client.workspace.project_scope(root)
    client.set_scope(scope)
    text = answer_panel(client, PanelText(scope.repos[0], "a.py"), "")
    assert (text["text"], text["root"]) == ("z = 1", str(root))


@given(
    st.one_of(
        st.builds(
            TextQuery,
            st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1),
            regex=st.booleans(),
            word=st.booleans(),
            case=st.sampled_from(["smart", "sensitive", "insensitive"]),
            context=st.integers(0, 3),
            show=st.sampled_from(["lines", "files", "counts"]),
            languages=st.sampled_from([None, ("python",), ("go", "rust")]),
            include_globs=st.sampled_from(
                [None, ("a b/**",), ("x", "{y,z}"), ("it's/**", "'q'", '"'), ("it's\"x",)]
            ),
        ),
        st.builds(SymbolQuery, name=st.sampled_from(["read_*", "A.b", "-x"])),
    )
)
def test_magic_makes_the_same_search(query):
    """The line sent to a notebook, parsed, is the query, unless its text cannot be written."""
    text = query.pattern if isinstance(query, TextQuery) else query.name
    assume(text.strip())
    assume(not ("'" in text and '"' in text and (text != text.strip() or text[0] == text[-1])))
    line = magic_of(query)
    name, _, rest = line.partition(" ")
    assert name in ("%textsearch", "%symbol")
    values, parsed = parse_line(rest, options_of(type(query)), raw=True)
    values[positional_of(type(query))] = parsed
    made = type(query)(**values)
    assert msgspec.structs.replace(made, limit=query.limit) == query


@pytest.mark.parametrize(
    "text", ["x << 2", "cout << ", " x << 2", '"x" << y', "gcc main.c -o app", "a -w", "-C3 x"]
)
def test_text_that_looks_like_more_is_searched_for(text):
    """An assignment and an option are text in the magic of a search for them."""
    _, _, line = magic_of(TextQuery(text)).partition(" ")
    assert not line.partition("<<")[0].strip().isidentifier()
    options = (*options_of(TextQuery), OUT)
    assert parse_line(line, options, raw=True) == ({}, text)


def test_quotes_and_a_blank_in_a_glob():
    """What a line cannot hold is written as a glob for the same path."""
    line = magic_of(TextQuery("x", include_globs=("""it's "my" folder/**""",)))
    assert line == """%textsearch --include "it's ?my? folder/**" x"""


def test_types_of_the_view_are_those_of_the_messages():
    script = Path(jupyter_ext.__file__).parent / "lab" / "messages.py"
    spec = importlib.util.spec_from_file_location("messages", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text(encoding="utf-8") == module.generated()


def test_marks_are_counted_as_pages_count(make_workspace, tmp_path):
    """A page counts UTF-16 units: one character outside of the first plane is two."""
    write_tree(tmp_path / "t", {"a.py": "x = '🎉🎉' + needle\n"})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    (row,) = rows_of(answer_panel(EmbeddedClient(workspace), PanelSearch("needle"), ""))
    ((start, end),) = row["marks"]
    units = row["text"].encode("utf-16-le")
    assert units[2 * start : 2 * end].decode("utf-16-le") == "needle"
    assert row["column"] == start + 1


def test_hidden_files_are_not_opened_by_jupyter(tmp_path):
    write_tree(tmp_path, {"shown/.github/ci.yml": ""})
    assert place(str(tmp_path), str(tmp_path / "shown"), ".github/ci.yml") is None


def test_meaning_ends_at_the_most_that_is_ranked(three):
    """The last page has no next one, and no page asks for more than an engine ranks."""
    found = answer_panel(three, PanelSearch("cart", mode="meaning", offset=9_999), "")
    assert found["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        SemanticQuery(query="how is the dtype decided?"),
        TextQuery("colou?", regex=True),
        TextQuery("""is "it's" here?"""),
    ],
)
def test_question_mark_at_the_end_asks_no_help_of_ipython(query):
    line = magic_of(query)
    assert "pinfo" not in TransformerManager().transform_cell(line)
    assert "run_" in TransformerManager().transform_cell(line)
