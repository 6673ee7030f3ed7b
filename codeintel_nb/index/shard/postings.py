"""Trigram postings of a shard: blocks of content by trigram.

Text is folded to lower case (ASCII; the Kelvin sign and the long s count as k and s too) and cut
at line ends into blocks of about 8 KiB. A trigram never spans a newline.

Joints have postings too: the two word characters before and behind an underscore. Many blocks
with ``get_x`` and ``list_params`` contain all trigrams of ``get_params``; few contain ``et_pa``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .arrays import Array, open_arrays, write_arrays
from .id_lists import IdLists, packed
from .runs import CLASSES, longest_runs

BLOCK = 8 << 10  # approximate bytes: a block ends with a line
_BATCH = 256  # blocks sorted together: one byte numbers them
_FOLD = bytes(range(256)).lower()
_NEWLINE, _UNDERSCORE = 10, 95
_WORD = np.isin(np.arange(256), np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789_", np.uint8))
# re2 and ripgrep match these with k and s, ignoring case
AS_LETTERS = {"\u212a": "k", "\u017f": "s"}

Blocks = npt.NDArray[np.int64]  # ids, ascending


def fold(text: bytes) -> bytes:
    return text.translate(_FOLD)


def with_letters(text: bytes) -> bytes:
    """Replace the characters of ``AS_LETTERS`` by their letters."""
    for character, letter in AS_LETTERS.items():
        text = text.replace(character.encode(), letter.encode())
    return text


def code_of(trigram: bytes) -> int:
    """Encode a folded trigram as a number."""
    return trigram[0] << 16 | trigram[1] << 8 | trigram[2]


def joint_of(five: bytes) -> int | None:
    """Return a joint's code, above all trigrams', else None."""
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
    """Decode a trigram or joint from its number."""
    if code >> 24:
        four = code.to_bytes(4, "big")
        return four[:2] + b"_" + four[2:]
    return code.to_bytes(3, "big")


def block_starts(content: bytes) -> list[int]:
    """Return the first byte of each block, and the end."""
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
    """Builder of a shard's postings, from content in order."""

    def __init__(self) -> None:
        self._starts: list[int] = [0]
        self._batches: list[tuple[int, Array]] = []  # number of the first block, and _keys_of
        self._joints: list[Array] = []  # rows of (block, joint)
        self._runs: list[Array] = []  # rows of longest_runs
        self._tail = bytearray()

    def add(self, content: bytes) -> None:
        """Append content, in whole lines."""
        self._tail += content
        if len(self._tail) >= (_BATCH + 1) * BLOCK:
            self._cut(final=False)

    def _cut(self, final: bool) -> None:
        tail = bytes(self._tail)
        starts = block_starts(tail)
        if not final and len(starts) > 1:
            starts.pop()  # the last block may grow
        base = self._starts[-1]
        self._runs.append(longest_runs(tail[: starts[-1]], starts))
        for first in range(0, len(starts) - 1, _BATCH):
            edges = starts[first : first + _BATCH + 1]
            texts = list(_folded(tail, edges))
            self._batches.append((len(self._starts) - 1, _keys_of(texts)))
            self._joints.append(_joints_of(texts) + np.array([len(self._starts) - 1, 0], np.uint32))
            self._starts += [base + start for start in starts[first + 1 : first + _BATCH + 1]]
        del self._tail[: starts[-1]]

    def end_piece(self) -> None:
        """End the last block."""
        if self._tail:
            self._cut(final=True)

    def extend(self, other: PostingsBuilder) -> None:
        """Append the postings of the next files; call ``end_piece`` on both builders first."""
        blocks, base = len(self._starts) - 1, self._starts[-1]
        self._batches += [(first + blocks, keys) for first, keys in other._batches]
        self._runs += other._runs
        self._joints += [joints + np.array([blocks, 0], np.uint32) for joints in other._joints]
        self._starts += [base + start for start in other._starts[1:]]

    def write(self, path: Path) -> None:
        self.end_piece()
        # rows of (block, code)
        halves = np.empty(
            (sum(len(keys) for _, keys in self._batches) + sum(map(len, self._joints)), 2), "<u4"
        )
        at = 0
        for first, keys in self._batches:
            part = halves[at : at + len(keys)]
            part[:, 0] = (keys >> 24) + np.uint32(first)
            part[:, 1] = keys & 0xFFFFFF
            at += len(keys)
        self._batches.clear()
        halves[at:] = np.concatenate(self._joints or [halves[:0]])
        self._joints.clear()
        halves.view("<u8").ravel().sort()  # by code, then by block
        blocks, codes = halves[:, 0], halves[:, 1]
        starts = np.flatnonzero(
            np.append(np.ones(min(1, len(codes)), bool), codes[1:] != codes[:-1])
        )
        write_arrays(
            path,
            {
                "starts": np.array(self._starts, np.uint64),
                "codes": codes[starts],
                "runs": np.concatenate([np.zeros((0, len(CLASSES)), np.uint8), *self._runs]),
                **packed(blocks, starts, len(self._starts) - 1),
            },
        )


