"""A semantic query, prepared once for all shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.embedder import Embedder
from ...embedding.words import FILLERS, WORD, terms_of
from ...errors import EmbeddingError, MissingExtra
from ..query import MAX_RANKED_CHUNKS, SemanticQuery
from ..ranking.intent import QueryIntent, parse_query

CANDIDATES = 200  # of each kind, ranked by features
DENSE_WEIGHT = 0.6  # in the fusion; the rest is for BM25
NO_REASONS: Mapping[str, str] = MappingProxyType({})


class SearchPlan(NamedTuple):
    """A query prepared once for all shards."""

    query: SemanticQuery
    intent: QueryIntent
    terms: tuple[str, ...]
    # of the query, by vector space in scope; None if there is no vector: vectors are unused, the
    # query has no words, or an endpoint is unavailable
    vectors: dict[str, npt.NDArray[np.float32] | None] = {}
    embedders: dict[str, Embedder] = {}  # by space
    unavailable: dict[str, str] = {}  # reasons for missing vectors, by space

    @property
    def dense_weight(self) -> float:
        """Return the weight of vectors in the fusion.

        In hybrid mode it is 0 for one word, too little for a vector to help.
        """
        if self.query.mode == "hybrid":
            return DENSE_WEIGHT if len(self.query.query.split()) > 1 else 0.0
        return 1.0 if self.query.mode == "dense" else 0.0

    def vector(self, space: str) -> npt.NDArray[np.float32] | None:
        """Return the query's vector in a space."""
        return self.vectors.get(space)

    @property
    def has_vector(self) -> bool:
        return any(vector is not None for vector in self.vectors.values())


def plan_search(query: SemanticQuery) -> SearchPlan:
    words = WORD.findall(query.query)
    keywords = [word for word in words if word.lower() not in FILLERS] or words
    terms = (
        ()
        if query.mode == "dense"
        else tuple(dict.fromkeys(term for word in keywords for term in terms_of(word)))
    )
    return SearchPlan(query, parse_query(query.query), terms)


def with_vectors(
    plan: SearchPlan,
    is_common: Callable[[str], bool],
    embedders: Mapping[str, Embedder],
    unavailable: Mapping[str, str] = NO_REASONS,
) -> SearchPlan:
    """Embed a query with each embedder in scope, given by the space of its vectors.

    ``is_common`` marks terms without information, which are left out. ``unavailable`` maps spaces
    without an embedder to the reasons; endpoints that fail are added.
    """
    if not plan.dense_weight:
        return plan
    text = informative(plan, is_common)
    vectors, reasons = dict[str, npt.NDArray[np.float32] | None](), dict(unavailable)
    for space, embedder in embedders.items():
        try:
            vector = embedder.embed_query(text)[0]
        except (EmbeddingError, MissingExtra) as error:
            reasons[space] = str(error)
            continue
        # without words all chunks are equally close
        vectors[space] = vector if vector.any() else None
    return plan._replace(vectors=vectors, unavailable=reasons, embedders={**embedders})


def informative(plan: SearchPlan, is_common: Callable[[str], bool]) -> str:
    """Return the query without common words, such as the project's own name.

    BM25 already gives them little weight, but a vector does not.
    """
    common = {
        word
        for word in WORD.findall(plan.query.query)
        if (terms := terms_of(word)) and all(map(is_common, terms))
    }
    if not common:
        return plan.query.query
    rest = WORD.sub(lambda match: "" if match[0] in common else match[0], plan.query.query)
    return " ".join(rest.split()) if WORD.search(rest) else plan.query.query


def depth(query: SemanticQuery) -> int:
    """Return the number of candidates of each kind, of all shards together."""
    return CANDIDATES if query.limit <= CANDIDATES else MAX_RANKED_CHUNKS
