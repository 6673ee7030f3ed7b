"""Text search on a fleet: matches of each host, merged in path order.

A host with more candidate text than its share of the budget only measures it. Then each of its
shards gets what a single search would have left to count. So the hits are those of the local
engine, and the total is never above the true one.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from ...search.hit import Hit, path_order
from ...search.lazy_hits import EagerHits, merge_matches
from ...search.query import Bounds, TextQuery
from ...search.results import Reason
from ...search.text.unindexed import UnindexedTarget
from ..engine import Answer, Target
from ..text_search import MAX_RANKED, Budget, TextSearch, left_for
from .hosts import Hosts
from .searches import TextPart

_ENDED = ("time", "cancelled")


def fleet_text_search(
    hosts: Hosts,
    query: TextQuery,
    targets: Sequence[Target],
    bounds: Bounds,
    unindexed: Sequence[UnindexedTarget],
    here: Callable[[Sequence[Target]], Answer],
) -> Answer:
    """Return the first matches in path order; ``here`` searches in this process."""
    began = time.perf_counter()
    parts, is_missing, count_bytes = _parts(hosts, query, hosts.in_scope(targets), bounds)
    answers = [one.answer for one in parts if one.answer is not None]
    if unindexed and not bounds.reached():
        budget = Budget.of(hosts.local.count_bytes)._replace(count_bytes=count_bytes)
        rest = TextSearch(hosts.local, query, bounds, budget).run([], unindexed)
        answers.append(rest._replace(hits=list(rest.hits)))
    elif unindexed:
        is_missing = True
    total = sum(one.total for one in answers)
    # ranking takes the first matches of all shards, which no single host knows
    if query.rank and total > MAX_RANKED and not bounds.reached():
        return here(targets)
    if query.rank:
        every: Sequence[Any] = sorted(
            (hit for one in answers for hit in one.hits),
            key=lambda hit: (-hit.score, path_order(hit.repo, hit.path)),
        )
    else:
        every = merge_matches([EagerHits(own) for one in answers for own in _by_repo(one.hits)])
    hits = every[: query.limit]
    reasons = {one.reason for one in answers}
    if len(every) > len(hits) or (query.show != "counts" and total > len(hits)):
        reasons.add("limit")
    reason: Reason = bounds.reason() if is_missing or bounds.reached() else ""
    for other in ("cancelled", "time", "limit", "reading"):
        reason = reason or (other if other in reasons else "")
    return Answer(
        hits, total, reason, {"search": (time.perf_counter() - began) * 1000},
        all(one.exact for one in answers) and not is_missing,
        sum(one.files_read for one in answers), any(one.more for one in answers),
    )  # fmt: skip


def _parts(
    hosts: Hosts, query: TextQuery, targets: Sequence[Target], bounds: Bounds
) -> tuple[list[TextPart], bool, int]:
    """Return the answers of all shards, whether some are missing, and the bytes left to count."""
    count_bytes, call = hosts.local.count_bytes, uuid4().hex
    share = count_bytes // max(1, len(hosts.names()))
    if query.show == "counts":  # reads all
        share = sys.maxsize
    first: list[TextPart]
    first, missing = hosts.ask(targets, bounds, call, "text", query, share, {})
    if bounds.reached():
        return first, bool(missing) or any(one.answer is None for one in first), 0
    sizes = {shard: size for one in first for shard, size in one.sizes.items()}
    in_order = {one.shard: sizes[one.shard] for one in targets if one.shard in sizes}
    left, rest = left_for(in_order, count_bytes)
    complete, others = list[TextPart](), list[TextPart]()
    for one in first:
        is_counted = all(size <= left[shard] for shard, (_, size) in one.sizes.items())
        is_complete = one.answer is not None and (is_counted or query.show == "counts")
        (complete if is_complete else others).append(one)
    answered = {shard for one in complete for shard in one.sizes}
    again = [one for one in targets if one.shard not in answered]
    if not again:
        return complete, False, rest
    left = {one.shard: left.get(one.shard, 0) for one in again}
    second: list[TextPart]
    second, missing = hosts.ask(again, bounds, call, "text", query, None, by_shard=left)
    is_missing = bool(missing) or any(one.answer is None for one in second)
    for one in others:
        second = _fall_back(second, one)
    return [*complete, *second], is_missing, rest


def _fall_back(parts: list[TextPart], earlier: TextPart) -> list[TextPart]:
    """Replace second answers that were cut off with the host's first, complete one."""
    shards = earlier.sizes.keys()
    own = [one for one in parts if one.sizes.keys() & shards]
    answered = {shard for one in own for shard in one.sizes}
    is_ended = shards - answered or any(
        one.answer is None or one.answer.reason in _ENDED for one in own
    )
    if earlier.answer is None or not is_ended or answered - shards:
        return parts
    return [*(one for one in parts if not one.sizes.keys() & shards), earlier]


def _by_repo(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Return hits in lists of one repository each."""
    return [list(own) for _, own in itertools.groupby(hits, key=lambda hit: hit.repo)]
