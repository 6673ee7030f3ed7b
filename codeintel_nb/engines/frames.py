"""Messages exchanged between an engine and its search processes.

A frame is a length and a pickle. Both ends are this program, and nobody else holds the pipes.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from ..search.query import AnyQuery
from ..settings import Settings
from .engine import Limit, Target

READY = "ready"  # first frame of the output
_LENGTH = 8


class Start(NamedTuple):
    """First frame."""

    settings: Settings
    root: str  # of the shards


class Search(NamedTuple):
    """Frame with a search; its answer, or an exception, is the next frame of the output."""

    query: AnyQuery
    targets: Sequence[Target]
    limit: Limit


class End(NamedTuple):
    """Frame that ends a search early."""

    call: str


def write_frame(stream: IO[bytes], value: Any) -> None:
    """Write a value; OSError if the other end is gone."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(_LENGTH, "little") + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """Return the next value; EOFError if the other end is gone."""
    head = stream.read(_LENGTH)
    length = int.from_bytes(head, "little")
    data = stream.read(length) if len(head) == _LENGTH else b""
    if len(data) < max(1, length):  # the other end died while writing it
        raise EOFError
    return pickle.loads(data)
