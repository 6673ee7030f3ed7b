"""LocalEngine: search in the shards of this machine, on threads.

Modules that only one kind of call needs are imported inside it, so commands start faster.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..embedding.embedders import Embedders
from ..index.shard.cache import Shards
from ..index.shard.mapping import raise_descriptor_limit
from ..index.shard.shard import KINDS, Shard
from ..scopes.scope import EVERYTHING, Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.hit import Hit
from ..search.lazy_hits import EagerHits, merge_matches
from ..search.mask import ScopeMask, compile_mask
from ..search.paths import list_paths
from ..search.query import (
    AnyQuery,
    Bounds,
    PathQuery,
    SemanticQuery,
    SymbolQuery,
    TextQuery,
)
from ..search.results import Reason
from ..search.table import Table
from ..search.text.unindexed import UnindexedTarget
from ..settings import Settings
from .engine import Answer, Counts, FileContent, Limit, Target
from .text_search import Budget, TextSearch

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from ..search.code_map.maps import CodeMaps
    from ..search.facet_counts import Counted
    from ..search.semantic.collection import Collections

MAX_MASKS = 512
MAX_CALLS = 1_000  # ended ones that are remembered
_T = TypeVar("_T")
_V = TypeVar("_V")


class LocalEngine:
    """Engine over open shards and masks, shared by threads."""

    def __init__(
        self,
        shards: Shards,
        code_map: CodeMaps,
        embedders: Embedders,
        settings: Settings,
        threads: int = 2,
    ) -> None:
        raise_descriptor_limit()  # a search of many repositories opens many files at once
        self._shards, self._map, self.embedders = shards, code_map, embedders
        self._threads, self.count_bytes = threads, settings.count_bytes
        self.full_scan_chunks = settings.full_scan_chunks
        self._pool: ThreadPoolExecutor | None = None
        self._pool_process = 0
        self._masks: OrderedDict[tuple[str, tuple[int, ...], Scope], ScopeMask] = OrderedDict()
        self._generation = 0  # of the shards, when the masks were last swept
        self._calls: OrderedDict[str, threading.Event] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, targets: Sequence[Target]) -> Counts:
        masks, live = (
            [self.mask(target) for target in targets],
            [self.live(target) for target in targets],
        )
        return Counts(
            sum(mask.files_in_scope for mask in masks),
            sum(mask.files_in_scope for mask in live),
            sum(mask.chunks_in_scope for mask in masks),
            sum(mask.chunks_in_scope for mask in live),
        )

    def facets(
        self,
        targets: Sequence[Target],
        without_languages: Scope,
        without_kinds: Scope,
        most_folders: int,
    ) -> Facets:
        from ..search.facet_counts import Counted, count_facets

        def counted(scope: Scope | None = None) -> list[Counted]:
            scoped = (
                targets if scope is None else [target._replace(scope=scope) for target in targets]
            )
            return [
                Counted(target.repo, self.shard_of(target), self.mask(target)) for target in scoped
            ]

        return count_facets(
            counted(without_languages), counted(without_kinds), counted(), most_folders
        )

    def points(self, targets: Sequence[Target], most: int) -> Points:
        from ..search.code_map.clusters import clusters_of

        masks = [self.mask(target) for target in targets]
        total = sum(mask.chunks_in_scope for mask in masks)
        places, owners, lines, cells, kinds = (
            [np.zeros((0, 2), np.float32)],
            *([np.zeros(0, np.int64)] for _ in range(4)),
        )
        repos, paths, languages = list[str](), list[str](), list[str]()
        before = 0  # chunks in scope in earlier shards
        drawn = list[tuple[Shard, int]]()
        for target, mask in zip(targets, masks, strict=True):
            shard = self.shard_of(target)
            chunks = (
                np.arange(shard.manifest.chunks)
                if mask.chunks is None
                else np.flatnonzero(mask.chunks)
            )
            if total > most:  # sample evenly
                number = np.arange(before, before + len(chunks))
                before += len(chunks)
                chunks = chunks[(number + 1) * most // total > number * most // total]
            if not len(chunks):
                continue
            files, owner = np.unique(shard.chunk_file[chunks], return_inverse=True)
            owners.append(owner + len(paths))
            repos += [target.repo] * len(files)
            paths += [shard.paths[file] for file in files.tolist()]
            languages += [shard.language(file) for file in files.tolist()]
            places.append(self._map.points(shard)[chunks])
            drawn += [(shard, chunk) for chunk in chunks.tolist()]
            lines.append(shard.chunk_line[chunks])
            cells.append(shard.chunk_cell[chunks])
            kinds.append(shard.chunk_kind[chunks])
        at = np.concatenate(places)

        def text_of(number: int) -> str:
            shard, chunk = drawn[number]
            return f"{shard.label(chunk)} {shard.text(chunk)}"

        return Points(
            at[:, 0].astype("<f4").tobytes(), at[:, 1].astype("<f4").tobytes(),
            np.concatenate(owners).astype("<u4").tobytes(),
            np.concatenate(lines).astype("<u4").tobytes(),
            np.concatenate(cells).astype("<i4").tobytes(),
            np.concatenate(kinds).astype("<u1").tobytes(),
            repos, paths, languages, KINDS, total, clusters_of(at, text_of),
        )  # fmt: skip

    def search(
        self,
        query: AnyQuery,
        targets: Sequence[Target],
        limit: Limit,
        unindexed: Sequence[UnindexedTarget] = (),
    ) -> Answer:
        with self.bounds(limit) as bounds:
            match query:
                case TextQuery():
                    search = TextSearch(self, query, bounds, Budget.of(self.count_bytes))
                    return search.run(targets, unindexed)
                case SemanticQuery():
                    from .semantic_search import semantic_search

                    return semantic_search(self, self.embedders, query, targets, bounds)
                case SymbolQuery():
                    from .symbol_search import symbol_search

                    return symbol_search(self, query, targets, bounds)
                case PathQuery():
                    return self._list_paths(query, targets)

    def _list_paths(self, query: PathQuery, targets: Sequence[Target]) -> Answer:
        began = time.perf_counter()
        listed = self.each(
            [*targets],
            lambda target: list_paths(
                self.shard_of(target), target.repo, self.mask(target), query.limit
            ),
        )
        hits = merge_matches([EagerHits(hits) for hits in listed if hits])
        total = sum(self.mask(target).files_in_scope for target in targets)
        reason: Reason = "limit" if query.limit is not None and total > query.limit else ""
        return Answer(hits[: query.limit], total, reason, {"search": _ms(began)})

    def sql(
        self,
        statement: str,
        targets: Sequence[Target],
        limit: Limit,
        most_rows: int,
        memory_bytes: int,
        hits: Sequence[Hit] = (),
    ) -> Table:
        from ..search.shard_tables import InScope
        from ..search.sql import run_sql
        from .symbol_search import definitions_of

        shards = [
            InScope(one.repo, self.shard_of(one), self.mask(one), definitions_of(self, one))
            for one in targets
        ]
        with self.bounds(limit) as bounds:
            return run_sql(statement, shards, bounds, most_rows, memory_bytes, hits)

    def read(self, targets: Sequence[Target], path: str) -> FileContent | None:
        for target in targets:
            shard = self.shard_of(target)
            number = shard.file_numbers.get(path)
            if number is not None and number not in target.dead:
                return FileContent(shard.file_content(number), shard.language(number))
        return None

    def paths(self, targets: Sequence[Target]) -> list[str]:
        return [
            path
            for target in targets
            for number, path in enumerate(self.shard_of(target).paths)
            if number not in target.dead
        ]

    def revisions(self, targets: Sequence[Target]) -> set[str]:
        return {
            revision for target in targets for revision in self.shard_of(target).manifest.revisions
        }

    # calls

    def bounds(self, limit: Limit) -> AbstractContextManager[Bounds]:
        """Return the bounds of a call while it runs."""
        if limit.call:
            return self._ended_by(limit)
        return nullcontext(Bounds.within(limit.timeout_s, None))

    @contextmanager
    def _ended_by(self, limit: Limit) -> Iterator[Bounds]:
        """Yield the bounds of a call that ``end`` ends."""
        cancel = self._calls.setdefault(limit.call, threading.Event())
        try:
            yield Bounds.within(limit.timeout_s, cancel)
        finally:
            self._calls.pop(limit.call, None)

    def end(self, call: str) -> None:
        self._calls.setdefault(call, threading.Event()).set()
        while len(self._calls) > MAX_CALLS:  # ended after they had returned
            self._calls.popitem(last=False)

    # shards and masks

    @cached_property
    def collections(self) -> Collections:
        from ..search.semantic.collection import Collections

        return Collections()

    def shard_of(self, target: Target) -> Shard:
        return self._shards.open(target.shard)

    def is_open(self, shard: str) -> bool:
        """Whether a shard is open: it is in the snapshot of a recent search."""
        return shard in self._shards

    def mask(self, target: Target) -> ScopeMask:
        # the targets already choose the repositories
        scope = target.scope.merged(repos=()) if target.scope.repos else target.scope
        key = target.shard, target.dead, scope
        with self._lock:
            if self._generation != self._shards.generation:
                self._generation = self._shards.generation
                for old in [old for old in self._masks if old[0] not in self._shards]:
                    del self._masks[old]
            cached = self._masks.get(key)
            if cached is not None:
                self._masks.move_to_end(key)
                return cached
        compiled = compile_mask(self.shard_of(target), target.dead, scope)
        with self._lock:
            self._masks[key] = compiled
            while len(self._masks) > MAX_MASKS:
                self._masks.popitem(last=False)
        return compiled

    def live(self, target: Target) -> ScopeMask:
        """Return the mask of a shard's live files."""
        return self.mask(target._replace(scope=EVERYTHING))

    def problems(self) -> list[str]:
        return []

    def close(self) -> None:
        self._shards.keep_only(set())
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def each(self, values: list[_V], work: Callable[[_V], _T], parallel: bool = True) -> list[_T]:
        """Map ``work`` over the values, on threads if ``parallel``."""
        if len(values) < 2 or not parallel:
            return [work(value) for value in values]
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            # threads do not survive a fork
            if self._pool is None or self._pool_process != os.getpid():
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="codeintel")
                self._pool_process = os.getpid()
            pool = self._pool
        return list(pool.map(work, values))


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000
