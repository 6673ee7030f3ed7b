"""Text search in one shard: what may match by the postings, read by re2, or by ripgrep where it reads otherwise or is faster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np

from ..index.shard import ENDS_WITH_NEWLINE, IS_ASCII, is_plain
from .hit import Hit
from .lines import hits_of
from .mask import ScopeMask
from .matches import Counting, Kept, Match
from .pattern import Pattern, compile_pattern
from .query import MOST_HITS, Bounds, TextQuery
from .ranges import NOWHERE, SMALLEST_SEGMENT, Chunks, Pace, Ranges, ranges_of
from .ripgrep import Streamed, scan, stream
from .searchable import Searchable
from .trigrams import blocks_that_may, files_that_may, is_word, may_match, needle, needs

FORWARD = 1 << 20  # bytes that are read here, in order, before rg is asked: a common pattern is through by then
MOST_FORWARD = 1000  # hits asked for, for that to be likely
LITERAL, PATTERN, BY_RG = 2e9, 0.8e9, 8e9  # bytes a second: found as they are, read by re2, and by rg
RANGE_S = 2e-6  # beside them, for each range
RG_START_S = 0.004
SIFTED = 8 << 20  # bytes that are looked through for a pattern's trigrams, to spare rg's start
_WORD = bytes(is_word(chr(code)) for code in range(256))
NEEDLE = 4  # the share of a shard, one in so many, below which lines with a certain text are rare enough to be judged one by one


class TextPlan(NamedTuple):
    """Where in a shard a query is to look."""

    shard: Searchable
    repo: str
    pattern: Pattern
    exact: Ranges  # for re2
    foreign: Ranges | None  # what re2 would read otherwise than ripgrep
    needle: bytes  # that a line must hold, where looking for it first is worth it
    bytes_to_read: int
    is_much: bool  # rg is through with all of the content sooner than what may match is read here

    @classmethod
    def of(cls, shard: Searchable, repo: str, pattern: Pattern, exact: Ranges, foreign: Ranges | None = None, needle: bytes = b"") -> TextPlan:
        size = exact.size + (0 if foreign is None else foreign.size)
        needle = needle if NEEDLE * size < shard.size else b""
        is_much = False
        if size >= 4 * FORWARD and shard.folder is not None and not pattern.multiline:
            here_s = size / (PATTERN if pattern.literal is None and not needle else LITERAL) + len(exact.begins) * RANGE_S
            is_much = here_s > RG_START_S + shard.size / BY_RG
        return cls(shard, repo, pattern, exact, foreign, needle, size, is_much)

    @property
    def first_path(self) -> str:
        """Of what is to be read."""
        begins = [int(ranges.begins[0]) for ranges in (self.exact, self.foreign) if ranges is not None and len(ranges.begins)]
        return self.shard.paths[int(np.searchsorted(self.shard.file_start, np.uint64(min(begins)), "right")) - 1] if begins else ""


class TextAnswer(NamedTuple):
    """A shard's first matches, in path and line order."""

    hits: list[Hit]
    truncated: bool
    total: int
    exact: bool  # of the total


def plan_text(shard: Searchable, repo: str, mask: ScopeMask, query: TextQuery) -> TextPlan | None:
    """Where the pattern may match in scope; None where it cannot."""
    pattern = compile_pattern(query)
    chunks, blocks = mask.chunks, None
    need = needs(query.pattern, query.regex, pattern.insensitive)
    if shard.postings is not None:
        if pattern.multiline:  # its trigrams may lie in several blocks of a file
            files = files_that_may(need, shard.postings, shard.file_start)
            if files is not None:
                may = np.repeat(files, np.diff(shard.file_chunk))
                chunks = may if chunks is None else chunks & may
        else:
            blocks = blocks_that_may(need, shard.postings)
            if blocks is not None and not len(blocks) and pattern.re2 is not None:  # what re2 cannot read is for rg to judge
                return None
    if pattern.re2 is None:
        plan = TextPlan.of(shard, repo, pattern, NOWHERE, ranges_of(shard, chunks, blocks))
        return plan if plan.bytes_to_read or not pattern.multiline else None
    certain = pattern.literal or (needle(query.pattern, pattern.insensitive) if query.regex else b"" if pattern.insensitive else query.pattern.encode("utf-8", "replace"))
    certain = b"" if pattern.multiline or len(certain) < 3 else certain
    exact: Chunks | None = chunks
    foreign: Ranges | None = None
    if pattern.unicode and not shard.is_ascii:
        plain = shard.ascii_chunks if not pattern.multiline else (shard.file_flags & IS_ASCII).astype(bool)[shard.chunk_file]  # a match may span chunks
        exact = plain if chunks is None else chunks & plain
        foreign = ranges_of(shard, ~plain if chunks is None else chunks & ~plain, blocks)
    plan = TextPlan.of(shard, repo, pattern, ranges_of(shard, exact, blocks), foreign, certain)
    if foreign is not None and foreign.size < SIFTED and not plan.is_much:  # rarely is there any, and then rg need not be started
        plan = _sifted(plan, foreign, lambda text: certain in text and may_match(need, text))
    return plan if plan.bytes_to_read else None


