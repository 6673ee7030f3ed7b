"""MCP server: tools, files, and the session of each call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from ..errors import CodeIntelError, MissingExtra, ScopeError, SourceError, did_you_mean
from ..operations.requests import FileRequest
from ..operations.wire import from_builtins
from ..scopes.session import check_session_id, new_session_id, session_context
from ..server.backend import Backend
from ..version import __version__
from .tools import TOOLS, call
from .values import schema_of

if TYPE_CHECKING:
    from mcp.server import Server

SESSION_HEADER = "x-session-id"
INVALID_PARAMS = -32602
INSTRUCTIONS = (
    "Offline search of the code indexed on this machine: by text, by meaning and by the names of "
    "definitions. "
    "set_scope limits every later search and list of the session to repositories, paths, "
    "languages and kinds. "
    "Every answer contains the session_id; pass it to later calls if the transport has no sessions "
    "of its own. "
    "Lines are numbered from 1. "
    "Begin with repository_status; prefer semantic_search for questions, search_text for exact "
    "text, search_symbols for names; read more with open_file."
)


class SessionMiddleware:
    """Middleware that runs each call in its session."""

    def __init__(self, backend: Backend, of_process: str = "") -> None:
        self._backend = backend
        self._of_process = of_process  # session of a transport with a single client

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        if ctx.method not in ("tools/call", "resources/read"):
            return await call_next(ctx)
        headers = ctx.request.headers if ctx.request is not None else {}
        arguments = (ctx.params or {}).get("arguments")
        argument = arguments.get("session_id") if isinstance(arguments, dict) else None
        own = headers.get("mcp-session-id")
        session_id = (
            headers.get(SESSION_HEADER)
            or argument
            or self._backend.default_session
            or self._of_process
            or (f"mcp-{own}" if own else new_session_id())
        )
        if not isinstance(session_id, str):
            raise _protocol_error(
                f"The session id {session_id!r} is invalid. "
                "Use 1 to 128 of the characters A-Z a-z 0-9 . _ -"
            )
        try:
            check_session_id(session_id)
        except ScopeError as error:
            raise _protocol_error(str(error)) from None
        with session_context(session_id):
            return await call_next(ctx)


def make_server(backend: Backend, of_process: str = "") -> Server[Any]:
    """Return an MCP server; raise MissingExtra without the SDK."""
    try:
        import mcp_types as types
        from mcp.server import Server
    except ImportError:
        raise MissingExtra("mcp", needed_by="The MCP server") from None

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[
            types.Tool(
                name=name, title=tool.operation.title, description=tool.description,
                input_schema=schema_of(tool.arguments), output_schema=schema_of(tool.answer),
                annotations=types.ToolAnnotations(
                    title=tool.operation.title, read_only_hint=not tool.changes,
                    destructive_hint=False,
                    idempotent_hint=True, open_world_hint=False,
                ),
            )
            for name, tool in TOOLS.items()
        ], ttl_ms=3_600_000, cache_scope="public")  # fmt: skip

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if (tool := TOOLS.get(params.name)) is None:
            raise _protocol_error(
                f"There is no tool {params.name!r}.{did_you_mean(params.name, TOOLS)}"
            )
        try:
            request = from_builtins(params.arguments or {}, tool.arguments)
        except msgspec.ValidationError as error:
            raise _protocol_error(
                f"The arguments of {params.name} cannot be read: {error}. "
                f"It takes {', '.join(tool.arguments.__struct_fields__)}."
            ) from None
        try:
            answer, text = await call(backend, tool, request)
        except CodeIntelError as error:
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=f"{type(error).__name__}: {error}")],
                is_error=True,
            )
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)],
            structured_content=msgspec.to_builtins(answer),
        )

    server: Server[Any] = Server(
        "codeintel", version=__version__, title="codeintel-nb", instructions=INSTRUCTIONS,
        on_list_tools=list_tools, on_call_tool=call_tool, **_resources(backend),
    )  # fmt: skip
    server.middleware.append(SessionMiddleware(backend, of_process))
    return server


def _resources(backend: Backend) -> dict[str, Any]:
    """Return the handlers of resources: the indexed files."""
    import mcp_types as types

    async def list_templates(context: Any, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template="file://{repository}/{path}", name="file", title="An indexed file",
            description="The text of an indexed file, read from disk; of a notebook, the text of "
            "its cells. The repository's name is percent-encoded.",
            mime_type="text/plain",
        )  # fmt: skip
        return types.ListResourceTemplatesResult(
            resource_templates=[template], ttl_ms=3_600_000, cache_scope="public"
        )

    async def list_resources(context: Any, params: Any) -> types.ListResourcesResult:
        # too many files to list: the template addresses them
        return types.ListResourcesResult(resources=[], ttl_ms=0, cache_scope="private")

    async def read_resource(
        context: Any, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        try:
            repo, path = file_of(str(params.uri))
            file = await backend.ask(FileRequest(repo=repo, path=path))
        except CodeIntelError as error:
            raise _protocol_error(str(error)) from None
        return types.ReadResourceResult(
            contents=[
                types.TextResourceContents(
                    uri=str(params.uri), mime_type="text/plain", text=file.text
                )
            ],
            ttl_ms=0,
            cache_scope="private",
        )

    return {
        "on_list_resources": list_resources,
        "on_list_resource_templates": list_templates,
        "on_read_resource": read_resource,
    }


def file_uri(repo: str, path: str) -> str:
    return f"file://{quote(repo, safe='')}/{quote(path)}"


def file_of(uri: str) -> tuple[str, str]:
    """Return the repository and path of a file's URI."""
    parts = urlsplit(uri)
    repo, path = unquote(parts.netloc), unquote(parts.path.lstrip("/"))
    if parts.scheme != "file" or not repo or not path:
        raise SourceError(
            f"{uri!r} is not the URI of an indexed file. "
            "Use file://REPOSITORY/PATH, with the repository's name percent-encoded."
        )
    return repo, path


def _protocol_error(message: str) -> Exception:
    from mcp.shared.exceptions import MCPError

    return MCPError(INVALID_PARAMS, message)


async def serve_stdio(backend: Backend) -> None:
    """Serve one client on this process's standard streams, until it disconnects."""
    server = make_server(backend, of_process=new_session_id())
    from mcp.server.stdio import stdio_server

    with suppress(asyncio.CancelledError):
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
