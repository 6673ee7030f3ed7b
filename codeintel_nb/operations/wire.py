"""Requests and answers as JSON; old names are still read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from ..scopes.scope import OLD_NAMES, Scope, scope_from_wire
from ..search.lazy_hits import enc_hook
from ..search.request import Request
from .table import Operation

_T = TypeVar("_T")
FORMER_NAMES = {"deadline": "timeout_s"}  # names of fields of requests


def to_wire(value: Any) -> bytes:
    """Return the value as JSON, with tuples as lists."""
    return msgspec.json.encode(value, enc_hook=enc_hook)


def from_wire(body: bytes, kind: type[_T]) -> _T:
    """Decode a request from JSON.

    Raises
    ------
    msgspec.DecodeError, msgspec.ValidationError : it is no such request.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        value = msgspec.json.decode(body)
        if not isinstance(value, dict) or value.keys().isdisjoint({*OLD_NAMES, *FORMER_NAMES}):
            raise
        return from_builtins(value, kind)


def from_builtins(value: dict[str, Any], kind: type[_T], strict: bool = True) -> _T:
    """Convert a request from decoded JSON; ``strict=False`` reads numbers from texts."""
    fields = getattr(kind, "__struct_fields__", ())
    value = dict(value)
    for old, name in FORMER_NAMES.items():
        if old in value and name in fields:
            value.setdefault(name, value.pop(old))
    for old in sorted(OLD_NAMES.keys() & value.keys()) if "revisions" in fields else ():
        revisions = value.pop(old)
        values = [revisions] if isinstance(revisions, str) else revisions
        value["revisions"] = [*(value.get("revisions") or ()), *(values or ())]
    return msgspec.convert(value, kind, strict=strict)


def decode_request(
    operation: Operation, body: bytes, parameters: Mapping[str, str], query: Mapping[str, str]
) -> Request[Any]:
    """Decode a request from its body, path and query string.

    Raises
    ------
    msgspec.DecodeError, msgspec.ValidationError : it is no such request.
    ScopeError : the scope in the body is not valid.
    """
    request = operation.request
    named = {name: value for name, value in parameters.items() if name != "session_id"}
    if operation.method in ("GET", "DELETE"):
        # browsers add parameters of their own, against caches
        known = {name: query[name] for name in request.__struct_fields__ if name in query}
        return from_builtins({**known, **named}, request, strict=False)
    body = body or b"{}"
    if operation.body:
        kind = _field_type(request, operation.body)
        if kind is Scope:
            value: Any = scope_from_wire(msgspec.json.decode(body))
        else:
            value = msgspec.json.decode(body, type=kind)
        return request(**named, **{operation.body: value})
    if operation.limit or named:
        value = msgspec.json.decode(body)
        if isinstance(value, dict):
            defaults = {"limit": operation.limit} if operation.limit else {}
            return from_builtins({**defaults, **value, **named}, request)
    return from_wire(body, request)


@cache
def _field_type(request: type[Request[Any]], name: str) -> Any:
    return get_args(get_type_hints(request, include_extras=True)[name])[0]


def encode_request(operation: Operation, request: Request[Any]) -> tuple[bytes, dict[str, str]]:
    """Return the body of a request, and its query string's fields."""
    if operation.body:
        return to_wire(getattr(request, operation.body)), {}
    if operation.method == "POST" and not operation.parameters and not operation.limit:
        return to_wire(request), {}
    fields = {
        name: value
        for name, value in msgspec.to_builtins(request).items()
        if name not in operation.parameters and value is not None
    }
    if operation.method in ("GET", "DELETE"):
        return b"", {name: str(value) for name, value in fields.items()}
    if operation.limit:  # REST has a default of its own
        fields["limit"] = getattr(request, "limit")  # noqa: B009 (only some requests have it)
    return to_wire(fields), {}
