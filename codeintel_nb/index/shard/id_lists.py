"""Lists of ascending ids, each in the smallest of three forms.

- ids: two bytes per id if at most 65,536 ids are possible, three up to 16 million, else four;
- bits: one bit for every possible id;
- Elias-Fano: the upper bits of the ids in unary, their lower bits plane by plane, the lowest first.

An Elias-Fano list of n ids below u, with l lower bits each, consists of three bits for the number
of unused bits at its end; then ``n + (u >> l) + 1`` bits, with bit ``(ids[i] >> l) + i`` set for
every i; then n bits for each of the l planes.

References
----------
Vigna, "Quasi-Succinct Indices", 2013.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arrays import Array
from .lengths import length_arrays, lengths_in, starts_of

IDS, BITS, ELIAS_FANO = range(3)  # the last plus the number of lower bits
_AT_ONCE = 1 << 19  # ids packed together: as many as fit the processor's caches
_PAD = 3  # bits
_FEW = 500  # ids; for fewer, bit planes are joined in one step, which is slow for many

Ids = npt.NDArray[np.int64]


def _id_bytes(universe: int) -> int:
    return 2 if universe <= 1 << 16 else 3 if universe <= 1 << 24 else 4


def packed(ids: Array, starts: Array, universe: int) -> dict[str, Array]:
    """Return the arrays of an IdLists.

    ``starts`` is the index in ``ids`` of each list's first id; all ids are below ``universe``.
    """
    counts = np.diff(starts, append=len(ids)).astype(np.int64)
    lower = np.log2(np.maximum(1, universe / np.maximum(1, counts))).astype(np.int64)
    each = (np.full(len(counts), form) for form in (IDS, BITS))
    forms = np.stack([*each, ELIAS_FANO + lower]).astype(np.uint8)
    sizes = np.stack([_sizes(form, counts, universe) for form in forms])
    best = np.argmin(sizes, axis=0), np.arange(len(counts))
    forms, taken = forms[best], sizes[best]
    offsets = starts_of(taken, np.int64)
    data = np.empty(int(offsets[-1]), np.uint8)
    first, behind = 0, np.append(np.asarray(starts, np.int64)[1:], len(ids))
    while first < len(counts):
        last = max(
            first + 1,
            int(np.searchsorted(behind, behind[first] - counts[first] + _AT_ONCE, "right")),
        )
        part = slice(first, last)
        _pack(
            ids[int(starts[first]) : int(behind[last - 1])],
            counts[part],
            forms[part],
            taken[part],
            universe,
            data[int(offsets[first]) : int(offsets[last])],
        )
        first = last
    return {"forms": forms, **length_arrays("list_counts", counts), "data": data}


def _sizes(forms: Array, counts: Ids, universe: int) -> Ids:
    """Return the sizes of lists in bytes."""
    sizes = counts * _id_bytes(universe)
    sizes[forms == BITS] = (universe + 7) // 8
    chosen = np.flatnonzero(forms >= ELIAS_FANO)
    count, lower = counts[chosen], forms[chosen].astype(np.int64) - ELIAS_FANO
    sizes[chosen] = (_PAD + count + (universe >> lower) + 1 + count * lower + 7) // 8
    return sizes


def _pack(ids: Array, counts: Ids, forms: Array, sizes: Ids, universe: int, out: Array) -> None:
    """Write some lists, one after the other.

    Lists of the same form have the same order in ``ids`` and in ``out``.
    """
    form_of, place = np.repeat(forms, counts), np.repeat(forms, sizes)
    for form in np.unique(forms).tolist():
        chosen = forms == form
        of_form, its_counts, its_sizes = ids[form_of == form], counts[chosen], sizes[chosen]
        if form == IDS:
            out[place == form] = (
                of_form.astype("<u4")
                .view(np.uint8)
                .reshape(-1, 4)[:, : _id_bytes(universe)]
                .ravel()
            )
            continue
        bits = np.zeros(8 * int(its_sizes.sum()), bool)
        begins = 8 * (np.cumsum(its_sizes) - its_sizes)
        of_form = of_form.astype(np.int64)
        if form == BITS:
            bits[np.repeat(begins, its_counts) + of_form] = True
        else:
            lower = form - ELIAS_FANO
            upper = its_counts + (universe >> lower) + 1
            unused = 8 * its_sizes - _PAD - upper - its_counts * lower
            for bit in range(_PAD):
                bits[begins + bit] = unused >> (_PAD - 1 - bit) & 1
            number = np.arange(len(of_form)) - np.repeat(
                np.cumsum(its_counts) - its_counts, its_counts
            )
            bits[np.repeat(begins + _PAD, its_counts) + (of_form >> lower) + number] = True
            at = np.repeat(begins + _PAD + upper, its_counts) + number
            step = np.repeat(its_counts, its_counts)
            for plane in range(lower):
                bits[at[of_form >> plane & 1 > 0]] = True
                at += step
        out[place == form] = np.packbits(bits)


class IdLists:
    """Reader of the lists made by ``packed``."""

    def __init__(self, arrays: dict[str, Array], universe: int) -> None:
        forms, self._data = arrays["forms"], arrays["data"]
        if "offsets" in arrays:  # in a shard of format 7
            self._offsets = arrays["offsets"]
        else:
            # ids in each list
            self.counts = lengths_in(arrays, "list_counts")
            sizes = _sizes(forms, self.counts.astype(np.int64), universe)
            wide = len(self._data) >= 1 << 32
            self._offsets = starts_of(sizes, np.uint64 if wide else np.uint32)
        # for access to single items
        self._form, self._offset = memoryview(forms.data), memoryview(self._offsets.data)
        self._universe = universe

    def sizes(self, positions: Ids) -> list[int]:
        """Return some lists' sizes in bytes, without reading them."""
        sizes: list[int] = (self._offsets[positions + 1] - self._offsets[positions]).tolist()
        return sizes

    def read(self, position: int) -> Ids:
        data = self._data[self._offset[position] : self._offset[position + 1]]
        form = self._form[position]
        if form == IDS:
            width = _id_bytes(self._universe)
            if width == 2:
                return np.frombuffer(data, "<u2").astype(np.int64)
            whole = np.zeros((len(data) // width, 4), np.uint8)
            whole[:, :width] = data.reshape(-1, width)
            return whole.view("<u4").ravel().astype(np.int64)
        bits = np.unpackbits(data)
        if form == BITS:
            return np.flatnonzero(bits.view(bool))
        lower = form - ELIAS_FANO
        zeros = (self._universe >> lower) + 1
        unused = int(data[0]) >> (8 - _PAD)
        count = (len(bits) - unused - _PAD - zeros) // (lower + 1)
        upper_end = _PAD + count + zeros
        ids: Ids = np.flatnonzero(bits[_PAD:upper_end].view(bool))
        ids -= np.arange(count)
        if lower:
            ids <<= lower
            planes = bits[upper_end : upper_end + lower * count].reshape(lower, count)
            for first in range(0, lower, 8):
                ids |= _byte_of(planes[first : first + 8]).astype(np.int64) << first
        return ids

    def is_bits(self, position: int) -> bool:
        return self._form[position] == BITS

    def among(self, position: int, ids: Ids) -> Ids:
        """Return the ids contained in a list."""
        if self.is_bits(position):
            data = self._data[self._offset[position] : self._offset[position + 1]]
            members: Ids = ids[(data[ids >> 3] >> (7 - (ids & 7)).astype(np.uint8)) & 1 > 0]
            return members
        is_member = np.zeros(self._universe, bool)
        is_member[self.read(position)] = True
        return ids[is_member[ids]]


def _byte_of(planes: Array) -> Array:
    """Pack up to eight bit planes, lowest first, by column."""
    if planes.shape[1] < _FEW:
        low: Array = np.packbits(planes, axis=0, bitorder="little")[0]
        return low
    low = planes[0].copy()
    for bit in range(1, len(planes)):
        low |= planes[bit] << np.uint8(bit)
    return low
