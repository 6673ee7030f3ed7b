"""LocalEngine: the shards of this machine, on threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from heapq import nsmallest
from operator import or_
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..index.embedder import Embedder
from ..index.mapping import raise_descriptor_limit
from ..index.projection import Projection
from ..index.shard import KINDS, Shard
from ..scopes.scope import Scope
from ..search.facet_counts import Counted, count_facets
from ..search.facets import Facets
from ..search.hit import Hit, merged, path_order
from ..search.lines import ranked
from ..search.loose import LooseTarget, search_loose
from ..search.mask import ScopeMask, compile_mask
from ..search.matches import Counting
from ..search.paths import list_paths
from ..search.points import Points
from ..search.query import Bounds, PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ..search.semantic import candidates, hydrate, plan_search, rank, statistics
from ..search.symbols import FoundSymbol, find_alike, find_symbols, in_scope, symbol_hits
from ..search.text import TextAnswer, search_text
from ..search.text_plan import MOST_FORWARD, plan_text
from .engine import Answer, Counts, Target

MOST_MASKS = 512
MOST_RANKED = 5_000  # matches of a shard that a ranked text search weighs
PARALLEL_BYTES = 8 << 20  # to read without the lock of the interpreter, from which a second thread is worth its start
_T = TypeVar("_T")
_V = TypeVar("_V")


class LocalEngine:
    """Opened shards and compiled masks, shared by the threads of a process."""

    def __init__(self, threads: int = 2) -> None:
        raise_descriptor_limit()  # a search of many repositories has many files open for a moment
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._shards: dict[Path, Shard] = {}
        self._masks: OrderedDict[tuple[Path, tuple[int, ...], Scope], ScopeMask] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, targets: list[Target]) -> Counts:
        masks = [(self.shard(target.folder), self.mask(target)) for target in targets]
        return Counts(
            sum(mask.files_in_scope for _, mask in masks),
            sum(shard.manifest.files for shard, _ in masks) - sum(len(target.dead) for target in targets),
            sum(mask.chunks_in_scope for _, mask in masks),
            sum(shard.manifest.chunks for shard, _ in masks),
        )

    def facets(self, targets: list[Target], without_languages: Scope, without_kinds: Scope, most_folders: int) -> Facets:
        def counted(scope: Scope | None = None) -> list[Counted]:
            asked = targets if scope is None else [target._replace(scope=scope) for target in targets]
            return [Counted(target.repo, self.shard(target.folder), self.mask(target)) for target in asked]

        return count_facets(counted(without_languages), counted(without_kinds), counted(), most_folders)

    def points(self, targets: list[Target], projection: Projection, most: int) -> Points:
        masks = [self.mask(target) for target in targets]
        total = sum(mask.chunks_in_scope for mask in masks)
        places, owners, lines, cells, kinds = [np.zeros((0, 2), np.float32)], *([np.zeros(0, np.int64)] for _ in range(4))
        repos, paths, languages = list[str](), list[str](), list[str]()
        before = 0  # chunks in scope of the shards before
        for target, mask in zip(targets, masks, strict=True):
            shard = self.shard(target.folder)
            chunks = np.arange(shard.manifest.chunks) if mask.chunks is None else np.flatnonzero(mask.chunks)
            if total > most:  # those at which one more of the even steps is taken
                number = np.arange(before, before + len(chunks))
                before += len(chunks)
                chunks = chunks[(number + 1) * most // total > number * most // total]
            if not len(chunks):
                continue
            met, owner = np.unique(shard.chunk_file[chunks], return_inverse=True)
            owners.append(owner + len(paths))
            repos += [target.repo] * len(met)
            paths += [shard.paths[file] for file in met.tolist()]
            languages += [shard.language(file) for file in met.tolist()]
            places.append(projection.points(shard)[chunks])
            lines.append(shard.chunk_line[chunks])
            cells.append(shard.chunk_cell[chunks])
            kinds.append(shard.chunk_kind[chunks])
        at = np.concatenate(places)
        return Points(
            at[:, 0].astype("<f4").tobytes(), at[:, 1].astype("<f4").tobytes(), np.concatenate(owners).astype("<u4").tobytes(),
            np.concatenate(lines).astype("<u4").tobytes(), np.concatenate(cells).astype("<i4").tobytes(), np.concatenate(kinds).astype("<u1").tobytes(), repos, paths, languages, KINDS, total,
        )  # fmt: skip

    def search_text(self, query: TextQuery, targets: list[Target], bounds: Bounds, loose: Sequence[LooseTarget] = ()) -> Answer:
        began = time.perf_counter()
        limit = max(query.limit, MOST_RANKED) if query.rank else query.limit
        planned, counting, answers = 0.0, Counting(), list[TextAnswer]()
        waiting = sorted(targets, key=self._begin)
        at_once = 1 if limit <= MOST_FORWARD else len(waiting)  # what is wanted is often in the first shard
        while waiting:
            over = _has_all(limit, answers, self._begin(waiting[0]))
            if over and counting.over():  # what follows would only be counted
                answers.append(TextAnswer([], True, 0, False))
                break
            wave, waiting = waiting[:at_once], waiting[at_once:]
            began_wave = time.perf_counter()
            plans = [plan for target in wave if (plan := plan_text(self.shard(target.folder), target.repo, self.mask(target), query)) is not None]
            planned += _ms(began_wave)
            if over and any(plan.is_much for plan in plans):
                answers.append(TextAnswer([], True, 0, False))
                break
            parallel = sum(plan.bytes_to_read for plan in plans if plan.is_free) >= PARALLEL_BYTES
            answers += self._each(plans, partial(search_text, query=query, limit=0 if over else limit, bounds=bounds, counting=counting), parallel)
        for files in loose:
            answers += search_loose(files, query, limit, bounds, counting)
        hits = merged([answer.hits for answer in answers])
        truncated = len(hits) > query.limit or any(answer.truncated for answer in answers)
        if query.rank:
            hits = ranked(hits)
        total, exact = sum(answer.total for answer in answers), all(answer.exact for answer in answers)
        return Answer(hits[: query.limit], total, truncated, {"plan": planned, "search": _ms(began) - planned}, exact)

    def semantic_search(self, query: SemanticQuery, targets: list[Target], bounds: Bounds, embedder: Embedder) -> Answer:
        began = time.perf_counter()
        plan = plan_search(query, embedder)
        collection = reduce(or_, [statistics(self.shard(target.folder), plan.terms) for target in targets]) if targets else None
        planned = time.perf_counter()
        if collection is None:
            return Answer([], 0, False, {"search": _ms(began)})
        ready = [] if bounds.reached() else targets
        found = self._each(ready, lambda target: [] if bounds.reached() else candidates(self.shard(target.folder), target.repo, self.mask(target), plan, collection))
        searched = time.perf_counter()
        ranked = rank([candidate for of_shard in found for candidate in of_shard], plan)
        shards = {shard.id: shard for shard in (self.shard(target.folder) for target in targets)}
        hits = [hydrate(shards[candidate.shard], candidate, score) for candidate, score in ranked]
        timings = {"plan": (planned - began) * 1000, "candidates": (searched - planned) * 1000, "rank": _ms(searched)}
        return Answer(hits, len(hits), bounds.reached(), timings)

    def symbols(self, query: SymbolQuery, targets: list[Target], bounds: Bounds) -> Answer:
        began = time.perf_counter()
        held = []  # a definition has a kind of its own, whatever the chunk that it begins in is
        for target in targets:
            mask = self.mask(target._replace(scope=target.scope.merged(kinds=())))
            held.append((target, self.shard(target.folder), in_scope(self.shard(target.folder), mask, target.scope.kinds)))
        found = [(target, one) for target, shard, counts in held for one in find_symbols(shard, counts, query, bounds)]
        if not found and not query.is_glob and not bounds.reached():
            found = [(target, one) for target, shard, counts in held for one in find_alike(shard, counts, query)]

        def order(met: tuple[Target, FoundSymbol]) -> tuple[float, int, tuple[str, list[str]], int]:
            target, one = met
            shard = self.shard(target.folder)
            return -one.score, one.length, path_order(target.repo, shard.paths[int(shard.symbol_file[one.number])]), one.number

        first = nsmallest(query.limit, found, key=order)
        matched = time.perf_counter()
        read: dict[tuple[Path, int], Hit] = {}
        for target in targets:
            ones = [one for of, one in first if of is target]
            hits_here = symbol_hits(self.shard(target.folder), target.repo, ones)
            read |= {(target.folder, one.number): hit for one, hit in zip(ones, hits_here, strict=True)}
        hits = [read[target.folder, one.number] for target, one in first]
        timings = {"match": (matched - began) * 1000, "read": (time.perf_counter() - matched) * 1000}
        return Answer(hits, len(found), len(found) > len(hits) or bounds.reached(), timings, not bounds.reached())

    def list_paths(self, query: PathQuery, targets: list[Target]) -> Answer:
        began = time.perf_counter()
        listed = self._each(targets, lambda target: list_paths(self.shard(target.folder), target.repo, self.mask(target), query.limit))
        hits = merged(listed)
        total = sum(self.mask(target).files_in_scope for target in targets)
        return Answer(hits[: query.limit], total, query.limit is not None and total > query.limit, {"search": _ms(began)})

    def shard(self, folder: Path) -> Shard:
        found = self._shards.get(folder)
        if found is None:
            with self._lock:
                found = self._shards.get(folder) or Shard(folder)
                self._shards[folder] = found
        return found

    def mask(self, target: Target) -> ScopeMask:
        scope = target.scope.merged(repos=()) if target.scope.repos else target.scope  # which repositories is decided by the targets
        key = target.folder, target.dead, scope
        with self._lock:
            found = self._masks.get(key)
            if found is not None:
                self._masks.move_to_end(key)
                return found
        compiled = compile_mask(self.shard(target.folder), target.dead, scope)
        with self._lock:
            self._masks[key] = compiled
            while len(self._masks) > MOST_MASKS:
                self._masks.popitem(last=False)
        return compiled

    def keep_only(self, folders: set[Path]) -> None:
        """Forget shards that no snapshot names any more."""
        with self._lock:
            for folder in self._shards.keys() - folders:
                del self._shards[folder]
            for key in [key for key in self._masks if key[0] not in folders]:
                del self._masks[key]

    def close(self) -> None:
        self.keep_only(set())
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _begin(self, target: Target) -> tuple[str, list[str]]:
        """Where a shard's files begin in the order of hits."""
        paths = self.shard(target.folder).paths
        return path_order(target.repo, paths[0] if paths else "")

    def _each(self, values: list[_V], work: Callable[[_V], _T], parallel: bool = True) -> list[_T]:
        if len(values) < 2 or not parallel:
            return [work(value) for value in values]
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="codeintel")
            pool = self._pool
        return list(pool.map(work, values))


def _has_all(limit: int, answers: list[TextAnswer], begin: tuple[str, list[str]]) -> bool:
    """Whether as many hits as are wanted are there, and all that begins at a path comes behind them."""
    if sum(len(answer.hits) for answer in answers) < limit:
        return False
    last = max(path_order(answer.hits[-1].repo, answer.hits[-1].path) for answer in answers if answer.hits)
    return begin > last


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
