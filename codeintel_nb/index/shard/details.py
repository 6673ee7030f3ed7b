"""Signatures and documentation of a shard's definitions, compressed in blocks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from .arrays import open_arrays, write_arrays
from .manifest import damaged

PART = "details.bin"
BLOCK = 64  # definitions compressed together
LEVEL = 9  # of zlib: a build spends a hundredth of its time here

_decoder = msgspec.msgpack.Decoder(list[str])


def write_details(path: Path, details: Sequence[tuple[str, str]]) -> None:
    """Write the signature and the documentation of each definition."""
    texts = [text for pair in details for text in pair]
    blocks = [
        zlib.compress(msgspec.msgpack.encode(texts[begin : begin + 2 * BLOCK]), LEVEL)
        for begin in range(0, len(texts), 2 * BLOCK)
    ]
    ends = np.cumsum([0, *map(len, blocks)]).astype(np.uint64)
    write_arrays(path, {"ends": ends, "blocks": np.frombuffer(b"".join(blocks), np.uint8)})


class Details:
    """Signatures and documentation, read by the numbers of definitions."""

    def __init__(self, path: Path) -> None:
        self._shard, arrays = path.parent, open_arrays(path)
        self._ends, self._blocks = arrays["ends"], memoryview(arrays["blocks"].data)

    def of(self, numbers: Sequence[int]) -> list[tuple[str, str]]:
        """Return the signature and the documentation of each definition.

        Raises
        ------
        ShardError : the file is damaged.
        """
        return list(zip(*self.columns(numbers), strict=True))

    def columns(self, numbers: Sequence[int]) -> tuple[list[str], list[str]]:
        """Return signatures and documentation as columns; raises like ``of``."""
        texts = list[str]()
        places = dict[int, int]()  # of a block's first definition among the texts
        for block in dict.fromkeys(number // BLOCK for number in numbers):
            places[block] = len(texts)
            texts += self._read(block)
        at = [places[number // BLOCK] + 2 * (number % BLOCK) for number in numbers]
        return [texts[i] for i in at], [texts[i + 1] for i in at]

    def _read(self, block: int) -> list[str]:
        packed = self._blocks[int(self._ends[block]) : int(self._ends[block + 1])]
        try:
            return _decoder.decode(zlib.decompress(packed))
        except (zlib.error, msgspec.DecodeError) as error:
            raise damaged(self._shard, f"{PART} cannot be read: {error}") from error
