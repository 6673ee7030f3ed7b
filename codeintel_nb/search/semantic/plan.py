"""A semantic query, prepared once for all shards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.embedder import Embedder
from ...embedding.words import FILLERS, WORD, terms_of
from ..query import MAX_RANKED_CHUNKS, SemanticQuery
from ..ranking.intent import QueryIntent, parse_query

CANDIDATES = 200  # of each kind, ranked by features
DENSE_WEIGHT = 0.6  # in the fusion; the rest is for BM25


class SearchPlan(NamedTuple):
    """A query prepared once for all shards."""

    query: SemanticQuery
    intent: QueryIntent
    terms: tuple[str, ...]
    vector: npt.NDArray[np.float32] | None  # None: vectors are unused, or the query has no words
    embedder: Embedder

    @property
    def dense_weight(self) -> float:
        """Return the weight of vectors in the fusion.

        In hybrid mode it is 0 for one word, too little for a vector to help.
        """
        if self.query.mode == "hybrid":
            return DENSE_WEIGHT if len(self.query.query.split()) > 1 else 0.0
        return 1.0 if self.query.mode == "dense" else 0.0


def plan_search(query: SemanticQuery, embedder: Embedder) -> SearchPlan:
    words = WORD.findall(query.query)
    keywords = [word for word in words if word.lower() not in FILLERS] or words
    terms = (
        ()
        if query.mode == "dense"
        else tuple(dict.fromkeys(term for word in keywords for term in terms_of(word)))
    )
    plan = SearchPlan(query, parse_query(query.query), terms, None, embedder)
    vector = embedder.embed_query(query.query)[0] if plan.dense_weight else None
    # without words all chunks are equally close
    return plan._replace(vector=vector) if vector is not None and vector.any() else plan


def depth(query: SemanticQuery) -> int:
    """Return the number of candidates of each kind per shard."""
    return CANDIDATES if query.limit <= CANDIDATES else MAX_RANKED_CHUNKS
