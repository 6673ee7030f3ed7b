"""Short texts in one blob: names and labels of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from stringzilla import Str

from .arrays import Array
from .id_lists import Ids
from .letters import DOT, NameLetters

FEW = 200  # texts; fewer are joined one by one
MANY = 20_000  # texts joined at a time, which takes some thirty times their memory


class Texts:
    """Short texts in one blob."""

    def __init__(self, blob: Array, ends: Array) -> None:
        self._blob, self._ends, self._all_ends = memoryview(blob.data), memoryview(ends.data), ends

    def each(self, positions: Ids) -> list[str]:
        """Decode some of the texts together; empty for -1."""
        if not len(positions) or not len(self._all_ends):
            return [""] * len(positions)
        ends = np.where(positions < 0, 0, self._all_ends[np.maximum(positions, 0)])
        begins = np.where(positions < 1, 0, self._all_ends[np.maximum(positions - 1, 0)])
        if len(positions) > FEW:
            parts = (slice(at, at + MANY) for at in range(0, len(begins), MANY))
            joined = b"\0".join([self._joined(begins[part], ends[part]) for part in parts])
        else:
            pairs = zip(begins.tolist(), ends.tolist(), strict=True)
            joined = b"\0".join([self._blob[begin:end] for begin, end in pairs])
        texts = joined.decode("utf-8").split("\0")
        if len(texts) != len(positions):  # a notebook's text may contain a NUL
            pairs = zip(begins.tolist(), ends.tolist(), strict=True)
            return [str(self._blob[begin:end], "utf-8") for begin, end in pairs]
        return texts

    def _joined(self, begins: Ids, ends: Ids) -> bytes:
        """Return some parts of the blob with a NUL between them."""
        begins = begins.astype(np.int64)
        lengths = ends - begins
        before = np.cumsum(lengths) - lengths
        total = int(lengths.sum())
        joined = np.zeros(total + len(lengths), np.uint8)
        at = np.arange(total)
        number = np.repeat(np.arange(len(lengths)), lengths)
        joined[at + number] = self.text_bytes[at + (begins - before)[number]]
        return joined[:-1].tobytes()

    @cached_property
    def folded(self) -> tuple[Str, Ids]:
        """Return the blob in lower case (ASCII), and the positions of texts that are not ASCII."""
        others = np.flatnonzero(self.text_bytes > 127)
        return Str(self._blob.tobytes().lower()), np.unique(self.at(others))

    @property
    def text_bytes(self) -> Array:
        """Return the blob as an array."""
        return np.frombuffer(self._blob, np.uint8)

    @cached_property
    def _dots(self) -> Array:
        return np.append(np.flatnonzero(self.text_bytes == DOT), len(self.text_bytes))

    def next_dots(self, starts: Ids) -> Ids:
        """Return the next dot at or after each byte; the blob's end if there is none."""
        return self._dots[self._dots.searchsorted(starts)]

    def spans(self, positions: Ids) -> tuple[Ids, Ids]:
        """Return where some texts begin and end in the blob."""
        before = self._all_ends[np.maximum(positions - 1, 0)].astype(np.int64)
        return np.where(positions < 1, 0, before), self._all_ends[positions].astype(np.int64)

    @cached_property
    def letters(self) -> NameLetters:
        """Return the letters of the texts' last parts."""
        return NameLetters(self.text_bytes, self._all_ends)

    def at(self, starts: Sequence[int] | Ids) -> Ids:
        """Return the indexes of the texts that contain the given bytes of the blob."""
        return self._all_ends.searchsorted(starts, "right")

    def __len__(self) -> int:
        return len(self._all_ends)

    def __getitem__(self, position: int) -> str:
        return str(
            self._blob[self._ends[position - 1] if position else 0 : self._ends[position]], "utf-8"
        )


def text_arrays(name: str, texts: list[str]) -> dict[str, Array]:
    """Return the arrays of a blob of texts."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    return {
        f"{name}_texts": np.frombuffer(b"".join(encoded), np.uint8),
        f"{name}_ends": np.cumsum([len(text) for text in encoded]).astype(np.uint32),
    }
