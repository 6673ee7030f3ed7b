"""MCP: the operations for assistants, each call under the scope of its session.

A session is named by the ``X-Session-ID`` header, else by the argument ``session_id``, else it is the transport's own where
it has one, else a new one, which the answer names. ``SessionMiddleware`` finds it out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta

from . import __version__
from .api.client import ServerClient
from .api.kernel import NoServer
from .api.operations import HeldSession
from .api.service import SharedService
from .api.text import plain, status_notes
from .api.wire import FileRequest, PathsRequest, ScopeAnswer, SearchAnswer, SemanticRequest, SymbolsRequest, TextRequest, from_builtins
from .errors import CodeIntelError, EngineError, MissingExtra, ScopeError, SourceError, did_you_mean
from .index.report import RepositoryStatus
from .scopes.scope import Scope
from .scopes.session import check_session_id, get_session_id, new_session_id, session_context
from .search.hit import Coverage, FileText, Hit
from .search.query import Case, Mode, Show

if TYPE_CHECKING:
    from mcp.server import Server

SESSION_HEADER = "x-session-id"
MOST_LINES = 400  # of a file, where the last line is not given
INVALID_PARAMS = -32602
INSTRUCTIONS = (
    "Search of code that is indexed on this machine: by text, by meaning and by the names of definitions, offline. "
    "set_scope limits every later call of the session to repositories, paths, languages and kinds; it and every other answer name the session_id, "
    "which is given with later calls where the transport has no sessions of its own. Lines count from 1. "
    "Begin with repository_status; prefer semantic_search for questions, search_text for exact text, search_symbols for names; read more with open_file."
)

_T = TypeVar("_T")

# arguments

Names = tuple[str, ...] | None
Repos = Annotated[Names, Meta(description="Only these repositories, by name or glob such as pkg:scikit*. For this call, in place of the scope's; [] for all.")]
Revisions = Annotated[Names, Meta(description="Only these revisions; 'worktree' is the folder as it is. In place of the scope's.")]
Includes = Annotated[Names, Meta(description="Only paths that match one of these globs, written as lines of a .gitignore, plus {a,b}: src/**, *.py. In place of the scope's.")]
Excludes = Annotated[Names, Meta(description="No path that matches one of these globs: **/tests/**. In place of the scope's.")]
Languages = Annotated[Names, Meta(description="Only these languages: python, typescript, c++, ... In place of the scope's.")]
Kinds = Annotated[Names, Meta(description="Only chunks of these kinds: function, class, method, module, cell, markdown, text. In place of the scope's.")]
SessionId = Annotated[str | None, Meta(description="The session whose scope applies: 1 to 128 of A-Z a-z 0-9 . _ -, as an answer named it, or a kernel's id.")]
Positive = Annotated[int, Meta(ge=1)]
Deadline = Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds after which the call answers with what it has found by then.")]


class SessionArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    session_id: SessionId = None


class ScopeArguments(SessionArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    repos: Annotated[tuple[str, ...], Meta(description="Repositories by name or glob, such as pkg:scikit*; none for all.")] = ()
    revisions: Annotated[tuple[str, ...], Meta(description="Revisions; none for all.")] = ()
    include_globs: Annotated[tuple[str, ...], Meta(description="Globs of which a path must match one, as lines of a .gitignore, plus {a,b}; none for all.")] = ()
    exclude_globs: Annotated[tuple[str, ...], Meta(description="Globs of which a path may match none.")] = ()
    languages: Annotated[tuple[str, ...], Meta(description="Languages: python, typescript, c++, ...; none for all.")] = ()
    kinds: Annotated[tuple[str, ...], Meta(description="Kinds of chunks: function, class, method, module, cell, markdown, text; none for all.")] = ()


class NarrowedArguments(SessionArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    repos: Repos = None
    revisions: Revisions = None
    include_globs: Includes = None
    exclude_globs: Excludes = None
    languages: Languages = None
    kinds: Kinds = None


class PathsArguments(NarrowedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(description="Most paths.", ge=1, le=10_000)] = 200


class TextArguments(NarrowedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[str, Meta(description="The text, or with regex=true a regular expression as ripgrep reads it.")]
    regex: bool = False
    case: Annotated[Case, Meta(description="smart: letters match in either case unless the pattern has a capital.")] = "smart"
    word: Annotated[bool, Meta(description="Only whole words.")] = False
    limit: Annotated[int, Meta(description="Most lines (or files) in the answer.", ge=1, le=1_000)] = 30
    context: Annotated[int, Meta(description="Lines before and after each.", ge=0, le=50)] = 0
    per_file: Annotated[Positive | None, Meta(description="Most lines of one file.")] = None
    rank: Annotated[bool, Meta(description="Definitions and files with many matches first, in place of path order.")] = False
    show: Annotated[Show, Meta(description="lines; files: each file with its first line; counts: the same with the number of lines as score.")] = "lines"
    deadline: Deadline = None


class SemanticArguments(NarrowedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(description="What the code does, in plain words, or a symbol's name.")]
    limit: Annotated[int, Meta(description="Most chunks in the answer.", ge=1, le=200)] = 10
    mode: Annotated[Mode, Meta(description="hybrid joins meaning (dense) and words (lexical).")] = "hybrid"
    deadline: Deadline = None


class SymbolsArguments(NarrowedArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(description="A definition's name or glob: read_csv, DataFrame.merge, read_*. Names spelled much like it are found where it is not there.")]
    limit: Annotated[int, Meta(description="Most definitions in the answer.", ge=1, le=1_000)] = 20
    deadline: Deadline = None


class FileArguments(SessionArguments, frozen=True, kw_only=True, forbid_unknown_fields=True):
    repo: Annotated[str, Meta(description="The repository's name, as a hit gives it.")]
    path: Annotated[str, Meta(description="The path in it, with /.")]
    start_line: Annotated[int, Meta(description="First line, from 1.", ge=1)] = 1
    end_line: Annotated[Positive | None, Meta(description=f"Last line, inclusive; {MOST_LINES} lines from the first one by default.")] = None


# answers


class FoundHit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hit as an assistant reads it: what says nothing is left out, as every field is read, checked and paid for."""

    repo: str
    path: str
    start_line: int  # 1-based, inclusive
    end_line: int
    snippet: str = ""
    language: str = ""
    kind: str = ""
    symbol: str = ""
    column: int | msgspec.UnsetType = msgspec.UNSET  # 1-based, characters
    cell: int | msgspec.UnsetType = msgspec.UNSET  # of a notebook, from 0
    score: float = 1.0
    signature: str = ""
    doc: str = ""

    @classmethod
    def of(cls, hit: Hit) -> FoundHit:
        column, cell = (msgspec.UNSET if value is None else value for value in (hit.column, hit.cell))
        return cls(
            repo=hit.repo, path=hit.path, start_line=hit.start_line, end_line=hit.end_line, snippet=hit.snippet, language=hit.language, kind=hit.kind,
            symbol=hit.symbol, column=column, cell=cell, score=hit.score, signature=hit.signature, doc=hit.doc,
        )  # fmt: skip


class FoundAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a search found, and under which scope."""

    hits: tuple[FoundHit, ...]
    total: int  # there are, given or not
    truncated: bool  # there are more, or the search was ended before it was through
    total_exact: bool = True  # else there are at least so many
    scope: Scope
    coverage: Coverage
    session_id: str
    scope_expired: bool = False
    timings_ms: dict[str, float] = {}

    @classmethod
    def of(cls, answer: SearchAnswer) -> FoundAnswer:
        found = answer.results
        return cls(
            hits=tuple(map(FoundHit.of, found.hits)), total=found.total, truncated=found.truncated, total_exact=found.total_exact, scope=found.scope,
            coverage=found.coverage, session_id=answer.session_id, scope_expired=answer.scope_expired, timings_ms=found.timings_ms,
        )  # fmt: skip


class FileAnswer(msgspec.Struct, frozen=True):
    """Lines of a file, and whether there are more."""

    file: FileText
    truncated: bool
    scope: Scope
    session_id: str


class StatusAnswer(msgspec.Struct, frozen=True):
    repositories: tuple[RepositoryStatus, ...]
    scope: Scope
    session_id: str


# who answers


class Backend(Protocol):
    """What the tools ask, for the session of ``get_session_id()``."""

    default_session: str

    async def get_scope(self) -> ScopeAnswer: ...
    async def set_scope(self, scope: Scope) -> ScopeAnswer: ...
    async def clear_scope(self) -> ScopeAnswer: ...
    async def search(self, kind: Kind, request: Any, cancel: threading.Event) -> SearchAnswer: ...
    async def open_file(self, request: FileRequest) -> FileText: ...
    async def status(self) -> list[RepositoryStatus]: ...


Kind = Literal["search_text", "semantic_search", "symbols", "list_paths"]


class ServiceBackend:
    """The index of this process."""

    def __init__(self, service: SharedService, default_session: str = "") -> None:
        self._service = service
        self.default_session = default_session

    async def get_scope(self) -> ScopeAnswer:
        held = await self._service.sessions.get()
        return await self._service.off_loop(lambda: self._service.operations.counted(held))

    async def set_scope(self, scope: Scope) -> ScopeAnswer:
        checked = await self._service.off_loop(lambda: self._service.operations.checked(scope))
        kept = await self._service.sessions.set(checked)
        return await self._service.off_loop(lambda: self._service.operations.counted(kept))

    async def clear_scope(self) -> ScopeAnswer:
        cleared = await self._service.sessions.clear()
        return await self._service.off_loop(lambda: self._service.operations.counted(cleared))

    async def search(self, kind: Kind, request: Any, cancel: threading.Event) -> SearchAnswer:
        session = HeldSession(self._service.operations, await self._service.sessions.get())
        return await self._service.off_loop(lambda: getattr(session, kind)(request, cancel))

    async def open_file(self, request: FileRequest) -> FileText:
        return await self._service.off_loop(lambda: self._service.operations.open_file(request))

    async def status(self) -> list[RepositoryStatus]:
        return await self._service.off_loop(self._service.workspace.status)


class KernelBackend:
    """A Jupyter server, asked as one of its kernels: the scope is that notebook's."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client
        self.default_session = client.kernel.id

    async def get_scope(self) -> ScopeAnswer:
        return await self._ask(self._client.get_scope)

    async def set_scope(self, scope: Scope) -> ScopeAnswer:
        return await self._ask(lambda: self._client.set_scope(scope))

    async def clear_scope(self) -> ScopeAnswer:
        return await self._ask(self._client.clear_scope)

    async def search(self, kind: Kind, request: Any, cancel: threading.Event) -> SearchAnswer:
        return await self._ask(lambda: getattr(self._client, kind)(request, cancel))

    async def open_file(self, request: FileRequest) -> FileText:
        return await self._ask(lambda: self._client.open_file(request))

    async def status(self) -> list[RepositoryStatus]:
        return await self._ask(self._client.status)

    async def _ask(self, call: Callable[[], _T]) -> _T:
        if (asked := get_session_id()) != self.default_session:
            raise ScopeError(f"This server speaks for the session {self.default_session} alone, not for {asked!r}. Leave session_id out, or start another: codeintel mcp --server URL --session ID")
        try:
            return await asyncio.to_thread(call)
        except NoServer as gone:
            raise EngineError(f"{gone}. If the notebook's kernel has ended, print the settings of another: %scope mcp") from None


