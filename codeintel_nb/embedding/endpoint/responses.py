"""Responses of embedding endpoints: vectors, refusals, and times to wait."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np

from ..embedder import Vectors

REFUSED = frozenset({400, 413, 422})  # inputs too long or too many, or another invalid request
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # worth a retry
# some servers reject a long input with status 500; a retry would not help
_TOO_LONG = (
    "too large to process", "maximum context length", "too long", "must have less than",
    "exceed", "input length", "context size", "context length",
)  # fmt: skip


def says_too_long(status: int, message: str) -> bool:
    """Whether a server rejects inputs for their length or number."""
    folded = message.lower()
    return status in REFUSED | {500} and any(words in folded for words in _TOO_LONG)


def wait_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait before a retry, if the server says so.

    ``Retry-After`` gives seconds or a date, ``retry-after-ms`` milliseconds.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "")
        with suppress(ValueError):
            return max(0.0, float(value) * unit)
        with suppress(ValueError, TypeError, OverflowError):
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def vectors_in(answer: Any, count: int) -> Vectors:
    """Return the vectors of a response, (count, dimensions), in the order of the inputs.

    Raises
    ------
    ValueError : the response has another form; the message says why.
    """
    try:
        rows = sorted(answer["data"], key=lambda row: row["index"])
        numbers = [row["index"] for row in rows]
        vectors = [_vector(row["embedding"]) for row in rows]
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("there are none") from None
    if numbers != list(range(count)):
        raise ValueError(f"{len(numbers)} vectors for {count} inputs")
    if len({len(vector) for vector in vectors}) != 1 or not len(vectors[0]):
        raise ValueError("the vectors differ in length")
    stacked = np.stack(vectors)
    if not np.isfinite(stacked).all():
        raise ValueError("some values are not finite")
    return stacked


def _vector(value: Any) -> Vectors:
    """Return one vector, sent as base64 of little-endian floats or as a list."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    vector = np.array(value, np.float32)
    if vector.ndim != 1:
        raise ValueError("there are none")
    return vector


def tokens_in(answer: Any) -> int:
    """Return the number of tokens reported in a response, or 0."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else 0
