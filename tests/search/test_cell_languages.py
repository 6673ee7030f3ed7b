"""Cells in a language other than their file's: found, shown and counted in their own."""

import json

import pytest

from codeintel_nb import Scope
from codeintel_nb.output.highlight import shown_language
from tests.conftest import write_tree


def notebook(*cells, **metadata):
    made = [
        {"cell_type": kind, "metadata": {}, "source": source, "outputs": []}
        for kind, source in cells
    ]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


FILES = {
    "work.ipynb": notebook(
        ("code", "needle = 1\ndef load(): pass\n"),
        ("markdown", "# A needle\nin prose\n"),
        ("code", "%%sql\ncreate view needle_view as select 1 as needle\n"),
        ("code", "%%bash\nneedle() { ls; }\n"),
        language_info={"name": "python"},
    ),
    "only.ipynb": notebook(("code", "needle <- 1\n"), kernelspec={"name": "ir"}),
    "plain.py": "needle = 2\n",
    "cells.py": (
        "# Databricks notebook source\nneedle = 3\n\n# COMMAND ----------\n\n"
        "# MAGIC %sql\n# MAGIC select needle from t\n"
    ),
    "report.qmd": "# Needle\n\n```{r}\nneedle <- function(x) x\n```\n",
    "query.sql": "select needle from t;\n",
    "empty.py": "",
    "broken.ipynb": '{"cells": 3, "needle": 1}\n',
}


@pytest.fixture(params=["indexed", "not indexed"])
def mixed(request, tmp_path, make_workspace):
    """Return a workspace with the files indexed, or new since indexing."""
    root = write_tree(
        tmp_path / "t", FILES if request.param == "indexed" else {"other.c": "int a;\n"}
    )
    workspace = make_workspace()
    workspace.index(root, name="t")
    write_tree(root, FILES)
    return workspace


def lines(workspace, **scope):
    return sorted(
        (hit.path, hit.start_line, hit.language)
        for hit in workspace.search_text("needle", Scope(**scope), limit=100)
    )


def test_code_has_its_own_language_and_prose_that_of_its_file(mixed):
    assert lines(mixed, languages=("sql",)) == [
        ("cells.py", 7, "sql"),
        ("query.sql", 1, "sql"),
        ("work.ipynb", 6, "sql"),
    ]
    assert lines(mixed, languages=("r",)) == [("only.ipynb", 1, "r"), ("report.qmd", 4, "r")]
    assert lines(mixed, languages=("bash",)) == [("work.ipynb", 8, "bash")]
    assert lines(mixed, languages=("markdown",)) == [("report.qmd", 1, "markdown")]
    assert lines(mixed, languages=("python",)) == [
        ("cells.py", 2, "python"),
        ("plain.py", 1, "python"),
        ("work.ipynb", 1, "python"),
        ("work.ipynb", 3, "python"),
    ]


@pytest.mark.parametrize("name", ["notebook", "ipynb", "jupyter"])
def test_notebook_language_selects_every_cell(mixed, name):
    assert {(path, language) for path, _, language in lines(mixed, languages=(name,))} == {
        ("work.ipynb", "python"),
        ("work.ipynb", "sql"),
        ("work.ipynb", "bash"),
        ("only.ipynb", "r"),
        ("broken.ipynb", "json"),
    }


def test_all_searches_filter_by_the_same_languages(tmp_path, make_workspace):
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "t", FILES), name="t")
    scope = Scope(languages=("sql",))
    assert {hit.language for hit in workspace.semantic_search("needle", scope)} == {"sql"}
    assert [(hit.symbol, hit.language) for hit in workspace.symbols("*", scope=scope)] == [
        ("needle_view", "sql")
    ]
    assert [hit.path for hit in workspace.list_paths(scope)] == [
        "cells.py",
        "query.sql",
        "work.ipynb",
    ]
    assert [hit.path for hit in workspace.list_paths(Scope(languages=("python",)))] == [
        "cells.py",
        "empty.py",
        "plain.py",
        "work.ipynb",
    ]
    assert [hit.path for hit in workspace.list_paths(Scope(languages=("notebook",)))] == [
        "broken.ipynb",
        "only.ipynb",
        "work.ipynb",
    ]
    assert workspace.sql("select distinct language from chunks", scope).rows() == [("sql",)]
    assert workspace.sql("select name, language from symbols", scope).rows() == [
        ("needle_view", "sql")
    ]
    assert workspace.sql("select path, cell, language from cells order by all", scope).rows() == [
        ("cells.py", 1, "sql"),
        ("work.ipynb", 2, "sql"),
    ]
    assert workspace.facets().languages["sql"] == 3
    assert workspace.facets(scope).languages == workspace.facets().languages, (
        "counts of languages ignore the selected languages"
    )


def test_highlighting_language_of_prose_code_and_outputs(tmp_path, make_workspace):
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "the market's prices"},
        {
            "cell_type": "code",
            "metadata": {},
            "source": "prices = 1",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "prices, as printed"}],
        },
    ]
    workspace = make_workspace()
    tree = write_tree(
        tmp_path / "t",
        {
            "a.ipynb": json.dumps(
                {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            ),
            "a.py": "prices = 2\n",
        },
    )
    workspace.index(tree, name="t", outputs=True)
    assert [(hit.path, shown_language(hit)) for hit in workspace.search_text("prices")] == [
        ("a.ipynb", "markdown"),
        ("a.ipynb", "python"),
        ("a.ipynb", "text"),
        ("a.py", "python"),
    ]
