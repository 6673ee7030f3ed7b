"""REST handlers: each reads a request, calls one operation on a thread, and writes the answer.

``openapi.yml`` describes all of them; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from codeintel_nb.client.http import BASE
from codeintel_nb.errors import CodeIntelError, MissingExtra, ScopeError, SourceError
from codeintel_nb.operations.operations import HeldSession
from codeintel_nb.operations.values import (
    FileRequest,
    SavedScopes,
    ScopeAnswer,
    SessionsAnswer,
    SessionState,
    to_wire,
)
from codeintel_nb.output.panel_state import PanelRequest, PanelState, answer_panel
from codeintel_nb.output.wording import in_panel
from codeintel_nb.scopes.scope import Scope, patched, scope_from_wire
from codeintel_nb.scopes.session import check_session_id, session_context
from codeintel_nb.server.health import health
from codeintel_nb.server.problems import decode_or_bad_request

from .base import SESSION_HEADER, CodeIntelHandler
from .credentials import Refused, kernel_or_user
from .repositories import (
    EventsHandler,
    JobHandler,
    RefreshHandler,
    RepositoriesHandler,
    RepositoryHandler,
)
from .searches import (
    FacetsHandler,
    MapHandler,
    PathsHandler,
    RunningSearchHandler,
    SemanticHandler,
    SqlHandler,
    SymbolsHandler,
    TextHandler,
)

_T = TypeVar("_T")

REMOTE = (
    "This notebook's kernel runs behind a gateway and keeps its own scope: "
    "%scope in a cell shows and sets it. Searches here ignore it."
)


class UnknownHandler(CodeIntelHandler):
    """Handler of unknown paths: 404."""

    @kernel_or_user("read")
    async def get(self, *path: str) -> None:
        raise Refused(404, f"There is nothing at {self.request.path}.")

    head = post = put = patch = delete = get


# scopes


class SessionsHandler(CodeIntelHandler):
    @kernel_or_user("read", kernels="none")
    async def get(self) -> None:
        labels = await self.service.kernels.labels()
        scopes = await self.service.sessions.registry.snapshot()
        states = [
            SessionState(session_id, scope, *labels.get(session_id, ("", ())))
            for session_id, scope in sorted(scopes.items())
        ]
        self.answer(SessionsAnswer(tuple(states)))


class SessionHandler(CodeIntelHandler):
    """Base of handlers with the session in their path."""

    async def prepare(self) -> None:
        await super().prepare()
        try:
            self.session_id = check_session_id(self.path_args[0])
        except ScopeError as error:
            raise Refused(400, str(error), "ScopeError") from None
        self.set_header(SESSION_HEADER, self.session_id)

    @property
    def is_remote(self) -> bool:
        """Whether the session is a gateway's kernel, which keeps its own scope."""
        return bool(
            self.service.has_remote_kernels and self.service.kernels.is_live(self.session_id)
        )

    def refuse_remote(self) -> None:
        if self.is_remote:
            raise Refused(409, REMOTE, "ScopeError")

    def with_offer(self, held: ScopeAnswer) -> ScopeAnswer:
        """Return the answer; for a default scope, add the offer.

        That is the scope of the kernel that the session's kernel replaced, if any.
        """
        return (
            held
            if not held.is_default
            else msgspec.structs.replace(
                held, offered=self.service.kernels.offered(self.session_id)
            )
        )


class ScopeHandler(SessionHandler):
    @kernel_or_user("read", kernels="own")
    async def get(self, session_id: str) -> None:
        await self._tell(await self.held())

    @kernel_or_user("write", kernels="own")
    async def put(self, session_id: str) -> None:
        await self._set(decode_or_bad_request(lambda: scope_from_wire(self.decoded(object))))

    @kernel_or_user("write", kernels="own")
    async def patch(self, session_id: str) -> None:
        change = self.decoded(object)
        current = await self.held()
        await self._set(decode_or_bad_request(lambda: patched(current.scope, change)))

    @kernel_or_user("write", kernels="own")
    async def delete(self, session_id: str) -> None:
        self.refuse_remote()
        with session_context(self.session_id):
            cleared = await self.service.sessions.clear()
        self.service.events.scope_changed(self.session_id)
        await self._tell(cleared)

    async def _set(self, scope: Scope) -> None:
        self.refuse_remote()
        checked = await self.run_in_thread(lambda: self.service.operations.checked(scope))
        with session_context(self.session_id):
            answer = await self.service.sessions.set(checked)
        await self.service.kernels.has_scope(self.session_id)
        self.service.events.scope_changed(self.session_id)
        await self._tell(answer)

    async def _tell(self, answer: ScopeAnswer) -> None:
        self.answer(
            await self.run_in_thread(
                lambda: self.service.operations.counted(self.with_offer(answer))
            )
        )


