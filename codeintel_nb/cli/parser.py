"""Command-line parser, and ``run``, which executes one command."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..errors import CodeIntelError, did_you_mean
from ..operations.options import Option, convert, options_of, positional_of
from ..operations.requests import IndexRequest, RefreshRequest
from ..operations.table import OPERATIONS
from ..output.terminal import NotWritten, emit_json, open_missing_streams, print_anything, silence
from ..scopes.namespaces import registry_prefix
from ..search.query import SemanticQuery
from ..workspace import Workspace
from . import commands
from .commands import ERROR, FOUND


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    was_open = open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        print_anything(stream)
    parser = _parser()
    args, unknown = parser.parse_known_args(
        _in_utf8(sys.argv[1:] if arguments is None else arguments)
    )
    if unknown:
        args.parser.error(_unknown(unknown, args.parser.format_help()))
    if not getattr(args, "run", None):
        parser.print_help()
        return ERROR
    try:
        code: int = args.run(args, Workspace.open(args.home, follow=False))
        return (
            code
            if was_open
            else _failed(args, "The output is closed, so the answer cannot be written.")
        )
    except CodeIntelError as error:
        return _failed(args, str(error))
    except KeyboardInterrupt:
        return _failed(args, "Interrupted.")
    except MemoryError:
        return _failed(args, "Out of memory. Narrow the scope, or give this process more memory.")
    except BrokenPipeError:  # the reader, such as head, has seen enough
        silence(sys.stdout, 1)
        return FOUND
    except NotWritten as error:
        silence(sys.stdout, 1)
        args.json = False  # that cannot be written either
        return _failed(
            args, f"The answer cannot be written: {error}. Free some space, or redirect the output."
        )
    except Exception as error:  # a bug: not 1, which means nothing found
        if os.environ.get("CODEINTEL_DEBUG"):
            raise
        return _failed(
            args,
            f"{type(error).__name__}: {error}. This is a bug in codeintel. "
            "Set CODEINTEL_DEBUG=1 to see the traceback.",
        )


def _in_utf8(arguments: Sequence[str]) -> list[str]:
    """Decode arguments as UTF-8, regardless of the locale."""
    decoded = []
    for argument in arguments:
        try:
            decoded.append(os.fsencode(argument).decode())
        except UnicodeError:  # not UTF-8: rejected where it is used
            decoded.append(argument)
    return decoded


def _unknown(words: list[str], help_text: str) -> str:
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if option is None:
        return f"unexpected argument {words[0]!r}. Put quotes around text that contains spaces."
    return (
        f"there is no option {option!r}."
        f"{did_you_mean(option, set(re.findall(r'--[a-z-]+', help_text)))}"
        " To search for text that begins with a dash, put -- before it."
    )


def _failed(args: argparse.Namespace, message: str) -> int:
    try:
        if args.json:
            emit_json(json.dumps({"error": message}))
    except (NotWritten, OSError):
        silence(sys.stdout, 1)
    try:
        print(f"codeintel: {message}", file=sys.stderr)
    except OSError:
        silence(sys.stderr, 2)
    return ERROR


class _Take(argparse.Action):
    """Action: read an option of operations/options.py as the magics do."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, option: Option, **kwargs: Any
    ) -> None:
        self.option = option
        super().__init__(option_strings, dest, **kwargs)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if self.option.kind == "flag":
            setattr(namespace, self.dest, self.option.const)
            return
        try:
            value = convert(self.option, option_string or self.dest, values)
        except CodeIntelError as error:
            parser.error(str(error))
        if isinstance(value, list):
            value = [*(getattr(namespace, self.dest) or []), *value]
        setattr(namespace, self.dest, value)


class _Parser(argparse.ArgumentParser):
    """Parser with suggestions for unknown commands."""

    def error(self, message: str) -> NoReturn:
        if unknown := _UNKNOWN_COMMAND.search(message):
            message = (
                f"there is no command {unknown[1]!r}."
                f"{did_you_mean(unknown[1], re.findall(r'[a-z]+', unknown[2]))}"
            )
        super().error(message)


# argparse's message
_UNKNOWN_COMMAND = re.compile(r"COMMAND: invalid choice: '(.*)' \(choose from (.*?)\)")


def _parser() -> argparse.ArgumentParser:
    from ..version import __version__

    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    common.add_argument(
        "--home", help="folder of the index; $CODEINTEL_HOME or the user's data folder by default"
    )
    parser = _Parser(
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
        for option in options:
            extra: dict[str, Any] = (
                {"nargs": 0} if option.kind == "flag" else {"metavar": option.metavar}
            )
            made.add_argument(
                *option.flags,
                dest=option.field,
                action=_Take,
                option=option,
                default=defaults.get(option.field),
                help=argparse.SUPPRESS if option.is_hidden else option.help,
                **extra,
            )
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
        if positional := positional_of(operation.request):
            # a question needs no quotes
            parser.add_argument(
                positional, nargs="+" if operation.request is SemanticQuery else None
            )
    reader = command("read", commands.read, "show lines of an indexed file")
    reader.add_argument("repo")
    reader.add_argument("path")
    reader.add_argument("--lines", metavar="FIRST:LAST", help="only these lines")


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
