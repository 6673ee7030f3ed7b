"""BM25 statistics of the shards that are searched together, kept between searches."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from .candidates import Part, Statistics, folders_above, frequencies, statistics

MAX_COLLECTIONS = 16
MAX_TERMS = 20_000  # of a collection


class Collection(NamedTuple):
    """Statistics of a query's terms, and the stems of the folders above all files."""

    statistics: Statistics
    folders: frozenset[str]


class Collections:
    """Statistics of the last collections; safe to share between threads.

    Shards are immutable: a term is counted once for a list of them.
    """

    def __init__(self) -> None:
        self._collections = OrderedDict[Hashable, Collection]()
        self._lock = threading.Lock()

    def of(self, key: Hashable, parts: Sequence[Part], terms: tuple[str, ...]) -> Collection:
        """Return the statistics of shards for some terms; ``key`` names the shards."""
        with self._lock:
            collection = self._collections.get(key)
            if collection is not None:
                self._collections.move_to_end(key)
        if collection is None:
            every = Statistics.summed([statistics(part) for part in parts])
            collection = Collection(every, folders_above(parts))
            with self._lock:
                self._collections[key] = collection
                while len(self._collections) > MAX_COLLECTIONS:
                    self._collections.popitem(last=False)
        counts = collection.statistics.frequencies
        if new := tuple(term for term in terms if term not in counts):
            total = Counter[str]()
            for part in parts:
                total.update(frequencies(part, new))
            counts = {**counts, **total}
            self._keep(key, collection, counts if len(counts) <= MAX_TERMS else dict(total))
        own = {term: counts[term] for term in terms}
        return Collection(collection.statistics._replace(frequencies=own), collection.folders)

    def _keep(self, key: Hashable, collection: Collection, counts: dict[str, int]) -> None:
        statistics = collection.statistics._replace(frequencies=counts)
        with self._lock:
            if key in self._collections:
                self._collections[key] = collection._replace(statistics=statistics)
