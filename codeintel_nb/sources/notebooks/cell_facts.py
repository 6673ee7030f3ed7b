"""What Jupyter shows of a notebook's cells: execution counts, lengths, pictures."""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

MAX_NOTEBOOK_BYTES = 50_000_000
_MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff"}


class CellFacts(NamedTuple):
    """A cell of nbformat 4; fields of older formats are not read."""

    execution_count: int | None
    lines: int  # of its source


class _Cell(msgspec.Struct):
    execution_count: int | None = None
    source: str | list[str] = ""


class _Notebook(msgspec.Struct):
    cells: list[_Cell] = []


class _Output(msgspec.Struct):
    data: dict[str, Any] = {}


class _PrintedCell(msgspec.Struct):
    outputs: list[_Output] = []


class _PrintedNotebook(msgspec.Struct):
    cells: list[_PrintedCell] = []


def cell_facts(path: str) -> tuple[CellFacts, ...]:
    """Return the cells of a notebook file; none if it cannot be read."""
    try:
        state = os.stat(path)
    except OSError:
        return ()
    if state.st_size > MAX_NOTEBOOK_BYTES:
        return ()
    return _facts(path, state.st_mtime_ns, state.st_size)


@lru_cache(1024)
def _facts(path: str, mtime_ns: int, size: int) -> tuple[CellFacts, ...]:
    notebook: _Notebook | None = _decoded(path, _Notebook)
    if notebook is None:
        return ()
    sources = (_joined(cell.source) for cell in notebook.cells)
    return tuple(
        CellFacts(cell.execution_count, source.rstrip("\n").count("\n") + 1)
        for cell, source in zip(notebook.cells, sources, strict=True)
    )


def cell_picture(path: str, cell: int, max_bytes: int) -> tuple[str, str] | None:
    """Return the MIME type and the base64 text of a small picture in a cell's output.

    The text is checked: it comes from the notebook, which may be anybody's.
    """
    notebook: _PrintedNotebook | None = _decoded(path, _PrintedNotebook)
    if notebook is None or cell >= len(notebook.cells):
        return None
    for output in notebook.cells[cell].outputs:
        for mime, magic in _MAGIC.items():
            text = "".join(_joined(output.data.get(mime)).split())
            if 0 < len(text) <= max_bytes and _is_picture(text, magic):
                return mime, text
    return None


def _is_picture(text: str, magic: bytes) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(magic)
    except (binascii.Error, ValueError):
        return False


def _decoded(path: str, kind: type) -> Any:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _joined(value: Any) -> str:
    """Return a text, which nbformat allows as a list of lines too."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
