"""Search for definitions by name, in all shards together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from heapq import nsmallest

from ..search.hit import Hit, path_order
from ..search.query import Bounds, SymbolQuery
from ..search.results import Reason
from ..search.symbols import FoundSymbol, find_alike, find_symbols, in_scope, symbol_hits
from .engine import Answer, OpenShards, Target


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

    def order(
        match: tuple[Target, FoundSymbol],
    ) -> tuple[float, int, tuple[str, list[str]], int]:
        target, one = match
        shard = shards.shard_of(target)
        return (
            -one.score,
            one.length,
            path_order(target.repo, shard.paths[int(shard.symbol_file[one.number])]),
            one.number,
        )

    first = nsmallest(query.limit, matches, key=order)
    matched = time.perf_counter()
    by_symbol: dict[tuple[str, int], Hit] = {}
    for target in targets:
        ones = [one for of, one in first if of is target]
        hits_here = symbol_hits(shards.shard_of(target), target.repo, ones)
        by_symbol |= {
            (target.shard, one.number): hit for one, hit in zip(ones, hits_here, strict=True)
        }
    hits = [by_symbol[target.shard, one.number] for target, one in first]
    timings = {
        "match": (matched - began) * 1000,
        "read": (time.perf_counter() - matched) * 1000,
    }
    reason: Reason = (
        bounds.reason() if bounds.reached() else "limit" if len(matches) > len(hits) else ""
    )
    return Answer(hits, len(matches), reason, timings, not bounds.reached())
