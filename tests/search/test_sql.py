import json

import pytest

from codeintel_nb import Scope
from codeintel_nb.errors import SearchError
from codeintel_nb.search.table import SCHEMA
from tests.conftest import write_tree
from tests.sql_attempts import ATTEMPTS


def test_tables_contain_only_rows_in_scope(shop):
    scope = Scope(languages=("python",), exclude_globs=("tests/**",))
    paths = sorted(hit.path for hit in shop.list_paths(scope))
    assert shop.sql("select path from files order by path", scope).rows() == [
        (path,) for path in paths
    ]
    assert shop.sql("select distinct path from symbols order by 1", scope).rows() == [
        ("src/shop/cart.py",),
        ("src/shop/payment.py",),
    ]
    assert shop.sql("select * from repositories", scope).rows() == [
        ("shop", 3, shop.count(scope).chunks_in_scope)
    ]
    assert (
        shop.sql("select count(*) from chunks", scope).rows()[0][0]
        == shop.count(scope).chunks_in_scope
    )


def test_kinds_limit_the_chunks(shop):
    assert shop.sql("select distinct kind from chunks", Scope(kinds=("class",))).rows() == [
        ("class",)
    ]


def test_symbols_have_their_lines_and_signature(shop):
    (row,) = shop.sql(
        "select container, kind, signature, start_line, end_line from symbols"
        " where name = 'add_line'"
    ).rows()
    assert row == ("Cart", "method", "def add_line(self, product, count=1)", 12, 14)


@pytest.mark.parametrize("kind", ["method", "class", "function"])
def test_symbols_of_a_kind_are_those_of_a_search_by_name(tmp_path, make_workspace, kind):
    """A short class shares a chunk with its methods, and functions with those beside them."""
    files = {
        f"{name}.py": f"class {name.title()}:\n    def own(self): ...\n\ndef make_{name}(): ...\n"
        for name in ("cart", "card")
    }
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "t", files), name="t")
    query, scope = "select name, kind from symbols order by path, start_line", Scope(kinds=(kind,))
    expected = [(hit.symbol, kind) for hit in workspace.search_symbols("*", scope)]
    rows = workspace.sql(query, scope).rows()
    assert sorted(kind for _, kind in rows) == [kind] * 2
    assert sorted(name.rpartition(".")[2] for name, _ in rows) == sorted(
        name.rpartition(".")[2] for name, _ in expected
    )


def test_table_converts_to_other_formats(shop):
    table = shop.sql("select path, lines from files order by path")
    assert table.columns == ["path", "lines"]
    assert len(table) == 9
    assert table.to_df().shape == (9, 2)
    assert table.to_arrow().column_names == ["path", "lines"]
    assert table.relation().aggregate("sum(lines)").fetchall()[0][0] > 20
    assert table.to_dicts()[0]["path"] == "README.md"
    assert table.to_polars().shape == (9, 2)
    assert "README.md" in repr(table)
    assert "<table>" in table._repr_html_()


def test_html_in_names_is_escaped(tmp_path, make_workspace):
    write_tree(tmp_path / "t", {"<img src=x onerror=alert(1)>.py": "x = 1\n"})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    assert "<img" not in workspace.sql("select path from files")._repr_html_()


@pytest.mark.parametrize(
    "statement",
    [
        *ATTEMPTS,
        "select * from nothing",
        "selec 1",
        "",
        ";",
        "select 1 from",
        "select $1",
        "-- nothing",
    ],
)
def test_forbidden_or_invalid_statement_error_is_one_line(shop, tmp_path, statement):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(SearchError) as error:
        shop.sql(statement.format(home=shop.settings.home, out=out))
    assert "\n" not in str(error.value)
    assert ".duckdb/" not in str(error.value), "errors reveal no local folder"
    assert not list(out.iterdir())
    assert shop.sql("select count(*) from files").rows() == [(9,)]


def test_rows_out_of_scope_are_in_no_table(shop):
    """Find no row outside the scope by any statement: the tables lack them."""
    scope = Scope(include_globs=("src/shop/cart.py",))
    hits = shop.search_text("cart", scope).hits
    for statement in (
        "select path from files", "select path from chunks", "select path from symbols",
        "select path from cells", "select path from hits", "select path from main.files",
        "select path from memory.main.files",
        "select path from files union all select path from symbols",
        "select distinct path from (from files)",
        "with recursive t as (select path from files union select path from t) select * from t",
        "select unnest(list(path)) from files",
    ):  # fmt: skip
        assert {path for (path,) in shop.sql(statement, scope, hits=hits).rows()} <= {
            "src/shop/cart.py"
        }
    assert shop.sql(
        "select table_name from information_schema.tables order by 1", scope
    ).rows() == [("answer",), *((name,) for name in sorted(SCHEMA))], "all tables exist"
    assert shop.sql("show tables", scope).rows() == [(name,) for name in sorted(SCHEMA)]
    assert shop.sql("select files from repositories", scope).rows() == [(1,)]


