"""Host of a fleet: a plain object that searches shards where it runs.

Everything that it takes and gives is a value, so it runs in an actor, a process or a test.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...embedding.embedders import Embedders
from ...errors import BucketError, CodeIntelError, ShardError
from ...index.shard.cache import Shards
from ...index.shard.manifest import FORMAT
from ...index.shard.mapping import read_ahead
from ...search.code_map.maps import CodeMaps
from ...settings import Settings
from ...version import __version__
from ..engine import Limit, Target
from ..local import LocalEngine
from ..memory import keep_freed_memory
from .found import RankedHits, rank_found
from .searches import Searches

if TYPE_CHECKING:
    from ...index.update.ranges import Range
    from ...index.update.work import Work
    from .host_builds import BuildState, HostBuilds, Sample, Slots


class Failed(NamedTuple):
    """Error of a host's method, in place of its value."""

    error: Exception


class MissingShards(Exception):
    """Shards that a host lacks, or is still copying.

    ``reason`` says why a copy failed, or what is damaged.
    """

    def __init__(self, shards: list[str], reason: str = "") -> None:
        super().__init__(shards, reason)
        self.shards, self.reason = shards, reason


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
        maps = CodeMaps(self._shards.root.parent / "map")
        self._engine = LocalEngine(self._shards, maps, self._embedders, settings)
        self.searches = Searches(self._engine)

    def do(self, call: bytes) -> bytes:
        """Do a packed call; return its packed value, or ``Failed``."""
        method, *arguments = pickle.loads(call)
        try:
            before = len(self._shards)
            value = getattr(self, method)(*arguments)
            if len(self._shards) > before:  # the index changed: some shards may be gone
                self._shards.keep_existing()
        except (CodeIntelError, MissingShards, HostFault) as error:
            value = Failed(error)
        except Exception as error:  # of this host: others may answer
            value = Failed(HostFault(f"{type(error).__name__}: {error}"))
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def search(
        self, method: str, call: str, left_s: float | None, targets: Sequence[Target], *rest: Any
    ) -> Any:
        """Search shards by a method of ``Searches``; ``cancel`` ends it by its ``call``."""
        try:
            for target in targets:
                self._shards.intact(target.shard)
            with self._engine.bounds(Limit(left_s, call)) as bounds:
                return getattr(self.searches, method)(call, bounds, targets, *rest)
        except (FileNotFoundError, BucketError, ShardError):
            raise self._missing(targets) from None

    def rank(self, candidates: Sequence[bytes], order: Sequence[str], *rest: Any) -> RankedHits:
        """Rank the candidates of shards; ``order`` lists the shards in path order."""
        try:
            for shard in order:
                if shard in self._shards:  # others are checked when they are opened
                    self._shards.intact(shard)
        except ShardError as error:  # another host may see an intact file
            raise HostFault(str(error)) from error
        return rank_found(self._engine, candidates, order, *rest)

    def _missing(self, targets: Sequence[Target]) -> MissingShards:
        """Return the missing or damaged shards of a search; close deleted ones.

        If there is none any more, the driver searches all the shards.
        """
        self._shards.keep_existing()
        missing, reason = list[str](), ""
        for target in targets:
            try:
                self._shards.intact(target.shard)
            except (BucketError, ShardError) as error:
                missing.append(target.shard)
                reason = str(error)
            except FileNotFoundError:
                missing.append(target.shard)
        return MissingShards(missing, reason)

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


def _shards_of(settings: Settings, root: Path) -> Shards:
    """Return the shards below a folder; those of the driver's buckets are copied."""
    if not settings.buckets:
        return Shards(root)
    from ...index.buckets.copies import CopiedShards  # needs an extra

    own = settings.home
    if not own.is_dir():  # the driver's home is on another machine
        own = Settings.from_environment().home
    return CopiedShards(root, settings, own)
