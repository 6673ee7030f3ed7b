"""Postings of a shard: which blocks of the content hold a trigram.

Text is folded to lower case (ASCII; the Kelvin sign and the long s count as k and s too) and cut into blocks of about
8 KiB at line ends; a trigram never spans a newline.

Joints stand beside them: the two word characters before and behind an underscore. The trigrams of ``get_params`` lie in many
a block that holds ``get_x`` and ``list_params``; ``et_pa`` in few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .arrays import Array, open_arrays, write_arrays
from .id_lists import IdLists, packed

BLOCK = 8 << 10  # bytes, about: a block ends with a line
_BATCH = 256  # blocks whose trigrams are sorted together: as many as a byte can tell apart
_FOLD = bytes(range(256)).lower()
_NEWLINE, _UNDERSCORE = 10, 95
_WORD = np.isin(np.arange(256), np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789_", np.uint8))
AS_LETTERS = {
    "\u212a": "k",
    "\u017f": "s",
}  # what re2 and ripgrep match with k and s, ignoring case

Blocks = npt.NDArray[np.int64]  # ids, ascending


def fold(text: bytes) -> bytes:
    return text.translate(_FOLD)


def with_letters(text: bytes) -> bytes:
    """The text with letters for the characters that are matched with them, ignoring case."""
    for character, letter in AS_LETTERS.items():
        text = text.replace(character.encode(), letter.encode())
    return text


def code_of(trigram: bytes) -> int:
    """The number of a folded trigram."""
    return trigram[0] << 16 | trigram[1] << 8 | trigram[2]


def joint_of(five: bytes) -> int | None:
    """The number of a joint, above those of all trigrams; None of a text that is none."""
    before, behind = five[:2], five[3:]
    if (
        len(five) != 5
        or five[2] != _UNDERSCORE
        or not _WORD[list(before + behind)].all()
        or _UNDERSCORE in (before[1], behind[0])
    ):
        return None
    return int.from_bytes(before + behind, "big")


def text_of(code: int) -> bytes:
    """The trigram or joint that a number stands for."""
    if code >> 24:
        four = code.to_bytes(4, "big")
        return four[:2] + b"_" + four[2:]
    return code.to_bytes(3, "big")


def block_starts(content: bytes) -> list[int]:
    """First byte of each block, and the end."""
    starts, size = [0], len(content)
    while size - starts[-1] > BLOCK:
        end = (
            content.rfind(b"\n", starts[-1], starts[-1] + BLOCK) + 1
            or content.find(b"\n", starts[-1] + BLOCK) + 1
            or size
        )
        starts.append(end)
    if starts[-1] != size:
        starts.append(size)
    return starts


class PostingsBuilder:
    """Takes the content in order, in pieces that end with a line, and writes the postings."""

    def __init__(self) -> None:
        self._starts: list[int] = [0]
        self._batches: list[
            tuple[int, Array]
        ] = []  # number of the first block, and what _keys_of says
        self._joints: list[Array] = []  # rows of a block and a joint
        self._tail = bytearray()

    def add(self, content: bytes) -> None:
        """Take more of the content, which ends with a line."""
        self._tail += content
        if len(self._tail) >= (_BATCH + 1) * BLOCK:
            self._cut(final=False)

    def _cut(self, final: bool) -> None:
        tail = bytes(self._tail)
        starts = block_starts(tail)
        if not final and len(starts) > 1:
            starts.pop()  # the last block may grow
        base = self._starts[-1]
        for first in range(0, len(starts) - 1, _BATCH):
            edges = starts[first : first + _BATCH + 1]
            texts = list(_folded(tail, edges))
            self._batches.append((len(self._starts) - 1, _keys_of(texts)))
            self._joints.append(_joints_of(texts) + np.array([len(self._starts) - 1, 0], np.uint32))
            self._starts += [base + start for start in starts[first + 1 : first + _BATCH + 1]]
        del self._tail[: starts[-1]]

    def write(self, path: Path) -> None:
        if self._tail:
            self._cut(final=True)
        halves = np.empty(
            (sum(len(keys) for _, keys in self._batches) + sum(map(len, self._joints)), 2), "<u4"
        )  # a block, and what it holds
        at = 0
        for first, keys in self._batches:
            part = halves[at : at + len(keys)]
            part[:, 0] = (keys >> 24) + np.uint32(first)
            part[:, 1] = keys & 0xFFFFFF
            at += len(keys)
        self._batches.clear()
        halves[at:] = np.concatenate(self._joints or [halves[:0]])
        self._joints.clear()
        halves.view("<u8").ravel().sort()  # by what is held, then by block
        blocks, codes = halves[:, 0], halves[:, 1]
        starts = np.flatnonzero(
            np.append(np.ones(min(1, len(codes)), bool), codes[1:] != codes[:-1])
        )
        write_arrays(
            path,
            {
                "starts": np.array(self._starts, np.uint64),
                "codes": codes[starts],
                **packed(blocks, starts, len(self._starts) - 1),
            },
        )


# the text of up to 256 blocks, folded; where each begins in it, and the end; and their numbers
_Folded = tuple[bytes, Sequence[int], Sequence[int]]


def _keys_of(texts: Sequence[_Folded]) -> Array:
    """Trigrams: number of the block, in the highest byte, and code, each once and ascending; none spans a newline, so none spans blocks."""
    parts = [_sorted_keys(*text) for text in texts]
    keys = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
    keys = keys[np.append(np.ones(min(1, len(keys)), bool), keys[1:] != keys[:-1])]
    broken = (
        (keys & 0xFF == _NEWLINE)
        | (keys & 0xFF00 == _NEWLINE << 8)
        | (keys & 0xFF0000 == _NEWLINE << 16)
    )
    kept: Array = keys[~broken]
    return kept


def _joints_of(texts: Sequence[_Folded]) -> Array:
    """Joints: rows of the number of a block and a code, each once."""
    parts = []
    for folded, edges, numbers in texts:
        letters = np.frombuffer(folded, np.uint8)
        at = np.flatnonzero(letters[2:-2] == _UNDERSCORE) + 2
        around = letters[at[:, None] + np.array([-2, -1, 1, 2])]
        kept = (
            _WORD[around].all(axis=1)
            & (around[:, 1] != _UNDERSCORE)
            & (around[:, 2] != _UNDERSCORE)
        )
        blocks = np.array(numbers, np.uint64)[np.searchsorted(edges, at[kept], "right") - 1]
        parts.append(around[kept].view(">u4").ravel().astype("<u8") << np.uint64(32) | blocks)
    joints = np.concatenate(parts)
    joints.sort()
    distinct: Array = (
        joints[np.append(np.ones(min(1, len(joints)), bool), joints[1:] != joints[:-1])]
        .view("<u4")
        .reshape(-1, 2)
    )
    return distinct


def _folded(content: bytes, starts: Sequence[int]) -> Iterator[_Folded]:
    """The blocks that begin at ``starts``, whose last is the end; and those with characters that are matched with letters,
    ignoring case, with those letters."""
    text = content[starts[0] : starts[-1]]
    edges = [start - starts[0] for start in starts]
    yield fold(text), edges, range(len(edges) - 1)
    if with_letters(text) != text:
        blocks = [
            (number, plain)
            for number, (start, end) in enumerate(pairwise(edges))
            if (plain := with_letters(text[start:end])) != text[start:end]
        ]
        yield (
            fold(b"".join(plain for _, plain in blocks)),
            [0, *accumulate(len(plain) for _, plain in blocks)],
            [number for number, _ in blocks],
        )


def _sorted_keys(folded: bytes, edges: Sequence[int], numbers: Sequence[int]) -> Array:
    letters = np.frombuffer(folded, np.uint8)
    if len(letters) < 3:
        return np.zeros(0, np.uint32)
    keys = np.repeat(np.array(numbers, np.uint32), np.diff(edges))[:-2]
    for following in (letters[:-2], letters[1:-1], letters[2:]):
        keys <<= 8
        keys |= following
    for start, end in pairwise(edges):
        keys[start:end].sort()  # one by one, as a block lies in the processor's nearest cache
    return keys


class Postings:
    """The trigram postings of one shard, opened by mmap."""

    def __init__(self, path: Path) -> None:
        arrays = open_arrays(path)
        self.starts = arrays["starts"]  # first byte of each block, and the end
        self._codes = arrays["codes"]
        self.blocks = max(0, len(self.starts) - 1)
        self._lists = IdLists(arrays, self.blocks)

    def find(self, codes: Array) -> list[tuple[int, int]] | None:
        """Of each trigram or joint the bytes that its blocks take and its position, for ``read``, the rarest first; None where
        one of them is in no block. ``codes`` are uint32, each once."""
        at = self._codes.searchsorted(codes)
        if (at == len(self._codes)).any() or (self._codes[at] != codes).any():
            return None
        return sorted(zip(self._lists.sizes(at), at.tolist(), strict=True))

    def read(self, position: int) -> Blocks:
        """The blocks that hold a trigram or joint."""
        return self._lists.read(position)

    def is_bits(self, position: int) -> bool:
        """Whether ``among`` looks at the blocks alone, and does not read the list."""
        return self._lists.is_bits(position)

    def among(self, position: int, blocks: Blocks) -> Blocks:
        """Those of the blocks that do."""
        return self._lists.among(position, blocks)
