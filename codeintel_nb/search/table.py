"""Table: the answer of an SQL query, local or received."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec

from ..errors import MissingExtra

MAX_ROWS = 1_000_000
MEMORY_LIMIT = 1_000_000_000  # bytes
# types with the same value in JSON
_PLAIN = {
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "VARCHAR",
}
_SHOWN = 100
_LEFT = " style='text-align:left'"
# tables of a query, with the types of their columns
SCHEMA: dict[str, dict[str, str]] = {
    "repositories": {"repo": "varchar", "files": "bigint", "chunks": "bigint"},
    "files": {
        "repo": "varchar", "path": "varchar", "language": "varchar", "lines": "uinteger",
        "size_bytes": "bigint", "modified": "timestamp", "generated": "boolean",
    },
    "chunks": {
        "repo": "varchar", "path": "varchar", "language": "varchar", "start_line": "uinteger",
        "end_line": "uinteger", "kind": "varchar", "symbol": "varchar", "cell": "integer",
    },
    "symbols": {
        "repo": "varchar", "path": "varchar", "language": "varchar", "name": "varchar",
        "kind": "varchar", "container": "varchar", "signature": "varchar",
        "start_line": "uinteger", "end_line": "uinteger", "doc": "varchar",
    },
    "cells": {
        "repo": "varchar", "path": "varchar", "cell": "bigint", "kind": "varchar",
        "language": "varchar", "start_line": "bigint", "end_line": "bigint", "source": "varchar",
    },
    "hits": {
        "rank": "bigint", "repo": "varchar", "path": "varchar", "start_line": "bigint",
        "end_line": "bigint", "score": "double", "kind": "varchar", "symbol": "varchar",
        "language": "varchar", "cell": "bigint", "snippet": "varchar",
    },
}  # fmt: skip
OWN_SCHEMA = "codeintel"
ANSWER = f"{OWN_SCHEMA}.answer"


class Table:
    """Rows in memory, with the columns' names and DuckDB types.

    A table received over the wire keeps its JSON cells, and becomes a DuckDB relation on demand.
    Without DuckDB it serves the JSON cells, with dates and the like as text.
    """

    # returns the function that links a row, by column, to its file; set by the notebook package
    linker: ClassVar[Callable[[], Callable[[dict[str, Any]], str | None]] | None] = None

    def __init__(
        self,
        columns: list[str],
        types: list[str],
        cells: list[list[Any]] | None,
        truncated: bool,
        timings_ms: dict[str, float],
        connection: Any = None,
    ) -> None:
        self.columns = columns
        self.types = types
        self.truncated = truncated  # the answer has more rows than the table
        self.timings_ms = timings_ms
        self._cells = cells
        self._connection = connection

    @classmethod
    def of_connection(cls, connection: Any, truncated: bool, timings_ms: dict[str, float]) -> Table:
        """Return the table ``answer`` of a DuckDB connection."""
        columns = connection.execute(f"describe {ANSWER}").fetchall()
        return cls(
            [row[0] for row in columns],
            [row[1] for row in columns],
            None,
            truncated,
            timings_ms,
            connection,
        )

    def wire_cells(self) -> bytes:
        """Return the rows as JSON, an array of arrays.

        A value without a JSON type becomes DuckDB's text of it.
        """
        if self._connection is None:
            return msgspec.json.encode(self._cells)
        exact = [_cell(name, kind) for name, kind in zip(self.columns, self.types, strict=True)]
        rows = (
            self._connection.cursor()
            .execute(f"select json_array({', '.join(exact)})::varchar from {ANSWER}")
            .fetchall()
        )
        return b"[" + b",".join(row[0].encode("utf-8", "replace") for row in rows) + b"]"

    def relation(self) -> Any:
        """Return a DuckDB relation over the rows."""
        return self._connected().table(ANSWER)

    def rows(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        try:
            cursor = self._connected().cursor().execute(f"from {ANSWER}")
        except ImportError:
            return [tuple(row) for row in (self._cells or [])[:limit]]
        rows: list[tuple[Any, ...]] = (
            cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        )
        return rows

    def to_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows()]

    def to_arrow(self) -> Any:
        """Return a pyarrow Table."""
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise MissingExtra("df", needed_by="Table.to_arrow") from None
        answer = self.relation().arrow()
        return answer.read_all() if hasattr(answer, "read_all") else answer

    def to_df(self) -> Any:
        """Return a pandas DataFrame."""
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise MissingExtra("df", needed_by="Table.to_df") from None
        return self.relation().df()

    def to_polars(self) -> Any:
        """Return a Polars DataFrame."""
        try:
            import polars
        except ImportError:
            raise MissingExtra("polars", needed_by="Table.to_polars") from None
        return polars.from_arrow(self.to_arrow())

    def _connected(self) -> Any:
        if self._connection is None:
            import duckdb

            connection = duckdb.connect(config={"threads": "1", "temp_directory": ""})
            columns = ", ".join(
                f"{_quoted(name)} {kind}"
                for name, kind in zip(self.columns, self.types, strict=True)
            )
            connection.execute(f"create schema {OWN_SCHEMA}")
            connection.execute(f"create table {ANSWER} ({columns})")
            casts = ", ".join(f"cast(r->>{i} as {kind})" for i, kind in enumerate(self.types))
            connection.execute(
                f"insert into {ANSWER} select {casts} from (select unnest(cast(? as json[])) r)",
                [msgspec.json.encode(self._cells).decode()],
            )
            self._connection = connection
        return self._connection

    def __len__(self) -> int:
        if self._cells is not None:
            return len(self._cells)
        return int(
            self._connection.cursor().execute(f"select count(*) from {ANSWER}").fetchone()[0]
        )

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows())

    def __repr__(self) -> str:
        try:
            return str(self.relation())
        except ImportError:
            rows = [self.columns, *([str(cell) for cell in row] for row in self.rows(_SHOWN))]
            return "\n".join("  ".join(row) for row in rows)

    def _repr_html_(self) -> str:
        aligned = [_LEFT if kind == "VARCHAR" else "" for kind in self.types]
        heads = "".join(
            f"<th scope='col'{style}>{html.escape(name)}</th>"
            for name, style in zip(self.columns, aligned, strict=True)
        )
        link = Table.linker() if Table.linker is not None and "path" in self.columns else None
        body = "".join(f"<tr>{self._row(row, aligned, link)}</tr>" for row in self.rows(_SHOWN))
        count = len(self)
        rows = f"{count:,} row{'' if count == 1 else 's'}"
        size = f"the first {rows}" if self.truncated else rows
        more = f", the first {_SHOWN} shown" if count > _SHOWN else ""
        note = f"<caption{_LEFT}>{size}{more}</caption>"
        return f"<table>{note}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"

    def _row(
        self,
        row: tuple[Any, ...],
        aligned: list[str],
        link: Callable[[dict[str, Any]], str | None] | None,
    ) -> str:
        """Return the cells of a row; its path is a link where that is known."""
        named = dict(zip(self.columns, row, strict=True))
        cells = []
        for name, value, style in zip(self.columns, row, aligned, strict=True):
            text = html.escape("" if value is None else str(value)[:300])
            target = link(named) if name == "path" and link is not None else None
            if target is not None:
                text = f'<a href="{html.escape(target)}">{text}</a>'
            cells.append(f"<td{style}>{text}</td>")
        return "".join(cells)


def _cell(name: str, kind: str) -> str:
    column = _quoted(name)
    if kind in _PLAIN:
        return column
    if kind in ("FLOAT", "DOUBLE"):  # JSON has no NaN and no infinity
        return (
            f"case when isfinite({column}) then to_json({column}) "
            f"else to_json({column}::varchar) end"
        )
    return f"{column}::varchar"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
