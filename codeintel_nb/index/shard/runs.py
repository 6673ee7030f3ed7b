"""Longest run of each character class in each block of a shard's text.

A pattern without a literal, such as ``[0-9a-f]{12}``, matches only where a run is long enough.
Bytes beyond ASCII belong to every class, as a Unicode class may match them.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from .arrays import Array

# columns are stored: append only
CLASSES = (
    string.digits,
    string.hexdigits,
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.ascii_letters + string.digits + "_",
)
MAX_RUN = 255  # longer runs count as 255
# one bit per class
_BITS = bytes(
    sum((byte > 127 or chr(byte) in members) << number for number, members in enumerate(CLASSES))
    for byte in range(256)
)


def longest_runs(text: bytes, starts: Sequence[int]) -> Array:
    """Return the longest run of each class in each block, (blocks, classes).

    ``starts`` holds the offset of each block, then the length of the text. No run spans two blocks,
    as each ends with a newline.
    """
    bits = np.frombuffer(b"\0" + text.translate(_BITS) + b"\0", np.uint8)
    changed = bits[1:] ^ bits[:-1]
    edges = np.asarray(starts, np.int64)
    runs = np.zeros((len(edges) - 1, len(CLASSES)), np.uint8)
    for number in range(len(CLASSES)):
        changes = np.flatnonzero((changed & np.uint8(1 << number)).view(bool))
        begins = changes[::2]
        first = begins.searchsorted(edges)
        filled = np.flatnonzero(first[1:] > first[:-1])
        if len(filled):
            longest = np.maximum.reduceat(changes[1::2] - begins, first[filled])
            runs[filled, number] = np.minimum(longest, MAX_RUN)
    return runs
