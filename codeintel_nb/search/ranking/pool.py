"""The pool of a query: candidate chunks of all shards, and their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.words import MARKS
from ...index.shard.id_lists import Ids
from ...index.shard.shard import KINDS, Shard
from ...index.shard.text_flags import IS_GENERATED, IS_REEXPORT
from ...index.shard.vectors import DIGITS
from ..hit import path_order
from .intent import QueryIntent
from .roles import roles_of

Floats = npt.NDArray[np.float64]

OVERVIEW = re.compile(r"(?:docs?/)?(?:README|index)\.(?:md|mdx|markdown|rst|adoc|txt)|README", re.I)
# where a package documents itself
PACKAGE = re.compile(
    r"(?:src/)?(?:[\w.-]+/)?(?:__init__\.py|doc\.go|package-info\.java|src/lib\.rs)"
)
_TYPE = KINDS.index("class")
MAX_CACHED_FILES = 20_000  # described once, as their shards never change
OTHER_CASE = 0.5  # strength of a definition whose name differs in case
CONTAINS = 0.4  # strength of one whose name only contains the query's, between dots
ELSEWHERE = 0.5  # strength of one outside the container that the query names


class Definition(NamedTuple):
    """How well a chunk defines a name of the query, from 0 to 1."""

    strength: float
    is_type: bool
    name: str  # of the query


class Scale(NamedTuple):
    """Line that maps an embedder's cosines to those of the shipped table."""

    offset: float = 0.0
    slope: float = 1.0

    def __call__(self, cosines: Floats) -> Floats:
        if self == SAME:
            return cosines
        return np.asarray(np.round(self.offset + self.slope * cosines, DIGITS))


SAME = Scale()


class ShardCandidates(NamedTuple):
    """Candidate chunks of one shard, with both scores of each."""

    shard: Shard
    repo: str
    chunks: Ids
    lexical: Floats  # BM25; 0 if a chunk shares no term with the query
    dense: Floats  # cosine; 0 if the query has no vector
    vector: npt.NDArray[np.float32] | None  # of the query
    defines: dict[int, Definition]  # the best of each chunk
    covered: Floats  # share of the query's terms, by weight, in each chunk
    scale: Scale = SAME  # of the cosines

    def mean_cosines(self, files: Ids) -> Floats:
        """Return the cosine of the query with the mean of each file's chunks."""
        if self.vector is None:
            return self.scale(np.zeros(len(files)))
        bounds = self.shard.file_chunk.astype(np.int64)
        return self.scale(
            self.shard.vectors.mean_scores(self.vector, bounds[files], bounds[files + 1])
        )


class PoolFile(NamedTuple):
    """File of the pool, with what its shard knows of it."""

    repo: str
    path: str
    language: str
    chunks: int
    lines: int
    symbols: int
    roles: int
    is_generated: bool
    is_reexport: bool
    is_notebook: bool
    order: tuple[str, list[str]]  # key among the files of all shards


class Pool(NamedTuple):
    """Candidate chunks and their files, both in path order."""

    files: list[PoolFile]
    mean_cosines: Floats  # of the query with the mean of each file's chunks
    file: Ids  # position of each chunk's file
    places: list[tuple[int, int]]  # position of each chunk's shard, and its number there
    lines: Ids  # first line of each chunk
    kinds: Ids  # of each chunk, an index into KINDS
    lexical: Floats
    dense: Floats
    covered: Floats  # share of the query's terms, by weight
    defines: dict[int, Definition]  # by position of the chunk
    names: list[tuple[str, ...]]  # definitions that begin in each chunk, or its heading
    is_defining: list[bool]  # whether any definition begins in each chunk

    def best(self, values: Floats, fill: float = 0.0) -> Floats:
        """Return the highest value of each file's chunks."""
        highest = np.full(len(self.files), fill)
        np.maximum.at(highest, self.file, values)
        return highest

    def sum_of_best(self, values: Floats, most: int) -> Floats:
        """Return the sum of each file's ``most`` highest values."""
        order = np.lexsort((-values, self.file))
        owners = self.file[order]
        rank = np.arange(len(owners)) - np.searchsorted(owners, owners, "left")
        best = order[rank < most]
        return np.bincount(self.file[best], values[best], len(self.files)).astype(np.float64)


