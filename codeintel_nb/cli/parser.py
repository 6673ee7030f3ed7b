"""Command-line parser, and ``run``, which executes one command."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import did_you_mean
from ..operations.arguments import Parser, add_common, add_options, add_text
from ..operations.options import Option, options_of
from ..operations.requests import IndexRequest, RefreshRequest
from ..operations.table import OPERATIONS
from ..output.terminal import ERROR
from ..scopes.namespaces import registry_prefix
from ..workspace import Workspace
from . import commands
from .guard import guarded, in_utf8


def run(arguments: Sequence[str], was_open: bool) -> int:
    """Run one command; return the exit code.

    ``was_open`` is the result of ``prepare_streams``.
    """
    parser = _parser()
    args, unknown = parser.parse_known_args(in_utf8(arguments))
    if unknown:
        args.parser.error(_unknown(unknown, args.parser.format_help()))
    if not getattr(args, "run", None):
        parser.print_help()
        return ERROR
    return guarded(lambda: args.run(args, commands.opened(args)), was_open, args.json)


def _unknown(words: list[str], help_text: str) -> str:
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if option is None:
        return f"unexpected argument {words[0]!r}. Put quotes around text that contains spaces."
    return (
        f"there is no option {option!r}."
        f"{did_you_mean(option, set(re.findall(r'--[a-z-]+', help_text)))}"
        " To search for text that begins with a dash, put -- before it."
    )


def _parser() -> argparse.ArgumentParser:
    from ..version import __version__

    common = Parser(add_help=False)
    add_common(common)
    parser = Parser(
        prog="codeintel",
        allow_abbrev=False,
        description="Code search under one scope: text, meaning, files, SQL.",
    )
    parser.add_argument("--version", action="version", version=f"codeintel-nb {__version__}")
    parser.set_defaults(json=False, home=None, parser=parser)
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(
        name: str,
        run: Callable[[argparse.Namespace, Workspace], int],
        summary: str,
        options: Sequence[Option] = (),
        **defaults: Any,
    ) -> argparse.ArgumentParser:
        made = parsers.add_parser(
            name, parents=[common], help=summary, description=summary, allow_abbrev=False
        )
        made.set_defaults(run=run, parser=made, **defaults)
        add_options(made, options, defaults)
        return made

    _add_index_commands(command)
    _add_search_commands(command)
    _add_server_command(command)
    _add_mcp_command(command)
    _add_help_commands(command)
    return parser


def _add_help_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    doctor = command(
        "doctor",
        commands.doctor,
        "check the index and the installation, and remove leftover folders",
    )
    doctor.add_argument("--dry-run", action="store_true", help="remove nothing")
    demo = command(
        "demo",
        commands.demo,
        "index sample code, set a scope, search it, and suggest the next steps",
    )
    demo.add_argument(
        "path", nargs="?", help="the folder to index; by default this program's own code"
    )
    demo.add_argument(
        "--lab", action="store_true", help="then open the quickstart notebook in JupyterLab"
    )


def _add_search_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    for operation in OPERATIONS:
        if not operation.command:
            continue
        parser = command(
            operation.command,
            commands.ask,
            operation.summary,
            options_of(operation.request),
            operation=operation,
        )
        add_text(parser, operation)
    reader = command("read", commands.read, "show lines of an indexed file")
    reader.add_argument("repo")
    reader.add_argument("path")
    reader.add_argument("--lines", metavar="FIRST:LAST", help="only these lines, or one line")


def _add_index_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    index = command(
        "index",
        commands.index,
        "index a folder or an installed package, or update its index",
        options_of(IndexRequest),
        rebuild=False,
        outputs=False,
    )
    index.add_argument(
        "path", nargs="?", default=".", help="the folder; by default the current one"
    )
    index.add_argument(
        "--embed",
        metavar="NAME",
        help=(
            "embed with this entry of embedders.toml in the index home, from now on; "
            "builtin is the shipped table"
        ),
    )
    index.add_argument(
        "--yes", action="store_true", help="consent to sending the code to the model's host"
    )
    index.add_argument(
        "--to",
        metavar="URL",
        help="also upload the index to object storage, such as s3://BUCKET/FOLDER",
    )
    index.add_argument(
        "--publish",
        action="store_true",
        help="let all users of this machine read the index, as CODEINTEL_SHARED or "
        "c.CodeIntelApp.shared_homes of theirs",
    )
    status = command("status", commands.status, "list the indexed repositories")
    status.add_argument("--skipped", action="store_true", help="list the files left out, and why")
    refresh = command(
        "refresh",
        commands.refresh,
        "index the changes in repositories, or resume a stopped run",
        options_of(RefreshRequest),
        rebuild=False,
    )
    refresh.add_argument("names", nargs="*", help="repositories; all by default")
    remove = command(
        "remove", commands.remove, "remove a repository from the index; its files are not touched"
    )
    remove.add_argument("name")
    watch = command(
        "watch", commands.watch, "keep the index up to date while files change, until Ctrl-C"
    )
    watch.add_argument("names", nargs="*", help="repositories; all by default")


def _add_server_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    serve = command("serve", commands.serve, "serve REST and MCP without Jupyter, until Ctrl-C")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; by default the loopback address"
    )
    serve.add_argument("--port", type=int, default=8787, help="8787 by default")
    serve.add_argument(
        "--token",
        help=(
            "token that clients send as Authorization: Bearer TOKEN; "
            "other users can see it in the process list, so prefer $CODEINTEL_TOKEN; "
            "by default a new one, printed at startup"
        ),
    )
    serve.add_argument("--no-token", action="store_true", help="require no token")
    serve.add_argument(
        "--workers",
        type=int,
        default=1,
        help="number of processes; several need a shared registry and do not index",
    )
    serve.add_argument(
        "--engine",
        metavar="URL",
        help="run searches on a cluster: dask://HOST:8786, ray://HOST:6379, or dask://local for "
        "one of this machine",
    )
    serve.add_argument(
        "--registry-url",
        default="memory://",
        help="where scopes are stored: memory:// or redis://HOST",
    )
    serve.add_argument(
        "--registry-prefix",
        default=registry_prefix(""),
        help=(
            "prefix of the keys in Redis; "
            "by default 'codeintel:', under a hub 'codeintel:USER/SERVER:'"
        ),
    )
    serve.add_argument(
        "--root",
        action="append",
        metavar="FOLDER",
        help="a folder that clients may index, besides packages",
    )
    serve.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="a host name of the server, besides its address",
    )
    serve.add_argument(
        "--no-watch", action="store_true", help="do not watch indexed folders for changes"
    )


def _add_mcp_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    mcp = command("mcp", commands.mcp, "serve an assistant over its standard streams (MCP)")
    mcp.add_argument(
        "--server", metavar="URL", help="use this Jupyter server instead of a local index"
    )
    mcp.add_argument(
        "--session",
        metavar="ID",
        help="the session to use: a kernel's id, to search under its notebook's scope",
    )
    mcp.add_argument(
        "--token",
        help=(
            "the Jupyter server's token, for a kernel on another machine; "
            "other users can see it in the process list, so prefer $CODEINTEL_SERVER_TOKEN"
        ),
    )
    mcp.add_argument(
        "--registry-url",
        default="memory://",
        help="where scopes are stored: memory:// or redis://HOST",
    )
    mcp.add_argument(
        "--registry-prefix",
        default=registry_prefix(""),
        help=(
            "prefix of the keys in Redis; "
            "by default 'codeintel:', under a hub 'codeintel:USER/SERVER:'"
        ),
    )
