"""OpenAPI description of REST, made from the table of operations."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, get_type_hints

import msgspec

from ..operations.answers import Problem
from ..operations.table import Operation
from ..scopes.scope import OLD_NAMES, Scope

ABOUT = """\
Code search for every kernel of a Jupyter server, each under its own scope.

A person authenticates with Jupyter's own token or cookie; its XSRF check and its Authorizer apply \
(resource `codeintel`, actions `read` and `write`). A kernel signs each request with the key of \
its connection file: `Authorization: CodeIntel KERNEL:SECONDS:NONCE:HMAC`, where HMAC is the \
hexadecimal HMAC-SHA256 over `codeintel-v1`, kernel id, method, request URI, seconds since 1970, \
nonce and SHA-256 of the body, joined by zero bytes. A signature is valid once, for a minute, for \
the kernel's own session.

Every search applies the session's scope: a kernel uses its own session, any other client the one \
in `X-Session-ID`. Scope fields in a request replace the session's for that request. Every error \
is an RFC 9457 problem document.
"""
SESSION = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}
STREAM = (
    "If Accept requests it: progress events, then one answer or problem event. "
    "Heartbeats keep the connection of a long call open."
)
# reasons of problem documents, by status
PROBLEMS = {
    400: ("Invalid", "the request, or a value in it, cannot be read"),
    403: (
        "Refused",
        "not allowed: nobody is logged in, the Authorizer refuses, the signature is invalid, "
        "or the folder is outside the server's",
    ),
    404: ("Missing", "does not exist"),
    409: ("Busy", "conflicts with another process or run"),
    413: ("TooLarge", "the body is too large"),
    415: ("NotJson", "the body is not JSON"),
    429: ("TooMany", "too many clients are following indexing runs"),
    501: ("NotInstalled", "an optional part is not installed on the server"),
    503: ("Unavailable", "the index cannot be read or written now"),
}


def description(operations: Sequence[Operation]) -> bytes:
    """Return the description as JSON."""
    bodies = {_body_kind(op) for op in operations if op.method not in ("GET", "DELETE")}
    kinds = (bodies | {op.answer for op in operations}) - {None, Any}
    _, components = msgspec.json.schema_components(
        [*sorted(kinds, key=str), Problem], ref_template="#/components/schemas/{name}"
    )
    for operation in operations:
        _adjust(operation, components.get(operation.request.__name__))
    components["ScopeChange"] = _scope_change(components["Scope"])
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "codeintel-nb",
            "version": "1",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
            "description": ABOUT,
        },
        "servers": [{"url": "/codeintel/v1", "description": "below the server's base URL"}],
        "security": [{"token": []}, {"kernel": []}],
        "paths": _paths(operations),
        "components": {
            "securitySchemes": {
                "token": _key("token TOKEN, the Jupyter server's"),
                "kernel": _key("CodeIntel KERNEL:SECONDS:NONCE:HMAC"),
            },
            "headers": {
                "Session": _header("the session of the request"),
                "Version": _header("the server's version of codeintel-nb"),
            },
            "parameters": {
                "Session": _parameter(
                    "X-Session-ID",
                    "header",
                    "The session of the request; by default a new one. A kernel uses its own.",
                    SESSION,
                ),
                "Request": _parameter(
                    "X-Request-ID",
                    "header",
                    "The client's own id of this call, to end it early.",
                    SESSION,
                ),
            },
            "responses": {name: _problem(reason) for name, reason in PROBLEMS.values()},
            "schemas": components,
        },
    }
    return msgspec.json.format(msgspec.json.encode(described), indent=1)


def _paths(operations: Sequence[Operation]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in operations:
        path = paths.setdefault(f"/{operation.path}", {})
        if operation.parameters:
            path["parameters"] = [_in_path(operation, name) for name in operation.parameters]
        path[operation.method.lower()] = _described(operation)
    paths["/openapi.yml"] = {
        "get": {
            "operationId": "describe",
            "summary": "Show this description",
            "parameters": [_ref("parameters/Session")],
            "responses": {
                "200": _answer("the description", {"application/yaml": {"type": "object"}}),
                **_problems([400, 403]),
            },
        }
    }
    return paths


def _described(operation: Operation) -> dict[str, Any]:
    words = operation.name.split("_")
    parameters = [_ref("parameters/Session")]
    statuses = [400, 403, *map(int, operation.errors.values())]
    has_body = operation.method not in ("GET", "DELETE")
    if operation.kind in ("search", "long"):
        parameters.append(_ref("parameters/Request"))
    if operation.kind != "call" or operation.access == "write" or operation.run is not None:
        statuses.append(503)
    if operation.kind == "long":
        statuses.append(501)
    if operation.kind == "job":
        statuses.append(409)
    if operation.kind == "events":
        statuses.append(429)
    if has_body:
        statuses += [413, 415]
    elif operation.method == "GET":
        parameters += _in_query(operation)
    described: dict[str, Any] = {
        "operationId": words[0] + "".join(word.capitalize() for word in words[1:]),
        "summary": f"{operation.summary[0].upper()}{operation.summary[1:]}",
        "parameters": parameters,
    }
    if has_body:
        described["requestBody"] = {
            "required": operation.request.__struct_fields__ != () and _is_required(operation),
            "content": {"application/json": {"schema": _schema(_body_kind(operation))}},
        }
    described["responses"] = {
        str(operation.status): _content(operation),
        **_problems(sorted({*statuses})),
    }
    return described


def _is_required(operation: Operation) -> bool:
    return bool(operation.body) or any(
        field.required
        for field in msgspec.structs.fields(operation.request)
        if field.name not in operation.parameters
    )


def _content(operation: Operation) -> dict[str, Any]:
    reason = HTTPStatus(operation.status).phrase
    if operation.kind == "events":
        events = {"type": "string", "description": "one event for each state, in JSON"}
        return _answer(reason, {"text/event-stream": events})
    if operation.answer is None:
        return _answer(reason, {})
    contents: dict[str, Any] = {"application/json": _schema(operation.answer)}
    if operation.kind == "long":
        contents["text/event-stream"] = {"type": "string", "description": STREAM}
    return _answer(reason, contents)


def _answer(reason: str, contents: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": reason,
        "headers": {
            "X-Session-ID": _ref("headers/Session"),
            "X-CodeIntel-Version": _ref("headers/Version"),
        },
    }
    if contents:
        answer["content"] = {kind: {"schema": schema} for kind, schema in contents.items()}
    return answer


def _adjust(operation: Operation, schema: dict[str, Any] | None) -> None:
    """Adjust a schema: drop the path's fields, set REST's defaults."""
    if schema is None or operation.body:
        return
    for name in operation.parameters:
        del schema["properties"][name]
    # the tag of a query is in answers alone
    required = {*schema.get("required", ())} - {"type", *operation.parameters}
    schema["required"] = sorted(required)
    if not required:
        del schema["required"]
    if operation.limit:
        schema["properties"]["limit"] = {
            **schema["properties"]["limit"],
            "default": operation.limit,
        }


def _scope_change(scope: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a scope change, with old names."""
    names = {"anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}}]}
    names["anyOf"].append({"type": "null"})
    return {
        "title": "ScopeChange",
        "type": "object",
        "additionalProperties": False,
        "description": "Fields of a scope; null is no limit. The old names branches and commit "
        "are read as revisions.",
        "properties": {
            **dict.fromkeys(scope["properties"], names),
            **dict.fromkeys(OLD_NAMES, names),
            "commit": {"anyOf": [*names["anyOf"], {"type": "string"}]},
        },
    }


def _body_kind(operation: Operation) -> Any:
    """Return the type of the body."""
    return operation.request if not operation.body else _field_kind(operation)


def _field_kind(operation: Operation) -> Any:
    return get_type_hints(operation.request)[operation.body]


def _schema(kind: Any) -> dict[str, Any]:
    if kind is Any:
        return {}
    if kind is Scope:
        return _ref("schemas/ScopeChange")
    (schema,), _ = msgspec.json.schema_components(
        [kind], ref_template="#/components/schemas/{name}"
    )
    return schema


def _in_path(operation: Operation, name: str) -> dict[str, Any]:
    if name == "session_id":
        text = "A kernel's id, or the X-Session-ID of another client."
        schema: dict[str, Any] = {**SESSION}
    else:
        hint = get_type_hints(operation.request, include_extras=True)[name]
        text = hint.__metadata__[0].description
        schema = {"type": "string", "minLength": 1}
    return {**_parameter(name, "path", text, schema), "required": True}


def _in_query(operation: Operation) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components(
        [operation.request], ref_template="#/components/schemas/{name}"
    )
    schema = components[operation.request.__name__]
    return [
        {
            **_parameter(name, "query", part.pop("description", ""), _plain(part)),
            **({"required": True} if name in schema.get("required", ()) else {}),
        }
        for name, part in schema["properties"].items()
        if name not in operation.parameters
    ]


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without null: query parameters are omitted instead."""
    if "anyOf" not in schema:
        return schema
    return next(part for part in schema["anyOf"] if part != {"type": "null"})


def _problems(statuses: Sequence[int]) -> dict[str, Any]:
    return {str(status): _ref(f"responses/{PROBLEMS[status][0]}") for status in statuses}


def _problem(reason: str) -> dict[str, Any]:
    schema = _ref("schemas/Problem")
    return {"description": reason, "content": {"application/problem+json": {"schema": schema}}}


def _parameter(name: str, place: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "description": text, "schema": schema}


def _key(text: str) -> dict[str, str]:
    return {"type": "apiKey", "in": "header", "name": "Authorization", "description": text}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _ref(place: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{place}"}
