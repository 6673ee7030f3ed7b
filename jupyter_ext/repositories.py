"""REST handlers of repositories and of their indexing runs."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import ClassVar

import msgspec

from codeintel_nb.errors import EngineError, ScopeError, SourceError
from codeintel_nb.operations.values import IndexRequest, RefreshRequest, RepositoriesAnswer
from codeintel_nb.output.wording import in_panel
from codeintel_nb.sources.own_index import check_is_indexable

from .base import CodeIntelHandler
from .credentials import Refused, kernel_or_user

MAX_EVENT_STREAMS = 64


class RepositoriesHandler(CodeIntelHandler):
    statuses: ClassVar = {SourceError: HTTPStatus.FORBIDDEN}

    @kernel_or_user("read")
    async def get(self) -> None:
        self.answer(
            RepositoriesAnswer(tuple(await self.run_in_thread(self.service.workspace.status)))
        )

    @kernel_or_user("write")
    async def post(self) -> None:
        request = self.decoded(IndexRequest)
        if request.path is not None:  # a relative one starts at the server's root folder
            request = msgspec.structs.replace(
                request,
                path=os.path.join(
                    self.settings["server_root_dir"], os.path.expanduser(request.path)
                ),
            )
        try:
            repository = await self.run_in_thread(
                lambda: self.service.operations.repository(request)
            )
            await self.run_in_thread(
                lambda: check_is_indexable(repository.root, self.service.workspace.settings.home)
            )
        except SourceError as error:
            raise Refused(400, str(error), "SourceError") from None
        # no kernel, no assistant and no client behind a proxy may confirm in place of the user
        can_confirm = (
            self.service.is_personal
            and self.is_page
            and "X-Forwarded-For" not in self.request.headers
        )
        allowed = request.allow and can_confirm
        try:
            await self.run_in_thread(
                lambda: self.service.checked_root(repository, self._kernel_python(), allowed)
            )
        except SourceError as error:
            asks = can_confirm and os.access(repository.root, os.R_OK)
            question = (
                f"{repository.root} is outside this server's folder. Index it anyway?"
                if asks
                else ""
            )
            raise Refused(403, str(error), "SourceError", question) from None
        state = self.service.jobs.start(repository, request.rebuild)
        self.service.join(self.session_id, repository.name)
        self.answer(state, 202)

    def _kernel_python(self) -> str:
        """Return the interpreter of the requesting kernel, or an empty string.

        The kernel may have its packages indexed.
        """
        if self.kernel_id is None:
            return ""
        try:
            return str(self.kernel_manager.get_kernel(self.kernel_id).kernel_spec.argv[0])
        except Exception:  # the kernel spec no longer exists
            return ""


class RepositoryHandler(CodeIntelHandler):
    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND, EngineError: HTTPStatus.CONFLICT}

    @kernel_or_user("write")
    async def delete(self, name: str) -> None:
        await self.service.remove(name)
        self.set_status(204)
        self.finish()


class RefreshHandler(CodeIntelHandler):
    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND}

    @kernel_or_user("write")
    async def post(self, name: str) -> None:
        request = self.decoded(RefreshRequest)
        repository = await self.run_in_thread(lambda: self.service.workspace.current(name))
        self.answer(self.service.jobs.start(repository, request.rebuild), 202)


class JobHandler(CodeIntelHandler):
    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND}

    @kernel_or_user("read")
    async def get(self, name: str) -> None:
        state = self.service.jobs.state(name)
        self.answer(
            msgspec.structs.replace(state, detail=in_panel(state.detail)) if self.is_page else state
        )

    @kernel_or_user("write")
    async def delete(self, name: str) -> None:
        self.answer(self.service.jobs.cancel(name), 202)


class EventsHandler(CodeIntelHandler):
    """Server-sent events of an indexing run, one JobState each, until it ends."""

    statuses: ClassVar = {ScopeError: HTTPStatus.NOT_FOUND}
    _open = 0

    @kernel_or_user("read")
    async def get(self, name: str) -> None:
        if EventsHandler._open >= MAX_EVENT_STREAMS:
            raise Refused(
                429,
                f"{MAX_EVENT_STREAMS} clients follow indexing runs already. "
                "Ask for repositories/NAME/job now and then instead.",
            )
        events = await self.service.job_events(name)
        EventsHandler._open += 1
        try:
            await self.send_events(events)
        finally:
            EventsHandler._open -= 1
