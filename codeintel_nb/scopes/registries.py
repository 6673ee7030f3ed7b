"""Kinds of registries: this process's memory, or shared Redis."""

from __future__ import annotations

from .registry import MAX_AGE_S, MAX_SESSIONS, AsyncMemoryRegistry, MemoryRegistry, ScopeRegistry


def open_registry(
    url: str,
    max_sessions: int = MAX_SESSIONS,
    max_age_s: float = MAX_AGE_S,
    prune_interval_s: float | None = None,
    prefix: str = "codeintel:",
) -> ScopeRegistry:
    """Return the registry at ``memory://`` or an address of Redis.

    ``redis/client.py`` reads the latter; it raises ScopeError if the URL is neither.
    ``prefix`` begins all keys in Redis.
    """
    if url == "memory://":
        return AsyncMemoryRegistry(MemoryRegistry(max_sessions, max_age_s, prune_interval_s))
    from .redis.registry import RedisRegistry

    return RedisRegistry(
        url,
        prefix,
        max_sessions=max_sessions,
        max_age_s=max_age_s,
        l1_size=max_sessions,
        prune_interval_s=prune_interval_s,
    )
