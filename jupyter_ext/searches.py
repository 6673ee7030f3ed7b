"""REST handlers of searches: with a deadline, cancellation and metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from codeintel_nb.index.update.report import Progress
from codeintel_nb.operations.values import (
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
from codeintel_nb.server.problems import MAX_SQL_BODY_BYTES

from .base import CodeIntelHandler
from .credentials import kernel_or_user
from .metrics import SEARCH_SECONDS, SEARCHES

_T = TypeVar("_T")


class SearchHandler(CodeIntelHandler):
    """Base of the searches: with a deadline, cancellation and metrics.

    A search is cancelled when its client disconnects or requests it.
    """

    kind = ""

    async def search(
        self,
        request: _T,
        work: Callable[[_T, ScopeAnswer, threading.Event], SearchAnswer | TableAnswer],
    ) -> None:
        arrived = time.monotonic()
        current, cancel = await self.held(), self.cancel

        def run(bounded: _T, current: ScopeAnswer, cancel: threading.Event) -> tuple[bytes, str]:
            answer = work(bounded, current, cancel)
            return to_wire(answer), _outcome(answer, cancel)

        outcome = "error"
        try:
            body, outcome = await self.service.search(request, current, cancel, self.call_id(), run)
            self.answer(body)
        finally:
            SEARCHES.labels(self.kind, outcome).inc()
            SEARCH_SECONDS.labels(self.kind).observe(time.monotonic() - arrived)


def _outcome(answer: SearchAnswer | TableAnswer, cancel: threading.Event) -> str:
    if cancel.is_set():
        return "cancelled"
    if isinstance(answer, TableAnswer):
        return "truncated" if answer.truncated else "found"
    return (
        "none" if not answer.results.hits else "truncated" if answer.results.truncated else "found"
    )


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
        request, current = self.decoded(FacetsRequest), await self.held()
        self.answer(
            await self.run_in_thread(lambda: self.service.operations.facets(request, current))
        )


class MapHandler(CodeIntelHandler):
    @kernel_or_user("read")
    async def post(self) -> None:
        request, current = self.decoded(MapRequest), await self.held()

        def draw(progress: Callable[[Progress], None], cancel: threading.Event) -> bytes:
            return to_wire(self.service.operations.code_map(request, current, progress, cancel))

        await self.answer_long(current, draw)


class SqlHandler(CodeIntelHandler):
    max_body_bytes = MAX_SQL_BODY_BYTES

    @kernel_or_user("read")
    async def post(self) -> None:
        arrived, current, outcomes = time.monotonic(), await self.held(), ["error"]

        def run(progress: Callable[[Progress], None], cancel: threading.Event) -> bytes:
            request = self.decoded(SqlRequest)  # on this thread: its hits may be large
            answer = self.service.run_sql(request, current, cancel)
            outcomes.append(_outcome(answer, cancel))
            return to_wire(answer)

        try:
            await self.answer_long(current, run)
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
