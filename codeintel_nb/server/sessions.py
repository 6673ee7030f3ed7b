"""Scope of the current session, in a registry of many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..operations.answers import ScopeAnswer
from ..scopes.registry import ScopeRegistry
from ..scopes.scope import EVERYTHING, Scope
from ..scopes.session import get_session_id


class Sessions:
    """Scope of the session of ``scopes.session.session_context``.

    ``is_live`` returns whether a session is a live kernel's: its scope lasts until the kernel ends,
    whatever its age. ``default`` returns the scope of a session that has set none; without it, that
    is everything. ``present`` returns a stored scope with the repositories' current names, or None
    if one of them is unknown. Then ``default`` is called too: after a restart it registers the
    notebook's unindexed project again.
    """

    def __init__(
        self,
        registry: ScopeRegistry,
        is_live: Callable[[str], bool] = lambda session_id: False,
        default: Callable[[str], Awaitable[Scope]] | None = None,
        present: Callable[[Scope], Scope | None] = lambda scope: scope,
    ) -> None:
        self.registry = registry
        self._is_live = is_live
        self._default = default
        self._present = present

    async def get(self) -> ScopeAnswer:
        session_id = get_session_id()
        scope = await self.registry.get(session_id)
        if scope is not None:
            present = self._present(scope)
            if present is None:
                await self._own(session_id)
            return ScopeAnswer(present or scope, session_id)
        expired = await self.registry.take_expired(session_id)
        return ScopeAnswer(await self._own(session_id), session_id, expired, is_default=True)

    async def _own(self, session_id: str) -> Scope:
        return EVERYTHING if self._default is None else await self._default(session_id)

    async def set(self, scope: Scope) -> ScopeAnswer:
        session_id = get_session_id()
        await self.registry.set(session_id, scope)
        if self._is_live(session_id):
            await self.registry.pin(session_id)
        return ScopeAnswer(scope, session_id)

    async def clear(self) -> ScopeAnswer:
        session_id = get_session_id()
        await self.registry.clear(session_id)
        return ScopeAnswer(await self._own(session_id), session_id, is_default=True)
