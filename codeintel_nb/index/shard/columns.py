"""Columns of a shard: one value per file, chunk or definition.

Positions are stored as lengths, and last lines by their distance from the first. A shard of
format 7 stores them unchanged.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .arrays import Array, open_arrays, write_arrays
from .lengths import length_arrays, lengths_in, starts_of

PART = "columns.bin"


def write_columns(path: Path, columns: dict[str, Array]) -> None:
    """Write the columns of a shard."""
    stored = dict(columns)
    stored |= length_arrays("chunk_bytes", np.diff(stored.pop("chunk_start").astype(np.int64)))
    lines = _chunk_lines(stored)
    if lines is not None:
        del stored["chunk_line"]
        stored |= length_arrays("chunk_lines", lines)
    first, last = (stored[name].astype(np.int64) for name in ("symbol_line", "symbol_end_line"))
    lines, steps = last - first, _steps(first, stored["file_symbol"])
    if not ((lines < 0).any() or (steps < 0).any()):  # else they stay unchanged
        del stored["symbol_line"], stored["symbol_end_line"]
        stored |= length_arrays("symbol_lines", lines) | length_arrays("symbol_steps", steps)
    stored |= length_arrays(
        "symbol_label_bytes", np.diff(stored.pop("symbol_label_ends"), prepend=0)
    )
    write_arrays(path, stored)


def open_columns(path: Path) -> dict[str, Array]:
    """Return the columns of a shard; most are views of the mapped file.

    Raises
    ------
    FileNotFoundError : the file is gone.
    ShardError : the file is truncated or damaged.
    KeyError : a column is missing.
    """
    columns = open_arrays(path)
    if "chunk_bytes" not in columns:
        return columns  # format 7
    columns["chunk_start"] = starts_of(lengths_in(columns, "chunk_bytes"), np.uint64)
    if "chunk_lines" in columns:
        starts = starts_of(lengths_in(columns, "chunk_lines"))
        counts = np.diff(columns["file_chunk"])
        before = starts[columns["file_chunk"][:-1]]
        columns["chunk_line"] = starts[:-1] - np.repeat(before, counts) + np.uint32(1)
    if "symbol_line" not in columns:
        steps = lengths_in(columns, "symbol_steps")
        columns["symbol_line"] = _lines(steps, columns["file_symbol"])
        columns["symbol_end_line"] = columns["symbol_line"] + lengths_in(columns, "symbol_lines")
    columns["symbol_label_ends"] = starts_of(lengths_in(columns, "symbol_label_bytes"))[1:]
    return columns


def _chunk_lines(columns: dict[str, Array]) -> Array | None:
    """Return the number of lines of each chunk; None unless the chunks tile each file's lines."""
    first, ends = columns["chunk_line"].astype(np.int64), columns["file_chunk"].astype(np.int64)
    filled = np.diff(ends) > 0
    if not (first[ends[:-1][filled]] == 1).all():
        return None
    lines = np.diff(first, append=1)
    lines[ends[1:][filled] - 1] += columns["file_lines"].astype(np.int64)[filled]
    return lines if len(lines) == 0 or lines.min() >= 0 else None


def _steps(lines: Array, file_symbol: Array) -> Array:
    """Return the distance of each definition's line from the one before in its file."""
    steps = np.diff(lines, prepend=0)
    first = _first_symbols(file_symbol)
    steps[first] = lines[first]
    return steps


def _lines(steps: Array, file_symbol: Array) -> Array:
    """Return the line of each definition."""
    sums = np.cumsum(steps, dtype=np.uint32)
    first = _first_symbols(file_symbol)
    before = sums[first] - steps[first]
    counts = np.diff(file_symbol)
    return sums - np.repeat(before, counts[counts > 0])


def _first_symbols(file_symbol: Array) -> Array:
    """Return the first definition of each file that has any."""
    return file_symbol[:-1][np.diff(file_symbol) > 0].astype(np.int64)
