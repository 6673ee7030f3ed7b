"""Small numbers in one or two bytes each; the rare large ones are stored apart.

Lengths of neighbours replace their positions, which take four or eight bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arrays import Array

_LARGE = "_large"  # suffix of the array of large numbers, in order


def length_arrays(name: str, lengths: npt.ArrayLike) -> dict[str, Array]:
    """Return the arrays of non-negative integers, in the shorter form.

    Raises
    ------
    ValueError : a number is negative.
    """
    values = np.asarray(lengths, np.int64)
    if len(values) and values.min() < 0:
        raise ValueError(f"{name} has negative values")
    of_bytes, of_words = (
        _arrays(name, values, kind) for kind in (np.dtype(np.uint8), np.dtype(np.uint16))
    )
    return min(of_bytes, of_words, key=lambda arrays: sum(part.nbytes for part in arrays.values()))


def _arrays(name: str, values: Array, kind: np.dtype[np.unsignedinteger]) -> dict[str, Array]:
    limit = np.iinfo(kind).max
    large = values[values >= limit]
    small = {name: np.minimum(values, limit).astype(kind)}
    wide = np.uint32 if not len(large) or large.max() < 1 << 32 else np.uint64
    return {**small, name + _LARGE: large.astype(wide)} if len(large) else small


def lengths_in(arrays: dict[str, Array], name: str) -> Array:
    """Return the numbers stored by ``length_arrays``."""
    small, large = arrays[name], arrays.get(name + _LARGE)
    values: Array = small.astype(np.uint32 if large is None else large.dtype)
    if large is not None:
        values[small == np.iinfo(small.dtype).max] = large
    return values


def starts_of(lengths: Array, kind: type = np.uint32) -> Array:
    """Return the start of each part of these lengths, and the end of the last."""
    starts: Array = np.zeros(len(lengths) + 1, kind)
    np.cumsum(lengths, out=starts[1:], dtype=kind)
    return starts