def test_cells_of_notebooks(tmp_path, make_workspace):
    cells = [
        {"cell_type": "markdown", "source": ["# Prices\n", "\n", "of all\n"]},
        {
            "cell_type": "code",
            "source": "def price():\n    return 1\n\n%time price()\n" + "x = 1\n" * 400,
        },
        {"cell_type": "code", "source": ""},
        {"cell_type": "code", "source": "price()"},
    ]
    workspace = make_workspace()
    workspace.index(
        write_tree(
            tmp_path / "t",
            {
                "a.ipynb": json.dumps(
                    {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
                ),
                "b.py": "x = 1\n",
            },
        ),
        name="t",
    )
    rows = workspace.sql(
        "select path, cell, kind, language, start_line, end_line, length(source)"
        " from cells order by cell"
    ).rows()
    assert rows == [
        ("a.ipynb", 0, "markdown", "python", 1, 3, 16),
        ("a.ipynb", 1, "cell", "python", 4, 407, 2440),
        ("a.ipynb", 3, "cell", "python", 408, 408, 7),
    ]
    assert workspace.sql("select source from cells where cell = 3").rows() == [("price()",)]
    assert workspace.sql("select count(*) from cells", Scope(kinds=("markdown",))).rows() == [(1,)]
    assert workspace.sql(
        "select cell, length(source) from cells", Scope(kinds=("function",))
    ).rows() == [(1, 2440)], "a cell is returned whole"
    assert workspace.sql("select * from cells", Scope(languages=("sql",))).rows() == []


def test_source_of_a_cell_is_without_its_output(tmp_path, make_workspace):
    printed = {"output_type": "stream", "name": "stdout", "text": "printed line\n"}
    cells = [
        {"cell_type": "code", "source": source, "outputs": [printed]}
        for source in ("x = 1\nprint('printed')", "")
    ]
    workspace = make_workspace()
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    workspace.index(write_tree(tmp_path / "t", {"a.ipynb": notebook}), name="t", outputs=True)
    query = "select cell, source, start_line, end_line from cells"
    expected = [(0, "x = 1\nprint('printed')", 1, 2)]
    assert workspace.sql(query).rows() == expected
    assert workspace.sql(query, Scope(kinds=("text",))).rows() == expected
    assert workspace.search_text("printed line").total == 2


def test_cells_of_data_have_a_source(tmp_path, make_workspace):
    sources = ["%%writefile a.yaml\noutput: 1\nalpha:\n  beta: 2", '%%json\n{"output": 1}', "x = 1"]
    cells = [{"cell_type": "code", "source": one} for one in sources]
    workspace = make_workspace()
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    workspace.index(write_tree(tmp_path / "t", {"a.ipynb": notebook}), name="t", outputs=True)
    rows = workspace.sql("select cell, source from cells order by cell").rows()
    assert [*rows] == [*enumerate(sources)]


def test_hits_of_a_search(shop):
    found = shop.search_text("cart")
    rows = shop.sql(
        "select path, count(*), min(rank) from hits group by all order by 3", hits=found.hits
    ).rows()
    assert sum(row[1] for row in rows) == len(found)
    assert rows[0][0] == found[0].path
    joined = shop.sql(
        "select h.path, f.lines from hits h join files f using (repo, path) where h.rank = 1",
        hits=found.hits,
    ).rows()
    assert joined[0][0] == found[0].path
    assert shop.sql("select * from hits").rows() == []


def test_queries_of_every_form_are_accepted(shop):
    """Accept harmless queries of every form despite the check of the calls in a query."""
    for statement in (
        "from files", "select * from (summarize files)", "summarize files", "describe files",
        "values (1)", "select * exclude (path) from files", "table files",
        "select path, row_number() over (order by lines) from files"
        " qualify row_number() over (order by lines) < 3",
        "select count(*) filter (where lines > 3) from files;",
        "select regexp_extract(path, '[a-z]+'), list_sort(list(path)) from files group by 1",
        "select * from range(3)", "select 1 -- a comment", "select ';'",
        "with a as (select 1 as x) select * from a order by x limit 1",
        "select struct_pack(a := 1)", "select [x for x in [1, 2]]",
    ):  # fmt: skip
        assert shop.sql(statement).columns


def test_slow_query_is_stopped_at_its_deadline(shop):
    with pytest.raises(SearchError, match="timed out"):
        shop.sql(
            "select count(*) from range(100000) a, range(100000) b where a.range * b.range = 7",
            deadline=0.2,
        )


def test_quote_in_a_path_is_escaped(tmp_path, make_workspace):
    home = tmp_path / "it's a home"
    write_tree(tmp_path / "t", {"o'brien.py": "x = 1\n"})
    workspace = make_workspace(home)
    workspace.index(tmp_path / "t", name="o'repo")
    assert workspace.sql("select repo, path from files").rows() == [("o'repo", "o'brien.py")]


@pytest.mark.parametrize(
    "statement",
    [
        "select count(*) from files;", "select count(*) from files; -- all of them",
        "select count(*) from files; /* a; b */", "-- all\nselect count(*) from files",
        "/* ; */ select count(*) from files /* ; */ ;;\n--;", ";select count(*) from files",
        "from files select count(*) -- é", "select count(*) from files where path <> ';--' ; -- 'x",
        "select count(*) from files where path <> 'é;' ;",
    ],
)  # fmt: skip
def test_semicolons_and_comments_around_a_query_are_ignored(shop, statement):
    assert shop.sql(statement).rows() == [(9,)]


@pytest.mark.parametrize("statement", ["-- nothing but this", ";", "/* */", " ;; -- x"])
def test_query_of_comments_only_is_empty(shop, statement):
    with pytest.raises(SearchError, match="is empty"):
        shop.sql(statement)


def test_two_queries_are_refused(shop):
    with pytest.raises(SearchError, match="contains 2 SQL statements"):
        shop.sql("select 1; -- one\nselect 2; -- two")
