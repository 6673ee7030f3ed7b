"""SQL over the files, chunks and symbols in scope, without any other access."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np

from ..errors import SearchError
from ..index.shard.shard import KINDS
from ..sources.chunk import decoded
from .cells import outputs_of_cells
from .hit import Hit
from .lazy_hits import columns_of
from .query import Bounds
from .shard_tables import TABLES, InScope
from .sql_columns import columns_read
from .table import ANSWER, MAX_ROWS, MEMORY_LIMIT, OWN_SCHEMA, SCHEMA, Table

EMPTY = "The SQL statement is empty. Try: select language, count(*) from files group by all"
COUNTED = ("lines", "start_line")  # always loaded, so that rows can be counted
WATCHED_S = 0.05  # between checks of a query's bounds
# DuckDB functions that read files, run text as SQL, or reveal settings, folders and secrets
_TELLING = re.compile(
    r"(?:duckdb|pragma|read|parquet|sniff|sqlite|postgres|mysql|iceberg|delta|json_execute|enable"
    r"|disable)_"
    r"|(?:glob|query|query_table|current_setting|getenv|getvariable|which_secret"
    r"|load_aws_credentials|st_read|from_substrait|test_all_types|checkpoint|force_checkpoint)$"
)


def run_sql(
    statement: str,
    shards: list[InScope],
    bounds: Bounds,
    most_rows: int = MAX_ROWS,
    memory_bytes: int = MEMORY_LIMIT,
    hits: Sequence[Hit] = (),
) -> Table:
    """Answer one SQL statement over the data in scope.

    The tables are repositories, files, chunks, symbols, cells, and the given hits.
    """
    import duckdb

    if not statement.strip():
        raise SearchError(EMPTY)
    began = time.perf_counter()
    connection = duckdb.connect(
        config={"threads": "1", "temp_directory": "", "memory_limit": f"{memory_bytes}B"}
    )
    with _search_errors(bounds):
        query, tree = _checked(connection, statement)
        _load_all(connection, statement, columns_read(tree), shards, hits, bounds)
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    loaded_at = time.perf_counter()
    truncated = _answer(connection, query, bounds, most_rows)
    timings = {
        "load": (loaded_at - began) * 1000,
        "query": (time.perf_counter() - loaded_at) * 1000,
    }
    return Table.of_connection(connection, truncated, timings)


def _load_all(
    connection: Any,
    statement: str,
    read: frozenset[str] | None,
    shards: list[InScope],
    hits: Sequence[Hit],
    bounds: Bounds,
) -> None:
    """Load the tables mentioned by a statement, at least with the columns ``read``.

    Raises
    ------
    FileNotFoundError : a shard was replaced meanwhile; the caller retries.
    ShardError : a table is damaged.
    """

    for name, columns in SCHEMA.items():
        typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        connection.execute(f"create table {name} ({typed})")
    connection.execute(f"create schema {OWN_SCHEMA}")  # not listed by show tables
    if _mentions(statement, "hits"):
        _load_hits(connection, hits)
    if _mentions(statement, "cells"):
        _load_cells(connection, shards)
    for repo in dict.fromkeys(part.repo for part in shards):
        parts = [part.mask for part in shards if part.repo == repo]
        connection.execute(
            "insert into repositories values (?, ?, ?)",
            [repo, sum(m.files_in_scope for m in parts), sum(m.chunks_in_scope for m in parts)],
        )
    for name in TABLES:
        if _mentions(statement, name):
            _load(connection, name, read, shards, bounds)


def _answer(connection: Any, query: str, bounds: Bounds, most_rows: int) -> bool:
    """Create the answer's table; return whether it is truncated."""
    with _search_errors(bounds), _interrupted(connection, bounds):
        connection.execute(
            f"create table {ANSWER} as select * from ({query}\n) limit {most_rows + 1}"
        )
        rows = connection.execute(f"select count(*) from {ANSWER}").fetchone()[0]
        if rows > most_rows:
            connection.execute(f"delete from {ANSWER} where rowid >= {most_rows}")
        return bool(rows > most_rows)


@contextmanager
def _search_errors(bounds: Bounds) -> Iterator[None]:
    """Convert errors of DuckDB to SearchErrors."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise _stopped(bounds) from None
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        raise SearchError(
            f"SQL error: {first} (Tables: repositories, files, chunks, symbols, cells, hits.)"
        ) from None


def _stopped(bounds: Bounds) -> SearchError:
    """Return the error of a query that reached its bounds."""
    if bounds.cancel is not None and bounds.cancel.is_set():
        return SearchError("The SQL query was cancelled.")
    return SearchError("The SQL query timed out. Narrow the scope, or allow more time.")


def _checked(connection: Any, statement: str) -> tuple[str, Any]:
    """Return the bare statement and its tree; SearchError unless one permitted query.

    A permitted query calls no function that reveals the machine.
    """
    import duckdb

    query = _bare(statement)
    statements = duckdb.extract_statements(query)
    if not statements:
        raise SearchError(EMPTY)
    if len(statements) != 1:
        raise SearchError(
            f"The text contains {len(statements)} SQL statements. Give one query at a time."
        )
    if statements[0].type != duckdb.StatementType.SELECT:
        raise SearchError(
            f"Only queries are allowed (SELECT or FROM); {query.split()[0].upper()} is not."
        )
    tree = msgspec.json.decode(
        connection.execute("select json_serialize_sql(?::varchar)", [query]).fetchone()[0]
    )
    if tree["error"]:
        raise SearchError(
            f"The SQL query cannot be checked: {tree.get('error_message', '')}. "
            "Only queries with SELECT or FROM are allowed."
        )
    for name in _called(tree):
        if _TELLING.match(name):
            raise SearchError(
                f"The SQL query cannot use {name}: "
                "queries can read the code in scope, not the machine."
            )
    return query, tree


def _bare(statement: str) -> str:
    """Strip semicolons and comments around a statement, by DuckDB's tokenizer."""
    import duckdb

    text = statement.encode("utf-8", "replace")
    tokens = [
        (at, text[at : at + 1] == b";" or kind == duckdb.token_type.comment)
        for at, kind in duckdb.tokenize(text.decode())
    ]
    ends = [*(at for at, _ in tokens[1:]), len(text)]
    parts = [(at, end) for (at, is_idle), end in zip(tokens, ends, strict=True) if not is_idle]
    return text[parts[0][0] : parts[-1][1]].decode().strip() if parts else ""


