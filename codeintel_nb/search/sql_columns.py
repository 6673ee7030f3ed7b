"""Columns that an SQL query reads, from its parsed tree.

A column is left unread only if nothing in the query can reach it: unknown parts of a tree count as
a read of all columns.
"""

from __future__ import annotations

from typing import Any

_EXPRESSIONS = frozenset(
    {
        "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT",
        "FUNCTION", "OPERATOR", "SUBQUERY", "WINDOW",
    }
)  # fmt: skip
_TABLES = frozenset({"BASE_TABLE", "EMPTY", "JOIN", "SUBQUERY"})


class _ReadsAll(Exception):
    """Query that may read any column."""


def columns_read(tree: Any) -> frozenset[str] | None:
    """Return the names of columns that a query may read, in lower case; None for all."""
    columns, tables = set[str](), set[str]()
    try:
        _collect(tree, columns, tables)
    except _ReadsAll:
        return None
    # a table name used as a column denotes the whole row
    return None if columns & tables else frozenset(columns)


def _collect(node: Any, columns: set[str], tables: set[str]) -> None:
    if isinstance(node, list):
        for part in node:
            _collect(part, columns, tables)
    if not isinstance(node, dict):
        return
    if "class" in node:
        _check(node["class"] in _EXPRESSIONS)
        # of a function called on a column, the schema is the column
        _check(not (node.get("schema") or node.get("catalog")))
        if node["class"] == "COLUMN_REF":
            columns.add(node["column_names"][-1].lower())
    if "from_table" in node:
        _check(node["type"] == "SELECT_NODE")
    for name in ("from_table", "left", "right"):
        table = node.get(name)
        if isinstance(table, dict) and "class" not in table and "from_table" not in table:
            _check(table["type"] in _TABLES and not table.get("column_name_alias"))
            _check(table.get("ref_type", "REGULAR") in ("REGULAR", "CROSS"))
            columns.update(column.lower() for column in table.get("using_columns", ()))
            tables.update(table[key].lower() for key in ("alias", "table_name") if table.get(key))
    for part in node.values():
        _collect(part, columns, tables)


def _check(is_understood: bool) -> None:
    if not is_understood:
        raise _ReadsAll
