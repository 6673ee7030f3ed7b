"""Trigram postings of a shard: which blocks of the content hold a trigram.

Text is folded to lower case (ASCII; the Kelvin sign and the long s count as k and s too) and cut into blocks of about
16 KiB at line ends; a trigram never spans a newline.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .arrays import Array, open_arrays, write_arrays
from .id_lists import IdLists, packed

BLOCK = 16 << 10  # bytes, about: a block ends with a line
_FOLD = bytes(range(256)).lower()
_NEWLINE = 10
FOLDED_CHARACTERS = ((b"\xe2\x84\xaa", b"k"), (b"\xc5\xbf", b"s"))  # what re2 and ripgrep match with k and s, ignoring case

Blocks = npt.NDArray[np.int64]  # ids, ascending


def fold(text: bytes) -> bytes:
    return text.translate(_FOLD)


def code_of(trigram: bytes) -> int:
    """The number of a folded trigram."""
    return trigram[0] << 16 | trigram[1] << 8 | trigram[2]


def block_starts(content: bytes) -> list[int]:
    """First byte of each block, and the end."""
    starts, size = [0], len(content)
    while size - starts[-1] > BLOCK:
        end = content.rfind(b"\n", starts[-1], starts[-1] + BLOCK) + 1 or content.find(b"\n", starts[-1] + BLOCK) + 1 or size
        starts.append(end)
    if starts[-1] != size:
        starts.append(size)
    return starts


class PostingsBuilder:
    """Takes the content in order, in pieces that end with a line, and writes the postings."""

    def __init__(self) -> None:
        self._starts: list[int] = [0]
        self._codes: list[Array] = []  # of each block, each once
        self._tail = bytearray()

    def add(self, content: bytes) -> None:
        """Take more of the content, which ends with a line."""
        self._tail += content
        if len(self._tail) >= 64 * BLOCK:
            self._cut(final=False)

    def _cut(self, final: bool) -> None:
        tail = bytes(self._tail)
        starts = block_starts(tail)
        if not final and len(starts) > 1:
            starts.pop()  # the last block may grow
        base = self._starts[-1]
        for start, end in pairwise(starts):
            self._codes.append(distinct_trigrams(tail[start:end]))
            self._starts.append(base + end)
        del self._tail[: starts[-1]]

    def write(self, path: Path) -> None:
        if self._tail:
            self._cut(final=True)
        blocks = len(self._codes)
        pairs = np.empty(sum(map(len, self._codes)), np.uint64)  # a trigram and a block that holds it
        at = 0
        for block, codes in enumerate(self._codes):
            part = pairs[at : at + len(codes)]
            part[:] = codes
            part <<= np.uint64(32)
            part |= np.uint64(block)
            at += len(codes)
        self._codes.clear()
        pairs.sort()
        halves = pairs.astype("<u8", copy=False).view("<u4").reshape(-1, 2)
        owners, ordered = halves[:, 0].copy(), halves[:, 1]
        starts = np.flatnonzero(np.append(np.ones(min(1, at), bool), ordered[1:] != ordered[:-1]))
        codes = ordered[starts].copy()
        del pairs, halves, ordered
        write_arrays(path, {"starts": np.array(self._starts, np.uint64), "codes": codes, **packed(owners, starts, blocks)})


def distinct_trigrams(block: bytes) -> Array:
    """Codes of the trigrams of a block, each once, ascending; none spans a newline."""
    codes = _trigrams(fold(block))
    for character, plain in FOLDED_CHARACTERS:
        if character in block:
            codes = np.concatenate([codes, _trigrams(fold(block.replace(character, plain)))])
    codes.sort()
    distinct = codes[np.append(np.flatnonzero(codes[1:] != codes[:-1]), len(codes) - 1)] if len(codes) else codes
    broken = (distinct >> 16 == _NEWLINE) | (distinct >> 8 & 0xFF == _NEWLINE) | (distinct & 0xFF == _NEWLINE)
    kept: Array = distinct[~broken]
    return kept


def _trigrams(text: bytes) -> Array:
    letters = np.frombuffer(text, np.uint8)
    if len(letters) < 3:
        return np.zeros(0, np.uint32)
    codes = letters[:-2].astype(np.uint32)
    for following in (letters[1:-1], letters[2:]):
        codes <<= 8
        codes |= following
    return codes


class Postings:
    """The trigram postings of one shard, opened by mmap."""

    def __init__(self, path: Path) -> None:
        arrays = open_arrays(path)
        self.starts = arrays["starts"]  # first byte of each block, and the end
        self._codes = memoryview(arrays["codes"].data)
        self.blocks = max(0, len(self.starts) - 1)
        self._lists = IdLists(arrays, self.blocks)

    def find(self, codes: Sequence[int]) -> list[int] | None:
        """Position of each trigram, for ``size`` and ``read``; None where one of them is in no block."""
        positions = []
        known, count = self._codes, len(self._codes)
        for code in codes:
            at = bisect_left(known, code)
            if at == count or known[at] != code:
                return None
            positions.append(at)
        return positions

    def size(self, position: int) -> int:
        """Bytes that a trigram's blocks take: what says, without reading them, which one is rare."""
        return self._lists.size(position)

    def read(self, position: int) -> Blocks:
        """The blocks that hold a trigram."""
        return self._lists.read(position)

    def among(self, position: int, blocks: Blocks) -> Blocks:
        """Those of the blocks that hold a trigram."""
        return self._lists.among(position, blocks)
