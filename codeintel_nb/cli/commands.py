"""Commands that print an answer and return the exit code."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..client.embedded import FixedClient
from ..errors import CodeIntelError, SearchError
from ..index.update.report import NOTHING, ONLY_SHARED, IndexReport, each_report
from ..operations.answers import ScopeAnswer
from ..operations.arguments import request_of
from ..operations.wire import to_wire
from ..output.plain_text import aligned, status_notes, status_table
from ..output.progress import TerminalProgress, plural, size, skipped, summary
from ..output.terminal import ERROR, FOUND, NONE, emit, emit_json, emit_written
from ..output.written import written
from ..scopes.scope import EVERYTHING
from ..settings import Settings
from ..sources.repository import embedded_by, package, worktree
from ..workspace import Workspace

if TYPE_CHECKING:
    from ..index.buckets.bucket import Bucket
    from ..outlay import Outlay
    from ..server.backend import Backend


def index(args: argparse.Namespace, workspace: Workspace) -> int:
    if args.package and args.path != ".":
        raise SearchError(
            f"--package {args.package} and the folder {args.path} exclude each other. "
            "Index one after the other."
        )
    repository = (
        package(args.package, args.name)
        if args.package
        else worktree(args.path, args.name, args.outputs)
    )
    bucket = None
    if args.to:
        from ..index.buckets.bucket import Bucket
        from ..index.buckets.download import restore

        bucket = Bucket(args.to)
        with TerminalProgress() as progress:
            restore(bucket, workspace.store, repository, progress)
    source = embedded_by(repository, args.embed or "")
    outlay = workspace.indexer.outlay(source, args.rebuild)
    if outlay is not None:
        if not _is_agreed(outlay, args.yes):
            print("codeintel: Nothing was sent.", file=sys.stderr)
            return ERROR
        source = embedded_by(repository, args.embed or "", outlay.host)
    with TerminalProgress() as progress:
        report = workspace.indexer.index(source, progress, rebuild=args.rebuild)
    _print(args, report, lambda: _report(report))
    if bucket is not None:
        _upload(bucket, report.repository, workspace)
    if args.publish:
        closed = workspace.indexer.publish(report.repository)
        if closed:
            print(
                f"codeintel: Others cannot enter the folder {closed}, so they cannot read the "
                f"index. To let them, run: chmod o+x {closed}",
                file=sys.stderr,
            )
    return FOUND


def _upload(bucket: Bucket, name: str, workspace: Workspace) -> None:
    from ..index.buckets.upload import upload

    stored = workspace.store.stored(workspace.repository(name))
    with TerminalProgress() as progress:
        uploaded = upload(bucket, stored, workspace.settings.retired_shard_age_s, progress)
    print(f"{name}: {size(uploaded)} uploaded to {bucket.url}", file=sys.stderr)


def opened(args: argparse.Namespace) -> Workspace:
    """Open the workspace of a command; copy what is new in its buckets.

    Raises
    ------
    CodeIntelError : the command would change an index in a bucket.
    """
    if "://" in (args.home or "") and args.run in (index, refresh, remove, watch):
        raise CodeIntelError(
            f"The index at {args.home} is only read. To upload one, run: "
            f"codeintel index PATH --to {args.home}"
        )
    workspace = Workspace.open(args.home, follow=False)
    if workspace.settings.buckets:
        with TerminalProgress() as progress:
            for shared in workspace.store.shared:
                shared.prepare(progress)
    return workspace


def _is_agreed(outlay: Outlay, yes: bool) -> bool:
    """Ask for consent to send code to an endpoint, unless ``yes`` gives it."""
    if yes:
        print(outlay.describe(), file=sys.stderr)
        return True
    if not sys.stdin.isatty():
        raise CodeIntelError(f"{outlay.describe()} To consent, add --yes.")
    print(f"{outlay.describe()} Continue? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def refresh(args: argparse.Namespace, workspace: Workspace) -> int:
    names = args.names or [repository.name for repository in workspace.repositories(shared=False)]
    if not names:
        raise CodeIntelError(ONLY_SHARED if workspace.repositories() else NOTHING)

    def run(name: str) -> IndexReport:
        with TerminalProgress() as progress:
            return workspace.refresh(name, progress, rebuild=args.rebuild)

    code = FOUND
    for name, outcome in each_report([(name, partial(run, name)) for name in names]):
        if isinstance(outcome, CodeIntelError):
            code = ERROR
            print(f"codeintel: {name}: {outcome}", file=sys.stderr, flush=True)
        else:
            _print(args, outcome, partial(_summary, outcome))
    return code


def _summary(report: IndexReport) -> str:
    return "\n".join(filter(None, (summary(report), report.cluster_problem)))


def _report(report: IndexReport) -> str:
    lines = [_summary(report), f"left out: {skipped(report.skipped)}"]
    if report.truncated:
        lines.append(f"{plural(report.truncated, 'chunk')} truncated to the model's maximum length")
    if report.secrets:
        lines.append(
            "likely secrets, not indexed: "
            f"{', '.join(report.secrets[:10])}{' ...' if len(report.secrets) > 10 else ''}"
        )
    return "\n".join(lines)


def status(args: argparse.Namespace, workspace: Workspace) -> int:
    statuses = workspace.status()
    for problem in workspace.store.shared_problems().values():
        print(f"codeintel: {problem}", file=sys.stderr)

    _print(
        args,
        statuses,
        lambda: "\n".join(
            [
                *status_notes(statuses, args.skipped),
                *(aligned(status_table(statuses)) if statuses else ()),
            ]
        ),
    )
    return FOUND if statuses else NONE


def ask(args: argparse.Namespace, workspace: Workspace) -> int:
    """Run a command's operation, limited by its options alone."""
    client = FixedClient(workspace, ScopeAnswer(EVERYTHING, "", is_default=True))
    answer = client.ask(request_of(args.operation, args))
    return emit_written(written(answer, args.json), args.json)


