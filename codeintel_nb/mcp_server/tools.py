"""The tools of MCP: a table of what can be asked, each with its arguments and its answer as values."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from ..api.backend import Backend, Kind
from ..api.text import plain, state_of, status_notes
from ..api.wire import (
    FileRequest,
    PathsRequest,
    ScopeAnswer,
    SemanticRequest,
    SymbolsRequest,
    TextRequest,
)
from ..scopes.scope import Scope
from ..scopes.session import get_session_id
from .values import (
    MOST_LINES,
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


async def _set_scope(backend: Backend, asked: ScopeArguments) -> tuple[ScopeAnswer, str]:
    fields = {name: getattr(asked, name) or None for name in Scope.__struct_fields__}
    answer = await backend.set_scope((asked.scope or Scope()).merged(**fields))
    return answer, _said(answer)


async def _get_scope(backend: Backend, asked: SessionArguments) -> tuple[ScopeAnswer, str]:
    answer = await backend.get_scope()
    return answer, _said(answer)


async def _clear_scope(backend: Backend, asked: SessionArguments) -> tuple[ScopeAnswer, str]:
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
    async def search(backend: Backend, asked: Any) -> tuple[FoundAnswer, str]:
        fields = {
            name: value
            for name, value in msgspec.structs.asdict(asked).items()
            if name != "session_id"
        }
        cancel = threading.Event()
        try:
            answer = await backend.search(kind, request(**fields), cancel)
        except asyncio.CancelledError:  # the client has gone, or wants no answer any more
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


async def _open_file(backend: Backend, asked: FileArguments) -> tuple[FileAnswer, str]:
    last = asked.end_line or asked.start_line + MOST_LINES - 1
    file = await backend.open_file(
        FileRequest(repo=asked.repo, path=asked.path, start_line=asked.start_line, end_line=last)
    )
    held = await backend.get_scope()
    more = file.end_line < file.total_lines
    note = f"\n[lines {file.start_line} to {file.end_line} of {file.total_lines:,}]"
    return FileAnswer(file, more, held.scope, held.session_id), file.text + note


async def _status(backend: Backend, asked: SessionArguments) -> tuple[StatusAnswer, str]:
    found, held = await backend.status(), await backend.get_scope()
    lines = [
        f"{one.name}: {one.files:,} files, {one.chunks:,} chunks{'' if one.state == 'indexed' else f', {state_of(one)}'}"
        for one in found
    ]
    return StatusAnswer(tuple(found), held.scope, held.session_id), "\n".join(
        [*lines, *status_notes(found, False), _said(held)]
    )


_NARROWS = " The session's scope applies; its fields may be replaced for this call."
TOOLS: dict[str, Tool] = {
    "set_scope": Tool("Set the scope", "Limit every later call of the session: to repositories, revisions, paths, languages and kinds of code. Fields that are left out set no limit.", ScopeArguments, ScopeAnswer, _set_scope, True),
    "get_scope": Tool("Show the scope", "The session's scope, and how many files are in it.", SessionArguments, ScopeAnswer, _get_scope),
    "clear_scope": Tool("Clear the scope", "Take all limits from the session.", SessionArguments, ScopeAnswer, _clear_scope, True),
    "list_paths": Tool("List files", f"Paths of the indexed files in scope, in path order, 200 unless limit says otherwise, at most 10,000.{_NARROWS}", PathsArguments, FoundAnswer, _searches("list_paths", PathsRequest)),
    "open_file": Tool("Read a file", f"Lines of an indexed file, {MOST_LINES} unless end_line says otherwise, as it is now; of a notebook the text of its cells.", FileArguments, FileAnswer, _open_file),
    "search_text": Tool("Search text", f"Lines that hold a text or match a regular expression, as ripgrep finds them, 30 unless limit says otherwise, at most 1,000. Right at the moment it is asked, also for files that changed since they were indexed.{_NARROWS}", TextArguments, FoundAnswer, _searches("search_text", TextRequest)),
    "semantic_search": Tool("Search by meaning", f"Chunks of code, some 750 characters each, that answer a question in plain words, best first, 10 unless limit says otherwise, at most 200. Scores are only to be compared within one answer.{_NARROWS}", SemanticArguments, FoundAnswer, _searches("semantic_search", SemanticRequest)),
    "search_symbols": Tool("Find definitions", f"Definitions by name or glob, with signature and documentation, 20 unless limit says otherwise, at most 1,000.{_NARROWS}", SymbolsArguments, FoundAnswer, _searches("symbols", SymbolsRequest)),
    "repository_status": Tool("Show what is indexed", "Every indexed repository with its files, chunks, bytes and age in seconds since 1970.", SessionArguments, StatusAnswer, _status),
}  # fmt: skip


async def call(backend: Backend, tool: Tool, asked: Any) -> tuple[Any, str]:
    """One call of a tool; SessionError outside of a session."""
    get_session_id()
    return await tool.call(backend, asked)
