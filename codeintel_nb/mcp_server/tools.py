"""Tools of MCP: a table of the operations, with their arguments and answers as values."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from ..operations.values import (
    FileRequest,
    PathsRequest,
    ScopeAnswer,
    SemanticRequest,
    SymbolsRequest,
    TextRequest,
)
from ..output.plain_text import plain, state_of, status_notes
from ..scopes.scope import Scope
from ..scopes.session import get_session_id
from ..server.backend import Backend, Kind
from .values import (
    MAX_LINES,
    FileAnswer,
    FileArguments,
    FoundAnswer,
    PathsArguments,
    ScopeArguments,
    SemanticArguments,
    SessionArguments,
    StatusAnswer,
    SymbolsArguments,
    TextArguments,
)


class Tool(NamedTuple):
    title: str
    description: str
    arguments: type[SessionArguments]
    answer: type
    call: Callable[[Backend, Any], Awaitable[tuple[Any, str]]]
    changes: bool = False


async def _set_scope(backend: Backend, args: ScopeArguments) -> tuple[ScopeAnswer, str]:
    fields = {name: getattr(args, name) or None for name in Scope.__struct_fields__}
    answer = await backend.set_scope((args.scope or Scope()).merged(**fields))
    return answer, _said(answer)


async def _get_scope(backend: Backend, args: SessionArguments) -> tuple[ScopeAnswer, str]:
    answer = await backend.get_scope()
    return answer, _said(answer)


async def _clear_scope(backend: Backend, args: SessionArguments) -> tuple[ScopeAnswer, str]:
    answer = await backend.clear_scope()
    return answer, _said(answer)


def _said(answer: ScopeAnswer) -> str:
    counted = (
        f"; {answer.coverage.files_in_scope:,} of {answer.coverage.files:,} files in scope"
        if answer.coverage is not None
        else "; nothing is indexed yet"
    )
    lost = (
        " The scope of this session had expired: nothing limits it now."
        if answer.scope_expired
        else ""
    )
    return f"scope: {answer.scope.describe()}{counted}. session_id: {answer.session_id}.{lost}"


def _searches(
    kind: Kind, request: type
) -> Callable[[Backend, Any], Awaitable[tuple[FoundAnswer, str]]]:
    async def search(backend: Backend, args: Any) -> tuple[FoundAnswer, str]:
        fields = {
            name: value
            for name, value in msgspec.structs.asdict(args).items()
            if name != "session_id"
        }
        cancel = threading.Event()
        try:
            answer = await backend.search(kind, request(**fields), cancel)
        except asyncio.CancelledError:  # the client disconnected, or cancelled the call
            cancel.set()
            raise
        lost = (
            "\nThe scope of this session had expired: nothing limits it now."
            if answer.scope_expired
            else ""
        )
        return FoundAnswer.of(
            answer
        ), f"{plain(answer.results)}\nsession_id: {answer.session_id}{lost}"

    return search


async def _open_file(backend: Backend, args: FileArguments) -> tuple[FileAnswer, str]:
    last = args.end_line or args.start_line + MAX_LINES - 1
    file = await backend.open_file(
        FileRequest(repo=args.repo, path=args.path, start_line=args.start_line, end_line=last)
    )
    current = await backend.get_scope()
    more = file.end_line < file.total_lines
    note = f"\n[lines {file.start_line} to {file.end_line} of {file.total_lines:,}]"
    return FileAnswer(file, more, current.scope, current.session_id), file.text + note


async def _status(backend: Backend, args: SessionArguments) -> tuple[StatusAnswer, str]:
    statuses, current = await backend.status(), await backend.get_scope()
    lines = [
        f"{one.name}: {one.files:,} files, {one.chunks:,} "
        f"chunks{'' if one.state == 'indexed' else f', {state_of(one)}'}"
        for one in statuses
    ]
    return StatusAnswer(tuple(statuses), current.scope, current.session_id), "\n".join(
        [*lines, *status_notes(statuses, False), _said(current)]
    )


_NARROWS = " The session's scope applies; its fields may be replaced for this call."
TOOLS: dict[str, Tool] = {
    "set_scope": Tool(
        "Set the scope",
        "Limit every later call of the session: to repositories, revisions, paths, languages and "
        "kinds of code. Fields that are left out set no limit.",
        ScopeArguments, ScopeAnswer, _set_scope, True),
    "get_scope": Tool(
        "Show the scope",
        "The session's scope, and how many files are in it.",
        SessionArguments, ScopeAnswer, _get_scope),
    "clear_scope": Tool(
        "Clear the scope",
        "Take all limits from the session.",
        SessionArguments, ScopeAnswer, _clear_scope, True),
    "list_paths": Tool(
        "List files",
        "Paths of the indexed files in scope, in path order, 200 unless limit says otherwise, "
        f"at most 10,000.{_NARROWS}",
        PathsArguments, FoundAnswer, _searches("list_paths", PathsRequest)),
    "open_file": Tool(
        "Read a file",
        f"Lines of an indexed file, {MAX_LINES} unless end_line says otherwise, as it is now; "
        "of a notebook the text of its cells.",
        FileArguments, FileAnswer, _open_file),
    "search_text": Tool(
        "Search text",
        "Lines that hold a text or match a regular expression, as ripgrep finds them, 30 unless "
        "limit says otherwise, at most 1,000. Right at the moment it is asked, also for files that "
        f"changed since they were indexed.{_NARROWS}",
        TextArguments, FoundAnswer, _searches("search_text", TextRequest)),
    "semantic_search": Tool(
        "Search by meaning",
        "Chunks of code, some 750 characters each, that answer a question in plain words, best "
        "first, 10 unless limit says otherwise, at most 200. Scores are only to be compared within "
        f"one answer.{_NARROWS}",
        SemanticArguments, FoundAnswer, _searches("semantic_search", SemanticRequest)),
    "search_symbols": Tool(
        "Find definitions",
        "Definitions by name or glob, with signature and documentation, 20 unless limit says "
        f"otherwise, at most 1,000.{_NARROWS}",
        SymbolsArguments, FoundAnswer, _searches("symbols", SymbolsRequest)),
    "repository_status": Tool(
        "Show what is indexed",
        "Every indexed repository with its files, chunks, bytes and age in seconds since 1970.",
        SessionArguments, StatusAnswer, _status),
}  # fmt: skip


async def call(backend: Backend, tool: Tool, asked: Any) -> tuple[Any, str]:
    """Call a tool; SessionError outside of a session."""
    get_session_id()
    return await tool.call(backend, asked)