def read(args: argparse.Namespace, workspace: Workspace) -> int:
    first, colon, last = (args.lines or "1:").partition(":")
    try:
        start, end = int(first or 1), int(last) if last else None
        end = end if colon else start
    except ValueError:
        raise CodeIntelError(
            f"{args.lines!r} is not a range of lines. Use FIRST:LAST, as in --lines 10:20, "
            "or one number."
        ) from None
    text = workspace.open_file(args.repo, args.path, start, end)
    _print(args, text, lambda: text.text)
    return FOUND


def remove(args: argparse.Namespace, workspace: Workspace) -> int:
    workspace.remove(args.name)
    _print(args, {"removed": args.name}, lambda: f"{args.name}: removed from the index")
    return FOUND


def watch(args: argparse.Namespace, workspace: Workspace) -> int:
    from ..server.listener import Listener

    def failed(name: str, message: str) -> None:
        print(f"codeintel: {message}", file=sys.stderr, flush=True)

    def updated(report: IndexReport) -> None:
        _print(args, report, lambda: summary(report))

    # unlike the workspace of a short command, this one gets file-change events
    lasting = Workspace(workspace.settings, look_here=False, here=None)
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        stack.callback(lasting.close)
        watcher = lasting.watch(args.names, updated, failed)
        stack.callback(watcher.close)
        with suppress(OSError):  # commands then search themselves
            listener = Listener(lasting)
            stack.callback(listener.close)  # before it starts: Ctrl-C may come at any moment
            listener.start()
        print(
            f"Watching {', '.join(watcher.names)}. Press Ctrl-C to stop.",
            file=sys.stderr,
            flush=True,
        )
        while watcher.names:
            time.sleep(0.5)
    return FOUND


def doctor(args: argparse.Namespace, workspace: Workspace) -> int:
    from ..diagnostics.doctor import diagnose

    findings = diagnose(workspace.settings, repair=not args.dry_run)
    marks = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
    _print(
        args,
        findings,
        lambda: "\n".join(f"{marks[f.level]}  {f.subject}: {f.said}" for f in findings),
    )
    return ERROR if any(f.level == "error" for f in findings) else FOUND


