"""SQL reads only the columns that a query can reach, and answers the same."""

import threading

import pytest

from codeintel_nb.errors import SearchError
from codeintel_nb.index.shard.details import Details
from codeintel_nb.search import sql
from codeintel_nb.sources.document import document_of
from tests.conftest import write_tree

ALL = [
    "from symbols",
    "select s from symbols s",
    "select symbols from symbols",
    "select S from symbols as s",
    "select unnest(s) from symbols s",
    "select columns('d.*') from symbols",
    "select * exclude (doc) from symbols",
    "select #9 from symbols",
    "select x from symbols as t(a, b, c, d, e, f, x, h, i, j)",
    "select count(*) from symbols a natural join symbols b",
    "summarize symbols",
    "with t as (from symbols) select t from t",
    "select (select s) from symbols s",
    "select list(t) from (select * from symbols) t",
    "select doc.upper() from symbols",
    "select s.doc.upper() as d from symbols s",
    "select count(*) from symbols s where s.doc.contains('cart')",
    "select language.upper() from files",
    "select symbols.to_json() from symbols",
    "select s.struct_extract('doc') from symbols s",
    "select doc.upper().lower() from symbols",
]
SOME = [
    "select count(*) from symbols",
    "select name from symbols order by name",
    "select kind, count(*) as n from symbols group by all order by n, kind",
    "select name, doc from symbols order by doc, name",
    "select name from symbols where length(signature) > 12 order by name",
    "select a.name from symbols a join symbols b using (doc) order by all",
    "select a.NAME, b.kind from symbols a join chunks b on a.path = b.path order by all",
    "select max(doc) over (partition by kind) as d from symbols order by d",
    "select case when signature like '%total%' then name end as t from symbols order by t",
    "select path from files union select name from symbols order by 1",
    "select cell, symbol from chunks order by all",
    "select generated, modified, lines from files order by all",
    "select (select max(doc) from symbols s where s.path = f.path) as d from files f order by d",
    "with t as (select name as n, doc as d from symbols) select d from t order by n",
    "select [x.name for x in list(struct_pack(name := name))] as n from symbols group by all",
]


@pytest.mark.parametrize("statement", ALL + SOME)
def test_answer_is_that_of_all_columns(shop, statement, monkeypatch):
    if "order by" not in statement and statement not in ALL:
        statement = f"select * from ({statement}) order by all"
    answer = shop.sql(statement)
    monkeypatch.setattr(sql, "columns_read", lambda tree: None)
    everything = shop.sql(statement)
    assert (answer.columns, answer.types, repr(answer.rows())) == (
        everything.columns,
        everything.types,
        repr(everything.rows()),
    )
    assert len(answer)


@pytest.mark.parametrize("statement", SOME[:3])
def test_details_are_not_read_in_vain(shop, statement, monkeypatch):
    monkeypatch.setattr(Details, "columns", None)
    assert len(shop.sql(statement))


def test_names_with_dots_keep_their_containers(make_workspace, tmp_path):
    root = write_tree(
        tmp_path / "t",
        {
            "Makefile": ".PHONY: all\nlib/a.o: a.c\n\tcc a.c\n",
            "a.lua": "local M = {}\nfunction M.sub.run() end\nreturn M\n",
            "a.toml": '[tool."a.b"]\nkey = 1\n',
        },
    )
    workspace = make_workspace()
    workspace.index(root, name="t")
    rows = workspace.sql("select path, container, name from symbols").rows()
    read = [
        (path, symbol.container, symbol.name)
        for path in ("Makefile", "a.lua", "a.toml")
        for symbol in document_of(path, (root / path).read_bytes()).symbols
    ]
    assert rows == read
    assert any("." in name for _, _, name in rows), "the label does not tell its container"
    labels = {hit.symbol for hit in workspace.symbols("*", limit=50)}
    assert labels == {f"{container}.{name}".strip(".") for _, container, name in rows}


def test_limits_hold_while_tables_are_loaded(shop):
    everything = "select name, doc, signature from symbols"
    with pytest.raises(SearchError, match="emory"):
        shop.sql(everything, memory_bytes=100_000)
    with pytest.raises(SearchError, match="timed out"):
        shop.sql(everything, timeout_s=1e-6)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(SearchError, match="cancelled"):
        shop.sql(everything, cancel=cancel)
