"""Session names in a shared registry, separating servers' kernels."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from urllib.parse import quote

from .registry import RegistryMetrics, ScopeRegistry
from .scope import Scope

SCRIPT = "s-"  # prefix of ids chosen by scripts


def registry_prefix(group: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the Redis key prefix of a group or server."""
    if group:
        # unlike any user's prefix: the @ of a user's name is quoted
        return f"codeintel:@group/{quote(group, safe='')}:"
    if "JUPYTERHUB_USER" not in environment:
        return "codeintel:"
    return (
        f"codeintel:{quote(environment['JUPYTERHUB_USER'], safe='')}"
        f"/{quote(environment.get('JUPYTERHUB_SERVER_NAME', ''), safe='')}:"
    )


def server_tag(root: str, base_url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a server's unique tag, stable across restarts."""
    parts = (
        environment.get("JUPYTERHUB_USER", ""),
        environment.get("JUPYTERHUB_SERVER_NAME", ""),
        platform.node(),
        root,
        base_url,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def of_scripts(registry: ScopeRegistry) -> ServerRegistry:
    """Return the view without kernels: all ids are scripts'."""
    return ServerRegistry(registry, "", lambda session_id: False)


class ServerRegistry:
    """One server's view of a ScopeRegistry.

    ``is_kernel`` distinguishes live kernels of this server from ids chosen by scripts. Kernels of
    other servers are not reachable. Scripts of servers with the same prefix share their scopes.
    """

    def __init__(self, registry: ScopeRegistry, tag: str, is_kernel: Callable[[str], bool]) -> None:
        self._registry, self._tag, self._is_kernel = registry, tag, is_kernel

    def kernels(self) -> ServerRegistry:
        """Return the same view, treating every id as a kernel's."""
        return ServerRegistry(self._registry, self._tag, lambda session_id: True)

    def _name(self, session_id: str) -> str:
        return (
            f"k-{self._tag}-{session_id}"
            if self._is_kernel(session_id)
            else f"{SCRIPT}{session_id}"
        )

    def _id(self, name: str) -> str | None:
        """Return the session's id; None for a kernel of another server."""
        kernel = f"k-{self._tag}-"
        return (
            name.removeprefix(kernel)
            if name.startswith(kernel)
            else name.removeprefix(SCRIPT)
            if name.startswith(SCRIPT)
            else None
        )

    async def get(self, session_id: str) -> Scope | None:
        return await self._registry.get(self._name(session_id))

    async def set(self, session_id: str, scope: Scope) -> None:
        await self._registry.set(self._name(session_id), scope)

    async def clear(self, session_id: str) -> bool:
        return await self._registry.clear(self._name(session_id))

    async def take_expired(self, session_id: str) -> bool:
        return await self._registry.take_expired(self._name(session_id))

    async def pin(self, session_id: str, pinned: bool = True) -> None:
        await self._registry.pin(self._name(session_id), pinned)

    async def prune_expired(self, max_age_s: float | None = None) -> int:
        return await self._registry.prune_expired(max_age_s)

    async def session_count(self) -> int:
        return await self._registry.session_count()

    async def snapshot(self) -> dict[str, Scope]:
        """Return the scopes of this server's sessions."""
        scopes = {
            self._id(name): scope for name, scope in (await self._registry.snapshot()).items()
        }
        return {session_id: scope for session_id, scope in scopes.items() if session_id is not None}

    async def metrics(self) -> RegistryMetrics:
        return await self._registry.metrics()

    async def close(self) -> None:
        await self._registry.close()

    def state(self) -> str:
        return self._registry.state()

    def is_away(self) -> bool:
        return self._registry.is_away()
