"""Why a chunk is not among the hits of a semantic search, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..scopes.scope import EVERYTHING, Scope
from ..search.mask import ScopeMask
from ..search.ranking.explanation import why
from ..search.semantic.candidates import Part, Statistics
from ..search.semantic.plan import CANDIDATES, SearchPlan
from ..search.semantic.rank import RankedChunks
from .engine import Target

_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<line>\d+))?", re.DOTALL)
_FIELDS = ("languages", "include_globs", "exclude_globs", "kinds", "revisions")


class ChosenChunk(NamedTuple):
    """The chunk that is chosen about."""

    at: int  # position of its shard
    file: int
    chunk: int
    name: str  # path and first line


def why_not(
    mask_of: Callable[[Target], ScopeMask],
    targets: Sequence[Target],
    parts: Sequence[Part],
    plan: SearchPlan,
    collection: Statistics,
    ranked: RankedChunks,
) -> str:
    """Say which step left out the chunk at ``plan.query.why_not``, or what is ahead of it."""
    chosen = _chunk_at(parts, plan.query.why_not)
    if chosen is None:
        repositories = ", ".join(sorted({part.repo for part in parts}))
        return f"{plan.query.why_not} is not indexed in the repositories in scope: {repositories}."
    mask = parts[chosen.at].mask
    if mask.chunks is not None and not mask.chunks[chosen.chunk]:
        return f"{chosen.name} is out of scope: {_exclusion(mask_of, targets[chosen.at], chosen)}."
    place = _rank_of(ranked, chosen)
    return place or f"{chosen.name} is not ranked: {_distance(parts, plan, collection, chosen)}."


def _chunk_at(parts: Sequence[Part], place: str) -> ChosenChunk | None:
    match = _PLACE.fullmatch(place)
    assert match is not None
    path, line = match["path"], int(match["line"] or 1)
    for at, part in enumerate(parts):
        shard = part.shard
        file = shard.file_numbers.get(path)
        if file is None or (part.live.files is not None and not part.live.files[file]):
            continue
        if shard.file_chunk[file] < shard.file_chunk[file + 1]:
            chunk = shard.chunk_at(file, max(line, 1))
            return ChosenChunk(at, file, chunk, f"{path}:{int(shard.chunk_line[chunk])}")
    return None


def _exclusion(mask_of: Callable[[Target], ScopeMask], target: Target, chosen: ChosenChunk) -> str:
    """Name the fields of the scope that leave the chunk out."""
    excluding = []
    for field in _FIELDS:
        value = getattr(target.scope, field)
        only = EVERYTHING.merged(**{field: value}) if value else None
        mask = mask_of(target._replace(scope=only)).chunks if only else None
        if only and mask is not None and not mask[chosen.chunk]:
            excluding.append(Scope.describe(only))
    return f"the scope has {' and '.join(excluding) or target.scope.describe()}"


def _rank_of(ranked: RankedChunks, chosen: ChosenChunk) -> str:
    """Say where the chunk is ranked, and by which parts; empty if it is not."""
    ranking = ranked.ranking
    if ranking is None:
        return ""
    places = ranking.described.pool.places
    if (chosen.at, chosen.chunk) not in places:
        return ""
    chunk = places.index((chosen.at, chosen.chunk))
    position = int(np.flatnonzero(ranking.order == chunk)[0])
    own = why(ranking, chunk)
    details = "; ".join(f"{part.name} {part.value:+.2f} ({part.detail})" for part in own.parts)
    behind = f"behind {position:,} others" if position else "the first hit"
    return f"{chosen.name} is {behind}, with a score of {own.score:.2f}: {details}."


def _distance(
    parts: Sequence[Part], plan: SearchPlan, collection: Statistics, chosen: ChosenChunk
) -> str:
    """Say how far the chunk is from the candidates, by words and by meaning."""
    lengths = max(1, collection.total_length) / max(1, collection.chunks)
    reasons = []
    if plan.terms:
        scores = [
            part.shard.lexicon.scores(collection.weights(), lengths, part.mask.chunks)
            for part in parts
        ]
        own = scores[chosen.at][chosen.chunk]
        rank = 1 + sum(int(np.count_nonzero(one > own)) for one in scores)
        reasons.append(
            f"{rank:,}. by words, beyond the first {CANDIDATES}"
            if own
            else "it has no word of the query"
        )
    if plan.vector is not None:
        shards = [part.shard for part in parts]
        cosines = [
            one.vectors.scores(plan.vector, np.arange(one.manifest.chunks)) for one in shards
        ]
        mine = cosines[chosen.at][chosen.chunk]
        inside = [part.mask.chunks for part in parts]
        ahead = sum(
            int(np.count_nonzero((one > mine) if mask is None else (one > mine) & mask))
            for one, mask in zip(cosines, inside, strict=True)
        )
        reasons.append(f"{1 + ahead:,}. by meaning, beyond the first {CANDIDATES}")
    return " and ".join(reasons)
