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


def write_details(path: Path, signatures: Sequence[str], docs: Sequence[str]) -> None:
    """Write the signature and the documentation of each definition."""
    texts = [text for pair in zip(signatures, docs, strict=True) for text in pair]
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
        blocks = {block: self._read(block) for block in {number // BLOCK for number in numbers}}
        return [
            (blocks[block][2 * at], blocks[block][2 * at + 1])
            for block, at in (divmod(number, BLOCK) for number in numbers)
        ]

    def _read(self, block: int) -> list[str]:
        packed = self._blocks[int(self._ends[block]) : int(self._ends[block + 1])]
        try:
            return _decoder.decode(zlib.decompress(packed))
        except (zlib.error, msgspec.DecodeError) as error:
            raise damaged(self._shard, f"{PART} cannot be read: {error}") from error
