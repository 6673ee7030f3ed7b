"""Magics: recognition of their lines, and the language they give a cell."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.sources.document import document_of
from codeintel_nb.sources.notebooks.kernel_languages import kernel_language, notebook_language
from codeintel_nb.sources.notebooks.magics import code_of, quoted_rows, without_line_magics


def notebook(*sources, **metadata):
    cells = [{"cell_type": "code", "source": source, "metadata": {}} for source in sources]
    return json.dumps(
        {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    ).encode()


def names(data):
    return [
        f"{symbol.container}.{symbol.name}".strip(".")
        for symbol in document_of("a.ipynb", data).symbols
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("%%bash\nls\n", "bash"),
        ("\n\n%%bash\nls\n", "bash"),
        ("# why\n%%bash\nls\n", "bash"),
        ("%%time\n%%bash\nls\n", "bash"),
        ("%%capture out\n\n# a\n%%sql\nselect 1\n", "sql"),
        ("%%timeit -n 3\nf()\n", "python"),
        ("%%unknown x\nf()\n", "python"),
        ("%%writefile -a 'x.R'\nf\n", "r"),
        ("%%writefile notes\nf\n", "text"),
        ("%%script --bg bash\nls\n", "bash"),
        ("%%script python3\nf()\n", "python"),
        ("%%R -i df\nz\n", "r"),
        ("%%html\n<p>\n", "html"),
        ("%%spark -c sql -o x\nselect 1\n", "sql"),
        ("%sql\nselect 1\n", "python"),
        ("x = 1\n%%bash\nls\n", "python"),
        ("%% not one\nf()\n", "python"),
        ("%%\nf()\n", "python"),
        ("%%%bash\n", "python"),
        ("%%md\n# A\n", "markdown"),
    ],
)
def test_magics_set_the_language_of_a_cell(text, language):
    found, code = code_of(text.encode(), "python")
    assert found == language
    assert len(code) == len(text.encode())
    assert code.count(b"\n") == text.count("\n")


def test_databricks_and_dotnet_magics():
    assert code_of(b"%sql select 1\n", "python", databricks=True) == ("sql", b"     select 1\n")
    assert code_of(b"%md\n# A\n", "python", databricks=True).language == "markdown"
    assert code_of(b"%pip install x\n", "python", databricks=True).language == "python"
    assert code_of(b"#!time\n#!fsharp\nlet a = 1\n", "csharp", dotnet=True).language == "fsharp"
    assert code_of(b"#!sql-sales\nselect 1\n", "csharp", dotnet=True).language == "sql"
    assert code_of(b"%% section\nx\n", "matlab").code == b"%% section\nx\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%time f()\n", "0        \n"),
        ("!ls\nx = 1\n", "0  \nx = 1\n"),
        ("x = !ls -l\n", "x = 0     \n"),
        ("y = %env A\n", "y = 0     \n"),
        ("?f\nf?\nf??\nf.a?\n", "0 \n0 \n0  \n0   \n"),
        ("!ls \\\n  a\nx\n", "0    \n   \nx\n"),
        ("x = (a\n  % b)\n", None),
        ("x = a \\\n  % b\n", None),
        ('s = """\n%time\n!ls\n"""\n', None),
        ("x = [\n  !a,\n]\n", None),
        ("x = a != b\n", None),
        ("x = a % b\n", None),
        ("if a:\n    !ls\n", "if a:\n    0  \n"),
        ("# %time\n", None),
        ("s = '('\n!ls\n", "s = '('\n0  \n"),
        ("a == !b\n", None),
        ("s = 'it\\'s'\n%x\n", "s = 'it\\'s'\n0 \n"),
    ],
)
def test_line_magics_count_only_at_the_start_of_a_logical_line(text, expected):
    assert without_line_magics(text.encode()).decode() == (text if expected is None else expected)


@given(
    st.lists(
        st.sampled_from(
            [
                "%x",
                "!ls",
                "?",
                "a",
                " ",
                "\n",
                "(",
                ")",
                '"""',
                "'",
                '"',
                "\\\n",
                "#",
                "= !",
                "é",
                "\\",
            ]
        ),
        max_size=40,
    )
)
def test_blanking_magics_keeps_every_line_in_place(parts):
    text = "".join(parts).encode()
    assert len(without_line_magics(text)) == len(text)
    assert without_line_magics(text).count(b"\n") == text.count(b"\n")
    assert all(0 <= row <= text.count(b"\n") for row in quoted_rows(text))


