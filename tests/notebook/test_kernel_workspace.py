"""Workspace.current(): the Python API of a kernel obeys its scope."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from codeintel_nb import Scope, Workspace
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.notebook.magics import CodeintelMagics
from tests.conftest import write_tree


@pytest.fixture
def shell(shop, tree):
    shell = InteractiveShell.instance()
    shell.register_magics(CodeintelMagics(shell, EmbeddedClient(shop, folder=tree)))
    yield shell
    InteractiveShell.clear_instance()


def test_current_searches_under_the_scope_of_the_magics(shell):
    shell.run_line_magic("scope", "set --lang python")
    with Workspace.current() as ws:
        assert ws.scope == Scope(lang="python", repo="shop")
        assert {hit.language for hit in ws.search_text("cart")} == {"python"}
        assert {path.rpartition(".")[2] for path in ws.list_paths()["path"]} == {"py"}
        assert {hit.language for hit in ws.semantic_search("a cart")} == {"python"}
        assert ws.sql("select distinct language from files").rows() == [("python",)]
        assert [*ws.facets().kinds]
        assert ws.search_symbols("Cart", kind="class")["kind"] == ["class"]
        assert repr(ws) == "KernelWorkspace(scope: --repo shop --lang python)"
    assert ws.list_paths(Scope(lang="markdown"))["path"] == ["README.md"], "for this call only"
    shell.run_line_magic("scope", "set --lang javascript --repo shop")
    assert ws.list_paths()["path"] == ["web/app.js"], "a later scope applies too"
    ws.scope = Scope(repo="shop")
    assert shell.run_line_magic("scope", "").scope == Scope(repo="shop")
    assert ws.open_file("shop", "README.md", end_line=1).text == "# Shop"
    assert [one.name for one in ws.status()] == ["shop"]


def test_current_indexes_for_the_session(shell, tmp_path):
    write_tree(tmp_path / "other", {"a.py": "def other(): ...\n"})
    shell.run_line_magic("scope", "set --repo shop")
    ws = Workspace.current()
    assert ws.index(str(tmp_path / "other")).repository == "other"
    assert "other" in ws.scope.repos, "what is added joins the scope"
    assert ws.refresh("other").files == 1
