import json

from codeintel_nb import Scope
from codeintel_nb.sources.document import document_of
from tests.conftest import write_tree


def notebook(*cells, **metadata):
    made = [
        {"cell_type": kind, "source": source, "outputs": [{"text": "SHOWN"}]}
        for kind, source in cells
    ]
    return json.dumps(
        {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    ).encode()


def cells_of(data, outputs=False):
    return document_of("a.ipynb", data, outputs)


def test_each_cell_is_a_chunk_with_its_index():
    found = cells_of(
        notebook(
            ("markdown", "# Load\n\nthe data"),
            ("code", ""),
            ("code", ["import x\n", "%matplotlib inline\n", "!ls"]),
            ("code", "def f():\n    pass"),
        )
    )
    assert (
        found.content
        == b"# Load\n\nthe data\nimport x\n%matplotlib inline\n!ls\ndef f():\n    pass\n"
    )
    assert [(c.start_line, c.end_line, c.kind, c.cell) for c in found.chunks] == [
        (1, 3, "markdown", 0),
        (4, 6, "cell", 2),
        (7, 8, "function", 3),
    ]
    assert [(s.name, s.start_line) for s in found.symbols] == [("f", 7)]
    assert b"SHOWN" not in found.content


def test_the_language_comes_from_the_kernel():
    assert cells_of(notebook(("code", "x"), kernelspec={"language": "julia"})).language == "julia"
    assert cells_of(notebook(("code", "x"), language_info={"name": "ipython"})).language == "python"
    assert cells_of(notebook(("code", "x"), language_info={"name": "brainwave"})).language == "text"


def test_nbformat_3_is_read():
    old = {
        "nbformat": 3,
        "metadata": {},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "code", "input": ["a = 1\n", "b"]},
                    {"cell_type": "markdown", "source": "words"},
                ]
            }
        ],
    }
    assert cells_of(json.dumps(old).encode()).content == b"a = 1\nb\nwords\n"


def test_invalid_notebook_is_searched_as_plain_text():
    document = document_of("a.ipynb", b'{"cells": 3}\n')
    assert document.content == b'{"cells": 3}\n'
    assert document.language == "json"
    assert document_of("a.ipynb", b"not json").content == b"not json\n"


def test_nbformat_3_headings_are_headings():
    old = {
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": "Load"},
                    {"cell_type": "code", "input": "x", "language": "python"},
                ]
            }
        ],
    }
    found = cells_of(json.dumps(old).encode())
    assert found.content == b"## Load\nx\n"
    assert found.chunks[0].symbol == "Load"


def test_magics_are_kept_and_hide_no_definition():
    source = (
        "%load_ext autoreload\n"
        "!pip list\n"
        "def first():\n"
        "    %time work()\n"
        "    return 1\n"
        "?print\n"
        "def second():\n"
        "    pass\n"
    )
    found = cells_of(
        notebook(
            ("code", source),
            ("code", "%%bash\nlist() {\n  ls\n}\n"),
            ("code", "%%timeit -n 3\ndef third(): pass\n"),
            ("code", "%%sql\ncreate table t (a int);\n"),
        )
    )
    assert source.encode() in found.content
    assert [(s.name, s.start_line) for s in found.symbols] == [
        ("first", 3),
        ("second", 7),
        ("list", 10),
        ("third", 14),
        ("t", 16),
    ]


PERCENT = """# ---
# jupyter: {}
# ---

# %% [markdown]
# # Prices
# of all

# %% load
import pandas

%matplotlib inline
def price():
    return 1

# %%
price()
"""


def test_a_script_in_the_percent_format_has_cells():
    document = document_of("prices.py", PERCENT.encode())
    assert document.content == PERCENT.encode(), "the content is that of the file"
    assert [(c.start_line, c.end_line, c.kind, c.cell) for c in document.chunks] == [
        (1, 4, "module", None),
        (5, 8, "markdown", 0),
        (9, 15, "function", 1),
        (16, 17, "cell", 2),
    ]
    assert document.chunks[1].symbol == "Prices"
    assert [(s.name, s.start_line) for s in document.symbols] == [("price", 13)]


