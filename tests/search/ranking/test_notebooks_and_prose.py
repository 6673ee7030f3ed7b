"""Cells and prose rank for what they are: by what a query asks for."""

import json

import pytest

from codeintel_nb import Workspace
from codeintel_nb.search.ranking.intent import parse_query

from ...conftest import write_tree


def notebook(*cells):
    made = [
        {
            "cell_type": kind,
            "source": source,
            "metadata": {},
            **({"outputs": [], "execution_count": 1} if kind == "code" else {}),
        }
        for kind, source in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


REVENUE = notebook(
    ("markdown", "# Revenue by month\n\nHow to resample revenue by month, and what it shows."),
    ("code", "monthly = orders.resample('M').revenue.sum()  # resample revenue by month"),
    ("markdown", "The revenue by month peaks in winter: resample the orders to see it."),
)
FILES = {
    "revenue.ipynb": REVENUE,
    "costs.ipynb": notebook(
        ("markdown", "# Costs by month"), ("code", "costs.resample('M').sum().plot()")
    ),
    "revenue_by_month.py": '''"""Resample revenue by month."""
def resample_revenue_by_month(orders):
    """Resample the revenue of orders by month."""
    return orders.resample("M").revenue.sum()
''',
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sales")
    workspace = Workspace.open(folder / "home")
    workspace.index(write_tree(folder / "sales", FILES))
    yield workspace
    workspace.close()


def best_of(workspace, query, path):
    return next(hit for hit in workspace.semantic_search(query) if hit.path == path)


@pytest.mark.parametrize(
    "query",
    [
        "how do I resample revenue by month", "how to resample revenue by month",
        "how can we resample revenue by month", "example of resampling revenue by month",
        "show me how to resample revenue by month",
    ],
)  # fmt: skip
def test_how_to_shows_the_code_cell(workspace, query):
    hit = best_of(workspace, query, "revenue.ipynb")
    assert (hit.kind, hit.cell) == ("cell", 1)


@pytest.mark.parametrize(
    "query",
    [
        "which notebook shows revenue by month", "in which notebook is revenue by month",
        "the notebook about revenue by month", "notebook with revenue by month",
        "find the notebook that resamples revenue by month",
    ],
)  # fmt: skip
def test_which_notebook_shows_the_heading_of_a_notebook(workspace, query):
    first, *_ = results = workspace.semantic_search(query, why=True)
    assert (first.path, first.kind, first.cell) == ("revenue.ipynb", "markdown", 0)
    assert "is a notebook" in repr(first.why)
    files = [*dict.fromkeys(hit.path for hit in results)]
    assert files[-1] == "revenue_by_month.py", "which is no notebook"


@pytest.mark.parametrize(
    ("query", "wants_code", "wants_notebook"),
    [
        ("how does a notebook get its kernel", False, False),
        ("how are cells of a notebook parsed", False, False),
        ("notebook", False, False),
        ("NotebookApp", False, False),
        ("parse the notebook", False, False),
        ("how do plugins load", False, False),
        ("How do I open a file?", True, False),
        ("Which notebooks use pandas?", False, True),
        ("what kind of notebook is it", False, False),
        ("which notebook formats are read", False, False),
        ("the notebook server that starts kernels", False, False),
        ("the notebook that trains the model", False, True),
    ],
)
def test_what_a_query_asks_for(query, wants_code, wants_notebook):
    intent = parse_query(query)
    assert (intent.wants_code, intent.wants_notebook) == (wants_code, wants_notebook)


@pytest.mark.parametrize(
    ("document", "files"),
    [
        (
            "__init__.py",
            {
                "__init__.py": '"""Tallies of sheep: count, sort and sell them."""\n',
                "package.py": "def describe_this_package():\n    return 'what it is about'\n",
                "sub/__init__.py": '"""Helpers."""\n',
            },
        ),
        (
            "tally/__init__.py",
            {
                "tally/__init__.py": '"""Tallies of sheep."""\n',
                "tally/sort/__init__.py": '"""Sorting. What this package is about: order."""\n',
                "tests/__init__.py": '"""What this package is about: tests."""\n',
                "tally/about.py": "ABOUT = 'what this package is about'\n",
            },
        ),
        (
            "doc.go",
            {
                "doc.go": "// Package tally counts sheep.\npackage tally\n",
                "package.go": "package tally\n// Package of a sheep: what it is about.\n",
            },
        ),
        (
            "src/lib.rs",
            {
                "src/lib.rs": "//! Counts sheep, and sorts them by colour.\npub mod sort;\n",
                "src/package.rs": "/// What the package is about.\npub struct Package;\n",
            },
        ),
        (
            "README.md",
            {
                "README.md": "# tally\n\nCounts sheep.\n",
                "tally/__init__.py": '"""What this package is about: tallies."""\n',
            },
        ),
    ],
    ids=["package", "folder", "go", "rust", "README first"],
)
def test_package_document_says_what_it_is_about(tmp_path, make_workspace, document, files):
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "tally", files))
    for query in ("what is this package about", "what does this repository do"):
        assert workspace.semantic_search(query)[0].path == document
