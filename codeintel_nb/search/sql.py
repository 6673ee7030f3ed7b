"""SQL over what is in scope: rows are read from the shards' Parquet into a database that can reach nothing else."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import MissingExtra, SearchError, ShardError
from ..index.catalog import read_table
from ..index.shard import Shard
from .mask import ScopeMask
from .query import Bounds

MOST_ROWS = 1_000_000
MEMORY_LIMIT = "1GB"
_COLUMNS = {
    "files": "repo, path, language, lines, size_bytes, make_timestamp(mtime_ns // 1000) as modified, generated",
    "chunks": "repo, path, language, start_line, end_line, kind, symbol, nullif(cell, -1) as cell",
    "symbols": "repo, path, language, name, kind, container, signature, start_line, end_line",
}


class InScope(NamedTuple):
    """A shard, whose it is, and what of it is in scope."""

    repo: str
    shard: Shard
    mask: ScopeMask


class Table:
    """The answer to a query: rows in memory, with the columns' names and types."""

    def __init__(self, connection: Any, timings_ms: dict[str, float]) -> None:
        self._connection = connection
        self.timings_ms = timings_ms
        described = connection.execute("describe answer").fetchall()
        self.columns: list[str] = [row[0] for row in described]
        self.types: list[str] = [row[1] for row in described]

    def relation(self) -> Any:
        """A DuckDB relation over the rows."""
        return self._connection.table("answer")

    def rows(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor().execute("from answer")
        found: list[tuple[Any, ...]] = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        return found

    def to_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows()]

    def to_arrow(self) -> Any:
        """A pyarrow Table."""
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise MissingExtra("df", needed_by="Table.to_arrow") from None
        answer = self.relation().arrow()
        return answer.read_all() if hasattr(answer, "read_all") else answer

    def to_df(self) -> Any:
        """A pandas DataFrame."""
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise MissingExtra("df", needed_by="Table.to_df") from None
        return self.relation().df()

    def __len__(self) -> int:
        return int(self._connection.cursor().execute("select count(*) from answer").fetchone()[0])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows())

    def __repr__(self) -> str:
        return str(self.relation())

    def _repr_html_(self) -> str:
        import html

        def cells(tag: str, values: list[Any] | tuple[Any, ...]) -> str:
            return "".join(f"<{tag}>{html.escape('' if value is None else str(value)[:300])}</{tag}>" for value in values)

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows(100))
        count = len(self)
        note = f"<caption>{count:,} rows{', the first 100 shown' if count > 100 else ''}</caption>"
        return f"<table>{note}<thead><tr>{cells('th', self.columns)}</tr></thead><tbody>{body}</tbody></table>"


def run_sql(statement: str, shards: list[InScope], bounds: Bounds) -> Table:
    """Answer one statement over files, chunks, symbols and repositories, as far as they are in scope."""
    import duckdb

    if not statement.strip():
        raise SearchError("The SQL statement is empty. Try: select language, count(*) from files group by all")
    began = time.perf_counter()
    connection = duckdb.connect(config={"threads": "1", "temp_directory": "", "memory_limit": MEMORY_LIMIT})
    mentioned = [name for name in _COLUMNS if re.search(rf"\b{name}\b", statement, re.I)]
    connection.execute("create table repositories (repo varchar, files bigint, chunks bigint)")
    for repo in dict.fromkeys(part.repo for part in shards):
        parts = [part.mask for part in shards if part.repo == repo]
        connection.execute("insert into repositories values (?, ?, ?)", [repo, sum(m.files_in_scope for m in parts), sum(m.chunks_in_scope for m in parts)])
    try:
        for name in mentioned:
            _load(connection, name, shards)
    except duckdb.Error as error:
        for part in shards:
            if not all((part.shard.folder / f"{name}.parquet").exists() for name in _COLUMNS):
                raise FileNotFoundError(part.shard.folder) from error  # replaced meanwhile: the caller retries
        raise ShardError(f"The tables of {shards[0].repo!r} cannot be read: {str(error).splitlines()[0]} Run: codeintel doctor") from error
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    loaded = time.perf_counter()
    left = bounds.left_s()
    timer = threading.Timer(left, connection.interrupt) if left is not None else None
    if timer:
        timer.start()
    try:
        query = statement.strip().rstrip(";")
        connection.execute(f"create table answer as select * from ({query}\n) limit {MOST_ROWS}")
    except duckdb.InterruptException:
        raise SearchError("The SQL query took longer than its deadline. Narrow the scope, or give it more time.") from None
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        raise SearchError(f"The SQL query failed: {first} The tables are repositories, files, chunks and symbols.") from None
    finally:
        if timer:
            timer.cancel()
    return Table(connection, {"load": (loaded - began) * 1000, "query": (time.perf_counter() - loaded) * 1000})


def _load(connection: Any, name: str, shards: list[InScope]) -> None:
    """Create one table from the rows in scope of every shard."""
    created = False
    for part in shards:
        ids = {"id": np.arange(part.shard.manifest.files) if part.mask.files is None else np.flatnonzero(part.mask.files)}
        connection.register("in_scope", ids)
        folder = part.shard.folder
        source = f"{read_table(folder / 'files.parquet')} f"
        where = "f.file_id in (select id from in_scope)"
        if name != "files":
            source += f" join {read_table(folder / (name + '.parquet'))} using (file_id)"
        if name == "chunks" and part.mask.chunks is not None:
            connection.register("chunks_in_scope", {"id": np.flatnonzero(part.mask.chunks)})
            where = "chunk_id in (select id from chunks_in_scope)"
        select = f"select {_COLUMNS[name]} from (select $repo as repo, * from {source} where {where})"
        verb = f"insert into {name}" if created else f"create table {name} as"
        connection.execute(f"{verb} {select}", {"repo": part.repo})
        created = True
        connection.unregister("in_scope")
        if name == "chunks" and part.mask.chunks is not None:
            connection.unregister("chunks_in_scope")
