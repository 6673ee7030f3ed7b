"""The contract of an engine: it runs one query over many shards and merges what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ..index.embedder import Embedder
from ..index.projection import Projection
from ..scopes.scope import Scope
from ..search.facets import Facets
from ..search.hit import Hit, Reason
from ..search.loose import LooseTarget
from ..search.points import Points
from ..search.query import Bounds, PathQuery, SemanticQuery, SymbolQuery, TextQuery


class Target(NamedTuple):
    """A shard to search and what of it counts; a value that another machine can act on."""

    repo: str
    folder: Path
    dead: tuple[int, ...]
    scope: Scope


class Counts(NamedTuple):
    files_in_scope: int
    files: int
    chunks_in_scope: int
    chunks: int


class Answer(NamedTuple):
    """Merged hits in their final order."""

    hits: list[Hit]
    total: int  # there are, as far as is known
    reason: Reason  # why hits are missing
    timings_ms: dict[str, float]
    exact: bool = True  # False: ``total`` is a lower bound
    files_read: int = 0  # outside the index
    more: bool = False  # a match beyond ``total`` was seen


class Engine(Protocol):
    """A missing shard raises FileNotFoundError: the caller reads the snapshot again and retries."""

    def count(self, targets: list[Target]) -> Counts:
        """How much is in scope; makes the masks ready for the searches that follow."""
        ...

    def facets(
        self,
        targets: list[Target],
        without_languages: Scope,
        without_kinds: Scope,
        most_folders: int,
    ) -> Facets:
        """Counts by language in one scope, by kind in another, by folder in that of the targets."""
        ...

    def points(self, targets: list[Target], projection: Projection, most: int) -> Points:
        """The chunks in scope on a map, at most so many of them."""
        ...

    def search_text(
        self,
        query: TextQuery,
        targets: list[Target],
        bounds: Bounds,
        loose: Sequence[LooseTarget] = (),
    ) -> Answer:
        """``loose`` are files that no target holds as they are now."""
        ...

    def semantic_search(
        self, query: SemanticQuery, targets: list[Target], bounds: Bounds, embedder: Embedder
    ) -> Answer: ...

    def symbols(self, query: SymbolQuery, targets: list[Target], bounds: Bounds) -> Answer: ...

    def list_paths(self, query: PathQuery, targets: list[Target]) -> Answer: ...

    def close(self) -> None: ...
