"""REST handlers, one per path, from the table of operations."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncGenerator
from functools import cache
from typing import Any, ClassVar

from jupyter_server.auth.decorator import allow_unauthenticated

from codeintel_nb.client.transport import BASE
from codeintel_nb.errors import ScopeError
from codeintel_nb.operations.table import OPERATIONS, Operation
from codeintel_nb.scopes.session import check_session_id, session_context
from codeintel_nb.server.openapi import description
from codeintel_nb.server.problems import MAX_BODY_BYTES, MAX_SQL_BODY_BYTES, Refused

from .base import SESSION_HEADER, CodeIntelHandler
from .credentials import check_access
from .panel import PANEL

ALL = (*OPERATIONS, PANEL)


class OperationHandler(CodeIntelHandler):
    """Base of the handlers of operations."""

    operations: ClassVar[dict[str, Operation]] = {}  # by method

    @property
    def operation(self) -> Operation | None:
        return self.operations.get(str(self.request.method))

    async def prepare(self) -> None:
        operation = self.operation
        if operation is not None:
            self.errors = operation.errors
        await super().prepare()
        if operation is not None and "session_id" in operation.parameters:
            try:
                self.session_id = check_session_id(self.path_args[0])
            except ScopeError as error:
                raise Refused(400, str(error), "ScopeError") from None
            self.set_header(SESSION_HEADER, self.session_id)

    @allow_unauthenticated  # check_access admits signed requests too
    async def _answer(self, *path: str) -> None:
        operation = self.operation
        assert operation is not None
        await check_access(self, operation.access, operation.kernels, self.session_id)
        with session_context(self.session_id):
            answer = await self.service.answer(
                operation, lambda: self.decoded(operation, *path), self.caller()
            )
        if isinstance(answer, AsyncGenerator):
            await self.send_events(answer)
        elif answer is None:
            self.set_status(204)
            self.finish()
        else:
            self.answer(answer, operation.status)


class UnknownHandler(CodeIntelHandler):
    """Handler of unknown paths: 404."""

    @allow_unauthenticated
    async def get(self, *path: str) -> None:
        await check_access(self, "read", "any", self.session_id)
        raise Refused(404, f"There is nothing at {self.request.path}.")

    head = post = put = patch = delete = get


class DescriptionHandler(CodeIntelHandler):
    """Handler of the OpenAPI description."""

    @allow_unauthenticated
    async def get(self) -> None:
        await check_access(self, "read", "any", self.session_id)
        self.finish(_description(), set_content_type="application/yaml")


@cache
def _description() -> bytes:
    return description(ALL)  # JSON, which is a subset of YAML


def handler_of(path: str, operations: dict[str, Operation]) -> type[CodeIntelHandler]:
    """Return the handler of a path, for its operations by method."""
    is_sql = any(operation.name == "run_sql" for operation in operations.values())
    fields: dict[str, Any] = {
        "operations": operations,
        "max_body_bytes": MAX_SQL_BODY_BYTES if is_sql else MAX_BODY_BYTES,
        **{method.lower(): OperationHandler._answer for method in operations},
    }
    return type(f"Handler of {path}", (OperationHandler,), fields)


def _routes() -> dict[str, type[CodeIntelHandler]]:
    by_path = defaultdict[str, dict[str, Operation]](dict)
    for operation in ALL:
        by_path[operation.path][operation.method] = operation
    routes = {path: handler_of(path, operations) for path, operations in by_path.items()}
    return {**routes, "openapi.yml": DescriptionHandler}


ROUTES = _routes()


def routes() -> list[tuple[str, type[CodeIntelHandler]]]:
    """Return the handlers by URL pattern, below Jupyter's base URL."""
    patterns = [
        (BASE + re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path)), handler)
        for path, handler in ROUTES.items()
    ]
    return [*patterns, (BASE + "(.*)", UnknownHandler)]
