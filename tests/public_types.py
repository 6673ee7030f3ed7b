"""Types of the public names, for the type checker alone: no test runs this."""

from typing import Any, assert_type

from codeintel_nb import Hit, Results, Scope, Workspace
from codeintel_nb.client.contract import Client
from codeintel_nb.index.update.report import IndexReport
from codeintel_nb.operations.answers import ScopeAnswer, SearchAnswer
from codeintel_nb.operations.requests import GetScope, IndexRequest, SqlRequest
from codeintel_nb.search.query import TextQuery
from codeintel_nb.search.table import Table
from codeintel_nb.searches import Searches


def workspace(ws: Workspace) -> None:
    results = ws.search_text("x", Scope(), regex=True, limit=3, timeout_s=1.0)
    assert_type(results, Results)
    assert_type(results[0], Hit)
    assert_type(results[:1], Results)
    assert_type(results["path"], list[Any])
    assert_type(ws.semantic_search("x", mode="dense"), Results)
    assert_type(ws.search_symbols("x", kind="class"), Results)
    assert_type(ws.list_paths(), Results)
    assert_type(ws.sql("select 1"), Table)
    assert_type(ws.index("path"), IndexReport)
    assert_type(Workspace.current(), Searches)
    with Workspace.open() as opened:
        assert_type(opened, Workspace)


def client(client: Client) -> None:
    assert_type(client.ask(TextQuery("x")), SearchAnswer)
    assert_type(client.ask(SqlRequest(statement="select 1")), Table)
    assert_type(client.ask(IndexRequest(path="x")), IndexReport)
    assert_type(client.ask(GetScope()), ScopeAnswer)
