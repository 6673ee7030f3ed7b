"""Texts of definitions: names, containers, signatures and documentation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from ...errors import ShardError
from .manifest import OLD_FORMAT
from .shard import Shard


class SymbolTexts:
    """Texts of some definitions as columns, read on first use.

    Every column raises FileNotFoundError if the shard was deleted, and ShardError if the texts are
    damaged.
    """

    def __init__(self, shard: Shard, numbers: Sequence[int]) -> None:
        self._shard, self._numbers = shard, numbers

    @property
    def names(self) -> Sequence[str]:
        return self._names[0]

    @property
    def containers(self) -> Sequence[str]:
        return self._names[1]

    @property
    def signatures(self) -> Sequence[str]:
        return self._details[0]

    @property
    def docs(self) -> Sequence[str]:
        return self._details[1]

    @cached_property
    def _names(self) -> Sequence[Sequence[str]]:
        if self._shard.manifest.format == OLD_FORMAT:
            return self._in_parquet[:2]
        labels = self._shard.symbol_labels(np.array(self._numbers, np.int64))
        return self._shard.symbol_names.of(self._numbers, labels)

    @cached_property
    def _details(self) -> Sequence[Sequence[str]]:
        if self._shard.details is None:
            return self._in_parquet[2:]
        return self._shard.details.columns(self._numbers)

    @cached_property
    def _in_parquet(self) -> list[Sequence[str]]:
        rows = _texts_in_parquet(self._shard, self._numbers)
        return list(zip(*rows, strict=True)) if rows else [()] * 4


@cache
def _reader(process: int) -> Any:
    """Return the process's database for reading tables.

    Opening one takes longer than reading a few rows. A forked child opens its own: the parent's
    worker threads do not exist there.
    """
    import duckdb

    return duckdb.connect(config={"threads": "1", "temp_directory": ""})


def _texts_in_parquet(shard: Shard, numbers: Sequence[int]) -> list[tuple[str, str, str, str]]:
    """Return texts from the tables for SQL of format 7; a row's number is its definition's."""
    import duckdb

    if not numbers:
        return []
    table = shard.folder / "symbols.parquet"
    source = str(table).replace("'", "''")
    try:
        with _reader(os.getpid()).cursor() as connection:
            rows: list[Any] = connection.execute(
                "select file_row_number, name, container, signature, doc"
                f" from read_parquet('{source}', file_row_number = true)"
                " where file_row_number between ? and ?",
                [min(numbers), max(numbers)],
            ).fetchall()
    except duckdb.Error as error:
        if not table.exists():
            raise FileNotFoundError(shard.folder) from error  # replaced: the caller retries
        raise ShardError(
            f"The definitions of shard {shard.id} cannot be read: {str(error).splitlines()[0]} "
            "Run: codeintel doctor"
        ) from error
    texts = {
        number: (name, container, signature, doc)
        for number, name, container, signature, doc in rows
    }
    return [texts[number] for number in numbers]