def pool_of(candidates: Sequence[ShardCandidates]) -> Pool:
    """Gather the candidates of all shards, independent of the sharding."""
    shards = [(at, one) for at, one in enumerate(candidates) if len(one.chunks)]
    files, names = list[PoolFile](), list[tuple[tuple[str, ...], bool]]()
    owners, cosines = [np.zeros(0, np.int64)], [np.zeros(0)]
    for _, one in shards:
        own, positions = np.unique(one.shard.chunk_file[one.chunks], return_inverse=True)
        owners.append(positions + len(files))
        cosines.append(one.mean_cosines(own.astype(np.int64)))
        files += [_pool_file(one.shard, one.repo, file) for file in own.tolist()]
        names += _names(one)
    in_order = sorted(range(len(files)), key=lambda number: files[number].order)
    position = np.empty(len(files), np.int64)
    position[in_order] = np.arange(len(files))
    file, chunks = position[np.concatenate(owners)], _joined([one.chunks for _, one in shards])
    order = np.lexsort((chunks, file))
    shard = np.repeat([at for at, _ in shards], [len(one.chunks) for _, one in shards])
    places = [*zip(shard[order].tolist(), chunks[order].tolist(), strict=True)]
    sorted_names = [names[number] for number in order.tolist()]

    def column(values_of: Callable[[ShardCandidates], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return _joined([values_of(one) for _, one in shards])[order]

    return Pool(
        files=[files[number] for number in in_order],
        mean_cosines=np.concatenate(cosines)[in_order],
        file=file[order],
        places=places,
        lines=column(lambda one: one.shard.chunk_line[one.chunks]).astype(np.int64),
        kinds=column(lambda one: one.shard.chunk_kind[one.chunks]).astype(np.int64),
        lexical=column(lambda one: one.lexical),
        dense=column(lambda one: one.scale(one.dense)),
        covered=column(lambda one: one.covered),
        defines={
            number: defines[chunk]
            for number, (at, chunk) in enumerate(places)
            if chunk in (defines := candidates[at].defines)
        },
        names=[own for own, _ in sorted_names],
        is_defining=[is_defining for _, is_defining in sorted_names],
    )


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)


def _names(one: ShardCandidates) -> list[tuple[tuple[str, ...], bool]]:
    """Return the names of each chunk's definitions, or its heading, and whether it has any."""
    shard = one.shard
    return [
        (names or (shard.label(chunk),), bool(names))
        for chunk, names in zip(one.chunks.tolist(), shard.names_in(one.chunks), strict=True)
    ]


_cache = dict[tuple[str, str, int], PoolFile]()  # files of recent pools


def _pool_file(shard: Shard, repo: str, file: int) -> PoolFile:
    key = shard.id, repo, file
    described = _cache.get(key)  # another thread may clear the cache
    if described is None:
        if len(_cache) >= MAX_CACHED_FILES:
            _cache.clear()
        described = _cache[key] = _described_file(shard, repo, file)
    return described


def _described_file(shard: Shard, repo: str, file: int) -> PoolFile:
    path = shard.paths[file]
    return PoolFile(
        repo=repo,
        path=path,
        language=shard.language(file),
        chunks=int(shard.file_chunk[file + 1]) - int(shard.file_chunk[file]),
        lines=int(shard.file_lines[file]),
        symbols=shard.symbols_of(file),
        roles=roles_of(path),
        is_generated=bool(shard.file_flags[file] & IS_GENERATED),
        is_reexport=bool(shard.file_flags[file] & IS_REEXPORT),
        is_notebook=bool(shard.chunk_cell[shard.file_chunk[file]] >= 0),
        order=path_order(repo, path),
    )


def overviews_of(shard: Shard, inside: npt.NDArray[np.bool_] | None) -> list[int]:
    """Return the first chunks of the files that say what a repository is about."""
    chunks = [
        int(shard.file_chunk[number])
        for number, path in enumerate(shard.paths)
        if (OVERVIEW.fullmatch(path) or PACKAGE.fullmatch(path))
        and shard.file_chunk[number] < shard.file_chunk[number + 1]
    ]
    return [chunk for chunk in chunks if inside is None or inside[chunk]]


def definitions_of(
    shard: Shard, intent: QueryIntent, inside: npt.NDArray[np.bool_] | None
) -> dict[int, Definition]:
    """Return the chunks that define a name of the query, each with its best definition."""
    best = dict[int, Definition]()
    for name in intent.names:
        for number, same_case in shard.definitions(name):
            chunk = shard.chunk_of_symbol(number)
            if inside is not None and not inside[chunk]:
                continue
            above, _, last = shard.symbol_label(number).lower().rpartition(".")
            strength = 1.0 if same_case else OTHER_CASE
            if last.strip(MARKS) != name.lower().strip(MARKS):
                strength *= CONTAINS
            if intent.container and intent.container not in above.split("."):
                strength *= ELSEWHERE
            definition = Definition(strength, bool(shard.symbol_kind[number] == _TYPE), name)
            if chunk not in best or definition > best[chunk]:
                best[chunk] = definition
    return best
