"""Tools of MCP, made from the table of operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from ..operations import table
from ..operations.answers import RepositoriesAnswer, ScopeAnswer, SearchAnswer
from ..operations.requests import FileRequest, GetScope, SetScope
from ..operations.table import OPERATIONS, Operation
from ..operations.wire import to_wire
from ..output.plain_text import plain, state_of, status_notes
from ..output.progress import plural
from ..scopes.scope import Scope
from ..scopes.session import get_session_id
from ..search.cancel import Cancel
from ..search.file_text import FileText
from ..search.request import Request
from ..server.backend import Backend
from .values import (
    MAX_LINES,
    FileAnswer,
    FoundAnswer,
    ScopeArguments,
    SessionArguments,
    StatusAnswer,
    arguments_of,
)


class Tool(NamedTuple):
    """Operation as a tool of an assistant."""

    operation: Operation
    description: str
    arguments: type[SessionArguments]
    answer: Any
    changes: bool


class Shown(NamedTuple):
    """Answer of an operation for an assistant."""

    kind: Any  # type of the structured answer
    of: Callable[[Any, ScopeAnswer], tuple[Any, str]]  # structured, and as text
    needs_scope: bool = False


def _found(answer: SearchAnswer, session: ScopeAnswer) -> tuple[FoundAnswer, str]:
    expired = (
        "\nThe scope of this session has expired; nothing limits it now."
        if answer.scope_expired
        else ""
    )
    text = f"{plain(answer.results)}\nsession_id: {answer.session_id}{expired}"
    return FoundAnswer.of(answer), text


def _file(file: FileText, session: ScopeAnswer) -> tuple[FileAnswer, str]:
    more = file.end_line < file.total_lines
    note = f"\n[lines {file.start_line} to {file.end_line} of {file.total_lines:,}]"
    return FileAnswer(file, more, session.scope, session.session_id), file.text + note


def _repositories(answer: RepositoriesAnswer, session: ScopeAnswer) -> tuple[StatusAnswer, str]:
    lines = [
        f"{one.name}: {plural(one.files, 'file')}, {plural(one.chunks, 'chunk')}"
        f"{'' if one.state == 'indexed' else f', {state_of(one)}'}"
        for one in answer.repositories
    ]
    text = "\n".join(
        [*lines, *status_notes([*answer.repositories], False), _described(session, session)[1]]
    )
    return StatusAnswer(answer.repositories, session.scope, session.session_id), text


def _described(answer: ScopeAnswer, session: ScopeAnswer) -> tuple[ScopeAnswer, str]:
    coverage = (
        f"; {answer.coverage.files_in_scope:,} of {plural(answer.coverage.files, 'file')} in scope"
        if answer.coverage is not None
        else "; nothing is indexed yet"
    )
    expired = (
        " The scope of this session has expired; nothing limits it now."
        if answer.scope_expired
        else ""
    )
    return (
        answer,
        f"scope: {answer.scope.describe()}{coverage}. session_id: {answer.session_id}.{expired}",
    )


def _as_json(answer: Any, session: ScopeAnswer) -> tuple[Any, str]:
    return answer, to_wire(answer).decode()


SHOWN: dict[Any, Shown] = {
    SearchAnswer: Shown(FoundAnswer, _found),
    FileText: Shown(FileAnswer, _file, needs_scope=True),
    RepositoriesAnswer: Shown(StatusAnswer, _repositories, needs_scope=True),
    ScopeAnswer: Shown(ScopeAnswer, _described),
}


def _shown(operation: Operation) -> Shown:
    return SHOWN.get(operation.answer, Shown(operation.answer, _as_json))


def _description(tool: table.Tool) -> str:
    if not tool.limit:
        return tool.description
    return (
        f"{tool.description} Returns {tool.limit} results by default, at most {tool.max_limit:,}."
    )


TOOLS: dict[str, Tool] = {
    operation.tool.name or operation.name: Tool(
        operation,
        _description(operation.tool),
        ScopeArguments if operation.request is SetScope else arguments_of(operation),
        _shown(operation).kind,
        operation.tool.changes,
    )
    for operation in OPERATIONS
    if operation.tool is not None
}


async def call(backend: Backend, tool: Tool, arguments: Any) -> tuple[Any, str]:
    """Call a tool; SessionError outside of a session."""
    get_session_id()
    cancel = Cancel()
    try:
        answer = await backend.ask(_request(tool, arguments), cancel)
    except asyncio.CancelledError:  # the client disconnected, or cancelled the call
        cancel.set()
        raise
    shown = _shown(tool.operation)
    session = await backend.ask(GetScope()) if shown.needs_scope else ScopeAnswer(Scope(), "")
    return shown.of(answer, session)


def _request(tool: Tool, arguments: Any) -> Request[Any]:
    """Return the request of a tool's arguments."""
    fields: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in tool.arguments.__struct_fields__
        if name != "session_id"
    }
    request = tool.operation.request
    if request is SetScope:
        scope = fields.pop("scope") or Scope()
        return SetScope(
            scope=scope.merged(**{name: value or None for name, value in fields.items()})
        )
    if request is FileRequest and fields["end_line"] is None:
        fields["end_line"] = fields["start_line"] + MAX_LINES - 1
    return request(**fields)
