"""What a panel is told, by whoever serves it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb import Scope
from codeintel_nb.api.embedded import EmbeddedClient
from codeintel_nb.api.marked import without_margin
from codeintel_nb.api.panel import PanelFolder, PanelSearch, PanelState, look, place
from codeintel_nb.errors import ScopeError
from tests.conftest import write_tree

pytestmark = pytest.mark.usefixtures("no_project")


@pytest.fixture
def client(shop, tmp_path):
    """The shop, and beside it ``more/one`` and ``more/two`` each a repository."""
    for name in ("one", "two"):
        write_tree(tmp_path / "more" / name, {"lib/a.py": f"x = '{name}'\n", "b.py": "y = 1\n"})
        shop.index(tmp_path / "more" / name, name)
    return EmbeddedClient(shop)


def scoped(client, root, path, exclude=False):
    return look(client, PanelFolder(path, exclude), str(root))


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


def test_a_folder_is_left_out(client, tmp_path):
    client.set_scope(Scope(repos=("one",), exclude_globs=("docs",)))
    assert scoped(client, tmp_path, "more/one/lib", True) == {
        "repos": ("one",),
        "exclude_globs": ("docs", "lib/**"),
    }
    client.set_scope(Scope(exclude_globs=("docs",)))
    with pytest.raises(
        ScopeError, match="left out of shop, two too"
    ):  # a glob holds for every repository
        scoped(client, tmp_path, "more/one/lib", True)
    assert scoped(client, tmp_path, "more", True) == {
        "repos": ("shop",),
        "exclude_globs": ("docs",),
    }
    client.set_scope(Scope(repos=("one", "two")))
    assert scoped(client, tmp_path, "more/one", True) == {"repos": ("two",)}
    with pytest.raises(ScopeError, match="nothing that is indexed"):
        scoped(client, tmp_path, "more", True)


def test_an_unindexed_project_in_scope_does_not_widen_it(client, tmp_path):
    """What is left out of one repository is left out of no other, though the scope names a project without an index."""
    write_tree(tmp_path / "new" / "project", {".git/HEAD": "", "a.py": "z = 1\n"})
    name = client.workspace.project_scope(tmp_path / "new" / "project").repos[0]
    client.set_scope(Scope(repos=(name, "one", "two")))
    with pytest.raises(ScopeError, match="left out of two too"):
        scoped(client, tmp_path, "more/one/lib", True)
    assert scoped(client, tmp_path, "more/one", True) == {"repos": ("two",)}


def test_what_a_folder_was_narrowed_by_before_goes(client, tmp_path):
    client.set_scope(Scope(**scoped(client, tmp_path, "more/one/lib")))
    assert scoped(client, tmp_path, "more") == {"repos": ("one", "two")}


def test_a_chosen_language_is_always_counted(make_workspace, tmp_path):
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
    assert [every[-1], 1] in [list(entry) for entry in look(client, PanelState(), "")["languages"]]


def test_a_folder_that_is_narrowed_to_is_searched_alone(client, tmp_path):
    client.set_scope(Scope(**scoped(client, tmp_path, "more/two/lib")))
    found = look(client, PanelSearch("x ="), str(tmp_path))
    assert [(file["repo"], file["path"], file["hits"][0]["place"]) for file in found["files"]] == [
        ("two", "lib/a.py", "more/two/lib/a.py")
    ]


def test_the_state_counts_what_is_in_scope(client):
    client.set_scope(Scope(repos=("shop",), include_globs=("src/**",)))
    state = look(client, PanelState(), "")
    assert state["base"] == "src/shop"
    assert state["counts"][0] == sum(folder["files"] for folder in state["folders"])
    assert state["repositories"] == [["one", 2], ["shop", 9], ["two", 2]]


def test_a_place_is_below_what_the_server_shows(tmp_path):
    write_tree(tmp_path, {"shown/repo/a b.py": "", "other/c.py": ""})
    assert (
        place(str(tmp_path / "shown"), str(tmp_path / "shown" / "repo"), "a b.py") == "repo/a b.py"
    )
    assert place(str(tmp_path / "shown"), str(tmp_path / "other"), "c.py") is None
    assert place("", str(tmp_path), "c.py") is None
    (tmp_path / "shown" / "link").symlink_to(tmp_path / "other")
    assert place(str(tmp_path / "shown"), str(tmp_path / "shown" / "link"), "c.py") is None


@given(st.lists(st.text(" \tab", max_size=8), min_size=1, max_size=5), st.data())
def test_a_margin_goes_and_the_marks_stay_where_they_were(lines, data):
    text = "\n".join(lines)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    shown, spans = without_margin(text, [(start, stop)])
    assert [line.strip() for line in shown.split("\n")] == [line.strip() for line in lines]
    assert not shown.strip() or any(line[:1].strip() for line in shown.split("\n"))
    marked = "".join(shown[a:b] for a, b in spans)
    assert "".join(marked.split()) == "".join(text[start:stop].split())


def test_a_mark_that_begins_in_the_margin_is_kept(client):
    (hit,) = [
        hit
        for file in look(client, PanelSearch("        self.lines.append"), "")["files"]
        for hit in file["hits"]
    ]
    assert "".join(text for _, marked, text in hit["segments"] if marked) == "self.lines.append"


def test_a_hit_of_many_lines_keeps_its_shape_without_the_margin(client):
    (hit,) = [
        hit
        for file in look(client, PanelSearch("self.lines.append"), "")["files"]
        for hit in file["hits"]
    ]
    assert "".join(text for _, _, text in hit["segments"]) == "self.lines.append((product, count))"
    assert "".join(text for _, marked, text in hit["segments"] if marked) == "self.lines.append"
