"""Calls in flight: operations on threads, with progress and limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

import msgspec

from ..errors import CodeIntelError
from ..index.update.report import OnProgress, Progress, ignore
from ..operations.answers import ScopeAnswer, TableAnswer
from ..operations.limits import Limits
from ..operations.requests import SqlRequest
from ..operations.runs import Call
from ..operations.table import Operation
from ..operations.wire import to_wire
from ..scopes.saved import NamedScopes
from ..scopes.scope import Scope
from ..search.query import Bounds, SemanticQuery
from ..search.request import Request
from ..workspace import Workspace
from .caller import Caller
from .events import HEARTBEAT, INTERVAL_S, event
from .problems import decode_or_bad_request, problem, refusal
from .sql_process import SqlChildren
from .threads import DaemonExecutor

PATIENCE_S = 0.1
LONG_CALLS = 4  # maps and SQL queries that run at once

_T = TypeVar("_T")
Decode = Callable[[], Request[Any]]
Finish = Callable[[Any], Any]


class Calls:
    """Runner of operations needing only a workspace and a scope.

    The runs are those of operations/runs.py; SQL runs in a process of its own.
    """

    def __init__(self, workspace: Workspace, limits: Limits, threads: int) -> None:
        self._workspace = workspace
        self.limits = limits
        self._saved = NamedScopes(workspace.settings.home)
        self._sql = SqlChildren(workspace.settings)
        self.searching = DaemonExecutor(threads, "codeintel-serve")
        # separate: a map must not block searches
        self.long = DaemonExecutor(LONG_CALLS, "codeintel-long")
        self._in_flight: dict[str, threading.Event] = {}  # the cancel events, by the caller's key
        self._turn = threading.Lock()
        self.has_processes = False  # concurrent semantic searches run in processes beside this one

    async def run_in_thread(self, work: Callable[[], _T], serialized: bool = True) -> _T:
        """Run on a thread, so that no other request waits."""
        loop = asyncio.get_running_loop()
        if not serialized:
            return await loop.run_in_executor(self.searching, work)
        return await loop.run_in_executor(self.searching, self.run_serialized, work)

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

    def run(
        self, operation: Operation, request: Request[Any], session: ScopeAnswer, **options: Any
    ) -> Any:
        """Run an operation of a session on this thread."""
        assert operation.run is not None
        options = {"limits": self.limits, "run_sql": self._run_sql, **options}
        return operation.run(Call(request, session, self._workspace, self._saved, **options))

    async def search(
        self,
        operation: Operation,
        request: Request[Any],
        session: ScopeAnswer,
        caller: Caller,
        finish: Finish,
    ) -> Any:
        """Run on a search thread; waiting counts against the limit.

        ``end`` ends it early.
        """
        arrived, key = time.monotonic(), caller.key()
        limit_s = self.limits.within(getattr(request, "timeout_s", None))

        def run() -> Any:
            waited = time.monotonic() - arrived
            limits = (
                self.limits
                if limit_s is None or not limit_s > 0
                else msgspec.structs.replace(self.limits, timeout_s=max(limit_s - waited, 0.001))
            )
            answer = self.run(operation, request, session, limits=limits, cancel=caller.cancel)
            return None if answer is None else finish(answer)

        self._in_flight[key] = caller.cancel
        try:
            is_beside = self.has_processes and isinstance(request, SemanticQuery)
            return await self.run_in_thread(run, not is_beside)
        finally:
            self._in_flight.pop(key, None)

    async def long_call(
        self,
        operation: Operation,
        decode: Decode,
        session: ScopeAnswer,
        caller: Caller,
        finish: Finish,
    ) -> Any:
        """Run on a thread pool apart from searches; ``end`` cancels it.

        The request is decoded there too, as its hits may be large.
        """

        def run(progress: OnProgress) -> Any:
            request = decode_or_bad_request(decode)
            return finish(
                self.run(operation, request, session, progress=progress, cancel=caller.cancel)
            )

        if caller.wants_events:
            return self._stream(run, operation, caller)
        key = caller.key()
        self._in_flight[key] = caller.cancel
        try:
            return await asyncio.get_running_loop().run_in_executor(self.long, run, ignore)
        finally:
            self._in_flight.pop(key, None)

    async def _stream(
        self, run: Callable[[OnProgress], Any], operation: Operation, caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events: progress, then the answer or problem.

        Heartbeats keep clients from timing out.
        """
        events: asyncio.Queue[bytes] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        key = caller.key()
        self._in_flight[key] = caller.cancel

        def report(progress: Progress) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event("progress", to_wire(progress)))

        call = loop.run_in_executor(self.long, run, report)
        # retrieve the exception even if the client has gone
        call.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        next_event: asyncio.Future[bytes] | None = None
        try:
            while not call.done() or not events.empty():
                next_event = asyncio.ensure_future(events.get())
                await asyncio.wait(
                    [next_event, call], timeout=INTERVAL_S, return_when=asyncio.FIRST_COMPLETED
                )
                if next_event.done():
                    yield next_event.result()
                    continue
                next_event.cancel()
                if not call.done():
                    yield HEARTBEAT
            yield event("answer", await call)
        except CodeIntelError as error:
            yield event("problem", to_wire(problem(refusal(error, operation.errors))))
        finally:
            caller.cancel.set()
            call.cancel()  # if it has not begun: its hits may be large
            self._in_flight.pop(key, None)
            if next_event is not None:
                next_event.cancel()

    def end(self, key: str) -> None:
        """End a call in flight early; it returns partial results."""
        if (cancel := self._in_flight.get(key)) is not None:
            cancel.set()

    def end_all(self) -> None:
        """End all calls in flight; they return partial results."""
        for cancel in list(self._in_flight.values()):
            cancel.set()

    def _run_sql(self, call: Call[SqlRequest], scope: Scope, bounds: Bounds) -> TableAnswer:
        session = call.session
        answer = self._sql.run(
            call.request.statement,
            self._workspace.indexed_part(scope),  # the child does not know unindexed projects
            session.session_id,
            bounds,
            call.limits.rows,
            call.limits.sql_memory_bytes,
            call.request.hits,
        )
        return msgspec.structs.replace(answer, scope=scope, scope_expired=session.scope_expired)

    def close(self, ends_at: float) -> None:
        """Wait for the threads until ``ends_at``, in ``time.monotonic()`` seconds."""
        for pool in (self.long, self.searching):
            pool.close(max(0.0, ends_at - time.monotonic()))

    def close_sql(self) -> None:
        """End the processes that run SQL."""
        self._sql.close()