def _sifted(plan: TextPlan, foreign: Ranges, may: Callable[[bytes], bool]) -> TextPlan:
    """The plan with those lines alone for rg that may match and hold more than ASCII: re2 reads the others around them."""
    content = plan.shard.content
    plain, held = list[tuple[int, int]](), list[tuple[int, int]]()
    for begin, end in zip(foreign.begins.tolist(), foreign.ends.tolist(), strict=True):
        text = content[begin:end]
        if not may(text):
            continue
        if plan.pattern.multiline:
            held.append((begin, end))
            continue
        at = begin
        for line in (part + b"\n" for part in text.split(b"\n")):
            behind = min(at + len(line), end)
            if at < behind and is_plain(line):
                plain.append((at, behind))
            elif at < behind and may(line):
                held.append((at, behind))
            at = behind
    exact = plan.exact.and_also(Ranges.of(plain, plan.exact.cuts)) if plain else plan.exact
    return TextPlan.of(plan.shard, plan.repo, plan.pattern, exact, Ranges.of(held, foreign.cuts) if held else None, plan.needle)


def search_text(plan: TextPlan, query: TextQuery, limit: int, bounds: Bounds, counting: Counting) -> TextAnswer:
    """Lines that match, the first ``limit`` of them; more are counted for as long as ``counting`` lasts."""
    kept = Kept(plan.shard, query, limit, counting)
    ended = _all_by_rg(plan, query, kept, bounds) if plan.is_much else _here(plan, query, kept, bounds)
    ended = ended or bounds.reached()
    hits = hits_of(plan.shard, plan.repo, kept.found, query)
    if query.show == "counts":
        hits = [msgspec.structs.replace(hit, score=float(kept.counts[match[0]])) for hit, match in zip(hits, kept.found, strict=True)]
    return TextAnswer(hits, ended or kept.more, kept.total, kept.exact and not ended)


def _here(plan: TextPlan, query: TextQuery, kept: Kept, bounds: Bounds) -> bool:
    """Read what may match, and have rg read what re2 would read otherwise; whether the bounds ended it early."""
    if plan.foreign is None:
        return (_read_lines_together if plan.pattern.multiline else _read)(plan, plan.exact, kept.take, kept, bounds)
    most = max(1, kept.limit) if kept.by_line else MOST_HITS
    # where a match may span lines each file is streamed to an rg of its own: none is to span files
    parts = _as_files_have_them(plan.shard, plan.foreign).each_file(plan.shard.file_start) if plan.pattern.multiline else [plan.foreign]
    by_rg = Streamed([], False, False)
    for part in parts:
        if by_rg.ended or by_rg.more or bounds.reached():
            by_rg = by_rg._replace(ended=not by_rg.more)
            break
        found = stream(plan.shard, part, query, plan.pattern, bounds, most - len(by_rg.matches))
        by_rg = Streamed([*by_rg.matches, *found.matches], found.ended, found.more)
    waiting = deque(by_rg.matches)

    def take(match: Match) -> int:
        while waiting and waiting[0] < match:
            kept.take(waiting.popleft())
        return kept.take(match)

    read = _read_lines_together if plan.pattern.multiline else _read
    ended = plan.pattern.re2 is not None and read(plan, plan.exact, take, kept, bounds)
    for match in waiting:
        kept.take(match)
    kept.exact, kept.more = kept.exact and not by_rg.more, kept.more or by_rg.more
    return ended or by_rg.ended


def _all_by_rg(plan: TextPlan, query: TextQuery, kept: Kept, bounds: Bounds) -> bool:
    """Read a little here, where a common pattern has all that is asked for, then have rg read it all."""
    if plan.foreign is not None:
        return scan(plan.shard, plan.exact.and_also(plan.foreign), query, plan.pattern, kept, bounds)
    if kept.limit > MOST_FORWARD:
        return scan(plan.shard, plan.exact, query, plan.pattern, kept, bounds)
    first, rest = plan.exact.parted(FORWARD)
    if _read(plan, first, kept.take, kept, bounds):
        return True
    return not kept.enough() and scan(plan.shard, rest, query, plan.pattern, kept, bounds)


