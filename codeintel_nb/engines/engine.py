"""Contract of an engine: one query over many shards.

All arguments are values that can travel: an engine may run on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from ..index.shard.shard import Shard
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.hit import Hit
from ..search.mask import ScopeMask
from ..search.query import AnyQuery
from ..search.results import Reason
from ..search.table import Table
from ..search.text.unindexed import UnindexedTarget

if TYPE_CHECKING:
    from ..search.semantic.collection import Collections

_T = TypeVar("_T")
_V = TypeVar("_V")


class Target(NamedTuple):
    """Shard to search: its files in scope, without the dead ones."""

    repo: str
    shard: str  # its folder, relative to that of all repositories, with /
    dead: tuple[int, ...]
    scope: Scope


class Limit(NamedTuple):
    """Limit of a call, ended by ``timeout_s`` or ``end(call)``."""

    timeout_s: float | None = None
    call: str = ""  # unique; empty for a call that cannot be ended


class Counts(NamedTuple):
    files_in_scope: int
    files: int
    chunks_in_scope: int
    chunks: int


class Answer(NamedTuple):
    """Merged hits in their final order."""

    hits: Sequence[Hit]
    total: int  # matches, returned or not
    reason: Reason  # why hits are missing
    timings_ms: dict[str, float]
    exact: bool = True  # False: ``total`` is a lower bound
    files_read: int = 0  # outside the index
    more: bool = False  # a match beyond ``total`` was seen
    confidence: float | None = None  # chance that the best hit answers; None: unknown
    why_not: str = ""  # why the chunk that the query asks about is not the first hit
    by_words: dict[str, str] = {}  # repositories searched by words alone, and the reasons


class FileContent(NamedTuple):
    """Indexed text of a file."""

    content: bytes  # in UTF-8 as far as the file is
    language: str


class Engine(Protocol):
    """Runner of queries over shards.

    Raises FileNotFoundError for a missing shard; the caller retries on the current snapshot.
    """

    def count(self, targets: Sequence[Target]) -> Counts:
        """Count files and chunks in scope, and cache the masks."""
        ...

    def facets(
        self,
        targets: Sequence[Target],
        without_languages: Scope,
        without_kinds: Scope,
        most_folders: int,
    ) -> Facets:
        """Count the code in scope by language, kind and folder.

        Languages are counted in ``without_languages``, kinds in ``without_kinds``, and at most
        ``most_folders`` folders in the scope of the targets.
        """
        ...

    def search(
        self,
        query: AnyQuery,
        targets: Sequence[Target],
        limit: Limit,
        unindexed: Sequence[UnindexedTarget] = (),
    ) -> Answer:
        """Answer a query; a text query also searches ``unindexed`` files.

        A semantic one uses the engine's own embedding.
        """
        ...

    def sql(
        self,
        statement: str,
        targets: Sequence[Target],
        limit: Limit,
        most_rows: int,
        memory_bytes: int,
        hits: Sequence[Hit] = (),
    ) -> Table:
        """Answer an SQL statement on files in scope and ``hits``."""
        ...

    def points(self, targets: Sequence[Target], most: int) -> Points:
        """Return at most ``most`` chunks in scope on the map."""
        ...

    def read(self, targets: Sequence[Target], path: str) -> FileContent | None:
        """Return an indexed file; None if no target has it."""
        ...

    def paths(self, targets: Sequence[Target]) -> list[str]:
        """Return the paths of all live files."""
        ...

    def revisions(self, targets: Sequence[Target]) -> set[str]:
        """Return the revisions in the shards."""
        ...

    def end(self, call: str) -> None:
        """End a call early, even one that has not begun.

        A search then returns partial results; SQL raises SearchError.
        """
        ...

    def problems(self) -> list[str]:
        """Return why some of its hosts do not search; empty for an engine without hosts."""
        ...

    def close(self) -> None: ...


class OpenShards(Protocol):
    """Shards opened in this process with their masks, and threads to search them."""

    full_scan_chunks: int  # compared in full per vector space; above it, coarse codes come first

    @property
    def collections(self) -> Collections:
        """Return the statistics of the shards that were searched together."""
        ...

    def shard_of(self, target: Target) -> Shard: ...
    def mask(self, target: Target) -> ScopeMask:
        """Return the mask of a target's scope."""
        ...

    def live(self, target: Target) -> ScopeMask:
        """Return the mask of a shard's live files."""
        ...

    def each(self, values: list[_V], work: Callable[[_V], _T], parallel: bool = True) -> list[_T]:
        """Map ``work`` over the values, on threads if ``parallel``."""
        ...
