"""Why a chunk is not among the hits of a semantic search, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..scopes.scope import EVERYTHING
from ..search.mask import ScopeMask
from ..search.ranking.explanation import why
from ..search.ranking.search_cells import only_searches
from ..search.semantic.candidates import Part, Statistics
from ..search.semantic.closest import is_missed
from ..search.semantic.plan import CANDIDATES, SearchPlan
from ..search.semantic.rank import RankedChunks
from ..search.symbols import LEAST_ALIKE
from ..search.why import ordinal
from .engine import Target

Scores = npt.NDArray[np.floating[Any]]

_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<line>\d+))?(?: \[cell \d+\])?", re.DOTALL)
_FIELDS = ("languages", "include_globs", "exclude_globs", "kinds", "revisions")


class Chosen(NamedTuple):
    """The chunk at the place that a query names."""

    at: int  # position of its shard
    chunk: int
    name: str  # path and first line


def why_not(
    mask_of: Callable[[Target], ScopeMask],
    targets: Sequence[Target],
    parts: Sequence[Part],
    plan: SearchPlan,
    collection: Statistics,
    ranked: RankedChunks,
    full_scan: int,
) -> str:
    """Say why the chunk at ``plan.query.why_not`` is not the first hit.

    With more than ``full_scan`` chunks in scope, coarse codes are compared first.
    """
    chunk = _chunk_at(parts, plan.query.why_not)
    if chunk is None:
        repositories = ", ".join(sorted({part.repo for part in parts}))
        return (
            f"{plan.query.why_not} is not indexed in the repositories in scope: {repositories}."
            f"{_nearest_path(parts, plan.query.why_not)}"
        )
    part = parts[chunk.at]
    if part.mask.chunks is not None and not part.mask.chunks[chunk.chunk]:
        return f"{chunk.name} is out of scope: {_exclusion(mask_of, targets[chunk.at], chunk)}."
    if plan.query.mode != "dense" and only_searches(part.shard, chunk.chunk):
        return f"{chunk.name} comes last: the cell only searches."
    return _rank_of(parts, ranked, chunk) or _distance(parts, plan, collection, chunk, full_scan)


def _chunk_at(parts: Sequence[Part], place: str) -> Chosen | None:
    """Return the chunk at ``path:line``, as results name it: with its repository if several."""
    match = _PLACE.fullmatch(place)
    assert match is not None
    line = max(int(match["line"] or 1), 1)
    for at, part in enumerate(parts):
        shard = part.shard
        for path in (match["path"], match["path"].removeprefix(f"{part.repo}/")):
            file = shard.file_numbers.get(path)
            if file is None or (part.live.files is not None and not part.live.files[file]):
                continue
            if shard.file_chunk[file] < shard.file_chunk[file + 1]:
                chunk = shard.chunk_at(file, line)
                return Chosen(at, chunk, f"{path}:{int(shard.chunk_line[chunk])}")
    return None


def _nearest_path(parts: Sequence[Part], place: str) -> str:
    """Suggest the path that is spelled most like the place; empty if none is alike."""
    from rapidfuzz import process

    path = place.rpartition(":")[0] or place
    paths = [path for part in parts for path in part.shard.paths]
    nearest = process.extractOne(path, paths, score_cutoff=LEAST_ALIKE)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def _exclusion(mask_of: Callable[[Target], ScopeMask], target: Target, chunk: Chosen) -> str:
    """Name the fields of the scope that leave the chunk out."""
    excluding = []
    for field in _FIELDS:
        if not (value := getattr(target.scope, field)):
            continue
        only = EVERYTHING.merged(**{field: value})
        mask = mask_of(target._replace(scope=only)).chunks
        if mask is not None and not mask[chunk.chunk]:
            excluding.append(only.describe())
    return f"the scope has {' and '.join(excluding) or target.scope.describe()}"


def _rank_of(parts: Sequence[Part], ranked: RankedChunks, chunk: Chosen) -> str:
    """Say where the chunk is ranked, and by which parts; empty if it is not."""
    ranking, place = ranked.ranking, (chunk.at, chunk.chunk)
    if ranking is None or place not in ranking.described.pool.places:
        return ""
    pool = ranking.described.pool
    position = pool.places.index(place)
    own = int(np.flatnonzero(ranking.order == position)[0])
    ahead, hit = next(
        (rank, one)
        for rank, one in enumerate(ranked.folds)
        if own in (one.shown, one.scored, *one.also)
    )
    rank = "the first hit" if ahead == 0 else f"the {ordinal(1 + ahead)} hit"
    if own != hit.shown:
        at, shown = pool.places[int(ranking.order[hit.shown])]
        shard = parts[at].shard
        path = shard.paths[int(shard.chunk_file[shown])]
        return (
            f"{chunk.name} is part of {rank}, {path}:{int(shard.chunk_line[shown])}, "
            "as a near copy or an overload."
        )
    scored = int(ranking.order[hit.scored])
    parts_of_score = why(ranking, scored, parts[chunk.at].shard.text(chunk.chunk)).parts
    details = "; ".join(f"{part.name} {part.value:+.2f} ({part.detail})" for part in parts_of_score)
    return f"{chunk.name} is {rank}, with a score of {ranking.score(scored):.2f}: {details}."


def _distance(
    parts: Sequence[Part],
    plan: SearchPlan,
    collection: Statistics,
    chunk: Chosen,
    full_scan: int,
) -> str:
    """Say how far the chunk is from the candidates, by words and by meaning."""
    ranks = []
    if plan.terms:
        mean_length = max(1, collection.total_length) / max(1, collection.chunks)
        scores = [
            part.shard.lexicon.scores(collection.weights(), mean_length, part.mask.chunks).scores
            for part in parts
        ]
        word_rank = _rank_among(parts, scores, chunk)
        has_words = scores[chunk.at][chunk.chunk] > 0
        ranks.append(
            f"{ordinal(word_rank)} by words" if has_words else "without a word of the query"
        )
    own = parts[chunk.at].shard.manifest.space
    vector = plan.vector(own)
    if vector is not None:  # other embedders' cosines do not compare
        cosines = [
            part.shard.vectors.scores(vector, np.arange(part.shard.manifest.chunks))
            if part.shard.manifest.space == own
            else np.full(part.shard.manifest.chunks, -np.inf)
            for part in parts
        ]
        meaning_rank = _rank_among(parts, cosines, chunk)
        ranks.append(f"{ordinal(meaning_rank)} by meaning")
    place = f"{chunk.name} is {' and '.join(ranks)}"
    if (
        vector is not None
        and meaning_rank <= CANDIDATES
        and is_missed(parts, vector, (chunk.at, chunk.chunk), full_scan)
    ):
        return f"{place}; the shortlist by coarse vectors missed it."
    if plan.query.mode == "dense":
        return f"{place}."
    return f"{place}; only the first {CANDIDATES} of each are ranked."


def _rank_among(parts: Sequence[Part], scores: Sequence[Scores], chunk: Chosen) -> int:
    """Return the rank of the chunk among those in scope, from 1."""
    own = scores[chunk.at][chunk.chunk]
    ahead = 0
    for part, of_shard in zip(parts, scores, strict=True):
        higher = of_shard > own
        ahead += int(
            np.count_nonzero(higher if part.mask.chunks is None else higher & part.mask.chunks)
        )
    return 1 + ahead