# folded text of up to 256 blocks; start of each in it, and the end; numbers of the blocks
_Folded = tuple[bytes, Sequence[int], Sequence[int]]


def _keys_of(texts: Sequence[_Folded]) -> Array:
    """Return the distinct trigram keys of some blocks, ascending.

    A key is the block's number, in the highest byte, and the code. No trigram spans a newline, so
    none spans blocks.
    """
    parts = [_sorted_keys(*text) for text in texts]
    keys = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
    keys = keys[np.append(np.ones(min(1, len(keys)), bool), keys[1:] != keys[:-1])]
    broken = (
        (keys & 0xFF == _NEWLINE)
        | (keys & 0xFF00 == _NEWLINE << 8)
        | (keys & 0xFF0000 == _NEWLINE << 16)
    )
    valid: Array = keys[~broken]
    return valid


def _joints_of(texts: Sequence[_Folded]) -> Array:
    """Return distinct rows of (block number, joint code)."""
    parts = []
    for folded, edges, numbers in texts:
        letters = np.frombuffer(folded, np.uint8)
        at = np.flatnonzero(letters[2:-2] == _UNDERSCORE) + 2
        around = letters[at[:, None] + np.array([-2, -1, 1, 2])]
        is_joint = (
            _WORD[around].all(axis=1)
            & (around[:, 1] != _UNDERSCORE)
            & (around[:, 2] != _UNDERSCORE)
        )
        blocks = np.array(numbers, np.uint64)[np.searchsorted(edges, at[is_joint], "right") - 1]
        parts.append(around[is_joint].view(">u4").ravel().astype("<u8") << np.uint64(32) | blocks)
    joints = np.concatenate(parts)
    joints.sort()
    distinct: Array = (
        joints[np.append(np.ones(min(1, len(joints)), bool), joints[1:] != joints[:-1])]
        .view("<u4")
        .reshape(-1, 2)
    )
    return distinct


def _folded(content: bytes, starts: Sequence[int]) -> Iterator[_Folded]:
    """Yield some blocks' folded text, then those changed by ``with_letters``.

    ``starts`` contains the first byte of each block, and the end.
    """
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
        keys[start:end].sort()  # one by one: a block fits the processor's nearest cache
    return keys


class Postings:
    """Trigram postings of one shard, opened by mmap."""

    def __init__(self, path: Path) -> None:
        arrays = open_arrays(path)
        self.starts = arrays["starts"]  # first byte of each block, and the end
        self._codes = arrays["codes"]
        self.blocks = max(0, len(self.starts) - 1)
        self.runs = arrays.get("runs")  # of character classes; None in an older shard
        self._lists = IdLists(arrays, self.blocks)

    def find(self, codes: Array) -> list[tuple[int, int]] | None:
        """Return (bytes, position) of each code's postings, smallest first.

        ``codes`` are distinct uint32; a position is an argument of ``read``. Returns None if any
        code is in no block.
        """
        at = self._codes.searchsorted(codes)
        if (at == len(self._codes)).any() or (self._codes[at] != codes).any():
            return None
        return sorted(zip(self._lists.sizes(at), at.tolist(), strict=True))

    def read(self, position: int) -> Blocks:
        """Return the blocks with a trigram or joint."""
        return self._lists.read(position)

    def is_bits(self, position: int) -> bool:
        """Whether ``among`` tests the given blocks without reading the list."""
        return self._lists.is_bits(position)

    def among(self, position: int, blocks: Blocks) -> Blocks:
        """Return those of ``blocks`` with a trigram or joint."""
        return self._lists.among(position, blocks)
