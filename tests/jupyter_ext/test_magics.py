"""Magics in kernels of a live server."""

import json
import re
import sys
import threading
import time

import pytest

from tests.conftest import write_tree
from tests.jupyter_ext.test_handlers import SLOW
from tests.live import sql_children_at_work
from tests.waiting import until

ENGINE = [
    "duckdb",
    "faiss",
    "numpy",
    "re2",
    "pathspec",
    "tokenizers",
    "tree_sitter",
    "semble_grammars",
    "filelock",
    "jupyter_server",
    "pandas",
    "pyarrow",
]
LIGHT = f"""
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ENGINE!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, NotInstalled())
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


@pytest.fixture
def light(server, open_notebook):
    """Return a notebook whose kernel lacks every dependency of the engine."""
    spec = {
        "argv": [sys.executable, "-c", LIGHT, "-f", "{connection_file}"],
        "display_name": "Light",
        "language": "python",
    }
    write_tree(server.folder / "data" / "kernels" / "light", {"kernel.json": json.dumps(spec)})
    return open_notebook("light.ipynb", kernel_name="light")


def test_kernel_without_the_engine_works_through_the_server(light):
    assert "ModuleNotFoundError" in light.run("import duckdb")
    assert light.run("%load_ext codeintel_nb").strip() == ""
    assert "4 of 9 files" in light.run("%scope set --lang python --repo shop")
    assert "src/shop/cart.py:6" in light.run("%textsearch class Cart")
    assert "<mark>Cart</mark>" in light.run(
        "hits = %textsearch Cart\nprint(hits._repr_mimebundle_()['text/html'])"
    )
    assert "src/shop/payment.py" in light.run("%semsearch charge a card")
    assert "empty.py" in light.run("%paths")
    assert "python" in light.run("%codesql select language, modified from files")
    assert "shop" in light.run("%codeindex")
    assert "up to date" in light.run("%codeindex refresh shop")
    assert re.search(
        r"^light +--repo shop --lang python$", light.run("%scope save light\n%scope list"), re.M
    )


def test_kernel_without_engine_and_server_says_what_to_install(light):
    said = light.run(
        "import os; del os.environ['CODEINTEL_SERVER_URL']\n%load_ext codeintel_nb\n%textsearch x"
    )
    assert "UsageError: The engine is not installed in this environment" in said
    assert "%pip install codeintel-nb" in said
    assert "Traceback" not in said


def test_version_mismatch_falls_back_to_local_search_with_a_hint(open_notebook):
    notebook = open_notebook()
    said = notebook.run(
        "import codeintel_nb.version as version; version.__version__ = '0.9.0'\n"
        "%load_ext codeintel_nb\n%scope"
    )
    assert "the Jupyter server runs codeintel-nb" in said
    assert "%pip install codeintel-nb==" in said
    assert "searches run in this process" in said
    assert "codeintel:" not in notebook.run("%scope"), "reported once"


def test_missing_server_url_is_reported_once(open_notebook):
    notebook = open_notebook()
    said = notebook.run(
        "import os; del os.environ['CODEINTEL_SERVER_URL']\n%load_ext codeintel_nb\n%scope"
    )
    assert said.count("this process was not started by a Jupyter server with codeintel-nb") == 1
    assert "codeintel:" not in notebook.run("%scope")


@pytest.mark.parametrize("magic", ["textsearch", pytest.param("codesql", marks=pytest.mark.slow)])
def test_interrupt_cancels_a_search_on_the_server(server, large, open_notebook, magic, tmp_path):
    query = {
        "textsearch": f"--regex --repo large {SLOW}",
        "codesql": "select count(*) from range(100000) a, range(100000) b"
        " where a.range * b.range = 7",
    }[magic]
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb")
    begun = tmp_path / "begun"

    def interrupt():
        until(begun.exists)
        if magic == "codesql":
            until(lambda: sql_children_at_work(server.process.pid))
        else:
            time.sleep(1)  # until the server searches
        server.ask("POST", f"kernels/{notebook.kernel_id}/interrupt", {}, api=True)

    threading.Thread(target=interrupt).start()
    said = notebook.run(f"open({str(begun)!r}, 'w').close()\n%{magic} {query}")  # takes hours
    assert "cancelled" in said if magic == "codesql" else "interrupted" in said
    assert "Traceback" not in said


def test_package_of_the_kernels_environment_is_indexed(open_notebook):
    notebook = open_notebook()
    said = notebook.run("%load_ext codeintel_nb\n%codeindex add --package msgspec --name spec")
    assert "spec: indexed " in said
    assert "removed from the index" in notebook.run("%codeindex drop spec")


def test_relative_folder_resolves_against_the_notebook(server, open_notebook):
    write_tree(server.root / "deep" / "project", {"one.py": "one = 1\n"})
    notebook = open_notebook("deep/inside.ipynb")
    said = notebook.run("%load_ext codeintel_nb\n%codeindex add project")
    assert "project: indexed 1 file (" in said
    shown = notebook.run(
        "hits = %textsearch --repo shop class Cart\nprint(hits._repr_mimebundle_()['text/html'])"
    )
    assert 'href="../shop/src/shop/cart.py#line=5"' in shown, (
        "links point to the file's path on the server"
    )
    assert "removed from the index" in notebook.run("%codeindex drop project")


def test_completion_uses_the_servers_index(open_notebook):
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb")
    complete = "print(sorted(c.text for c in get_ipython().Completer.completions({!r}, {})))"
    for line, expected in (
        ("%semsearch --repo sh", "shop"),
        ("%textsearch --include src/", "src/shop/**"),
    ):
        assert expected in notebook.run(
            f"import warnings; warnings.simplefilter('ignore')\n{complete.format(line, len(line))}"
        )


@pytest.mark.slow
def test_watch_lists_repositories_watched_by_the_server(make_server, open_notebook):
    following = make_server("--CodeIntelApp.watch=True")
    write_tree(following.root / "t", {"a.py": "x = 1\n"})
    following.index(following.root / "t", "t")
    until(lambda: following.ask("GET", "health").json["watching"] == ["t"])
    notebook = open_notebook(on=following)
    assert "watching for changes in t" in notebook.run("%load_ext codeintel_nb\n%codeindex watch")
