"""Lines within the cells of notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from ..index.shard.arrays import Mask
from ..index.shard.shard import KINDS, Shard
from ..sources.cells import OUTPUT

_TEXT = KINDS.index("text")  # of printed output, and of the keys of YAML, JSON and TOML


class Chunks(Protocol):
    """Columns of the chunks of a shard."""

    @property
    def chunk_line(self) -> Any: ...
    @property
    def chunk_file(self) -> Any: ...
    @property
    def chunk_kind(self) -> Any: ...
    @property
    def chunk_cell(self) -> Any: ...


def first_line(shard: Chunks, chunk: int) -> int:
    """Return the first line of a chunk's cell, or of the cell's output."""

    def part(number: int) -> tuple[Any, Any, bool]:
        return (
            shard.chunk_file[number],
            shard.chunk_cell[number],
            shard.chunk_kind[number] == _TEXT,
        )

    own = part(chunk)
    while chunk > 0 and part(chunk - 1) == own:
        chunk -= 1
    return int(shard.chunk_line[chunk])


def cell_line(shard: Chunks, chunk: int, line: int) -> int | None:
    """Return a line's number within its cell, from 1; None outside of cells."""
    return None if shard.chunk_cell[chunk] < 0 else line - first_line(shard, chunk) + 1


def cell_lines(shard: Chunks, chunks: Iterable[int], lines: Iterable[int]) -> list[int | None]:
    """Return ``cell_line`` of many lines."""
    firsts = dict[int, int | None]()
    numbers = list[int | None]()
    for chunk, line in zip(chunks, lines, strict=True):
        if chunk not in firsts:
            firsts[chunk] = None if shard.chunk_cell[chunk] < 0 else first_line(shard, chunk)
        first = firsts[chunk]
        numbers.append(None if first is None else line - first + 1)
    return numbers


def outputs_of_cells(shard: Shard) -> Mask:
    """Return the mask of the chunks with printed output of cells."""
    # a key has the language of its cell, an output that of its file
    of_file = shard.chunk_language == shard.file_language[shard.chunk_file]
    outputs: Mask = (shard.chunk_cell >= 0) & (shard.chunk_kind == _TEXT) & of_file
    for chunk in np.flatnonzero(outputs).tolist():
        outputs[chunk] = shard.label(chunk) == OUTPUT
    return outputs
