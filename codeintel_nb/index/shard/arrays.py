"""Named numpy arrays in one file, opened by mmap.

Layout: 8 bytes magic, 8 bytes header length, a JSON header of name -> [dtype, shape, offset], then
the arrays, each aligned to 64 bytes. Little-endian throughout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ShardError
from .mapping import map_file

MAGIC = b"CODEINT1"
_ALIGN = 64

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header: dict[str, list[Any]] = {}
    offset = 0
    for name, array in plain.items():
        header[name] = [array.dtype.newbyteorder("<").str, list(array.shape), offset]
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 16) % _ALIGN)
    with path.open("wb") as out:
        out.write(MAGIC + len(text).to_bytes(8, "little") + text)
        for array in plain.values():
            out.write(array.data if array.size else b"")
            out.write(b"\0" * (-array.nbytes % _ALIGN))


def open_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays as read-only views of the mapped file.

    Raises
    ------
    FileNotFoundError : the file is gone.
    ShardError : the file is truncated or damaged.
    """
    mapped = map_file(path)
    if len(mapped) < 16:
        raise ShardError(f"The index part {path.name} of shard {path.parent.name} is truncated.")
    if mapped[:8] != MAGIC:
        raise ShardError(
            f"The index part {path.name} of shard {path.parent.name} has an invalid header."
        )
    length = int.from_bytes(mapped[8:16], "little")
    try:
        header = json.loads(mapped[16 : 16 + length])
        return {
            name: _view(mapped, dtype, shape, 16 + length + offset)
            for name, (dtype, shape, offset) in header.items()
        }
    except (ValueError, TypeError) as error:
        raise ShardError(
            f"The index part {path.name} of shard {path.parent.name} is damaged: {error}."
        ) from error


def _view(mapped: Any, dtype: str, shape: list[int], offset: int) -> Array:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(
        mapped, dtype=np.dtype(dtype), count=count, offset=offset if count else 0
    ).reshape(shape)
