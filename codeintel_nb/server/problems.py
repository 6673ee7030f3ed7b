"""HTTP statuses and limits of requests, the same with and without Jupyter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeVar

import msgspec

from ..errors import (
    CodeIntelError,
    EngineError,
    MissingExtra,
    ScopeError,
    SearchError,
    ShardError,
    SourceError,
)

MAX_BODY_BYTES = 1_000_000
MAX_SQL_BODY_BYTES = 64_000_000  # with the hits of a search
STATUS: dict[type[CodeIntelError], HTTPStatus] = {  # the nearest class decides
    ScopeError: HTTPStatus.BAD_REQUEST,
    SearchError: HTTPStatus.BAD_REQUEST,
    SourceError: HTTPStatus.BAD_REQUEST,
    EngineError: HTTPStatus.SERVICE_UNAVAILABLE,
    ShardError: HTTPStatus.SERVICE_UNAVAILABLE,
    MissingExtra: HTTPStatus.NOT_IMPLEMENTED,
    CodeIntelError: HTTPStatus.BAD_REQUEST,
}

_T = TypeVar("_T")
_NONE: Mapping[type[CodeIntelError], HTTPStatus] = {}


def status_of(
    error: CodeIntelError, special: Mapping[type[CodeIntelError], HTTPStatus] = _NONE
) -> int:
    """Return the HTTP status of an error; ``special`` has those of a path that override STATUS."""
    for kind in type(error).__mro__:
        if (status := special.get(kind) or STATUS.get(kind)) is not None:
            return int(status)
    return int(HTTPStatus.BAD_REQUEST)


def decode_or_bad_request(decode: Callable[[], _T]) -> _T:
    """Return the decoded request.

    Raises
    ------
    SearchError : the request cannot be decoded.
    """
    try:
        return decode()
    except (
        msgspec.DecodeError,
        msgspec.ValidationError,
        UnicodeDecodeError,
        RecursionError,
    ) as error:
        raise SearchError(
            f"The request cannot be read: {str(error) or 'it is nested too deeply'}.".replace(
                "..", "."
            )
        ) from None
