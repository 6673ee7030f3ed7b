"""Host of a fleet: a plain object that searches shards where it runs.

Everything that it takes and gives is a value, so it runs in an actor, a process or a test.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.embedders import Embedders
from ...errors import BucketError, CodeIntelError
from ...index.shard.cache import Shards
from ...index.shard.lexicon import WordScores
from ...index.shard.manifest import FORMAT
from ...index.shard.mapping import read_ahead
from ...search.code_map.maps import CodeMaps
from ...search.hit import Hit
from ...search.lazy_hits import LazyHits, Segment
from ...search.mask import ScopeMask
from ...search.query import Bounds, SymbolQuery, TextQuery
from ...search.semantic.candidates import Part, Statistics, candidates
from ...search.semantic.closest import (
    NO_LISTS,
    Counts,
    NearLists,
    Search,
    Shortlist,
    closest,
    counts_of,
    near_lists,
)
from ...search.semantic.plan import SearchPlan
from ...search.symbols import SymbolMatches
from ...settings import Settings
from ...version import __version__
from ..engine import Answer, Limit, Target
from ..local import LocalEngine
from ..memory import keep_freed_memory
from ..semantic_search import map_of, part_of
from ..symbol_search import matching
from .found import RankedHits, packed_found, rank_found

if TYPE_CHECKING:
    from ...index.update.ranges import Range
    from ...index.update.work import Work
    from .host_builds import BuildState, HostBuilds, Sample, Slots

Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

NO_SCORES = WordScores(np.zeros(0, np.float32), [])  # they come with the candidates
MAX_CALLS = 64  # searches between their two trips
EVERY = ScopeMask(None, None, 0, 0)  # a ranking needs no mask


class Failed(NamedTuple):
    """Error of a host's method, in place of its value."""

    error: Exception


class HostFault(Exception):
    """Failure of one host, such as a lack of memory; another may answer."""


class Identity(NamedTuple):
    """What must be equal for hosts and driver to give the same answers."""

    version: str
    python: tuple[int, int]
    format: int
    root: str  # folder of the shards; empty if it is not there

    @classmethod
    def own(cls, root: Path) -> Identity:
        return cls(__version__, sys.version_info[:2], FORMAT, str(root) if root.is_dir() else "")

    def differs(self, other: Identity) -> str:
        """Say why a host cannot search for this driver; empty if it can."""
        if (self.version, self.format) != (other.version, other.format):
            return f"it has codeintel-nb {other.version}, not {self.version}"
        if self.python != other.python:
            here, there = (".".join(map(str, one.python)) for one in (self, other))
            return f"it runs Python {there}, not {here}"
        return "" if self.root == other.root else f"it does not see the folder {self.root}"


class NamedHit(NamedTuple):
    """Definition, with its sort key among those of other hosts."""

    score: float
    length: int
    number: int
    hit: Hit


def packed(method: str, *arguments: Any) -> bytes:
    """Return a call of a host's method, for ``ShardHost.do``."""
    return pickle.dumps((method, *arguments), pickle.HIGHEST_PROTOCOL)


def unpacked(answer: bytes) -> Any:
    """Return the value of a call; raise the error of the host's method."""
    value = pickle.loads(answer)
    if isinstance(value, Failed):
        raise value.error
    return value


