"""Client: the operations of a session, local or remote."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, TypeVar, overload

from ..index.update.report import OnProgress, ignore
from ..operations.answers import ScopeAnswer, SearchAnswer
from ..operations.requests import ClearScope, GetScope, SetScope
from ..scopes.scope import Scope
from ..search.query import Query
from ..search.request import Request

_A = TypeVar("_A")


class Client(ABC):
    """Operations of one session; they raise only CodeIntelErrors."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Return the place that keeps the session's scope, for a caption."""

    @overload
    def ask(
        self,
        request: Query,
        *,
        progress: OnProgress = ...,
        cancel: threading.Event | None = ...,
    ) -> SearchAnswer: ...
    @overload
    def ask(
        self,
        request: Request[_A],
        *,
        progress: OnProgress = ...,
        cancel: threading.Event | None = ...,
    ) -> _A: ...
    def ask(
        self,
        request: Request[Any],
        *,
        progress: OnProgress = ignore,
        cancel: threading.Event | None = None,
    ) -> Any:
        """Return the answer to a request, under the session's scope.

        Setting ``cancel`` ends a search with partial results, and any other call with an error.
        """
        return self._ask(request, progress, cancel)

    @abstractmethod
    def _ask(
        self, request: Request[Any], progress: OnProgress, cancel: threading.Event | None
    ) -> Any: ...

    @abstractmethod
    def watch(self) -> tuple[str, ...]:
        """Follow file changes from now on; return the repositories followed."""

    def get_scope(self) -> ScopeAnswer:
        return self.ask(GetScope())

    def set_scope(self, scope: Scope) -> ScopeAnswer:
        return self.ask(SetScope(scope=scope))

    def clear_scope(self) -> ScopeAnswer:
        return self.ask(ClearScope())
