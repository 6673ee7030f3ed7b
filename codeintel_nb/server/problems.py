"""Problem documents of errors, and request limits, for both servers."""

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
from ..operations.answers import Problem

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


class Refused(Exception):
    """Rejection of a request, with its status and reason."""

    def __init__(
        self,
        status: int,
        detail: str,
        error: str = "",
        question: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.error = status, detail, error
        self.question = question  # to ask the user
        self.headers = headers or {}


def status_of(
    error: CodeIntelError, special: Mapping[type[CodeIntelError], HTTPStatus] = _NONE
) -> int:
    """Return an error's HTTP status; ``special`` has an operation's own."""
    for kind in type(error).__mro__:
        if (status := special.get(kind) or STATUS.get(kind)) is not None:
            return int(status)
    return int(HTTPStatus.BAD_REQUEST)


def refusal(
    error: Refused | CodeIntelError, special: Mapping[type[CodeIntelError], HTTPStatus] = _NONE
) -> Refused:
    """Return an error as the rejection of a request."""
    if isinstance(error, Refused):
        return error
    return Refused(status_of(error, special), str(error), type(error).__name__)


def problem(refused: Refused) -> Problem:
    """Return the problem document of a rejection."""
    return Problem(
        HTTPStatus(refused.status).phrase,
        refused.status,
        refused.detail,
        error=refused.error,
        question=refused.question,
    )


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