def test_continued_line_does_not_end_a_definition():
    python = (
        "class Report:\n"
        "    def header(self):\n"
        '        return ("%s rows"\n'
        "                % self.count)\n"
        "    def rows(self):\n"
        "        return []\n"
    )
    assert names(notebook(python)) == ["Report", "Report.header", "Report.rows"]
    r = (
        "safe_mean <- function(df) {\n"
        "  if (any(df$a > 0) &&\n"
        "      !is.null(df$b)) {\n"
        "    mean(df$a)\n"
        "  }\n"
        "}\n\n"
        "total <- function(df) sum(df$a)\n"
    )
    assert names(notebook(r, kernelspec={"name": "ir"})) == ["safe_mean", "total"]
    kotlin = (
        "fun describe(s: String?): Int {\n"
        "    return s\n"
        "        ?.length\n"
        "        ?: 0\n"
        "}\n"
        "fun lines_of(n: Int) = n\n"
    )
    assert names(notebook(kotlin, language_info={"name": "kotlin"})) == ["describe", "lines_of"]


def test_a_magic_above_a_definition_does_not_document_it():
    (symbol,) = document_of(
        "a.ipynb", notebook("%load_ext autoreload\ndef f():\n    pass\n")
    ).symbols
    assert symbol.doc == ""


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("python3", "python"),
        ("conda-env-geo-py", "python"),
        ("conda-root-py", "python"),
        ("conda-env-x-r", "r"),
        (".venv", "python"),
        ("xpython", "python"),
        ("pysparkkernel", "python"),
        ("synapse_pyspark", "python"),
        ("ir", "r"),
        ("ir44", "r"),
        ("julia-1.10", "julia"),
        ("scala212", "scala"),
        ("xcpp17", "cpp"),
        (".net-csharp", "csharp"),
        ("calysto_bash", "bash"),
        ("R [conda env:geo]", "r"),
        (".NET (C#)", "csharp"),
        ("JavaScript (Node.js)", "javascript"),
        ("C++17", "cpp"),
        ("Go (gonb)", "go"),
        ("deno", "typescript"),
        ("sparkrkernel", "r"),
        ("myenv", None),
        ("My R project", None),
        ("ml", None),
        ("data", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_kernel_language_from_its_name(name, language):
    assert kernel_language(name) == language


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"kernelspec": {"name": "myenv", "display_name": "My environment"}}, "python"),
        ({"language_info": {"name": "pyspark", "mimetype": "text/x-python"}}, "python"),
        ({"language_info": {"name": "odd", "file_extension": ".jl"}}, "julia"),
        ({"language_info": {"name": "odd", "pygments_lexer": "r"}}, "r"),
        ({"language_info": {"name": "odd", "codemirror_mode": {"name": "ruby"}}}, "ruby"),
        ({"language_info": {"name": "odd", "codemirror_mode": "lua"}}, "lua"),
        ({"language_info": {"name": "brainwave"}}, "text"),
        ({"kernelspec": {"language": ""}, "language_info": {}}, "python"),
        ({"kernelspec": None, "language_info": 5}, "python"),
        (
            {
                "application/vnd.databricks.v1+notebook": {"language": "scala"},
                "kernelspec": {"name": "python3"},
            },
            "scala",
        ),
        ({"kaggle": {"language": "r"}}, "r"),
        (
            {
                "polyglot_notebook": {"kernelInfo": {"defaultKernelName": "fsharp"}},
                "language_info": {"name": "polyglot-notebook"},
            },
            "fsharp",
        ),
        ({"sos": {"default_kernel": "R"}}, "r"),
    ],
)
def test_notebook_language_from_its_metadata(metadata, language):
    assert notebook_language({"metadata": metadata}) == language
    assert notebook_language({"metadata": None}) == "python"