# tools


class Tool(NamedTuple):
    title: str
    description: str
    arguments: type[SessionArguments]
    answer: type
    call: Callable[[Backend, Any], Awaitable[tuple[Any, str]]]
    changes: bool = False


async def _set_scope(backend: Backend, asked: ScopeArguments) -> tuple[ScopeAnswer, str]:
    fields = {name: getattr(asked, name) for name in Scope.__struct_fields__}
    answer = await backend.set_scope(Scope(**fields))
    return answer, _said(answer)


async def _get_scope(backend: Backend, asked: SessionArguments) -> tuple[ScopeAnswer, str]:
    answer = await backend.get_scope()
    return answer, _said(answer)


async def _clear_scope(backend: Backend, asked: SessionArguments) -> tuple[ScopeAnswer, str]:
    answer = await backend.clear_scope()
    return answer, _said(answer)


def _said(answer: ScopeAnswer) -> str:
    counted = f"; {answer.coverage.files_in_scope:,} of {answer.coverage.files:,} files in scope" if answer.coverage is not None else "; nothing is indexed yet"
    lost = " The scope of this session had expired: nothing limits it now." if answer.scope_expired else ""
    return f"scope: {answer.scope.describe()}{counted}. session_id: {answer.session_id}.{lost}"


def _searches(kind: Kind, request: type) -> Callable[[Backend, Any], Awaitable[tuple[FoundAnswer, str]]]:
    async def search(backend: Backend, asked: Any) -> tuple[FoundAnswer, str]:
        fields = {name: value for name, value in msgspec.structs.asdict(asked).items() if name != "session_id"}
        cancel = threading.Event()
        try:
            answer = await backend.search(kind, request(**fields), cancel)
        except asyncio.CancelledError:  # the client has gone, or wants no answer any more
            cancel.set()
            raise
        lost = "\nThe scope of this session had expired: nothing limits it now." if answer.scope_expired else ""
        return FoundAnswer.of(answer), f"{plain(answer.results)}\nsession_id: {answer.session_id}{lost}"

    return search


