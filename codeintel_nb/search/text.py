"""Text search in one shard: re2 over the mapped content in scope, ripgrep where re2 reads a pattern otherwise."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
import numpy as np

from ..index.shard import IS_ASCII, KINDS, Shard
from .hit import Hit
from .mask import ScopeMask
from .matches import Kept, Match
from .pattern import Pattern, compile_pattern
from .query import Bounds, TextQuery
from .ranges import Chunks, Pace, Ranges, ranges_of
from .ripgrep import with_rg
from .trigrams import blocks_that_may, needs

MOST_SNIPPET_CHARACTERS = 2000


class TextAnswer(NamedTuple):
    """A shard's first matches, in path and line order."""

    hits: list[Hit]
    truncated: bool
    total: int
    exact: bool  # of the total


def search_text(shard: Shard, repo: str, mask: ScopeMask, query: TextQuery, bounds: Bounds) -> TextAnswer:
    """Lines in scope that match, the first ``query.limit`` of them."""
    pattern = compile_pattern(query)
    blocks = None
    if not pattern.multiline and shard.postings is not None:
        blocks = blocks_that_may(needs(query.pattern, query.regex, pattern.insensitive), shard.postings)
        if blocks is not None and not len(blocks) and pattern.re2 is not None:  # what re2 cannot read is for rg to judge
            return TextAnswer([], bounds.reached(), 0, True)
    exact: Chunks | None = mask.chunks
    foreign: Chunks | None = None  # what re2 would read otherwise than ripgrep
    if pattern.re2 is None:
        exact, foreign = np.zeros(shard.manifest.chunks, bool), np.ones(shard.manifest.chunks, bool) if mask.chunks is None else mask.chunks
    elif pattern.unicode and not pattern.multiline and not shard.is_ascii:
        exact = shard.ascii_chunks if mask.chunks is None else mask.chunks & shard.ascii_chunks
        foreign = ~shard.ascii_chunks if mask.chunks is None else mask.chunks & ~shard.ascii_chunks
    kept = Kept(shard, query)
    ended = _with_re2(shard, ranges_of(shard, exact, blocks), pattern, kept, bounds)
    if foreign is not None and foreign.any() and not bounds.reached():
        others = Kept(shard, query)
        ended = with_rg(shard, ranges_of(shard, foreign, blocks), query, pattern, others, bounds) or ended
        kept.merge(others)
    ended = ended or bounds.reached()
    hits = _hits(shard, repo, kept.found, query)
    if query.show == "counts":
        hits = [msgspec.structs.replace(hit, score=float(kept.counts[match.line_start])) for hit, match in zip(hits, kept.found, strict=True)]
    return TextAnswer(hits, ended or kept.more, kept.total, kept.exact and not ended)


def _with_re2(shard: Shard, ranges: Ranges, pattern: Pattern, kept: Kept, bounds: Bounds) -> bool:
    """Give every match to ``kept``; whether the bounds ended it early."""
    if pattern.re2 is None:
        return False
    content, search, group, take = shard.content, pattern.re2.search, pattern.group, kept.take
    pace = Pace()
    number = behind = 0
    for begin, end in ranges.by_file(shard.file_start) if pattern.multiline else ranges.pieces(pace):
        if bounds.reached():
            return True
        pace.begin()
        at = max(begin, behind)
        while at < end and (match := search(content, at, end)) is not None:
            start, last = match.span(group)
            if start >= end:
                break  # an empty match behind the last line
            line_start = content.rfind(b"\n", begin, start) + 1 or begin
            line_end = content.find(b"\n", max(start, last - 1), end)
            at = take(Match(line_start, end if line_end < 0 else line_end, start))
            if at < 0:
                return False
            number += 1
            if number % 64 == 0 and bounds.reached():
                return True
        behind = at
        pace.ended(end - begin)
    return False


def _hits(shard: Shard, repo: str, found: list[Match], query: TextQuery) -> list[Hit]:
    """Hits of matches in content order; what several share, a chunk or a file, is looked up once."""
    if not found:
        return []
    content = shard.content
    starts = np.array([match.line_start for match in found], np.uint64)
    chunks = (np.searchsorted(shard.chunk_start, starts, "right") - 1).tolist()
    hits, chunk, counted, line = [], -1, 0, 0
    for match, its_chunk in zip(found, chunks, strict=True):
        if its_chunk != chunk:
            chunk, counted, line = its_chunk, int(shard.chunk_start[its_chunk]), int(shard.chunk_line[its_chunk])
            file = int(shard.chunk_file[chunk])
            path, language, revision, ascii_only = shard.paths[file], shard.language(file), shard.revision(file), bool(shard.file_flags[file] & IS_ASCII)
            cell = int(shard.chunk_cell[chunk])
            label, its_kind = shard.label(chunk), KINDS[int(shard.chunk_kind[chunk])]
        line += content[counted : match.line_start].count(b"\n")
        counted = match.line_start
        symbol, kind = label, its_kind
        if kind in ("function", "class", "method"):  # a chunk may hold several: name the one around the line
            symbol, kind = shard.symbol_at(file, line) or ("", "module" if cell < 0 else "cell")
        last_line = line + content[match.line_start : match.line_end].count(b"\n") if query.regex or "\n" in query.pattern else line
        column = match.start - match.line_start + 1 if ascii_only else len(_text(content[match.line_start : match.start])) + 1
        shown, above = _snippet(shard, file, match, query.context) if query.context else (_text(content[match.line_start : match.line_end])[:MOST_SNIPPET_CHARACTERS], 0)
        score = 2.0 if query.rank and shard.defines(file, line) else 1.0
        hits.append(Hit(repo, path, line, last_line, score, shown, line - above, language, kind, column, symbol, None if cell < 0 else cell, revision))
    return hits


def ranked(hits: list[Hit]) -> list[Hit]:
    """Lines that define a symbol first, then files with many matches; a hit's score says how far up it belongs."""
    in_file = Counter((hit.repo, hit.path) for hit in hits)
    scored = [msgspec.structs.replace(hit, score=hit.score + in_file[hit.repo, hit.path] / (10 + in_file[hit.repo, hit.path])) for hit in hits]
    return sorted(scored, key=lambda hit: -hit.score)


def _snippet(shard: Shard, file: int, match: Match, context: int) -> tuple[str, int]:
    """The matched lines with context, and how many lines of it stand above."""
    content = shard.content
    first, end = int(shard.file_start[file]), int(shard.file_start[file + 1])
    start, stop, above = match.line_start, match.line_end, 0
    for _ in range(context):
        if start <= first:
            break
        start = max(first, content.rfind(b"\n", first, start - 1) + 1)
        above += 1
    for _ in range(context):
        if stop + 1 >= end:
            break
        stop = content.find(b"\n", stop + 1, end)
    return _text(content[start:stop])[: MOST_SNIPPET_CHARACTERS * (1 + 2 * context)], above


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
