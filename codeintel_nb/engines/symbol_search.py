"""Search for definitions by name, in all shards together."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ..index.shard.arrays import Mask
from ..index.shard.id_lists import Ids
from ..index.shard.shard import Shard
from ..search.hit import path_order
from ..search.lazy_hits import LazyHits, Segment
from ..search.query import Bounds, SymbolQuery
from ..search.results import Reason
from ..search.symbols import (
    FoundSymbol,
    FoundSymbols,
    SymbolMatches,
    find_alike,
    find_symbols,
    in_scope,
)
from .engine import Answer, OpenShards, Target


def symbol_search(
    shards: OpenShards, query: SymbolQuery, targets: Sequence[Target], bounds: Bounds
) -> Answer:
    """Return definitions by name, the best first; similar names if none matches."""
    began = time.perf_counter()
    first, total = matching(shards, query, targets, bounds)
    if not total and not query.is_glob and not bounds.reached():
        first, total = matching(shards, query, targets, bounds, alike=True)
    matched = time.perf_counter()
    lazy = LazyHits([Segment(SymbolMatches(first), 0, len(first))])
    # an older shard's details are in Parquet: build its hits while the search can be retried
    is_old = any(shard.details is None for shard in {shard for _, shard, _ in first})
    hits = tuple(lazy) if is_old else lazy
    timings = {
        "match": (matched - began) * 1000,
        "read": (time.perf_counter() - matched) * 1000,
    }
    reason: Reason = bounds.reason() if bounds.reached() else "limit" if total > len(hits) else ""
    return Answer(hits, total, reason, timings, not bounds.reached())


def matching(
    shards: OpenShards,
    query: SymbolQuery,
    targets: Sequence[Target],
    bounds: Bounds,
    alike: bool = False,
) -> tuple[list[tuple[str, Shard, FoundSymbol]], int]:
    """Return the first definitions with a name, or one ``alike``, and the number of all."""
    parts = [(one, shards.shard_of(one), definitions_of(shards, one)) for one in targets]
    matches = [
        find_alike(shard, counts, query) if alike else find_symbols(shard, counts, query, bounds)
        for _, shard, counts in parts
    ]
    first = _first([(target.repo, shard) for target, shard, _ in parts], matches, query.limit)
    return first, sum(len(one.numbers) for one in matches)


def definitions_of(shards: OpenShards, target: Target) -> Mask:
    """Return the mask of a target's definitions in scope."""
    # without kinds: a definition's kind may differ from its chunk's
    mask = shards.mask(target._replace(scope=target.scope.merged(kinds=())))
    return in_scope(shards.shard_of(target), mask, target.scope.kinds)


def _first(
    shards: Sequence[tuple[str, Shard]], matches: Sequence[FoundSymbols], limit: int | None
) -> list[tuple[str, Shard, FoundSymbol]]:
    """Return the first matches, ordered by score, label length, path and line."""
    if not matches:
        return []
    part = np.repeat(np.arange(len(matches)), [len(one.numbers) for one in matches])
    every = FoundSymbols.joined(matches)
    order = np.lexsort((every.lengths, -every.scores))
    if limit is not None and len(order) > limit:
        last = order[limit - 1]  # and those that tie with it
        ties = every.scores[order] == every.scores[last]
        ties &= every.lengths[order] == every.lengths[last]
        order = order[: max(limit, int(np.flatnonzero(ties)[-1]) + 1)]
    part, (scores, lengths, numbers) = part[order], (column[order] for column in every)
    ranks = _path_ranks(shards, part, numbers)
    order = np.lexsort((numbers, ranks, lengths, -scores))[:limit]
    columns = (column[order].tolist() for column in (part, scores, lengths, numbers))
    return [(*shards[at], FoundSymbol(*values)) for at, *values in zip(*columns, strict=True)]


def _path_ranks(shards: Sequence[tuple[str, Shard]], part: Ids, numbers: Ids) -> Ids:
    """Return the rank of each definition's file in path order."""
    files = np.zeros(len(numbers), np.int64)
    for at, (_, shard) in enumerate(shards):
        own = part == at
        files[own] = shard.symbol_file[numbers[own]]
    places, which = np.unique(part << 32 | files, return_inverse=True)
    keys = []
    for place in places.tolist():
        repo, shard = shards[place >> 32]
        keys.append(path_order(repo, shard.paths[place & 0xFFFFFFFF]))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    is_new = [at == 0 or keys[number] != keys[order[at - 1]] for at, number in enumerate(order)]
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.cumsum(is_new)
    return ranks[which]