def _read(plan: TextPlan, ranges: Ranges, take: Callable[[Match], int], kept: Kept, bounds: Bounds) -> bool:
    """Find every match for ``take``, which says where to go on; whether the bounds ended it early."""
    shard, pattern, certain = plan.shard, plan.pattern, plan.needle
    content, pace = shard.content, Pace()
    find, rfind, literal, search = content.find, content.rfind, pattern.literal, pattern.search
    before, behind_it = pattern.before, pattern.behind
    assert search is not None  # what re2 cannot read has no range here
    if bounds.reached():
        return True
    number = behind = read = 0
    pace.begin()
    for begin, end in ranges.pieces(pace):
        if read >= pace.segment:
            if bounds.reached():
                return True
            pace.ended(read)
            pace.begin()
            read = 0
        read += end - begin
        at = max(begin, behind)
        while at < end:
            stop = end
            if kept.full:  # what follows is only counted, and not for long
                if kept.enough():
                    return False
                stop = find(b"\n", at + SMALLEST_SEGMENT, end) + 1 or end
            if literal is not None:
                start = last = find(literal, at, stop)
                if start >= 0 and ((before and start and _WORD[content[start - 1]]) or (behind_it and _WORD[content[start + len(literal)]])):
                    at = start + 1
                    continue
            elif certain:
                held = find(certain, at, stop)
                if held < 0:
                    at = stop
                    continue
                ends = find(b"\n", held, end)
                start, last = search(content, rfind(b"\n", begin, held) + 1 or begin, end if ends < 0 else ends)
                if start < 0:
                    at = end if ends < 0 else ends + 1
                    continue
            else:
                start, last = search(content, at, stop)
            if start < 0 or start >= stop:  # an empty match behind the last line is none
                at = stop
                continue
            line_start = rfind(b"\n", begin, start) + 1 or begin
            line_end = find(b"\n", max(start, last - 1), end)
            at = take((line_start, end if line_end < 0 else line_end, start, 0))
            number += 1
            if number % 64 == 0 and bounds.reached():
                return True
        behind = at
    return False


def _as_files_have_them(shard: Searchable, ranges: Ranges) -> Ranges:
    """The ranges, file by file, without the newline that the index puts behind a file that ends without: a match may hold one."""
    edges = np.array([*ranges.by_file(shard.file_start)], np.int64).reshape(-1, 2)
    behind = np.searchsorted(shard.file_start, edges[:, 1].astype(np.uint64), "left")  # the file that begins at the end of each, or lies around it
    at_end = shard.file_start[behind].astype(np.int64) == edges[:, 1]
    added = at_end & (shard.file_flags[np.maximum(behind.astype(np.int64) - 1, 0)] & ENDS_WITH_NEWLINE == 0)
    return Ranges(edges[:, 0], edges[:, 1] - added, ranges.cuts)


def _read_lines_together(plan: TextPlan, ranges: Ranges, take: Callable[[Match], int], kept: Kept, bounds: Bounds) -> bool:
    """The same for matches of several lines, file by file; those that meet on a line are one, as ripgrep has it."""
    content = plan.shard.content
    search = plan.pattern.search
    assert search is not None
    for begin, end in _as_files_have_them(plan.shard, ranges).by_file(plan.shard.file_start):
        held: Match | None = None
        text = content[begin:end]  # by itself: what follows in the next file is not to be seen
        at = begin
        while at < end:
            start, last = search(text, at - begin, end - begin)
            if start < 0 or start >= end - begin:
                break  # an empty match behind the last line is none
            start, last = start + begin, last + begin
            if bounds.reached():
                return True
            line_start = content.rfind(b"\n", begin, start) + 1 or begin
            line_end = content.find(b"\n", max(start, last - 1), end)
            line_end = end if line_end < 0 else line_end
            if held is not None and line_start <= held[1]:
                held = (held[0], max(held[1], line_end), held[2], 0)
            else:
                if held is not None:
                    take(held)
                    if kept.full and kept.enough():
                        return False
                held = (line_start, line_end, start, 0)
            at = max(last, start + 1)
        if held is not None:
            take(held)
        if bounds.reached():
            return True
        if kept.full and kept.enough():
            return False
    return False
