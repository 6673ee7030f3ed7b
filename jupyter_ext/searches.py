"""Searches over REST: bounded by a deadline, ended when the client goes or asks for it, counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from codeintel_nb.api.problems import MAX_SQL_BODY_BYTES
from codeintel_nb.api.wire import (
    FacetsRequest,
    MapRequest,
    PathsRequest,
    ScopeAnswer,
    SearchAnswer,
    SemanticRequest,
    SqlRequest,
    SymbolsRequest,
    TableAnswer,
    TextRequest,
    to_wire,
)
from codeintel_nb.index.report import Progress

from .base import CodeIntelHandler
from .credentials import kernel_or_user
from .metrics import SEARCH_SECONDS, SEARCHES

_T = TypeVar("_T")


class SearchHandler(CodeIntelHandler):
    """A search: bounded by a deadline, ended when its client goes or asks for it, counted."""

    kind = ""

    async def search(
        self,
        request: _T,
        work: Callable[[_T, ScopeAnswer, threading.Event], SearchAnswer | TableAnswer],
    ) -> None:
        arrived = time.monotonic()
        held, cancel = await self.held(), self.cancel

        def run(bounded: _T, held: ScopeAnswer, cancel: threading.Event) -> tuple[bytes, str]:
            found = work(bounded, held, cancel)
            return to_wire(found), _outcome(found, cancel)

        outcome = "error"
        try:
            said, outcome = await self.service.search(request, held, cancel, self.call_id(), run)
            self.answer(said)
        finally:
            SEARCHES.labels(self.kind, outcome).inc()
            SEARCH_SECONDS.labels(self.kind).observe(time.monotonic() - arrived)


def _outcome(found: SearchAnswer | TableAnswer, cancel: threading.Event) -> str:
    if cancel.is_set():
        return "cancelled"
    if isinstance(found, TableAnswer):
        return "truncated" if found.truncated else "found"
    return "none" if not found.results.hits else "truncated" if found.results.truncated else "found"


class TextHandler(SearchHandler):
    kind = "text"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(TextRequest), self.service.operations.search_text)


class SemanticHandler(SearchHandler):
    kind = "semantic"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(SemanticRequest), self.service.operations.semantic_search)


class SymbolsHandler(SearchHandler):
    kind = "symbols"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(SymbolsRequest), self.service.operations.symbols)


class PathsHandler(SearchHandler):
    kind = "paths"

    @kernel_or_user("read")
    async def post(self) -> None:
        await self.search(self.decoded(PathsRequest), self.service.operations.list_paths)


class FacetsHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def post(self) -> None:
        request, held = self.decoded(FacetsRequest), await self.held()
        self.answer(await self.off_loop(lambda: self.service.operations.facets(request, held)))


class MapHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def post(self) -> None:
        request, held = self.decoded(MapRequest), await self.held()

        def draw(progress: Callable[[Progress], None], cancel: threading.Event) -> bytes:
            return to_wire(self.service.operations.code_map(request, held, progress, cancel))

        await self.answer_long(held, draw)


class SqlHandler(CodeIntelHandler):
    max_body_bytes = MAX_SQL_BODY_BYTES

    @kernel_or_user("read")
    async def post(self) -> None:
        arrived, held, outcomes = time.monotonic(), await self.held(), ["error"]

        def run(progress: Callable[[Progress], None], cancel: threading.Event) -> bytes:
            request = self.decoded(SqlRequest)  # on this thread: its hits may be large
            answer = self.service.run_sql(request, held, cancel)
            outcomes.append(_outcome(answer, cancel))
            return to_wire(answer)

        try:
            await self.answer_long(held, run)
        finally:
            SEARCHES.labels("sql", outcomes[-1]).inc()
            SEARCH_SECONDS.labels("sql").observe(time.monotonic() - arrived)


class RunningSearchHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def delete(self, request_id: str) -> None:
        """End a search early, if the same client began it; it returns partial results."""
        self.service.end_search(self.session_id, self.call_id(request_id))
        self.set_status(204)
        self.finish()