class PanelHandler(SessionHandler):
    """State and searches of a panel beside the notebook.

    The panel sets and saves scopes through the other paths, as any client.
    """

    @kernel_or_user("read", kernels="own")
    async def post(self, session_id: str) -> None:
        request: PanelRequest = self.decoded(PanelRequest)  # type: ignore[arg-type]
        session = HeldSession(self.service.operations, self.with_offer(await self.held()))
        try:
            answer = await self.run_in_thread(
                lambda: answer_panel(session, request, self.settings["server_root_dir"])
            )
            if self.is_remote and isinstance(request, PanelState):
                answer["note"] = REMOTE
            self.answer(await self.run_in_thread(lambda: to_wire(answer)))
        except MissingExtra:
            raise
        except CodeIntelError as error:
            raise type(error)(in_panel(str(error))) from error


class SavedScopesHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self) -> None:
        self.answer(SavedScopes(await self.run_in_thread(self.service.operations.named.all)))


class SavedScopeHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self, name: str) -> None:
        self.answer(await self._saved(lambda: self.service.operations.named.load(name)))

    @kernel_or_user("write")
    async def put(self, name: str) -> None:
        scope = decode_or_bad_request(lambda: scope_from_wire(self.decoded(object)))
        await self.run_in_thread(lambda: self.service.operations.named.save(name, scope))
        self.answer(scope)

    @kernel_or_user("write")
    async def delete(self, name: str) -> None:
        await self._saved(lambda: self.service.operations.named.remove(name))
        self.set_status(204)
        self.finish()

    async def _saved(self, work: Callable[[], _T]) -> _T:
        try:
            return await self.run_in_thread(work)
        except ScopeError as error:
            raise Refused(404, str(error), "ScopeError") from None


class FilesHandler(CodeIntelHandler):
    statuses: ClassVar = {SourceError: HTTPStatus.NOT_FOUND, ScopeError: HTTPStatus.NOT_FOUND}

    @kernel_or_user("read")
    async def get(self) -> None:
        request = self.queried(FileRequest)
        self.answer(
            await self.run_in_thread(lambda: to_wire(self.service.operations.open_file(request)))
        )


# the service itself


class HealthHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self) -> None:
        registry = self.service.sessions.registry
        sessions = await registry.session_count()
        watching = self.service.watcher.names if self.service.watcher else ()
        self.answer(
            await self.run_in_thread(
                lambda: health(
                    self.service.workspace,
                    sessions,
                    self.service.jobs,
                    watching,
                    registry=registry,
                    url=self.service.public_url,
                )
            )
        )


class DescriptionHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def get(self) -> None:
        self.finish(
            (Path(__file__).parent / "openapi.yml").read_bytes(),
            set_content_type="application/yaml",
        )


ROUTES: tuple[tuple[str, type[CodeIntelHandler]], ...] = (
    ("sessions", SessionsHandler),
    ("sessions/{session_id}/scope", ScopeHandler),
    ("sessions/{session_id}/panel", PanelHandler),
    ("scopes", SavedScopesHandler),
    ("scopes/{name}", SavedScopeHandler),
    ("search/text", TextHandler),
    ("search/semantic", SemanticHandler),
    ("search/symbols", SymbolsHandler),
    ("paths", PathsHandler),
    ("facets", FacetsHandler),
    ("map", MapHandler),
    ("sql", SqlHandler),
    ("searches/{request_id}", RunningSearchHandler),
    ("files", FilesHandler),
    ("repositories", RepositoriesHandler),
    ("repositories/{name}", RepositoryHandler),
    ("repositories/{name}/refresh", RefreshHandler),
    ("repositories/{name}/job", JobHandler),
    ("repositories/{name}/events", EventsHandler),
    ("health", HealthHandler),
    ("openapi.yml", DescriptionHandler),
)


def routes() -> list[tuple[str, type[CodeIntelHandler]]]:
    """Return the URL patterns below the base URL of Jupyter's web application."""
    patterns = [
        (BASE + re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path)), handler)
        for path, handler in ROUTES
    ]
    return [*patterns, (BASE + "(.*)", UnknownHandler)]
