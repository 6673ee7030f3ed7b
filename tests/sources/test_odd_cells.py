"""Files with cells no tool would write: nothing is lost, and nothing is slow."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codeintel_nb.sources.document import document_of, plain_document
from codeintel_nb.sources.notebooks.broken_json import merge_sides, read_broken_json
from tests.linear import assert_linear
from tests.sources.test_chunk import assert_tiles

LINES = (
    "", "x = 1", "def f():", "    return 1", "# text", "#", "# %%", "# %% [markdown]", "#%% a",
    "# %% [raw]", '"""', "'''", "# +", "# -", "# + [markdown]", "# In[1]:", "# In [ ]:", "# ---",
    "#!/bin/sh", "# coding: utf-8", "# Databricks notebook source", "# COMMAND ----------",
    "# MAGIC %md", "# MAGIC", "# DBTITLE 1,a", "import marimo", "app = marimo.App()", "@app.cell",
    "def _(a):", "with app.setup:", "    mo.md('''a''')", "if __name__ == '__main__':", "---",
    "+++", "```{python}", "```{r}", "```", "````", "~~~", "```python", "```{code-cell}",
    ":tags: [a]", "<!-- #region -->", "<!-- #endregion -->", "<!-- #raw -->", "jupytext:",
    "  text_representation:", "    format_name: light", "# # A", "%time x", "%%bash", "!ls", "\\",
    "( ", ")", "#!meta", "{}", "#!csharp", "#!markdown", "#!sql-a", "$$", "<div>", "- a", "> b",
    "===", "é",
)  # fmt: skip


@given(
    st.lists(st.sampled_from(LINES), max_size=25),
    st.sampled_from(
        [
            "a.py",
            "a.R",
            "a.jl",
            "a.sql",
            "a.scala",
            "a.qmd",
            "a.Rmd",
            "a.md",
            "a.dib",
            "a.ipynb",
            "a.zpln",
        ]
    ),
    st.sampled_from(["\n", "\r\n"]),
)
@example(["#!meta"], "a.dib", "\n")
def test_chunks_tile_any_lines(lines, path, newline):
    data = newline.join(lines).encode()
    document = document_of(path, data)
    assert_tiles(document)
    assert_tiles(plain_document(path, data))
    assert plain_document(path, data).content == document.content
    if not path.endswith((".ipynb", ".zpln")):
        assert document.content.rstrip(b"\n") == data.rstrip(b"\n"), "a script is searched verbatim"


@given(
    st.lists(
        st.sampled_from(
            [
                '"',
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                "cells",
                "source",
                '"cells"',
                '"cell_type"',
                '"code"',
                "1",
                "null",
                "\n",
                "<<<<<<< a\n",
                "=======\n",
                ">>>>>>> b\n",
                "||||||| c\n",
                "\\",
                "/*",
                "//",
                "é",
            ]
        ),
        max_size=40,
    )
)
def test_broken_json_is_read(parts):
    read_broken_json("".join(parts))
    assert_tiles(document_of("a.ipynb", "".join(parts).encode()))


CELLS = {
    "cells": [
        {"cell_type": "code", "metadata": {}, "source": ["def f():\n", "    return '}],'\n"]},
        {"cell_type": "markdown", "metadata": {}, "source": "# A"},
    ],
    "metadata": {},
    "nbformat": 4,
}


@pytest.mark.parametrize("cut", range(40, 240, 9))
def test_truncated_notebook_keeps_its_complete_cells(cut):
    text = json.dumps(CELLS, indent=1)[:cut]
    document = document_of("a.ipynb", text.encode())
    complete = text.count('"source"') and "    return '}],'\\n\"" in text
    assert ([symbol.name for symbol in document.symbols] == ["f"]) or not complete
    assert_tiles(document)


def test_merge_conflict_keeps_both_sides():
    ours = "a\n<<<<<<< HEAD\nb\n||||||| base\nc\n=======\nd\n>>>>>>> other\ne"
    assert merge_sides(ours) == ("a\nb\ne", "a\nd\ne")
    assert merge_sides("a\n=======\nb") is None
    assert merge_sides('"<<<<<<< a"\n') is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "# %%\n" * 20_000),
        ("a.py", "# +\n" * 20_000 + "# -\n"),
        ("a.py", "# In[1]:\n" * 20_000),
        ("a.py", "# Databricks notebook source\n" + "# COMMAND ----------\n" * 20_000),
        (
            "a.py",
            "import marimo\napp = marimo.App()\n" + "@app.cell\ndef _():\n    return\n" * 5_000,
        ),
        ("a.py", "# %%\n" + '"""\n' * 20_000),
        ("a.py", "# %% [markdown]\n" + "# ```\n# %%\n" * 5_000),
        ("a.py", "# %% [markdown]\n# ```\n" * 8_000),
        ("a.qmd", "```{python}\n" * 20_000),
        ("a.qmd", "```{python}\n```\n" * 10_000),
        ("a.md", "---\njupytext:\n  text_representation:\n---\n" + "\n\na\n" * 10_000),
        ("a.md", "```{code-cell}\n+++\n" * 10_000),
        ("a.dib", "#!csharp\n" * 20_000),
        ("a.dib", "#!meta\n{" + "\n" * 50_000),
        ("a.ipynb", '{"cells": [' + "{" * 50_000),
        ("a.ipynb", '{"cells": [' + '{"a": 1} ' * 20_000),
        ("a.ipynb", '{"cells": ["' + "\\" * 50_001),
        (
            "a.ipynb",
            '{"cells": ['
            + '<<<<<<< a\n{"source": "a"},\n=======\n{"source": "b"},\n>>>>>>> b\n' * 2_000
            + "]}",
        ),
        ("a.py", "%time x\n" * 20_000),
    ],
)
def test_long_files_take_linear_time(path, text):
    assert_linear(lambda part: plain_document(path, part), text.encode())
