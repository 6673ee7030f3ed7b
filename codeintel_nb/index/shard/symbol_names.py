"""Names and containers of definitions, from their labels.

A label is the container, a dot and the name. For the few definitions whose names contain a dot or
begin with one, container and name are stored apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from .arrays import Array

_ODD = "odd_symbols"  # JSON of number -> container and name


def odd_name_arrays(names: Sequence[tuple[str, str]], labels: Sequence[str]) -> dict[str, Array]:
    """Return the array of containers and names that cannot be derived from the labels."""
    odd = {
        number: name
        for number, (name, label) in enumerate(zip(names, labels, strict=True))
        if _split(label) != name
    }
    return {_ODD: np.frombuffer(msgspec.json.encode(odd), np.uint8)} if odd else {}


class SymbolNames:
    """Names and containers of a shard's definitions."""

    def __init__(self, columns: dict[str, Array]) -> None:
        self._odd: dict[int, tuple[str, str]] = (
            msgspec.json.decode(columns[_ODD].tobytes(), type=dict[int, tuple[str, str]])
            if _ODD in columns
            else {}
        )

    def of(self, numbers: Sequence[int], labels: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return names, and containers, of definitions with these labels."""
        cuts = [label.rfind(".") for label in labels]
        names = [label[cut + 1 :] for label, cut in zip(labels, cuts, strict=True)]
        containers = [label[: max(cut, 0)] for label, cut in zip(labels, cuts, strict=True)]
        if self._odd:
            for at, number in enumerate(numbers):
                if number in self._odd:
                    containers[at], names[at] = self._odd[number]
        return names, containers


def _split(label: str) -> tuple[str, str]:
    container, _, name = label.rpartition(".")
    return container, name
