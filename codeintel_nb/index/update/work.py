"""Work of an update, shared by processes or machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from ...settings import Settings
from ...sources.repository import Repository
from .parse_guard import MARK
from .ranges import Range, RangeProgress, RangeResult


class Work(msgspec.Struct, frozen=True):
    """Settings common to all tasks of a run."""

    settings: Settings
    repository: Repository
    reusable: tuple[str, ...]  # shards whose vectors may be reused
    avoid: tuple[str, ...]  # files to index without parsing
    keeps_partial: bool  # whether a stopped range is written
    mark: str = MARK  # prefix of the parse guards' files


class BuildCluster(Protocol):
    """Builder of ranges on other machines."""

    problem: str  # why machines were missing in the last build; empty if none were
    is_connected: bool  # whether other machines took part in it

    def build(
        self,
        work: Work,
        ranges: Sequence[Range],
        progress: Callable[[RangeProgress], None],
        stopped: Callable[[], bool],
    ) -> Iterator[tuple[int, RangeResult]]:
        """Build ranges, as ``build_in_workers`` does."""
        ...
