import pytest

from codeintel_nb import Scope
from codeintel_nb.errors import SearchError


def test_the_tables_hold_what_is_in_scope(shop):
    scope = Scope(languages=("python",), exclude_globs=("tests/**",))
    paths = sorted(hit.path for hit in shop.list_paths(scope))
    assert shop.sql("select path from files order by path", scope).rows() == [(path,) for path in paths]
    assert shop.sql("select distinct path from symbols order by 1", scope).rows() == [("src/shop/cart.py",), ("src/shop/payment.py",)]
    assert shop.sql("select * from repositories", scope).rows() == [("shop", 3, shop.count(scope).chunks_in_scope)]
    assert shop.sql("select count(*) from chunks", scope).rows()[0][0] == shop.count(scope).chunks_in_scope


def test_kinds_bound_the_chunks(shop):
    assert shop.sql("select distinct kind from chunks", Scope(kinds=("class",))).rows() == [("class",)]


def test_symbols_have_their_lines_and_signature(shop):
    (row,) = shop.sql("select container, kind, signature, start_line, end_line from symbols where name = 'add_line'").rows()
    assert row == ("Cart", "method", "def add_line(self, product, count=1)", 12, 14)


def test_a_table_converts(shop):
    table = shop.sql("select path, lines from files order by path")
    assert table.columns == ["path", "lines"]
    assert len(table) == 9
    assert table.to_df().shape == (9, 2)
    assert table.to_arrow().column_names == ["path", "lines"]
    assert table.relation().aggregate("sum(lines)").fetchall()[0][0] > 20
    assert table.to_dicts()[0]["path"] == "README.md"
    assert "README.md" in repr(table)
    assert "<table>" in table._repr_html_()


def test_html_in_names_is_text(tmp_path, make_workspace):
    from tests.conftest import write_tree

    write_tree(tmp_path / "t", {"<img src=x onerror=alert(1)>.py": "x = 1\n"})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    assert "<img" not in workspace.sql("select path from files")._repr_html_()


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "copy files to '/tmp/x.csv'", "attach '/tmp/x.db'", "set enable_external_access = true",
        "install httpfs", "select * from nothing", "selec 1", "", "select 1; drop table files", "select getenv('HOME')",
    ],
)  # fmt: skip
def test_nothing_outside_is_reached_and_errors_are_one_line(shop, statement):
    with pytest.raises(SearchError) as error:
        shop.sql(statement)
    assert "\n" not in str(error.value)


def test_a_query_that_takes_too_long_is_stopped(shop):
    with pytest.raises(SearchError, match="deadline"):
        shop.sql("select count(*) from range(100000) a, range(100000) b where a.range * b.range = 7", deadline=0.2)


def test_a_quote_in_a_path_is_no_way_in(tmp_path, make_workspace):
    from tests.conftest import write_tree

    home = tmp_path / "it's a home"
    write_tree(tmp_path / "t", {"o'brien.py": "x = 1\n"})
    workspace = make_workspace(home)
    workspace.index(tmp_path / "t", name="o'repo")
    assert workspace.sql("select repo, path from files").rows() == [("o'repo", "o'brien.py")]
