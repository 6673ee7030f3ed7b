"""SQL over what is in scope: rows are read from the shards' Parquet into a database that can reach nothing else."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..errors import SearchError, ShardError
from ..index.catalog import read_table
from ..index.shard import Shard
from .mask import ScopeMask
from .query import Bounds
from .table import Table

MOST_ROWS = 1_000_000
WATCHED_S = 0.05  # between looks at a query's bounds
MEMORY_LIMIT = 1_000_000_000  # bytes
_COLUMNS = {
    "files": "repo, path, language, lines, size_bytes, make_timestamp(mtime_ns // 1000) as modified, generated",
    "chunks": "repo, path, language, start_line, end_line, kind, symbol, nullif(cell, -1) as cell",
    "symbols": "repo, path, language, name, kind, container, signature, start_line, end_line, doc",
}


class InScope(NamedTuple):
    """A shard, whose it is, and what of it is in scope."""

    repo: str
    shard: Shard
    mask: ScopeMask


def run_sql(statement: str, shards: list[InScope], bounds: Bounds, most_rows: int = MOST_ROWS, memory_bytes: int = MEMORY_LIMIT) -> Table:
    """Answer one statement over files, chunks, symbols and repositories, as far as they are in scope."""
    import duckdb

    if not statement.strip():
        raise SearchError("The SQL statement is empty. Try: select language, count(*) from files group by all")
    began = time.perf_counter()
    connection = duckdb.connect(config={"threads": "1", "temp_directory": "", "memory_limit": f"{memory_bytes}B"})
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
    try:
        with _interrupted(connection, bounds):
            query = statement.strip().rstrip(";")
            connection.execute(f"create table answer as select * from ({query}\n) limit {most_rows + 1}")
            truncated = connection.execute("select count(*) from answer").fetchone()[0] > most_rows
            if truncated:
                connection.execute(f"delete from answer where rowid >= {most_rows}")
    except duckdb.InterruptException:
        if bounds.cancel is not None and bounds.cancel.is_set():
            raise SearchError("The SQL query was cancelled.") from None
        raise SearchError("The SQL query took longer than its deadline. Narrow the scope, or give it more time.") from None
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        raise SearchError(f"The SQL query failed: {first} The tables are repositories, files, chunks and symbols.") from None
    return Table.of_connection(connection, truncated, {"load": (loaded - began) * 1000, "query": (time.perf_counter() - loaded) * 1000})


@contextmanager
def _interrupted(connection: Any, bounds: Bounds) -> Iterator[None]:
    """Interrupt what the connection does in the block when its bounds are reached."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCHED_S):
            if bounds.reached():
                connection.interrupt()

    watcher = threading.Thread(target=watch, name="codeintel-sql-bounds", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


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
