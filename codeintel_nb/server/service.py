"""State shared by the clients of one server: workspace, scopes, search threads, indexing runs."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..client.http import HEARTBEAT_S
from ..errors import CodeIntelError, SourceError, named_error
from ..index.update.report import IndexReport, Progress
from ..index.watch.watcher import Watcher
from ..operations.operations import Limits, Operations
from ..operations.values import (
    JobState,
    Problem,
    ScopeAnswer,
    ScopedRequest,
    SqlRequest,
    TableAnswer,
    to_wire,
)
from ..scopes.registry import ScopeRegistry
from ..scopes.scope import Scope
from ..search.query import Bounds
from ..sources.own_index import check_is_indexable
from ..sources.repository import Repository
from ..workspace import Workspace
from .jobs import Jobs, Tell
from .problems import status_of
from .sessions import Sessions
from .sql_process import SqlChildren
from .threads import DaemonExecutor

PATIENCE_S = 0.1
CLOSE_S = 2.0  # of the 5 seconds a server has to shut down
LONG_CALLS = 4  # maps and SQL queries that run at once

_T = TypeVar("_T")
_R = TypeVar("_R", bound=ScopedRequest)


class SharedService:
    """Parts of a server that are the same with and without Jupyter."""

    def __init__(
        self,
        workspace: Workspace,
        registry: ScopeRegistry,
        limits: Limits,
        roots: Sequence[str],
        threads: int,
        watch: bool,
        log: Callable[[str, str], None],
        job_moved: Tell = lambda state: None,
        is_live: Callable[[str], bool] = lambda session_id: False,
        default_scope: Callable[[str], Awaitable[Scope]] | None = None,
    ) -> None:
        self.workspace = workspace
        self.operations = Operations(workspace, limits)
        self.limits = limits
        self.sessions = Sessions(registry, is_live, default_scope, workspace.present_scope)
        self.jobs = Jobs(self._index, job_moved)
        self.sql = SqlChildren(workspace.settings)
        self.watcher = (
            Watcher(workspace.settings, self._update, log, workspace.differs) if watch else None
        )
        self.searching = DaemonExecutor(threads, "codeintel-serve")
        # separate: a map must not block searches
        self.long_calls = DaemonExecutor(LONG_CALLS, "codeintel-long")
        # session, owner and request id of a call -> its cancel event
        self.running: dict[str, threading.Event] = {}
        self.is_personal = False  # of a single user, reachable from this machine only
        self._turn = threading.Lock()
        self._roots = [Path(root).expanduser().resolve() for root in roots]

    def checked_root(
        self, repository: Repository, kernel_python: str = "", allowed_by_person: bool = False
    ) -> Repository:
        """Return the repository, if this server may index its folder.

        On a personal server the user may confirm any folder. A folder that is already indexed may
        be indexed again.

        Raises
        ------
        SourceError : the server may not index the folder.
        """
        check_is_indexable(repository.root, self.workspace.settings.home)
        if (allowed_by_person and self.is_personal) or any(
            one.root == repository.root for one in self.workspace.repositories()
        ):
            return repository
        allowed = [
            *self._roots,
            *(_site_packages(kernel_python) if repository.source == "package" else ()),
        ]
        root = Path(repository.root)
        if any(root.is_relative_to(folder) for folder in allowed):
            return repository
        named = ", ".join(map(str, self._roots)) or "the folders of its packages"
        if self.is_personal:
            raise SourceError(
                f"{repository.root} is outside this server's folder ({named}). "
                "To allow it, index it in the side bar's panel and confirm, "
                f"or in a terminal: codeintel index {repository.root}"
            )
        raise SourceError(
            f"This server indexes only below {named}, and {repository.root} is not. "
            f"Its owner allows more: c.CodeIntelApp.allowed_roots = [{repository.root!r}] "
            f"in jupyter_server_config.py, codeintel serve --root {repository.root}"
        )

    def _index(self, *args: Any, **options: Any) -> IndexReport:
        report = self.workspace.index_repository(*args, **options)
        self.prepare()
        return report

    def _update(self, repository: Repository, paths: Sequence[str] | None) -> None:
        """Update a repository after its files changed.

        A run that had already begun may have missed the change, so another run follows it.
        """
        while not self.workspace.is_stopped(repository.name):
            joined = (
                self.jobs.start(
                    now := self.workspace.current(repository.name), only=paths, requested=False
                ).state
                == "running"
            )
            ended = self.jobs.wait(now.name)
            if ended.state == "failed":  # the watcher retries
                raise named_error(ended.error, ended.detail)
            if not joined:
                return

    def prepare(self) -> None:
        """Prepare the engine before the first search; errors are left for the search to report."""
        with suppress(CodeIntelError):
            self.workspace.prepare()

    async def run_in_thread(self, work: Callable[[], _T]) -> _T:
        """Run on a thread, so that no other request waits for it."""
        return await asyncio.get_running_loop().run_in_executor(
            self.searching, self.run_serialized, work
        )

    def run_serialized(self, work: Callable[[], _T]) -> _T:
        """Run on a search thread, short searches one after the other.

        Two at a time would only contend for the GIL with each other and with the event loop. Behind
        a long search, the next one waits ``PATIENCE_S`` and then runs beside it.
        """
        mine = self._turn.acquire(timeout=PATIENCE_S)
        try:
            return work()
        finally:
            if mine:
                self._turn.release()

    async def search(
        self,
        request: _R,
        held: ScopeAnswer,
        cancel: threading.Event,
        request_id: object,
        work: Callable[[_R, ScopeAnswer, threading.Event], _T],
    ) -> _T:
        """Run ``work`` on a thread, within the request's deadline.

        The deadline includes the wait for a thread. ``end_search`` ends the search early.
        """
        arrived = time.monotonic()
        limit = self.operations.deadline(getattr(request, "deadline", None))
        running = f"{held.session_id} {request_id}"
        self.running[running] = cancel

        def run() -> _T:
            waited = time.monotonic() - arrived
            bounded = (
                request
                if limit is None or not limit > 0
                else msgspec.structs.replace(request, deadline=max(limit - waited, 0.001))
            )
            return work(bounded, held, cancel)

        try:
            return await self.run_in_thread(run)
        finally:
            self.running.pop(running, None)

    async def long_call(
        self,
        held: ScopeAnswer,
        cancel: threading.Event,
        request_id: object,
        work: Callable[[Callable[[Progress], None], threading.Event], _T],
    ) -> _T:
        """Run a long call on a thread pool apart from searches.

        ``end_search`` cancels the call.
        """
        key = f"{held.session_id} {request_id}"
        self.running[key] = cancel
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self.long_calls, work, lambda event: None, cancel
            )
        finally:
            self.running.pop(key, None)

    async def stream(
        self,
        held: ScopeAnswer,
        cancel: threading.Event,
        request_id: object,
        work: Callable[[Callable[[Progress], None], threading.Event], bytes],
    ) -> AsyncGenerator[bytes, None]:
        """Yield a long call's progress, then its answer or problem, as server-sent events.

        Heartbeats, several per ``HEARTBEAT_S``, keep clients from timing out. ``end_search``
        cancels the call.
        """
        events: asyncio.Queue[bytes] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        key = f"{held.session_id} {request_id}"
        self.running[key] = cancel

        def report(progress: Progress) -> None:
            loop.call_soon_threadsafe(events.put_nowait, _event("progress", to_wire(progress)))

        call = loop.run_in_executor(self.long_calls, work, report, cancel)
        # retrieve the exception even if the client has gone
        call.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        next_event: asyncio.Future[bytes] | None = None
        try:
            while not call.done() or not events.empty():
                next_event = asyncio.ensure_future(events.get())
                await asyncio.wait(
                    [next_event, call], timeout=HEARTBEAT_S / 3, return_when=asyncio.FIRST_COMPLETED
                )
                if next_event.done():
                    yield next_event.result()
                    continue
                next_event.cancel()
                if not call.done():
                    yield b": still here\n\n"
            yield _event("answer", await call)
        except CodeIntelError as error:
            status = status_of(error)
            yield _event(
                "problem",
                to_wire(
                    Problem(
                        HTTPStatus(status).phrase, status, str(error), error=type(error).__name__
                    )
                ),
            )
        finally:
            cancel.set()
            call.cancel()  # if it has not begun: its hits may be large
            self.running.pop(key, None)
            if next_event is not None:
                next_event.cancel()

    def end_search(self, session_id: str, request_id: str) -> None:
        """End a session's search early, with partial results."""
        if (cancel := self.running.get(f"{session_id} {request_id}")) is not None:
            cancel.set()

    def end_calls(self) -> None:
        """Cancel all calls in flight; they return partial results."""
        for cancel in list(self.running.values()):
            cancel.set()

    def run_sql(
        self, request: SqlRequest, held: ScopeAnswer, cancel: threading.Event
    ) -> TableAnswer:
        limits = self.limits
        bounds = Bounds.within(self.operations.sql_deadline(request.deadline), cancel)
        applied = request.narrowed(held.scope)
        # the child process does not know unindexed projects
        scope = self.workspace.indexed_part(applied)
        answer = self.sql.run(
            request.statement,
            scope,
            held.session_id,
            bounds,
            limits.rows,
            limits.sql_memory_bytes,
            request.hits,
        )
        return msgspec.structs.replace(answer, scope=applied, scope_expired=held.scope_expired)

    async def job_events(self, name: str) -> AsyncGenerator[bytes, None]:
        """Return the server-sent events of an indexing run, one JobState each, until it ends.

        Raises
        ------
        ScopeError : there was no run.
        """
        states: asyncio.Queue[JobState] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(state: JobState) -> None:
            loop.call_soon_threadsafe(states.put_nowait, state)

        return _stream(states, self.jobs.follow(name, tell))

    async def follow(self) -> None:
        """Watch the present repositories."""
        if self.watcher is not None:
            with suppress(CodeIntelError):  # a damaged description, reported by health
                self.watcher.follow(
                    await asyncio.get_running_loop().run_in_executor(
                        self.searching, self.workspace.repositories
                    )
                )

    def close(self) -> None:
        """Shut down within ``CLOSE_S``; abandon hung work, as on a dead network drive."""
        ends_at = time.monotonic() + CLOSE_S
        self.end_calls()
        if self.watcher is not None:
            self.watcher.close()
        closing = [self.jobs.close, self.sql.close, self.workspace.end_children]
        threads = [threading.Thread(target=close, daemon=True) for close in closing]
        for thread in threads:
            thread.start()
        for pool in (self.long_calls, self.searching):
            pool.close(max(0.0, ends_at - time.monotonic()))
        for thread in threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        if not any(thread.is_alive() for thread in threads):
            self.workspace.close()


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


async def _stream(
    states: asyncio.Queue[JobState], stop: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    try:
        while True:
            try:
                state = await asyncio.wait_for(states.get(), HEARTBEAT_S / 3)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            while not states.empty():  # a slow client needs only the newest
                state = states.get_nowait()
            yield _event(state.state, to_wire(state))
            if state.ended:
                return
    finally:
        stop()


def _site_packages(python: str) -> list[Path]:
    """Return the package folders of this interpreter, and of a kernel's in another environment."""
    import site
    import sysconfig

    folders = {
        *site.getsitepackages(),
        site.getusersitepackages(),
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    }
    if os.path.isabs(python):
        # symlinks are not resolved, as the python of a virtual environment is one
        prefix = Path(python).parent.parent
        folders |= {str(folder) for folder in prefix.glob("lib/python*/site-packages")} | {
            str(prefix / "Lib" / "site-packages")
        }
    return [Path(folder).resolve() for folder in folders]
