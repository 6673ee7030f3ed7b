"""Lists of ascending ids, each in the smallest of four forms.

- ids: two bytes an id where there are at most 65,536 of them, three up to 16 million, else four;
- bytes: a byte an id, the gap from the id before; 255 stands for 255 ids and none;
- words: the same in two bytes, with 65,535;
- bits: a bit for every id there is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arrays import Array

IDS, BYTES, WORDS, BITS = range(4)
_ESCAPES = {BYTES: 255, WORDS: 65_535}
_KINDS = {BYTES: "<u1", WORDS: "<u2"}


def _id_bytes(universe: int) -> int:
    return 2 if universe <= 1 << 16 else 3 if universe <= 1 << 24 else 4


def packed(ids: Array, starts: Array, universe: int) -> dict[str, Array]:
    """The arrays of an IdLists; ``starts`` is where each list begins in ``ids``, whose values are below ``universe``."""
    if not len(starts):
        return {"forms": np.zeros(0, np.uint8), "offsets": np.zeros(1, np.uint64), "data": np.zeros(0, np.uint8)}
    counts = np.diff(starts, append=len(ids))
    gaps = np.diff(ids.astype(np.int32), prepend=np.int32(-1)) - np.int32(1)
    gaps[starts] = ids[starts]
    sizes = np.empty((4, len(starts)), np.int64)
    sizes[IDS] = counts * _id_bytes(universe)
    sizes[BITS] = (universe + 7) // 8
    for form, escape in _ESCAPES.items():
        sizes[form] = (counts + np.add.reduceat(gaps // np.int32(escape), starts)) * np.dtype(_KINDS[form]).itemsize
    forms = np.argmin(sizes, axis=0).astype(np.uint8)
    chosen = sizes[forms, np.arange(len(starts))]
    total = int(chosen.sum())
    offsets = np.concatenate([[0], np.cumsum(chosen)]).astype(np.uint32 if total < 1 << 32 else np.uint64)
    data = np.empty(total, np.uint8)
    # what is of one form lies in the order of its lists, so each form is written by one assignment
    form_of, place = np.repeat(forms, counts), np.repeat(forms, chosen)
    data[place == IDS] = ids[form_of == IDS].astype("<u4").view(np.uint8).reshape(-1, 4)[:, : _id_bytes(universe)].ravel()
    for form, escape in _ESCAPES.items():
        data[place == form] = _escaped(gaps[form_of == form], escape, _KINDS[form]).view(np.uint8)
    held = np.zeros(universe, bool)
    for position in np.flatnonzero(forms == BITS).tolist():
        held[:] = False
        held[ids[starts[position] : starts[position] + counts[position]]] = True
        data[int(offsets[position]) : int(offsets[position + 1])] = np.packbits(held)
    return {"forms": forms, "offsets": offsets, "data": data}


def _escaped(gaps: Array, escape: int, kind: str) -> Array:
    steps = gaps // escape + 1
    written = np.full(int(steps.sum()), escape, kind)
    written[np.cumsum(steps) - 1] = gaps % escape
    return written


class IdLists:
    """Reads the lists that ``packed`` made."""

    def __init__(self, arrays: dict[str, Array], universe: int) -> None:
        self._forms, self._offsets, self._data = arrays["forms"], arrays["offsets"], arrays["data"]
        self._universe = universe

    def size(self, position: int) -> int:
        """Bytes that a list takes."""
        return int(self._offsets[position + 1]) - int(self._offsets[position])

    def read(self, position: int) -> npt.NDArray[np.int64]:
        data = self._data[int(self._offsets[position]) : int(self._offsets[position + 1])]
        form = int(self._forms[position])
        if form == IDS:
            width = _id_bytes(self._universe)
            whole = np.zeros((len(data) // width, 4), np.uint8)
            whole[:, :width] = data.reshape(-1, width)
            return whole.view("<u4").ravel().astype(np.int64)
        if form == BITS:
            return np.flatnonzero(np.unpackbits(data, count=self._universe))
        escape = _ESCAPES[form]
        steps = np.frombuffer(data.tobytes(), _KINDS[form]).astype(np.int64)
        ends = steps != escape
        steps += ends
        ids: npt.NDArray[np.int64] = np.cumsum(steps)[ends] - 1
        return ids

    def among(self, position: int, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of the ids that a list holds."""
        if int(self._forms[position]) == BITS:
            data = self._data[int(self._offsets[position]) : int(self._offsets[position + 1])]
            kept: npt.NDArray[np.int64] = ids[(data[ids >> 3] >> (7 - (ids & 7)).astype(np.uint8)) & 1 > 0]
            return kept
        held = np.zeros(self._universe, bool)
        held[self.read(position)] = True
        return ids[held[ids]]
