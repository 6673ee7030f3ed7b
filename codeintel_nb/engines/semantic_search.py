"""Semantic search in shards: candidates of each, then one ranking of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..embedding.embedder import Embedder
from ..embedding.embedders import Embedders
from ..embedding.endpoint.models import FILE
from ..errors import EmbeddingError
from ..index.shard.cutoff import Cutoff
from ..search.query import MAX_RANKED_CHUNKS, Bounds, SemanticQuery
from ..search.results import Reason
from ..search.semantic.candidates import Found, Part, Statistics, candidates
from ..search.semantic.closest import Each, Search, closest
from ..search.semantic.collection import Collections
from ..search.semantic.hits import hydrated
from ..search.semantic.plan import SearchPlan, depth, plan_search, with_vectors
from ..search.semantic.rank import rank
from .engine import Answer, OpenShards, Target
from .why_not import why_not

PARALLEL_CHUNKS = 2_000_000  # in scope; below it, a second thread costs CPU and saves no time


def semantic_search(
    shards: OpenShards,
    embedders: Embedders,
    query: SemanticQuery,
    targets: Sequence[Target],
    bounds: Bounds,
) -> Answer:
    """Return the best chunks; repositories without vectors are searched by words alone."""
    began = time.perf_counter()
    parts = [part_of(shards, target) for target in targets]
    if not parts:
        return nothing_in_scope(query, began)
    plan, collection = planned_search(query, shards.collections, targets, parts, embedders)
    planned = time.perf_counter()
    search = Search(map_of(shards, parts), bounds.reached, shards.full_scan_chunks)
    most = depth(query)
    # the explanation of a missing chunk counts the shards from the first one
    scoped = parts if query.why_not else [parts[at] for at in with_chunks_in_scope(parts)]
    nearest = _found(scoped, plan, collection, most, search)
    searched = time.perf_counter()
    ranked = rank(nearest, plan, collection, most)
    in_scope = sum(part.mask.chunks_in_scope for part in parts)
    if (
        len(ranked.chunks) < query.limit
        and ranked.has_folds
        and most < min(in_scope, MAX_RANKED_CHUNKS)
    ):  # folding left too few hits: go deeper
        most = MAX_RANKED_CHUNKS
        deeper = rank(_found(scoped, plan, collection, most, search), plan, collection, most)
        ranked = ranked if bounds.reached() else deeper
    hits = hydrated({part.shard.id: part.shard for part in parts}, ranked.chunks)
    reason: Reason = bounds.reason() if bounds.reached() else ""
    if not reason and query.limit == MAX_RANKED_CHUNKS == len(hits) < in_scope:
        reason = "limit"
    timings = {
        "plan": (planned - began) * 1000,
        "candidates": (searched - planned) * 1000,
        "rank": _ms(searched),
    }
    missing = ""
    if query.why_not and reason in ("", "limit"):
        full_scan = shards.full_scan_chunks
        missing = why_not(shards.mask, targets, parts, plan, collection, ranked, full_scan)
    elif query.why_not:
        missing = f"The search was stopped before {query.why_not} was compared."
    return Answer(
        hits, len(hits), reason, timings, confidence=ranked.confidence, why_not=missing,
        by_words=words_alone(parts, plan),
    )  # fmt: skip


def nothing_in_scope(query: SemanticQuery, began: float) -> Answer:
    missing = f"{query.why_not} is not in scope." if query.why_not else ""
    return Answer([], 0, "", {"search": _ms(began)}, why_not=missing)


def planned_search(
    query: SemanticQuery,
    collections: Collections,
    targets: Sequence[Target],
    parts: Sequence[Part],
    embedders: Embedders,
) -> tuple[SearchPlan, Statistics]:
    """Return the plan of a query with its vectors, and the statistics of all shards."""
    plan = plan_search(query)
    key = tuple((one.repo, one.shard, one.dead) for one in targets)
    statistics, folders = collections.of(key, parts, plan.terms)
    plan = with_vectors(
        plan, lambda term: statistics.is_common(term, folders), *embedders_of(parts, embedders)
    )
    return plan, statistics


def _found(
    parts: Sequence[Part], plan: SearchPlan, collection: Statistics, most: int, search: Search
) -> list[Found]:
    """Return the candidates of the shards searched before a stop."""
    near = closest(parts, plan, most, search)
    cutoff = Cutoff(most)
    by_part = search.each(
        [*zip(parts, near, strict=True)],
        lambda of: None if search.stopped() else candidates(of[0], plan, collection, cutoff, of[1]),
    )
    return [one for one in by_part if one is not None]


def map_of(shards: OpenShards, parts: Sequence[Part]) -> Each:
    """Return a map over shards.

    Large scopes are searched by two tasks on threads. More tasks would lose more time waiting for
    the GIL than they save.
    """
    if sum(part.mask.chunks_in_scope for part in parts) < PARALLEL_CHUNKS:
        return lambda values, work: [work(value) for value in values]

    def mapped(values: list[Any], work: Callable[[Any], Any]) -> list[Any]:
        half = (len(values) + 1) // 2
        groups = [group for group in (values[:half], values[half:]) if group]
        results = shards.each(groups, lambda group: [work(value) for value in group])
        return [result for group in results for result in group]

    return mapped


def part_of(shards: OpenShards, target: Target) -> Part:
    return Part(shards.shard_of(target), target.repo, shards.mask(target), shards.live(target))


def with_chunks_in_scope(parts: Sequence[Part]) -> list[int]:
    """Return the positions of the parts to search: those with chunks in scope.

    All, if the parts have several embedders: their ranks are merged, and each one counts.
    """
    if len({part.shard.manifest.space for part in parts}) > 1:
        return [*range(len(parts))]
    return [at for at, part in enumerate(parts) if part.mask.chunks_in_scope]


def words_alone(parts: Sequence[Part], plan: SearchPlan) -> dict[str, str]:
    """Return the repositories searched by words alone, and the reasons."""
    return {
        part.repo: plan.unavailable[part.shard.manifest.space]
        for part in parts
        if part.shard.manifest.space in plan.unavailable
    }


def embedders_of(
    parts: Sequence[Part], embedders: Embedders
) -> tuple[dict[str, Embedder], dict[str, str]]:
    """Return the embedders of shards, and the reasons for missing ones, by space."""
    present, missing = dict[str, Embedder](), dict[str, str]()
    for space, part in {part.shard.manifest.space: part for part in parts}.items():
        manifest = part.shard.manifest
        try:
            embedder = embedders.of_id(manifest.embedder, manifest.dim)
        except EmbeddingError as error:
            missing[space] = str(error)
            continue
        if embedder is not None:
            present[space] = embedder
        else:
            missing[space] = (
                f"{part.repo!r} was indexed with the embedding {manifest.embedder}, which is "
                f"neither built into this version nor listed in {FILE}. "
                "To rebuild the index, run: codeintel index PATH --rebuild"
            )
    return present, missing


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
