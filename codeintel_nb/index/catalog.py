"""The Parquet tables of a shard: files, chunks and symbols, for SQL and for any other reader of Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Array

TABLES = ("files", "chunks", "symbols")


def write_table(path: Path, columns: dict[str, Array | list[Any]]) -> None:
    """Write equally long columns; texts are lists, numbers are arrays."""
    import duckdb

    table = {name: np.array(values, dtype=object) if isinstance(values, list) else values for name, values in columns.items()}
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.register("columns_given", table)
        texts = ", ".join(f'"{name}"::varchar as "{name}"' if isinstance(values, list) else f'"{name}"' for name, values in columns.items())
        connection.execute(f"copy (select {texts} from columns_given) to '{_quoted(path)}' (format parquet, compression zstd)")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def read_table(path: Path) -> str:
    """The SQL that reads a table's file."""
    return f"read_parquet('{_quoted(path)}')"
