"""Answers to the panel's requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb import Scope
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.errors import ScopeError
from codeintel_nb.output.highlight import without_margin
from codeintel_nb.output.panel_state import (
    PanelFolder,
    PanelSearch,
    PanelState,
    answer_panel,
    place,
)
from tests.conftest import write_tree

pytestmark = pytest.mark.usefixtures("no_project")


@pytest.fixture
def client(shop, tmp_path):
    """Return a client of the shop and of the repositories ``more/one`` and ``more/two``."""
    for name in ("one", "two"):
        write_tree(tmp_path / "more" / name, {"lib/a.py": f"x = '{name}'\n", "b.py": "y = 1\n"})
        shop.index(tmp_path / "more" / name, name)
    return EmbeddedClient(shop)


def scoped(client, root, path, exclude=False):
    return answer_panel(client, PanelFolder(path, exclude), str(root))


def test_a_folder_narrows_the_scope(client, tmp_path):
    client.set_scope(Scope(languages=("python",)))
    assert scoped(client, tmp_path, "more/one/lib") == {
        "repos": ("one",),
        "include_globs": ("lib/**",),
        "languages": ("python",),
    }
    assert scoped(client, tmp_path, "/more/one/") == {"repos": ("one",), "languages": ("python",)}
    assert scoped(client, tmp_path, "more") == {"repos": ("one", "two"), "languages": ("python",)}
    with pytest.raises(ScopeError, match="not indexed"):
        scoped(client, tmp_path, "nowhere")


def test_folder_is_excluded_from_the_scope(client, tmp_path):
    client.set_scope(Scope(repos=("one",), exclude_globs=("docs",)))
    assert scoped(client, tmp_path, "more/one/lib", True) == {
        "repos": ("one",),
        "exclude_globs": ("docs", "lib/**"),
    }
    client.set_scope(Scope(exclude_globs=("docs",)))
    # a glob applies to every repository
    with pytest.raises(ScopeError, match="would also be excluded from shop, two"):
        scoped(client, tmp_path, "more/one/lib", True)
    assert scoped(client, tmp_path, "more", True) == {
        "repos": ("shop",),
        "exclude_globs": ("docs",),
    }
    client.set_scope(Scope(repos=("one", "two")))
    assert scoped(client, tmp_path, "more/one", True) == {"repos": ("two",)}
    with pytest.raises(ScopeError, match="would leave nothing to search"):
        scoped(client, tmp_path, "more", True)


def test_unindexed_project_in_scope_does_not_widen_an_exclusion(client, tmp_path):
    """An exclusion never spreads to another repository, even with an unindexed project in scope."""
    write_tree(tmp_path / "new" / "project", {".git/HEAD": "", "a.py": "z = 1\n"})
    name = client.workspace.project_scope(tmp_path / "new" / "project").repos[0]
    client.set_scope(Scope(repos=(name, "one", "two")))
    with pytest.raises(ScopeError, match="would also be excluded from two"):
        scoped(client, tmp_path, "more/one/lib", True)
    assert scoped(client, tmp_path, "more/one", True) == {"repos": ("two",)}


def test_new_folder_replaces_the_previous_narrowing(client, tmp_path):
    client.set_scope(Scope(**scoped(client, tmp_path, "more/one/lib")))
    assert scoped(client, tmp_path, "more") == {"repos": ("one", "two")}


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


def test_search_in_a_narrowed_folder_finds_only_its_files(client, tmp_path):
    client.set_scope(Scope(**scoped(client, tmp_path, "more/two/lib")))
    found = answer_panel(client, PanelSearch("x ="), str(tmp_path))
    assert [(file["repo"], file["path"], file["hits"][0]["place"]) for file in found["files"]] == [
        ("two", "lib/a.py", "more/two/lib/a.py")
    ]


def test_state_counts_files_in_scope(client):
    client.set_scope(Scope(repos=("shop",), include_globs=("src/**",)))
    state = answer_panel(client, PanelState(), "")
    assert state["base"] == "src/shop"
    assert state["counts"][0] == sum(folder["files"] for folder in state["folders"])
    assert state["repositories"] == [["one", 2], ["shop", 9], ["two", 2]]


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


def test_highlight_starting_in_the_margin_is_kept(client):
    (hit,) = [
        hit
        for file in answer_panel(client, PanelSearch("        self.lines.append"), "")["files"]
        for hit in file["hits"]
    ]
    assert "".join(text for _, marked, text in hit["segments"] if marked) == "self.lines.append"


def test_hit_is_shown_without_its_margin(client):
    (hit,) = [
        hit
        for file in answer_panel(client, PanelSearch("self.lines.append"), "")["files"]
        for hit in file["hits"]
    ]
    assert "".join(text for _, _, text in hit["segments"]) == "self.lines.append((product, count))"
    assert "".join(text for _, marked, text in hit["segments"] if marked) == "self.lines.append"
