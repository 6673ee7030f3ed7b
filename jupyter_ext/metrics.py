"""Metrics on Jupyter's own /metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from codeintel_nb.operations.answers import SearchAnswer, TableAnswer
from codeintel_nb.scopes.registry import RegistryMetrics

SEARCHES = Counter("codeintel_searches", "Searches by kind and outcome", ["kind", "outcome"])
SEARCH_SECONDS = Histogram(
    "codeintel_search_seconds",
    "Time from request to answer",
    ["kind"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
)


class RegistryCollector(Collector):
    """Collector of the scope registry's counts, as last read."""

    def __init__(self) -> None:
        self.latest = RegistryMetrics(0, 0, 0, 0, 0, 0)

    def register(self) -> None:
        REGISTRY.register(self)

    def unregister(self) -> None:
        REGISTRY.unregister(self)

    def collect(self) -> Iterable[Metric]:
        now = self.latest
        for name, count in (
            ("hits", now.hits),
            ("misses", now.misses),
            ("sets", now.sets),
            ("evictions", now.evictions),
            ("expiries", now.expiries),
        ):
            yield CounterMetricFamily(
                f"codeintel_scope_{name}", f"Scope registry: {name}", value=count
            )
        # of a registry in Redis
        for name in ("l1_hits", "l2_hits", "invalidations", "flushes", "restored", "failures"):
            if hasattr(now, name):
                yield CounterMetricFamily(
                    f"codeintel_redis_{name}",
                    f"Scope registry in Redis: {name}",
                    value=getattr(now, name),
                )
        yield GaugeMetricFamily("codeintel_sessions", "Sessions with a scope", value=now.sessions)


def outcome_of(answer: SearchAnswer | TableAnswer, cancel: threading.Event) -> str:
    """Return the outcome of a search, for its metric."""
    if cancel.is_set():
        return "cancelled"
    if isinstance(answer, TableAnswer):
        return "truncated" if answer.truncated else "found"
    results = answer.results
    return "none" if not results.hits else "truncated" if results.truncated else "found"
