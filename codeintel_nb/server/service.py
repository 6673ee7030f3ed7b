"""State shared by a server's clients: workspace, scopes, threads, runs."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from ..errors import CodeIntelError, ScopeError, SourceError, named_error
from ..index.update.report import IndexReport
from ..index.watch.watcher import Watcher
from ..operations.answers import Health, JobState, ScopeAnswer, SessionsAnswer, SessionState
from ..operations.limits import Limits
from ..operations.requests import (
    CancelJobRequest,
    ChangeScope,
    ClearScope,
    EndSearch,
    GetScope,
    HealthRequest,
    IndexRequest,
    JobEventsRequest,
    JobRequest,
    RefreshRequest,
    RemoveRequest,
    SessionsRequest,
    SetScope,
)
from ..operations.runs import checked, repository_of
from ..operations.table import BY_NAME, Operation
from ..operations.wire import to_wire
from ..scopes.registry import ScopeRegistry
from ..scopes.scope import Scope, patched
from ..sources.own_index import check_is_indexable
from ..sources.repository import Repository
from ..workspace import Workspace
from .caller import Caller
from .calls import Calls, Decode, Finish
from .events import job_events
from .health import health
from .jobs import Jobs, Tell
from .listener import Listener
from .problems import Refused, decode_or_bad_request
from .roots import Roots
from .sessions import Sessions

CLOSE_S = 2.0  # of the 5 seconds a server has to shut down
MAX_EVENT_STREAMS = 64


class SharedService:
    """Parts common to servers with and without Jupyter."""

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
        self.calls = Calls(workspace, limits, threads)
        self.sessions = Sessions(registry, is_live, default_scope, workspace.present_scope)
        self.jobs = Jobs(self._index, job_moved)
        self.watcher = (
            Watcher(workspace.settings, self._update, log, workspace.indexer.differs)
            if watch
            else None
        )
        self._listener: Listener | None = None
        if watch:
            with suppress(OSError):  # commands in a terminal then search themselves
                self._listener = Listener(workspace)
                self._listener.start()
        self.is_personal = False  # of a single user, reachable from this machine only
        self.base_folder: str | None = None  # at which relative paths start
        self.indexes_here = True  # no other process of this server indexes
        self.public_url = ""
        self._streams = 0  # of events of indexing runs
        self._roots = Roots(roots)

    def _index(self, *args: Any, **options: Any) -> IndexReport:
        report = self.workspace.indexer.index(*args, **options)
        self.prepare()
        return report

    def _update(self, repository: Repository, paths: Sequence[str] | None) -> None:
        """Update a repository after its files changed.

        A run that had already begun may have missed the change, so another run follows it.
        """
        while not self.workspace.indexer.is_stopped(repository.name):
            joined = (
                self.jobs.start(
                    now := self.workspace.indexer.renewed(repository.name),
                    only=paths,
                    requested=False,
                ).state
                == "running"
            )
            ended = self.jobs.wait(now.name)
            if ended.state == "failed":  # the watcher retries
                raise named_error(ended.error, ended.detail)
            if not joined:
                return

    def prepare(self) -> None:
        """Prepare the engine; leave errors for the searches to report."""
        with suppress(CodeIntelError):
            self.workspace.prepare()

    # operations

    async def answer(
        self, operation: Operation, decode: Decode, caller: Caller, finish: Finish = to_wire
    ) -> Any:
        """Answer one request of the session of ``session_context``.

        ``decode`` returns the request; ``finish`` is called with the answer, on the thread that
        made it. Events are returned as an async generator of bytes.
        """
        if operation.run is None:
            request = decode_or_bad_request(decode)
            answer = await getattr(self, f"_{operation.name}")(request, caller)
            return answer if operation.kind == "events" or answer is None else finish(answer)
        session = await self.session(caller)
        if operation.kind == "long":
            return await self.calls.long_call(operation, decode, session, caller, finish)
        request = decode_or_bad_request(decode)
        return await self.calls.search(operation, request, session, caller, finish)

    async def session(self, caller: Caller) -> ScopeAnswer:
        """Return the scope of the caller's session."""
        return await self.sessions.get()

    async def _end_search(self, request: EndSearch, caller: Caller) -> None:
        """End a call of the same caller early, with partial results."""
        self.calls.end(caller.key(request.request_id))

    # scopes

    async def _set_scope(self, request: SetScope, caller: Caller) -> ScopeAnswer:
        scope = await self.calls.run_in_thread(lambda: checked(self.workspace, request.scope))
        return await self._counted(await self.sessions.set(scope))

    async def _change_scope(self, request: ChangeScope, caller: Caller) -> ScopeAnswer:
        current = await self.sessions.get()
        scope = decode_or_bad_request(lambda: patched(current.scope, request.change))
        return await self._set_scope(SetScope(scope=scope), caller)

    async def _clear_scope(self, request: ClearScope, caller: Caller) -> ScopeAnswer:
        return await self._counted(await self.sessions.clear())

    async def _counted(self, session: ScopeAnswer) -> ScopeAnswer:
        answer: ScopeAnswer = await self.calls.run_in_thread(
            lambda: self.calls.run(BY_NAME["get_scope"], GetScope(), session)
        )
        return answer

    async def _list_sessions(self, request: SessionsRequest, caller: Caller) -> SessionsAnswer:
        scopes = await self.sessions.registry.snapshot()
        return SessionsAnswer(
            tuple(SessionState(session_id, scope) for session_id, scope in sorted(scopes.items()))
        )

    # repositories

    def _check_indexes_here(self) -> None:
        if not self.indexes_here:
            raise Refused(
                409,
                "A server with several workers does not index. "
                "Run beside it: codeintel index PATH, or codeintel watch",
                "EngineError",
            )

    async def _add_repository(self, request: IndexRequest, caller: Caller) -> JobState:
        self._check_indexes_here()
        if request.path is not None:
            path = os.path.expanduser(request.path)
            if not os.path.isabs(path):
                if self.base_folder is None:
                    raise Refused(
                        400,
                        f"The path {request.path!r} is relative. Give an absolute path.",
                        "SourceError",
                    )
                path = os.path.join(self.base_folder, path)
            request = msgspec.structs.replace(request, path=path)
        repository = await self.calls.run_in_thread(lambda: self._repository_of(request))
        # no kernel, no assistant and no client behind a proxy may confirm in place of the user
        can_confirm = self.is_personal and caller.can_confirm
        try:
            if not (request.allow and can_confirm):
                await self.calls.run_in_thread(lambda: self._check_root(repository, caller))
        except SourceError as error:
            asks = can_confirm and os.access(repository.root, os.R_OK)
            question = (
                f"{repository.root} is outside this server's folder. Index it anyway?"
                if asks
                else ""
            )
            raise Refused(403, str(error), "SourceError", question) from None
        return self.jobs.start(repository, request.rebuild)

    def _repository_of(self, request: IndexRequest) -> Repository:
        repository = repository_of(request, self.workspace)
        check_is_indexable(repository.root, self.workspace.settings.home)
        return repository

    def _check_root(self, repository: Repository, caller: Caller) -> None:
        """Raise SourceError unless the folder is allowed or already indexed."""
        if all(one.root != repository.root for one in self.workspace.repositories(shared=False)):
            self._roots.check(repository, caller.kernel_python(), self.is_personal)

    async def _refresh_repository(self, request: RefreshRequest, caller: Caller) -> JobState:
        self._check_indexes_here()
        repository = await self.calls.run_in_thread(
            lambda: self.workspace.indexer.renewed(request.name)
        )
        return self.jobs.start(repository, request.rebuild)

    async def _remove_repository(self, request: RemoveRequest, caller: Caller) -> None:
        await self.calls.run_in_thread(lambda: self.remove_index(request.name))

    def remove_index(self, name: str) -> str:
        """Remove a repository and cancel its runs; return its full name."""
        removed = self.workspace.remove(name)
        with suppress(ScopeError):  # there was no run
            self.jobs.cancel(removed)
        return removed

    async def _get_job(self, request: JobRequest, caller: Caller) -> JobState:
        return self.jobs.state(request.name)

    async def _cancel_job(self, request: CancelJobRequest, caller: Caller) -> JobState:
        return self.jobs.cancel(request.name)

    async def _follow_job(
        self, request: JobEventsRequest, caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        """Return an indexing run's server-sent events, one JobState each.

        Raises
        ------
        ScopeError : there was no run.
        """
        if self._streams >= MAX_EVENT_STREAMS:
            raise Refused(
                429,
                f"{MAX_EVENT_STREAMS} clients are already following indexing runs. "
                "Poll repositories/NAME/job instead.",
            )
        states: asyncio.Queue[JobState] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(state: JobState) -> None:
            loop.call_soon_threadsafe(states.put_nowait, state)

        stop = self.jobs.follow(request.name, tell)
        self._streams += 1

        def end() -> None:
            self._streams -= 1
            stop()

        return job_events(states, end)

    # the service itself

    async def _health(self, request: HealthRequest, caller: Caller) -> Health:
        registry = self.sessions.registry
        sessions = await registry.session_count()
        watching = self.watcher.names if self.watcher else ()
        return await self.calls.run_in_thread(
            lambda: health(
                self.workspace,
                sessions,
                self.jobs,
                watching,
                registry=registry,
                url=self.public_url,
            )
        )

    async def follow(self) -> None:
        """Watch the present repositories."""
        if self.watcher is not None:
            with suppress(CodeIntelError):  # a damaged description, reported by health
                self.watcher.follow(
                    await asyncio.get_running_loop().run_in_executor(
                        self.calls.searching, partial(self.workspace.repositories, shared=False)
                    )
                )

    def close(self) -> None:
        """Shut down within ``CLOSE_S`` seconds, abandoning hung work."""
        ends_at = time.monotonic() + CLOSE_S
        self.calls.end_all()
        if self._listener is not None:
            self._listener.close()
        if self.watcher is not None:
            self.watcher.close()
        closing = [self.jobs.close, self.calls.close_sql, self.workspace.indexer.close]
        threads = [threading.Thread(target=close, daemon=True) for close in closing]
        for thread in threads:
            thread.start()
        self.calls.close(ends_at)
        for thread in threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        if not any(thread.is_alive() for thread in threads):
            self.workspace.close()
