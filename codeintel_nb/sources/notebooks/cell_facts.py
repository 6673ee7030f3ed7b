"""What Jupyter shows of a notebook's cells: execution counts, ids, pictures."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import msgspec

MAX_NOTEBOOK_BYTES = 50_000_000


class _Output(msgspec.Struct):
    data: dict[str, msgspec.Raw] = {}


class CellFacts(msgspec.Struct, frozen=True):
    """A cell of nbformat 4; fields of older formats are not read."""

    cell_type: str = ""
    execution_count: int | None = None
    id: str = ""
    source: str | list[str] = ""
    outputs: list[_Output] = []

    def picture(self, max_bytes: int) -> tuple[str, str] | None:
        """Return the MIME type and the base64 text of the first small picture in the output."""
        for output in self.outputs:
            for mime in ("image/png", "image/jpeg"):
                raw = output.data.get(mime)
                if raw is not None and len(bytes(raw)) <= max_bytes:
                    text = _joined(msgspec.json.decode(raw))
                    if text:
                        return mime, text
        return None


class _Notebook(msgspec.Struct):
    cells: list[CellFacts] = []


def cell_facts(path: str) -> tuple[CellFacts, ...]:
    """Return the cells of a notebook file; none if it cannot be read."""
    try:
        state = os.stat(path)
    except OSError:
        return ()
    if state.st_size > MAX_NOTEBOOK_BYTES:
        return ()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(64)
def _read(path: str, mtime_ns: int, size: int) -> tuple[CellFacts, ...]:
    try:
        with open(path, "rb") as file:
            return tuple(msgspec.json.decode(file.read(), type=_Notebook).cells)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()


def _joined(value: Any) -> str:
    """Return base64 text, which nbformat allows as lines too."""
    text = "".join(value) if isinstance(value, list) else value
    return text.replace("\n", "") if isinstance(text, str) else ""
