"""Letters of names: a quick test whether two names may be spelled alike.

Two names of a and b characters are alike if few insertions and deletions make one of the other.
Each letter that only one of them has needs at least one. So most names are ruled out by the sets
of their letters, without a comparison.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array, Mask

_OTHER = np.uint32(1 << 31)  # not ASCII: such names are always compared
DOT = ord(".")


def _bits() -> Array:
    """Return the bit of each byte: one per letter, one for digits, one for all else in ASCII."""
    bits = np.full(256, 1 << 28, np.uint32)
    for letter in range(26):
        bits[[ord("a") + letter, ord("A") + letter]] = 1 << letter
    bits[ord("0") : ord("9") + 1] = 1 << 26
    bits[ord("_")] = 1 << 27
    bits[128:] = _OTHER
    return bits


_BITS = _bits()
_ONES = np.array([number.bit_count() for number in range(256)], np.uint8)


def _bit_counts(values: Array) -> Array:
    """Return the number of bits set in each value."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        counts: Array = np.bitwise_count(values)
    else:
        counts = _ONES[values.view(np.uint8)].reshape(-1, 4).sum(axis=1)
    return counts


class NameLetters:
    """Lengths and letters of labels' last parts, after the last dot."""

    def __init__(self, blob: Array, ends: Array) -> None:
        ends = ends.astype(np.int64)
        begins = np.concatenate([[0], ends[:-1]])
        dots = np.flatnonzero(blob == DOT)
        last = np.searchsorted(dots, ends) - 1
        after = dots[np.maximum(last, 0)] + 1 if len(dots) else begins
        begins = np.where((last >= 0) & (after > begins), after, begins)
        self.lengths = (ends - begins).astype(np.uint32)
        self.letters = np.zeros(len(ends), np.uint32)
        filled = np.flatnonzero(self.lengths)
        # from the first name's start to the next one's: the containers between are left out
        edges = np.stack([begins[filled], ends[filled]], axis=1).ravel()
        if len(edges):
            bits = np.append(_BITS[blob], np.uint32(0))  # the last name ends where the blob ends
            self.letters[filled] = np.bitwise_or.reduceat(bits, edges)[::2]

    def alike(self, name: str, least: float) -> Mask:
        """Return a mask of the names that may have at least this similarity, 0 to 1, to another.

        The similarity is one minus the insertions and deletions per character of both names.
        """
        own = np.frombuffer(name.encode("utf-8", "replace"), np.uint8)
        letters = np.bitwise_or.reduce(_BITS[own]) if len(own) else np.uint32(0)
        if letters & _OTHER:
            return np.ones(len(self.letters), bool)
        most = (1 - least) * (self.lengths + len(own)) + 1e-9
        differing = _bit_counts(self.letters ^ letters)
        longer = np.abs(self.lengths.astype(np.int64) - len(own))
        mask: Mask = (np.maximum(differing, longer) <= most) | (self.letters & _OTHER > 0)
        return mask
