"""The Parquet tables of a shard: files, chunks and symbols, for SQL and for any other reader of Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Array

TABLES = ("files", "chunks", "symbols")
ROWS = 20_480  # of a group, which is what a look at a few rows reads


def write_tables(folder: Path, tables: dict[str, dict[str, Array | list[Any]]]) -> None:
    """Write tables of equally long columns, a file each; texts are lists, numbers are arrays."""
    import duckdb

    with (
        duckdb.connect() as connection
    ):  # one for all: to open it costs more than to write a small table
        connection.execute("set threads = 1")
        for name, columns in tables.items():
            given = {
                column: np.array(values, dtype=object) if isinstance(values, list) else values
                for column, values in columns.items()
            }
            connection.register("columns_given", given)
            texts = ", ".join(
                f'"{column}"::varchar as "{column}"' if isinstance(values, list) else f'"{column}"'
                for column, values in columns.items()
            )
            connection.execute(
                f"copy (select {texts} from columns_given) to '{_quoted(folder / f'{name}.parquet')}' (format parquet, compression zstd, compression_level 9, row_group_size {ROWS})"
            )
            connection.unregister("columns_given")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def read_table(path: Path, numbered: bool = False) -> str:
    """Return the SQL that reads a table's file, with ``numbered`` rows as ``file_row_number``."""
    return f"read_parquet('{_quoted(path)}'{', file_row_number = true' if numbered else ''})"