def test_code_before_the_first_marker_is_a_cell():
    for text, cells in (
        ("x = 1\n# %%\ny = 2\n", [0, 1]),
        ("\n\n# %%\ny = 2\n", [0]),
        ("# %%\ny = 2\n", [0]),
        ("# ---\n# a: 1\n# ---\nx = 1\n#%% b\n", [None, 0, 1]),
    ):
        chunks = document_of("a.py", text.encode()).chunks
        assert [chunk.cell for chunk in chunks] == cells
        assert chunks[0].start_line == 1
    assert document_of("a.jl", b"# %%\nf(x) = 1\n").chunks[0].cell == 0
    assert document_of("a.py", b"x = 5 # %% no mark\n# %%%\n# %%time\n").chunks[0].cell is None


def test_requested_outputs_are_text():
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["one\n", "\x1b[31mtwo\x1b[0m"]},
        {"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": "AAAA"}},
        {
            "output_type": "error",
            "ename": "E",
            "traceback": ["Traceback", "\x1b[0;31mValueError\x1b[0m: no such price"],
        },
        {
            "output_type": "execute_result",
            "data": {"text/plain": ["table\n", "of prices"], "text/html": "<b>"},
        },
        None,
        {"text": 5},
        {"output_type": "error", "traceback": None},
    ]
    data = json.dumps(
        {
            "cells": [
                {"cell_type": "code", "source": "price()", "outputs": outputs},
                {"cell_type": "code", "source": "", "outputs": [{"text": "alone"}]},
            ],
            "metadata": {},
        }
    ).encode()
    found = cells_of(data, outputs=True)
    assert found.content.decode() == (
        "price()\none\ntwo\n<Figure>\nTraceback\nValueError: no such price\n"
        "table\nof prices\nalone\n"
    )
    assert [(c.kind, c.symbol, c.cell) for c in found.chunks] == [
        ("cell", "", 0),
        ("text", "output", 0),
        ("text", "output", 1),
    ]
    assert cells_of(data).content == b"price()\n"
    assert document_of("a.ipynb", data, outputs=True).content == found.content


def test_outputs_option_persists(tmp_path, make_workspace):
    root = write_tree(
        tmp_path / "t",
        {
            "a.ipynb": json.dumps(
                {
                    "cells": [
                        {"cell_type": "code", "source": "price()", "outputs": [{"text": "4 euros"}]}
                    ],
                    "metadata": {},
                }
            )
        },
    )
    workspace = make_workspace()
    workspace.index(root, name="t")
    assert not workspace.search_text("4 euros", Scope(kinds=("text",)))
    workspace.index(root, name="t", outputs=True)
    (hit,) = workspace.search_text("4 euros")
    assert (hit.cell, hit.kind) == (0, "text")
    workspace.index(root, name="t")
    assert workspace.search_text("4 euros", Scope(kinds=("text",)))


def test_marker_inside_a_string_makes_no_cell():
    for text in ('x = """\n# %% a\n"""\n', 'def g():\n    return """\n# %% [markdown]\n"""\n'):
        document = document_of("a.py", text.encode())
        assert {chunk.cell for chunk in document.chunks} == {None}
    assert [symbol.name for symbol in document.symbols] == ["g"]


def test_nbconvert_script_cells_are_numbered_from_zero():
    def cells(text):
        return [
            (chunk.cell, chunk.kind, chunk.start_line)
            for chunk in document_of("a.py", text.encode()).chunks
            if chunk.cell is not None
        ]

    assert cells("# In[1]:\n\n\nx = 1\n\n\n# In[ ]:\n\n\n\n\n") == [(0, "cell", 1), (1, "cell", 7)]
    assert cells(
        "#!/usr/bin/env python\n# coding: utf-8\n\n# # Title\n\n# In[1]:\n\n\n# only comment\n\n\n"
    ) == [(0, "markdown", 4), (1, "cell", 6)]


def test_quoted_code_cell_directive_makes_no_cell():
    page = "# A\n\nUse the `{code-cell}` directive.\n\n+++\n\n````\n```{code-cell}\n```\n````\n"
    assert {chunk.cell for chunk in document_of("a.md", page.encode()).chunks} == {None}
