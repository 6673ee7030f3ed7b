"""Parquet tables of files, chunks and symbols, for SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Array

TABLES = ("files", "chunks", "symbols")
ROWS = 20_480  # per row group, the unit of reading: a query for a few rows reads a whole group


def write_tables(folder: Path, tables: dict[str, dict[str, Array | list[Any]]]) -> None:
    """Write each table to a file of its own.

    A table's columns are equally long: lists of text, arrays of numbers.
    """
    import duckdb

    # one connection for all: opening it costs more than writing a small table
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        for name, columns in tables.items():
            arrays = {
                column: np.array(values, dtype=object) if isinstance(values, list) else values
                for column, values in columns.items()
            }
            connection.register("columns_given", arrays)
            texts = ", ".join(
                f'"{column}"::varchar as "{column}"' if isinstance(values, list) else f'"{column}"'
                for column, values in columns.items()
            )
            connection.execute(
                f"copy (select {texts} from columns_given)"
                f" to '{_quoted(folder / f'{name}.parquet')}'"
                f" (format parquet, compression zstd, compression_level 9, row_group_size {ROWS})"
            )
            connection.unregister("columns_given")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def read_table(path: Path, numbered: bool = False) -> str:
    """Return the SQL to read a table's file.

    ``numbered`` adds the rows' numbers as ``file_row_number``.
    """
    return f"read_parquet('{_quoted(path)}'{', file_row_number = true' if numbered else ''})"
