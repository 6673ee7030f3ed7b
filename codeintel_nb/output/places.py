"""Places of hits in words: lines of files, cells of notebooks as Jupyter numbers them."""

from __future__ import annotations

import os

from ..search.hit import Hit
from ..sources.notebooks.cell_facts import CellFacts, cell_facts

NOTEBOOK = ".ipynb"


def facts_of(root: str, hit: Hit) -> CellFacts | None:
    """Return what Jupyter shows of a hit's cell; None if that is unknown."""
    if not root or hit.cell is None or not hit.path.endswith(NOTEBOOK):
        return None
    cells = cell_facts(os.path.join(root, *hit.path.split("/")))
    return cells[hit.cell] if hit.cell < len(cells) else None


def utf16(text: str, offset: int) -> int:
    """Return an offset in characters as one in UTF-16 units, as editors and pages count."""
    before = text[:offset]
    return offset if before.isascii() else len(before.encode("utf-16-le", "replace")) // 2


def is_hidden(path: str) -> bool:
    """Whether Jupyter hides a file, by its name or a folder's."""
    return any(part.startswith(".") for part in path.split("/"))


def is_output(hit: Hit) -> bool:
    """Whether a hit was printed by its cell."""
    return hit.cell is not None and hit.kind == "text"


def is_prose(hit: Hit) -> bool:
    """Whether a hit is text for people and not code."""
    return hit.kind == "markdown" or (hit.language in ("markdown", "text") and not is_output(hit))


def place_in_words(root: str, hit: Hit) -> str:
    """Return ``Cell 61 · In [29] · line 2``, or ``line 186``."""
    if hit.kind == "file":
        return ""
    if hit.cell is None or hit.cell_line is None or not hit.path.endswith(NOTEBOOK):
        return f"line {hit.start_line}"
    facts = facts_of(root, hit)
    parts = [f"Cell {hit.cell + 1}"]
    if facts is not None and facts.execution_count is not None:
        parts.append(f"In [{facts.execution_count}]")
    if is_output(hit):
        parts.append("output")
    return " · ".join([*parts, f"line {hit.cell_line}"])


def short_label(root: str, hit: Hit) -> str:
    """Return ``[29] 2`` of an executed cell, ``¶ 26`` of text in cell 26, or the line."""
    if hit.kind == "file":
        return ""
    if hit.cell is None or hit.cell_line is None or not hit.path.endswith(NOTEBOOK):
        return f"{hit.start_line}"
    facts = facts_of(root, hit)
    if hit.kind == "markdown":
        return f"¶ {hit.cell + 1}"
    number = "" if facts is None else facts.execution_count
    label = f"[{' ' if number is None or number == '' else number}]"
    return f"{label} out" if is_output(hit) else f"{label} {hit.cell_line}"