async def _open_file(backend: Backend, asked: FileArguments) -> tuple[FileAnswer, str]:
    last = asked.end_line or asked.start_line + MOST_LINES - 1
    file = await backend.open_file(FileRequest(repo=asked.repo, path=asked.path, start_line=asked.start_line, end_line=last))
    held = await backend.get_scope()
    more = file.end_line < file.total_lines
    note = f"\n[lines {file.start_line} to {file.end_line} of {file.total_lines:,}]"
    return FileAnswer(file, more, held.scope, held.session_id), file.text + note


async def _status(backend: Backend, asked: SessionArguments) -> tuple[StatusAnswer, str]:
    found, held = await backend.status(), await backend.get_scope()
    lines = [f"{one.name}: {one.files:,} files, {one.chunks:,} chunks{'' if one.complete else ', still being indexed'}" for one in found]
    return StatusAnswer(tuple(found), held.scope, held.session_id), "\n".join([*lines, *status_notes(found, False), _said(held)])


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


@cache
def schema_of(kind: type) -> dict[str, Any]:
    """JSON Schema of a struct, an object at its root. Parts stand where they are used: clients check every
    answer against it, a hit at a time."""
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    whole: dict[str, Any] = _resolved(root, parts)
    return whole


def _resolved(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(value, parts) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(parts[str(schema["$ref"]).rpartition("/")[2]], parts)
    return {key: _resolved(value, parts) for key, value in schema.items()}


# the server


class SessionMiddleware:
    """Finds out the session that a call belongs to, and runs the call as it."""

    def __init__(self, backend: Backend, of_process: str = "") -> None:
        self._backend = backend
        self._of_process = of_process  # the session of a transport that has one client alone

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        if ctx.method not in ("tools/call", "resources/read"):
            return await call_next(ctx)
        headers = ctx.request.headers if ctx.request is not None else {}
        arguments = (ctx.params or {}).get("arguments")
        argument = arguments.get("session_id") if isinstance(arguments, dict) else None
        own = headers.get("mcp-session-id")
        asked = headers.get(SESSION_HEADER) or argument or self._backend.default_session or self._of_process or (f"mcp-{own}" if own else new_session_id())
        if not isinstance(asked, str):
            raise _protocol_error(f"The session id {asked!r} is no text of 1 to 128 of the characters A-Z a-z 0-9 . _ -")
        try:
            check_session_id(asked)
        except ScopeError as error:
            raise _protocol_error(str(error)) from None
        with session_context(asked):
            return await call_next(ctx)


def make_server(backend: Backend, of_process: str = "") -> Server[Any]:
    """An MCP server over a backend; MissingExtra where the SDK is not installed."""
    try:
        import mcp_types as types
        from mcp.server import Server
    except ImportError:
        raise MissingExtra("mcp", needed_by="The MCP server") from None

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[
            types.Tool(
                name=name, title=tool.title, description=tool.description, input_schema=schema_of(tool.arguments), output_schema=schema_of(tool.answer),
                annotations=types.ToolAnnotations(title=tool.title, read_only_hint=not tool.changes, destructive_hint=False, idempotent_hint=True, open_world_hint=False),
            )
            for name, tool in TOOLS.items()
        ], ttl_ms=3_600_000, cache_scope="public")  # fmt: skip

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if (tool := TOOLS.get(params.name)) is None:
            raise _protocol_error(f"There is no tool {params.name!r}.{did_you_mean(params.name, TOOLS)}")
        try:
            asked = from_builtins(params.arguments or {}, tool.arguments)
        except msgspec.ValidationError as error:
            raise _protocol_error(f"The arguments of {params.name} cannot be read: {error}. It takes {', '.join(tool.arguments.__struct_fields__)}.") from None
        try:
            answer, said = await call(backend, tool, asked)
        except CodeIntelError as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=f"{type(error).__name__}: {error}")], is_error=True)
        return types.CallToolResult(content=[types.TextContent(type="text", text=said)], structured_content=msgspec.to_builtins(answer))

    async def list_templates(context: Any, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template="file://{repository}/{path}", name="file", title="An indexed file",
            description="The text of an indexed file as it is now; a repository's name is percent-encoded. Of a notebook the text of its cells.", mime_type="text/plain",
        )  # fmt: skip
        return types.ListResourceTemplatesResult(resource_templates=[template], ttl_ms=3_600_000, cache_scope="public")

    async def list_resources(context: Any, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[], ttl_ms=0, cache_scope="private")  # files are many: the template names them

    async def read_resource(context: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        try:
            repo, path = file_of(str(params.uri))
            file = await backend.open_file(FileRequest(repo=repo, path=path))
        except CodeIntelError as error:
            raise _protocol_error(str(error)) from None
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=str(params.uri), mime_type="text/plain", text=file.text)], ttl_ms=0, cache_scope="private")

    server: Server[Any] = Server(
        "codeintel", version=__version__, title="codeintel-nb", instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool,
        on_list_resources=list_resources, on_list_resource_templates=list_templates, on_read_resource=read_resource,
    )  # fmt: skip
    server.middleware.append(SessionMiddleware(backend, of_process))
    return server


async def call(backend: Backend, tool: Tool, asked: Any) -> tuple[Any, str]:
    """One call of a tool; SessionError outside of a session."""
    get_session_id()
    return await tool.call(backend, asked)


def file_uri(repo: str, path: str) -> str:
    return f"file://{quote(repo, safe='')}/{quote(path)}"


def file_of(uri: str) -> tuple[str, str]:
    """Repository and path of a file's URI."""
    parts = urlsplit(uri)
    repo, path = unquote(parts.netloc), unquote(parts.path.lstrip("/"))
    if parts.scheme != "file" or not repo or not path:
        raise SourceError(f"{uri!r} names no indexed file. Give file://REPOSITORY/PATH, the repository's name percent-encoded.")
    return repo, path


def _protocol_error(said: str) -> Exception:
    from mcp.shared.exceptions import MCPError

    return MCPError(INVALID_PARAMS, said)


async def serve_stdio(backend: Backend) -> None:
    """Serve the one client at the other end of this process's standard streams, until it goes."""
    server = make_server(backend, of_process=new_session_id())
    from mcp.server.stdio import stdio_server

    with suppress(asyncio.CancelledError):
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