def _called(node: Any) -> Iterator[str]:
    """Yield the functions and tables named in a parsed query."""
    if isinstance(node, dict):
        for key in ("function_name", "table_name"):
            if isinstance(node.get(key), str):
                yield node[key].lower()
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _called(part)


def _mentions(statement: str, table: str) -> bool:
    return re.search(rf"\b{table}\b", statement, re.I) is not None


def _load_hits(connection: Any, hits: Sequence[Hit]) -> None:
    """Fill the table of a search's hits, best first."""
    names = [name for name in SCHEMA["hits"] if name != "rank"]
    if hits:
        rows = {
            "rank": np.arange(1, len(hits) + 1),
            **{
                name: np.array(values, object)
                for name, values in zip(names, columns_of(hits, names), strict=True)
            },
        }
        connection.register("given", rows)
        connection.execute(f"insert into hits select rank, {', '.join(names)} from given")
        connection.unregister("given")


def _load_cells(connection: Any, shards: list[InScope]) -> None:
    """Load the notebook cells with a chunk in scope, whole."""
    for repo, shard, mask, _ in shards:
        cell_chunks = shard.chunk_cell >= 0
        chunks = np.flatnonzero(cell_chunks if mask.chunks is None else cell_chunks & mask.chunks)
        if not len(chunks):
            continue
        in_scope = {
            (file, cell)
            for file, cell in zip(
                shard.chunk_file[chunks].tolist(), shard.chunk_cell[chunks].tolist(), strict=True
            )
        }
        # a cell is shown whole, but without its output
        is_source = cell_chunks & ~outputs_of_cells(shard)
        chunks = np.flatnonzero(
            is_source & np.isin(shard.chunk_file, [file for file, _ in in_scope])
        )
        files, cells = (
            shard.chunk_file[chunks].astype(np.int64),
            shard.chunk_cell[chunks].astype(np.int64),
        )
        first = np.flatnonzero(np.diff(files * (1 << 32) + cells, prepend=-1))
        last = np.append(first[1:], len(chunks)) - 1
        rows = list[tuple[Any, ...]]()
        for a, b in zip(chunks[first].tolist(), chunks[last].tolist(), strict=True):
            file, cell = int(shard.chunk_file[a]), int(shard.chunk_cell[a])
            if (file, cell) in in_scope:
                source = decoded(
                    shard.content[int(shard.chunk_start[a]) : int(shard.chunk_start[b + 1])]
                )
                kind = "markdown" if KINDS[int(shard.chunk_kind[a])] == "markdown" else "cell"
                rows.append(
                    (
                        repo,
                        shard.paths[file],
                        cell,
                        kind,
                        shard.languages[int(shard.chunk_language[a])],
                        int(shard.chunk_line[a]),
                        int(shard.chunk_end_line[b]),
                        source.removesuffix("\n"),
                    )
                )
        if not rows:
            continue
        names = tuple(SCHEMA["cells"])
        connection.register(
            "given",
            {
                name: np.array(column, object)
                for name, column in zip(names, zip(*rows, strict=True), strict=True)
            },
        )
        connection.execute(f"insert into cells select {', '.join(names)} from given")
        connection.unregister("given")


@contextmanager
def _interrupted(connection: Any, bounds: Bounds) -> Iterator[None]:
    """Interrupt the connection in the block when the bounds are reached."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(WATCHED_S):
            if bounds.reached():
                connection.interrupt()

    watcher = threading.Thread(target=watch, name="codeintel-sql-bounds", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _load(
    connection: Any,
    name: str,
    read: frozenset[str] | None,
    shards: list[InScope],
    bounds: Bounds,
) -> None:
    """Fill one table with the rows in scope of every shard."""
    for one in shards:
        columns = dict[str, Any]()
        for column, values in TABLES[name](one).items():
            if bounds.reached():
                raise _stopped(bounds)
            if read is None or column in read or column in COUNTED:
                columns[column] = values()
        connection.register("given", columns)
        selected = ", ".join(
            "make_timestamp(modified // 1000)" if column == "modified" else column
            for column in columns
        )
        connection.execute(
            f"insert into {name} (repo, {', '.join(columns)}) select $repo, {selected} from given",
            {"repo": one.repo},
        )
        connection.unregister("given")
