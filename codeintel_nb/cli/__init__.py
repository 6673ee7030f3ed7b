"""The command line: codeintel COMMAND. Exit codes are grep's: 0 found, 1 none, 2 error."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..api.options import PATH_OPTIONS, SCOPE_OPTIONS, SEMANTIC_OPTIONS, SQL_OPTIONS, SYMBOL_OPTIONS, TEXT_OPTIONS, Option, convert
from ..api.progress import TerminalProgress, skipped, summary
from ..api.text import aligned, plain, status_notes, status_table
from ..errors import CodeIntelError
from ..index.report import IndexReport
from ..scopes.scope import Scope
from ..search.hit import Results
from ..workspace import Workspace

FOUND, NONE, ERROR = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if not getattr(args, "run", None):
        parser.print_help()
        return ERROR
    try:
        code: int = args.run(args, Workspace.open(args.home, follow=False))
        sys.stdout.flush()
        return code
    except CodeIntelError as error:
        return _failed(args, str(error))
    except KeyboardInterrupt:
        return _failed(args, "Stopped. What was indexed before still answers.")
    except BrokenPipeError:  # the reader, head for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND


def _failed(args: argparse.Namespace, said: str) -> int:
    if args.json:
        print(json.dumps({"error": said}))
    print(f"codeintel: {said}", file=sys.stderr)
    return ERROR


# commands


def _index(args: argparse.Namespace, workspace: Workspace) -> int:
    with TerminalProgress() as progress:
        if args.package:
            report = workspace.index_package(args.package, args.name, progress, rebuild=args.rebuild)
        else:
            report = workspace.index(args.path, args.name, progress, rebuild=args.rebuild, outputs=args.outputs)
    _print(args, report, lambda: _report(report))
    return FOUND


def _report(report: IndexReport) -> str:
    lines = [summary(report), f"left out: {skipped(report.skipped)}"]
    if report.secrets:
        lines.append(f"likely secrets, not indexed: {', '.join(report.secrets[:10])}{' ...' if len(report.secrets) > 10 else ''}")
    return "\n".join(lines)


def _status(args: argparse.Namespace, workspace: Workspace) -> int:
    found = workspace.status()

    _print(args, found, lambda: "\n".join([*status_notes(found, args.skipped), *(aligned(status_table(found)) if found else ())]))
    return FOUND if found else NONE


def _grep(args: argparse.Namespace, workspace: Workspace) -> int:
    return _results(
        args,
        workspace.search_text(
            args.pattern, _scope(args), args.regex, args.case, args.word, args.limit, args.context, args.deadline,
            per_file=args.per_file, rank=args.rank, show=args.show,
        ),
    )  # fmt: skip


def _search(args: argparse.Namespace, workspace: Workspace) -> int:
    return _results(args, workspace.semantic_search(" ".join(args.query), _scope(args), args.limit, args.mode, args.deadline))


def _symbols(args: argparse.Namespace, workspace: Workspace) -> int:
    return _results(args, workspace.symbols(args.name, None, _scope(args), args.limit, args.deadline))


def _paths(args: argparse.Namespace, workspace: Workspace) -> int:
    return _results(args, workspace.list_paths(_scope(args), args.limit))


def _read(args: argparse.Namespace, workspace: Workspace) -> int:
    first, _, last = (args.lines or "1:").partition(":")
    try:
        start, end = int(first or 1), int(last) if last else None
    except ValueError:
        raise CodeIntelError(f"The lines {args.lines!r} are no range. Give FIRST:LAST, as in --lines 10:20.") from None
    text = workspace.open_file(args.repo, args.path, start, end)
    _print(args, text, lambda: text.text)
    return FOUND


def _sql(args: argparse.Namespace, workspace: Workspace) -> int:
    table = workspace.sql(args.statement, _scope(args), args.deadline)
    if args.json:
        print(json.dumps(table.to_dicts(), default=str))
    else:
        print(table)
    return FOUND if len(table) else NONE


def _remove(args: argparse.Namespace, workspace: Workspace) -> int:
    workspace.remove(args.name)
    _print(args, {"removed": args.name}, lambda: f"{args.name}: dropped from the index")
    return FOUND


def _watch(args: argparse.Namespace, workspace: Workspace) -> int:
    def failed(name: str, said: str) -> None:
        print(f"codeintel: {said}", file=sys.stderr, flush=True)

    def updated(report: IndexReport) -> None:
        print(msgspec.json.encode(report).decode() if args.json else summary(report), flush=True)

    watcher = workspace.watch(args.names, updated, failed)
    print(f"Following {', '.join(watcher.names)}. Ctrl-C ends it.", file=sys.stderr, flush=True)
    try:
        while watcher.names:
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        watcher.close()
    return FOUND


def _doctor(args: argparse.Namespace, workspace: Workspace) -> int:
    from ..api.doctor import diagnose

    findings = diagnose(workspace.settings, repair=not args.dry_run)
    marks = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
    _print(args, findings, lambda: "\n".join(f"{marks[f.level]}  {f.subject}: {f.said}" for f in findings))
    return ERROR if any(f.level == "error" for f in findings) else FOUND


def _serve(args: argparse.Namespace, workspace: Workspace) -> int:
    from ..api.rest import Options
    from ..serve import new_token, run

    token = "" if args.no_token else args.token or os.environ.get("CODEINTEL_TOKEN") or new_token()
    options = Options(
        str(workspace.settings.home), args.host, args.port, token, args.registry_url, args.registry_prefix, args.workers, tuple(args.root or ()), tuple(args.allow_host or ()), not args.no_watch,
    )  # fmt: skip
    workspace.close()
    mine = bool(args.token or os.environ.get("CODEINTEL_TOKEN"))
    run(options, lambda said: print(f"codeintel: {said}", file=sys.stderr, flush=True), tell_token=bool(token) and not mine)
    return FOUND


def _mcp(args: argparse.Namespace, workspace: Workspace) -> int:
    import asyncio

    from ..api.backend import KernelBackend, ServiceBackend
    from ..api.client import ServerClient
    from ..api.kernel import NoServer, kernel_by_id
    from ..api.operations import Limits
    from ..api.service import SharedService
    from ..mcp_server.server import serve_stdio
    from ..scopes.registry import open_registry
    from ..scopes.session import check_session_id

    if args.session:
        check_session_id(args.session)
    if args.server:
        if not args.server.startswith(("http://", "https://", "http+unix://")):
            raise CodeIntelError(f"The server's address {args.server!r} is no URL. %scope mcp in the notebook prints it: http://HOST:PORT/")
        if not args.session:
            raise CodeIntelError("codeintel mcp --server URL needs the session to speak for: --session KERNEL_ID. %scope mcp in the notebook prints both.")
        try:
            kernel = kernel_by_id(args.server, args.session, args.token or os.environ.get("CODEINTEL_SERVER_TOKEN", ""))
        except NoServer as error:
            raise CodeIntelError(f"{error}.") from None
        asyncio.run(serve_stdio(KernelBackend(ServerClient(kernel))))
        return FOUND

    async def embedded() -> None:
        settings = workspace.settings
        registry = open_registry(args.registry_url, settings.max_sessions, settings.session_max_age_s, settings.prune_interval_s, args.registry_prefix)
        lasting = Workspace(settings, look_here=False, here=os.getcwd())  # unlike that of a command that ends, it is told of changes
        service = SharedService(lasting, registry, Limits(30.0, 100_000), (), 4, False, lambda name, said: None)
        try:
            await serve_stdio(ServiceBackend(service, args.session or ""))
        finally:
            await registry.close()
            service.close()

    asyncio.run(embedded())
    return FOUND


def _demo(args: argparse.Namespace, workspace: Workspace) -> int:
    from .demo import run_demo

    return run_demo(workspace, args.path, args.lab, args.json)


# output


def _print(args: argparse.Namespace, value: Any, text: Callable[[], str]) -> None:
    print(msgspec.json.encode(value).decode() if args.json else text())


def _results(args: argparse.Namespace, results: Results) -> int:
    if args.json:
        print(results.to_json())
    elif results.hits:
        print(plain(results))
    else:
        print(plain(results), file=sys.stderr)
    return FOUND if results.hits else NONE


# arguments


def _scope(args: argparse.Namespace) -> Scope:
    return Scope(**{option.field: tuple(getattr(args, option.field) or ()) for option in SCOPE_OPTIONS})


class _Take(argparse.Action):
    """Reads an option of api/options.py as the magics do."""

    def __init__(self, option_strings: Sequence[str], dest: str, option: Option, **kwargs: Any) -> None:
        self.option = option
        super().__init__(option_strings, dest, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
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


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="answer in JSON")
    common.add_argument("--home", help="folder of the index; $CODEINTEL_HOME or the user's data folder by default")
    parser = argparse.ArgumentParser(prog="codeintel", description="Code search under one scope: text, meaning, files, SQL.")
    parser.add_argument("--version", action="version", version=f"codeintel-nb {__version__}")
    parser.set_defaults(json=False, home=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace, Workspace], int], said: str, options: Sequence[Option] = (), **defaults: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[common], help=said, description=said)
        made.set_defaults(run=run, **defaults)
        for option in options:
            extra: dict[str, Any] = {"nargs": 0} if option.kind == "flag" else {"metavar": option.metavar}
            made.add_argument(*option.flags, dest=option.field, action=_Take, option=option, default=defaults.get(option.field), help=option.help, **extra)
        return made

    index = command("index", _index, "index a folder or an installed package, or bring its index up to date")
    index.add_argument("path", nargs="?", default=".", help="the folder; the current one by default")
    index.add_argument("--name", help="name of the repository; the folder's own by default")
    index.add_argument("--package", help="an installed package instead of a folder")
    index.add_argument("--outputs", action="store_true", help="what the cells of notebooks printed is searched too, from then on")
    index.add_argument("--rebuild", action="store_true", help="read everything anew")
    status = command("status", _status, "show what is indexed")
    status.add_argument("--skipped", action="store_true", help="say what was left out, and why")
    grep = command("grep", _grep, "find lines that hold a text or match a regular expression", (*TEXT_OPTIONS, *SCOPE_OPTIONS), regex=False, word=False, case="smart", context=0, limit=100, rank=False, show="lines")
    grep.add_argument("pattern")
    search = command("search", _search, "find code by what it does, or by a symbol's name", (*SEMANTIC_OPTIONS, *SCOPE_OPTIONS), mode="hybrid", limit=10)
    search.add_argument("query", nargs="+")
    symbols = command("symbols", _symbols, "find definitions by name or glob", (*SYMBOL_OPTIONS, *SCOPE_OPTIONS), limit=20)
    symbols.add_argument("name")
    command("paths", _paths, "list the files in scope", (*PATH_OPTIONS, *SCOPE_OPTIONS))
    read = command("read", _read, "show lines of an indexed file")
    read.add_argument("repo")
    read.add_argument("path")
    read.add_argument("--lines", metavar="FIRST:LAST", help="only these lines")
    sql = command("sql", _sql, "ask in SQL about repositories, files, chunks and symbols in scope", (*SQL_OPTIONS, *SCOPE_OPTIONS))
    sql.add_argument("statement")
    remove = command("remove", _remove, "forget a repository; its files are not touched")
    remove.add_argument("name")
    watch = command("watch", _watch, "keep the index up to date while files change, until Ctrl-C")
    watch.add_argument("names", nargs="*", help="repositories; all of them by default")
    serve = command("serve", _serve, "answer over REST and MCP, without Jupyter, until Ctrl-C")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; the loop-back one by default")
    serve.add_argument("--port", type=int, default=8787, help="8787 by default")
    serve.add_argument("--token", help="what clients must send as Authorization: Bearer TOKEN; $CODEINTEL_TOKEN or a new one, which is printed, by default")
    serve.add_argument("--no-token", action="store_true", help="answer everybody")
    serve.add_argument("--workers", type=int, default=1, help="processes; several need a registry that they share, and index nothing by themselves")
    serve.add_argument("--registry-url", default="memory://", help="where scopes are kept: memory:// or redis://HOST")
    serve.add_argument("--registry-prefix", default="codeintel:", help="how the keys in Redis begin")
    serve.add_argument("--root", action="append", metavar="FOLDER", help="below which clients may index, besides packages")
    serve.add_argument("--allow-host", action="append", metavar="NAME", help="a name that the server is reached by, besides its address")
    serve.add_argument("--no-watch", action="store_true", help="do not follow changes of indexed folders")
    mcp = command("mcp", _mcp, "serve an assistant over its standard streams (MCP)")
    mcp.add_argument("--server", metavar="URL", help="ask this Jupyter server in place of an index of one's own")
    mcp.add_argument("--session", metavar="ID", help="the session to speak for: a kernel's id, whose notebook's scope applies then")
    mcp.add_argument("--token", help="the Jupyter server's token, where the kernel is not on this machine; $CODEINTEL_SERVER_TOKEN by default")
    mcp.add_argument("--registry-url", default="memory://", help="where scopes are kept: memory:// or redis://HOST")
    mcp.add_argument("--registry-prefix", default="codeintel:", help="how the keys in Redis begin")
    doctor = command("doctor", _doctor, "check the index and the installation, and remove what nothing reads")
    doctor.add_argument("--dry-run", action="store_true", help="remove nothing")
    demo = command("demo", _demo, "index something, set a scope, search it, and say what to do next")
    demo.add_argument("path", nargs="?", help="a folder of yours; this program's own code by default")
    demo.add_argument("--lab", action="store_true", help="then open the quickstart notebook in JupyterLab")
    return parser


