"""Vectors of an unfinished run with an endpoint, so that no text is sent twice."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from ...embedding.embedder import Embedder
from ...files import replace, storage_errors
from ..shard.arrays import Array
from ..shard.contents import Known

FILE = "endpoint.part"


class _Header(msgspec.Struct, frozen=True):
    """First line of the file; records of a digest and a code follow."""

    embedder: str
    dim: int


class PartialVectors:
    """Append-only file of digests and codes, deleted after a successful run."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._path, self._embedder = folder / FILE, embedder.id
        self._digests, self._codes = _read(self._path, embedder.id)
        if len(self._digests) and self._codes.shape[1] != embedder.dim:  # another model
            self._digests, self._codes = self._digests[:0], self._codes[:0]
        self._is_written = False  # by this run, so records are appended

    def __len__(self) -> int:
        return len(self._digests)

    def known(self) -> Known | None:
        """Return a lookup of the stored codes; None if there are none."""
        if not len(self._digests):
            return None
        order = np.argsort(self._digests, kind="stable")
        ordered, codes = self._digests[order], self._codes[order]

        def lookup(target: Array) -> tuple[Array, Array]:
            at = np.minimum(np.searchsorted(ordered, target), len(ordered) - 1)
            matches = ordered[at] == target
            return matches, codes[at[matches]]

        return lookup

    def append(self, digests: Array, codes: Array) -> None:
        """Store the codes of a batch."""
        with storage_errors(self._path.parent):
            if not self._is_written:  # a killed run may have left an incomplete record
                header = msgspec.json.encode(_Header(self._embedder, codes.shape[1]))
                replace(self._path, header + b"\n" + _records(self._digests, self._codes))
                self._is_written = True
            with self._path.open("ab") as file:
                file.write(_records(digests, codes))

    def delete(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def stored_vectors(folder: Path, embedder_id: str) -> int:
    """Return the number of vectors stored by an unfinished run."""
    return len(_read(folder / FILE, embedder_id)[0])


def _record(dim: int) -> np.dtype[np.void]:
    return np.dtype([("digest", "<u8"), ("code", np.uint8, (dim,))])


def _records(digests: Array, codes: Array) -> bytes:
    records = np.empty(len(digests), _record(codes.shape[1]))
    if len(digests):
        records["digest"], records["code"] = digests, codes
    return records.tobytes()


def _read(path: Path, embedder_id: str) -> tuple[Array, Array]:
    """Read the complete records of a file; none if it is damaged or of another embedder."""
    nothing = np.zeros(0, np.uint64), np.zeros((0, 0), np.uint8)
    try:
        line, _, data = path.read_bytes().partition(b"\n")
        header = msgspec.json.decode(line, type=_Header)
    except (OSError, msgspec.DecodeError):
        return nothing
    if header.embedder != embedder_id or header.dim < 1:
        return nothing
    record = _record(header.dim)
    records = np.frombuffer(data, record, len(data) // record.itemsize)
    return records["digest"].astype(np.uint64), np.ascontiguousarray(records["code"])


def either(first: Known | None, second: Known | None) -> Known | None:
    """Return a lookup in the first, then in the second."""
    if first is None or second is None:
        return first or second

    def lookup(target: Array) -> tuple[Array, Array]:
        matches, codes = first(target)
        rest = np.flatnonzero(~matches)
        others, other_codes = second(target[rest])
        both = matches.copy()
        both[rest[others]] = True
        merged = np.empty((len(target), max(codes.shape[1], other_codes.shape[1])), np.uint8)
        merged[matches] = codes
        merged[rest[others]] = other_codes
        return both, merged[both]

    return lookup
