"""Service of one Jupyter server: kernels' scopes and clients' operations."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import msgspec

from codeintel_nb.client.embedded import FixedClient
from codeintel_nb.client.http import WHERE
from codeintel_nb.errors import CodeIntelError, MissingExtra
from codeintel_nb.operations.answers import (
    JobState,
    ScopeAnswer,
    SessionsAnswer,
    SessionState,
)
from codeintel_nb.operations.limits import Limits
from codeintel_nb.operations.requests import (
    ClearScope,
    IndexRequest,
    JobRequest,
    RemoveRequest,
    SessionsRequest,
    SetScope,
    SqlRequest,
)
from codeintel_nb.operations.table import Operation
from codeintel_nb.operations.wire import to_wire
from codeintel_nb.output.panel.answers import PanelAnswers
from codeintel_nb.output.panel.messages import PanelSearch, PanelState
from codeintel_nb.output.wording import in_panel
from codeintel_nb.scopes.namespaces import ServerRegistry
from codeintel_nb.scopes.registry import ScopeRegistry
from codeintel_nb.scopes.scope import EVERYTHING, Scope, joined, left
from codeintel_nb.server.caller import Caller
from codeintel_nb.server.calls import Decode, Finish
from codeintel_nb.server.problems import Refused
from codeintel_nb.server.service import SharedService
from codeintel_nb.workspace import Workspace

from .credentials import Signatures
from .events import Events
from .kernels import Kernels
from .metrics import SEARCH_SECONDS, SEARCHES, RegistryCollector, outcome_of
from .panel import LookInPanel

REMOTE = (
    "This notebook's kernel runs behind a gateway and keeps its own scope: "
    "use %scope in a cell to show or set it. Searches here ignore it."
)


class Service(SharedService):
    """State shared by the handlers of one Jupyter server."""

    def __init__(
        self,
        workspace: Workspace,
        registry: ScopeRegistry,
        tag: str,
        root: str,
        limits: Limits,
        roots: list[str],
        threads: int,
        kernel_manager: Any,
        session_manager: Any,
        events: Events,
        watch: bool,
        log: Callable[[str, str], None],
    ) -> None:
        named = ServerRegistry(registry, tag, lambda session_id: session_id in kernel_manager)
        self.kernels = Kernels(
            named.kernels(), kernel_manager, session_manager, events.scope_changed
        )
        super().__init__(
            workspace,
            named,
            limits,
            roots,
            threads,
            watch,
            log,
            events.job_moved,
            self.kernels.is_live,
            self.project_scope,
        )
        self.signatures = Signatures(self.kernels)
        self._root = self.base_folder = root
        self._joined: dict[str, list[str]] = {}  # kernel id -> repositories added to its scope
        self.events = events
        self._panels = PanelAnswers()
        self.registry_counts = RegistryCollector()
        self.base_url = "/"
        # a gateway's kernels cannot sign requests, so they keep their own scopes
        self.has_remote_kernels = False
        self.public_url = os.environ.get("JUPYTERHUB_PUBLIC_URL", "")

    async def project_scope(self, session_id: str) -> Scope:
        """Return the default scope: the notebook's project, or else everything."""
        folder = await self.kernels.folder(session_id)
        # clients choose a session's path: it must not leave the root
        if folder is None or ".." in folder.split("/"):
            return EVERYTHING
        place = os.path.join(self._root, *folder.split("/"))
        names = tuple(self._joined.get(session_id, ()))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self.calls.searching, lambda: self.workspace.project_scope(place, self._root, names)
        )

    # operations of the table, where a kernel's scope needs more than a script's

    async def answer(
        self, operation: Operation, decode: Decode, caller: Caller, finish: Finish = to_wire
    ) -> Any:
        """Answer a request, and count it if it is a search."""
        if operation.kind != "search" and operation.request is not SqlRequest:
            return await super().answer(operation, decode, caller, finish)
        arrived, kind = time.monotonic(), operation.path.rpartition("/")[2]
        outcomes = ["error"]

        def finish_search(answer: Any) -> Any:
            outcomes.append(outcome_of(answer, caller.cancel))
            return finish(answer)

        def count() -> None:
            SEARCHES.labels(kind, outcomes[-1]).inc()
            SEARCH_SECONDS.labels(kind).observe(time.monotonic() - arrived)

        try:
            result = await super().answer(operation, decode, caller, finish_search)
        except BaseException:
            count()
            raise
        if isinstance(result, AsyncGenerator):
            return _counted_at_the_end(result, count)
        count()
        return result

    def is_remote(self, session_id: str) -> bool:
        """Whether a gateway's kernel keeps the session's own scope."""
        return self.has_remote_kernels and self.kernels.is_live(session_id)

    def _check_is_here(self, session_id: str) -> None:
        if self.is_remote(session_id):
            raise Refused(409, REMOTE, "ScopeError")

    async def session(self, caller: Caller) -> ScopeAnswer:
        """Return the session's scope; a default one with an offer.

        The offer is the scope of the kernel that the session's kernel replaced, if any.
        """
        return self._with_offer(await super().session(caller), caller)

    def _with_offer(self, session: ScopeAnswer, caller: Caller) -> ScopeAnswer:
        if not session.is_default:
            return session
        offered = self.kernels.offered(caller.session_id)
        return msgspec.structs.replace(session, offered=offered)

    async def _set_scope(self, request: SetScope, caller: Caller) -> ScopeAnswer:
        self._check_is_here(caller.session_id)
        answer = await super()._set_scope(request, caller)
        await self.kernels.has_scope(caller.session_id)
        self.events.scope_changed(caller.session_id)
        return answer

    async def _clear_scope(self, request: ClearScope, caller: Caller) -> ScopeAnswer:
        self._check_is_here(caller.session_id)
        answer = await super()._clear_scope(request, caller)
        self.events.scope_changed(caller.session_id)
        return self._with_offer(answer, caller)

    async def _list_sessions(self, request: SessionsRequest, caller: Caller) -> SessionsAnswer:
        labels = await self.kernels.labels()
        answer = await super()._list_sessions(request, caller)
        return SessionsAnswer(
            tuple(
                SessionState(one.session_id, one.scope, *labels.get(one.session_id, ("", ())))
                for one in answer.sessions
            )
        )

    async def _look_in_panel(self, request: LookInPanel, caller: Caller) -> Any:
        """Answer a panel; other operations set and save its scopes."""
        client = FixedClient(self.workspace, await self.session(caller), self.calls.limits)
        client.where = WHERE
        try:
            answer = await self.calls.run_in_thread(
                lambda: self._panels.answer(
                    client, request.what, self.base_folder or "", caller.session_id
                )
            )
        except MissingExtra:
            raise
        except CodeIntelError as error:
            if isinstance(request.what, PanelSearch):  # while it is typed: no failed request
                return {"error": in_panel(str(error))}
            raise type(error)(in_panel(str(error))) from error
        if self.is_remote(caller.session_id) and isinstance(request.what, PanelState):
            answer["note"] = REMOTE
        return answer

    async def _add_repository(self, request: IndexRequest, caller: Caller) -> JobState:
        state = await super()._add_repository(request, caller)
        self.join(caller.session_id, state.repository)
        return state

    async def _get_job(self, request: JobRequest, caller: Caller) -> JobState:
        state = await super()._get_job(request, caller)
        return (
            msgspec.structs.replace(state, detail=in_panel(state.detail))
            if caller.is_page
            else state
        )

    async def _remove_repository(self, request: RemoveRequest, caller: Caller) -> None:
        await self.remove(request.name)

    def join(self, session_id: str, name: str) -> None:
        """Add a repository, once indexed, to a kernel's limited scope."""
        if not self.kernels.is_live(session_id):
            return
        loop = asyncio.get_running_loop()

        async def widen(repositories: list[str]) -> None:
            names = self._joined.setdefault(session_id, [])
            if name not in names:
                names.append(name)
            with suppress(CodeIntelError):
                scope = await self.sessions.registry.get(session_id)
                if scope is not None:
                    await self.sessions.registry.set(session_id, joined(scope, name, repositories))
                self.events.scope_changed(session_id)

        def moved(state: JobState) -> None:
            if state.state == "done":
                repositories = list[str]()
                # before the scope is read, as it may change meanwhile; other followers come next
                with suppress(CodeIntelError, OSError):
                    repositories = [one.name for one in self.workspace.repositories()]
                loop.call_soon_threadsafe(lambda: loop.create_task(widen(repositories)))

        self.jobs.follow(name, moved)

    async def remove(self, name: str) -> None:
        """Remove a repository from the index and from joined scopes."""
        added = {one for names in self._joined.values() for one in names}

        def remove() -> set[str]:
            present = {one: self.workspace.present_name(one) for one in added}
            removed = self.remove_index(name)
            return {removed, *(one for one in added if present[one] == removed)}

        names = await asyncio.get_running_loop().run_in_executor(self.calls.searching, remove)
        sessions = [
            session_id for session_id, own in self._joined.items() if not names.isdisjoint(own)
        ]
        for session_id in sessions:  # before the first await: a kernel may end meanwhile
            self._joined[session_id] = [one for one in self._joined[session_id] if one not in names]
        for session_id in sessions:
            with suppress(CodeIntelError):
                scope = await self.sessions.registry.get(session_id)
                if scope is not None:
                    await self.sessions.registry.set(session_id, left(scope, names))
                self.events.scope_changed(session_id)

    def note_address(self, user: str, protocol: str, host: str) -> None:
        """Store the server's public address, from its owner's proxied request."""
        if not os.environ.get("JUPYTERHUB_PUBLIC_URL") and user == os.environ.get(
            "JUPYTERHUB_USER", user
        ):
            self.public_url = f"{protocol}://{host}{self.base_url}"

    async def tick(self) -> None:
        """Clear dead kernels' scopes, and read the registry's counts."""
        if self.has_remote_kernels:
            await self.kernels.ask_gateway()
        await self.kernels.reap()
        for kernel_id in [
            kernel_id for kernel_id in self._joined if not self.kernels.is_live(kernel_id)
        ]:
            del self._joined[kernel_id]
        await self.follow()
        self.registry_counts.latest = await self.sessions.registry.metrics()

    def close(self) -> None:
        self.registry_counts.unregister()
        super().close()


async def _counted_at_the_end(
    events: AsyncGenerator[bytes, None], count: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a search; count it when they end."""
    try:
        async for event in events:
            yield event
    finally:
        await events.aclose()
        count()