def serve(args: argparse.Namespace, workspace: Workspace) -> int:
    from ..engines.choice import server_engine
    from ..serve import new_token, run
    from ..server.starlette import Options

    token = "" if args.no_token else args.token or os.environ.get("CODEINTEL_TOKEN") or new_token()
    options = Options(
        str(workspace.settings.home), args.host, args.port, token, args.registry_url,
        args.registry_prefix, args.workers, tuple(args.root or ()), tuple(args.allow_host or ()),
        not args.no_watch,
    )  # fmt: skip
    if args.engine:
        os.environ["CODEINTEL_ENGINE"] = args.engine
    server_engine(Settings.from_environment(args.home))  # an unknown one fails here
    # a bucket given as home is one of the server's shared homes
    os.environ.update(workspace.settings.shared_variables())
    workspace.close()
    mine = bool(args.token or os.environ.get("CODEINTEL_TOKEN"))
    run(
        options,
        lambda message: print(f"codeintel: {message}", file=sys.stderr, flush=True),
        tell_token=bool(token) and not mine,
    )
    return FOUND


def mcp(args: argparse.Namespace, workspace: Workspace) -> int:
    import asyncio

    from ..mcp_server.server import serve_stdio
    from ..scopes.session import check_session_id

    if args.session:
        check_session_id(args.session)
    if args.server:
        asyncio.run(serve_stdio(_kernel_backend(args)))
    else:
        asyncio.run(_serve_own_index(args, workspace))
    return FOUND


def _kernel_backend(args: argparse.Namespace) -> Backend:
    """Return a backend that queries a server as its kernel."""
    from ..client.http import ServerClient
    from ..client.kernel import NoServer, kernel_by_id
    from ..server.backend import KernelBackend

    if not args.server.startswith(("http://", "https://", "http+unix://")):
        raise CodeIntelError(
            f"The server's address {args.server!r} is not a URL. "
            "%scope mcp in the notebook prints it: http://HOST:PORT/"
        )
    if not args.session:
        raise CodeIntelError(
            "codeintel mcp --server URL also needs the session: --session KERNEL_ID. "
            "%scope mcp in the notebook prints both."
        )
    try:
        kernel = kernel_by_id(
            args.server,
            args.session,
            args.token or os.environ.get("CODEINTEL_SERVER_TOKEN", ""),
        )
    except NoServer as error:
        raise CodeIntelError(f"{error}.") from None
    return KernelBackend(ServerClient(kernel))


async def _serve_own_index(args: argparse.Namespace, workspace: Workspace) -> None:
    """Serve the index of this process over its standard streams."""
    from ..mcp_server.server import serve_stdio
    from ..operations.limits import Limits
    from ..scopes.namespaces import of_scripts
    from ..scopes.registries import open_registry
    from ..server.backend import ServiceBackend
    from ..server.service import SharedService

    settings = workspace.settings
    registry = of_scripts(
        open_registry(
            args.registry_url,
            settings.max_sessions,
            settings.session_max_age_s,
            settings.prune_interval_s,
            args.registry_prefix,
        )
    )
    # unlike the workspace of a short command, this one gets file-change events
    lasting = Workspace(settings, look_here=False, here=os.getcwd())
    service = SharedService(
        lasting, registry, Limits(30.0, 100_000), (), 4, False, lambda name, message: None
    )
    try:
        await serve_stdio(ServiceBackend(service, args.session or ""))
    finally:
        await registry.close()
        service.close()


def demo(args: argparse.Namespace, workspace: Workspace) -> int:
    from .demo import run_demo

    if args.home:
        return run_demo(workspace, args.path, args.lab, args.json, is_temporary=False)
    # the user's index is not touched
    with tempfile.TemporaryDirectory(prefix="codeintel-demo-") as home:
        temporary = Workspace.open(home, follow=False)
        try:
            return run_demo(temporary, args.path, args.lab, args.json, is_temporary=True)
        finally:
            temporary.close()


def _print(args: argparse.Namespace, value: Any, text: Callable[[], str]) -> None:
    if args.json:
        emit_json(to_wire(value).decode())
    else:
        emit(text())
