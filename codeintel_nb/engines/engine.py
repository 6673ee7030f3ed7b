"""Contract of an engine: run one query over many shards and merge the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ..embedding.embedder import Embedder
from ..scopes.scope import Scope
from ..search.code_map.layout import Projection
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.hit import Hit, Reason
from ..search.query import Bounds, PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ..search.text.unindexed import UnindexedTarget


class Target(NamedTuple):
    """Shard to search: its files in scope, without the dead ones.

    A plain value, so that an engine on another machine could act on it.
    """

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
    total: int  # matches, returned or not
    reason: Reason  # why hits are missing
    timings_ms: dict[str, float]
    exact: bool = True  # False: ``total`` is a lower bound
    files_read: int = 0  # outside the index
    more: bool = False  # a match beyond ``total`` was seen


class Engine(Protocol):
    """Runner of queries over shards.

    Raises FileNotFoundError for a missing shard; the caller retries on the current snapshot.
    """

    def count(self, targets: list[Target]) -> Counts:
        """Count files and chunks in scope; cache the masks for later searches."""
        ...

    def facets(
        self,
        targets: list[Target],
        without_languages: Scope,
        without_kinds: Scope,
        most_folders: int,
    ) -> Facets:
        """Count the code in scope by language, kind and folder.

        Languages are counted in ``without_languages``, kinds in ``without_kinds``, and at most
        ``most_folders`` folders in the scope of the targets.
        """
        ...

    def points(self, targets: list[Target], projection: Projection, most: int) -> Points:
        """Return the chunks in scope on a map, at most ``most``."""
        ...

    def search_text(
        self,
        query: TextQuery,
        targets: list[Target],
        bounds: Bounds,
        loose: Sequence[UnindexedTarget] = (),
    ) -> Answer:
        """Search the shards, and the ``loose`` files: those new or changed since indexing."""
        ...

    def semantic_search(
        self, query: SemanticQuery, targets: list[Target], bounds: Bounds, embedder: Embedder
    ) -> Answer: ...

    def symbols(self, query: SymbolQuery, targets: list[Target], bounds: Bounds) -> Answer: ...

    def list_paths(self, query: PathQuery, targets: list[Target]) -> Answer: ...

    def close(self) -> None: ...
