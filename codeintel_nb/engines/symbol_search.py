"""Search for definitions by name, in all shards together."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ..index.shard.shard import Shard
from ..search.hit import path_order
from ..search.lazy_hits import LazyHits, Segment
from ..search.query import Bounds, SymbolQuery
from ..search.results import Reason
from ..search.symbols import FoundSymbol, SymbolMatches, find_alike, find_symbols, in_scope
from .engine import Answer, OpenShards, Target

_Match = tuple[str, Shard, FoundSymbol]  # of a repository


def symbol_search(
    shards: OpenShards, query: SymbolQuery, targets: Sequence[Target], bounds: Bounds
) -> Answer:
    """Return definitions by name, the best first; similar names if none matches."""
    began = time.perf_counter()
    parts = []  # masks without kinds: a definition's kind may differ from its chunk's
    for target in targets:
        mask = shards.mask(target._replace(scope=target.scope.merged(kinds=())))
        parts.append(
            (
                target,
                shards.shard_of(target),
                in_scope(shards.shard_of(target), mask, target.scope.kinds),
            )
        )
    matches = [
        (target, one)
        for target, shard, counts in parts
        for one in find_symbols(shard, counts, query, bounds)
    ]
    if not matches and not query.is_glob and not bounds.reached():
        matches = [
            (target, one)
            for target, shard, counts in parts
            for one in find_alike(shard, counts, query)
        ]

    by_name = [(target.repo, shards.shard_of(target), one) for target, one in matches]
    first = _first(by_name, query.limit)
    matched = time.perf_counter()
    lazy = LazyHits([Segment(SymbolMatches(first), 0, len(first))])
    # an older shard's details are in Parquet: build its hits while the search can be retried
    is_old = any(shard.details is None for shard in {shard for _, shard, _ in first})
    hits = tuple(lazy) if is_old else lazy
    timings = {
        "match": (matched - began) * 1000,
        "read": (time.perf_counter() - matched) * 1000,
    }
    reason: Reason = (
        bounds.reason() if bounds.reached() else "limit" if len(matches) > len(hits) else ""
    )
    return Answer(hits, len(matches), reason, timings, not bounds.reached())


def _first(matches: list[_Match], limit: int | None) -> list[_Match]:
    """Return the first matches, ordered by score, label length, path and line."""
    keys = np.array([(-one.score, one.length) for _, _, one in matches]).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    if limit is not None and len(matches) > limit:
        last = keys[order[limit - 1]]
        ties = (keys[order] == last).all(axis=1)
        order = order[: max(limit, int(np.flatnonzero(ties)[-1]) + 1)]

    def place(number: int) -> tuple[float, float, tuple[str, list[str]], int]:
        repo, shard, one = matches[number]
        path = shard.paths[int(shard.symbol_file[one.number])]
        return (-one.score, one.length, path_order(repo, path), one.number)

    return [matches[number] for number in sorted(order.tolist(), key=place)[:limit]]
