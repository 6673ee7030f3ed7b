"""Hits of ranked chunks, read from their shards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...index.shard.shard import KINDS, Shard
from ..cells import cell_line
from ..hit import Hit, path_order
from ..why import SCORE_DIGITS, Why

MAX_SIGNATURE_CHARACTERS = 200
MAX_SNIPPET_CHARACTERS = 4000


class Candidate(NamedTuple):
    """Chunk found by an index, as a plain value."""

    shard: str
    chunk: int
    repo: str
    path: str
    start_line: int

    @property
    def order(self) -> tuple[tuple[str, list[str]], int]:
        """Return the tie-breaking key: path order, as for text hits."""
        return path_order(self.repo, self.path), self.start_line


class Ranked(NamedTuple):
    """Candidate with its score, and what made it up if the query asks."""

    candidate: Candidate
    score: float
    why: Why | None = None
    also: tuple[Candidate, ...] = ()  # near copies and overloads


def hydrated(shards: dict[str, Shard], ranked: list[Ranked]) -> list[Hit]:
    """Return the candidates' hits, reading their snippets from the mapped content."""
    signatures = dict[tuple[str, int], str]()
    for shard_id, shard in shards.items():
        own = [one.candidate for one in ranked if one.candidate.shard == shard_id]
        signatures |= _signatures(shard, own)
    return [_hydrate(shards[one.candidate.shard], one, signatures) for one in ranked]


def _hydrate(shard: Shard, ranked: Ranked, signatures: dict[tuple[str, int], str]) -> Hit:
    candidate = ranked.candidate
    chunk = candidate.chunk
    file = int(shard.chunk_file[chunk])
    cell = int(shard.chunk_cell[chunk])
    return Hit(
        repo=candidate.repo, path=candidate.path, start_line=candidate.start_line,
        end_line=int(shard.chunk_end_line[chunk]), score=round(ranked.score, SCORE_DIGITS),
        snippet=shard.text(chunk)[:MAX_SNIPPET_CHARACTERS].rstrip("\n"),
        snippet_line=candidate.start_line,
        language=shard.languages[int(shard.chunk_language[chunk])],
        kind=KINDS[int(shard.chunk_kind[chunk])], symbol=shard.label(chunk),
        cell=None if cell < 0 else cell, revision=shard.revision(file),
        cell_line=cell_line(shard, chunk, candidate.start_line),
        signature=signatures.get((candidate.shard, chunk), ""), why=ranked.why,
        also=tuple(_place(one, candidate.repo) for one in ranked.also),
    )  # fmt: skip


def _place(candidate: Candidate, repo: str) -> str:
    """Return a chunk's place as results name it, with its repository if that is another."""
    place = f"{candidate.path}:{candidate.start_line}"
    return place if candidate.repo == repo else f"{candidate.repo}/{place}"


def _signatures(shard: Shard, candidates: list[Candidate]) -> dict[tuple[str, int], str]:
    """Return the first lines of the definitions in whose middle chunks begin, by chunk."""
    if not candidates or not len(shard.symbol_line):
        return {}
    chunks = np.array([candidate.chunk for candidate in candidates], np.int64)
    files = shard.chunk_file[chunks].astype(np.int64)
    lines = np.array([candidate.start_line for candidate in candidates], np.int64)
    order = np.lexsort((lines, files))
    numbers = shard.definitions_around(files[order], lines[order])
    begins = np.where(numbers >= 0, shard.symbol_line[numbers].astype(np.int64), lines[order])
    return {
        (shard.id, int(chunks[at])): _line(shard, int(files[at]), int(begin))
        for at, begin in zip(order.tolist(), begins.tolist(), strict=True)
        if begin < lines[at]
    }


def _line(shard: Shard, file: int, line: int) -> str:
    chunk = shard.chunk_at(file, line)
    lines = shard.text(chunk).split("\n")
    text = lines[min(line - int(shard.chunk_line[chunk]), len(lines) - 1)]
    return text.strip()[:MAX_SIGNATURE_CHARACTERS]