class ShardHost:
    """Searches in the shards below a folder that the host and its driver both see."""

    def __init__(self, settings: Settings, root: str) -> None:
        keep_freed_memory()
        self._shards, self._embedders = _shards_of(settings, Path(root)), Embedders(settings.home)
        self._near: OrderedDict[str, tuple[tuple[str, ...], NearLists]] = OrderedDict()
        self._lock = threading.Lock()
        maps = CodeMaps(self._shards.root.parent / "map")
        self._engine = LocalEngine(self._shards, maps, self._embedders, settings)

    def do(self, call: bytes) -> bytes:
        """Do a packed call; return its packed value, or ``Failed``."""
        method, *arguments = pickle.loads(call)
        try:
            before = len(self._shards)
            value = getattr(self, method)(*arguments)
            if len(self._shards) > before:  # the index changed: some shards may be gone
                self._shards.keep_existing()
        except BucketError as error:  # the driver has a copy of its own
            value = Failed(HostFault(str(error)))
        except (CodeIntelError, FileNotFoundError) as error:
            value = Failed(error)
        except Exception as error:  # of this host: others may answer
            value = Failed(HostFault(f"{type(error).__name__}: {error}"))
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def ping(self) -> Identity:
        return Identity.own(self._shards.root)

    def warm(self, shards: Sequence[str]) -> None:
        """Open shards, and let the system read them ahead of a search."""
        for shard in shards:
            with suppress(FileNotFoundError):  # the index changed meanwhile
                read_ahead(self._shards.open(shard).folder)

    def cancel(self, call: str) -> None:
        """End a call, on any thread."""
        self._engine.end(call)

    def text(
        self, call: str, query: TextQuery, targets: Sequence[Target], left_s: float | None
    ) -> Answer:
        answer = self._engine.search(query, targets, Limit(left_s, call))
        return answer._replace(hits=list(answer.hits))

    def symbols(
        self,
        call: str,
        query: SymbolQuery,
        targets: Sequence[Target],
        alike: bool,
        left_s: float | None,
    ) -> tuple[list[NamedHit], int]:
        with self._engine.bounds(Limit(left_s, call)) as bounds:
            first, total = matching(self._engine, query, targets, bounds, alike)
        hits = LazyHits([Segment(SymbolMatches(first), 0, len(first))])
        named = [
            NamedHit(one.score, one.length, one.number, hit)
            for (_, _, one), hit in zip(first, hits, strict=True)
        ]
        return named, total

    def near_counts(
        self,
        call: str,
        targets: Sequence[Target],
        plan: SearchPlan,
        leasts: Mapping[str, int],
        left_s: float | None,
    ) -> dict[str, Counts]:
        """Count the chunks at each coarse distance, by space; keep them for ``candidates``."""
        parts = self._parts(targets)
        with self._engine.bounds(Limit(left_s, call)) as bounds:
            near = near_lists(parts, plan, leasts, self._search(parts, bounds))
        with self._lock:
            self._near[call] = tuple(target.shard for target in targets), near
            while len(self._near) > MAX_CALLS:
                self._near.popitem(last=False)
        return {space: counts_of(own) for space, own in near.items()}

    def candidates(
        self,
        call: str,
        targets: Sequence[Target],
        plan: SearchPlan,
        collection: Statistics,
        most: int,
        limits: Mapping[str, Shortlist],
        left_s: float | None,
    ) -> bytes:
        """Return the candidates that can be among the ``most`` best of all hosts.

        They are packed for ``rank``, as the driver only passes them on.
        """
        parts = self._parts(targets)
        # not kept: the memory is needed for those of the next search
        shards, lists = self._near.pop(call, ((), NO_LISTS))
        if shards != tuple(target.shard for target in targets):
            lists = NO_LISTS  # another host was lost meanwhile
        with self._engine.bounds(Limit(left_s, call)) as bounds:
            near = closest(parts, plan, most, self._search(parts, bounds), limits, lists)
            of_shards = [
                candidates(part, plan, collection, most, own)
                for part, own in zip(parts, near, strict=True)
                if not bounds.reached()
            ]
        return packed_found(targets, of_shards, most)

    def rank(
        self,
        candidates: Sequence[bytes],
        order: Sequence[str],
        plan: SearchPlan,
        collection: Statistics,
        most: int,
    ) -> RankedHits:
        """Rank the candidates of all hosts, by shard in ``order``, and read the best."""
        return rank_found(self._engine, candidates, order, plan, collection, most)

    # builds

    @cached_property
    def _builds(self) -> HostBuilds:
        from .host_builds import HostBuilds

        return HostBuilds()

    def build_slots(self, work: Work, sample: Sequence[Sample]) -> Slots:
        return self._builds.slots(work, sample)

    def start_build(self, name: str, work: Work, pieces: Range) -> None:
        self._builds.start(name, work, pieces)

    def build_states(self, names: Sequence[str]) -> dict[str, BuildState]:
        return self._builds.states(names)

    def stop_builds(self, names: Sequence[str]) -> None:
        self._builds.stop(names)

    def _parts(self, targets: Sequence[Target]) -> list[Part]:
        return [part_of(self._engine, target) for target in targets]

    def _search(self, parts: Sequence[Part], bounds: Bounds) -> Search:
        return Search(map_of(self._engine, parts), bounds.reached, 0)  # the driver knows the scope


def _shards_of(settings: Settings, root: Path) -> Shards:
    """Return the shards below a folder; those of the driver's buckets are copied."""
    if not settings.buckets:
        return Shards(root)
    from ...index.buckets.copies import CopiedShards  # needs an extra

    own = settings.home
    if not own.is_dir():  # the driver's home is on another machine
        own = Settings.from_environment().home
    return CopiedShards(root, settings, own)
