"""Text search in one shard: what may match by the postings, read by re2, or by ripgrep where it reads otherwise or is faster."""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from ..index.postings import Blocks
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
from .trigrams import NOTHING, Need, blocks_that_may, files_that_may, is_word, may_match, needle, needs

FORWARD = 1 << 20  # bytes that are read here, in order, before rg is asked: a common pattern is through by then
MOST_FORWARD = 1000  # hits asked for, for that to be likely
LITERAL, PATTERN, BY_RG = 1.2e9, 0.8e9, 8e9  # bytes a second: found as they are, read by re2, and by rg
RANGE_S = 2e-6  # beside them, for each range
RG_START_S = 0.004
SIFTED = 8 << 20  # bytes that are looked through for a pattern's trigrams, to spare rg's start
NEEDLE = 4  # the share of a shard, one in so many, below which lines with a certain text are rare enough to be judged one by one
_WORD = bytes(is_word(chr(code)) for code in range(256))

Finder = Callable[[int, int], tuple[int, int]]  # first match within two offsets: where it begins and ends, or -1


class TextPlan(NamedTuple):
    """Where in a shard a query is to look."""

    shard: Searchable
    repo: str
    pattern: Pattern
    exact: Ranges  # for re2
    foreign: Ranges | None  # what re2 would read otherwise than ripgrep
    need: Need
    needle: bytes  # that a line must hold, where looking for it first is worth it
    bytes_to_read: int
    is_much: bool  # rg is through with all of the content sooner than what may match is read here

    @classmethod
    def of(cls, shard: Searchable, repo: str, pattern: Pattern, exact: Ranges, foreign: Ranges | None, need: Need = NOTHING, needle: bytes = b"") -> TextPlan:
        size = exact.size + (0 if foreign is None else foreign.size)
        needle = needle if NEEDLE * size < shard.size else b""
        is_much = False
        if size >= 4 * FORWARD and shard.folder is not None and not pattern.multiline:
            here_s = size / (PATTERN if pattern.literal is None and not needle else LITERAL) + len(exact.begins) * RANGE_S
            is_much = here_s > RG_START_S + shard.size / BY_RG
        return cls(shard, repo, pattern, exact, foreign, need, needle, size, is_much)

    def only(self, exact: Ranges, foreign: Ranges | None) -> TextPlan:
        """To look at a part of it."""
        return TextPlan.of(self.shard, self.repo, self.pattern, exact, foreign, self.need, self.needle)

    def parted(self, size: int) -> tuple[TextPlan, TextPlan | None]:
        """The first ``size`` bytes to read, about, and what follows them."""
        _, rest = (self.exact if self.foreign is None else self.foreign.and_also(self.exact)).parted(size)
        if not len(rest.begins):
            return self, None
        (head, tail), (other_head, other_tail) = ((None, None) if ranges is None else ranges.cut(int(rest.begins[0])) for ranges in (self.exact, self.foreign))
        assert head is not None
        assert tail is not None
        return self.only(head, other_head), self.only(tail, other_tail)

    def parts(self, kept: Kept) -> Iterator[TextPlan]:
        """The plan; in growing parts where a few hits are wanted, which are often in the first, and finding them may need rg."""
        size, rest = FORWARD, self if self.foreign is not None and not self.pattern.multiline and kept.limit <= MOST_FORWARD else None
        if rest is None:
            yield self
        while rest is not None:
            part, rest = rest.parted(size)
            yield part
            size *= 4


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
    certain = pattern.literal or (needle(query.pattern, pattern.insensitive) if query.regex else b"")
    certain = b"" if pattern.multiline or len(certain) < 3 else certain
    if pattern.unicode and not shard.is_ascii:
        plain = shard.ascii_chunks if not pattern.multiline else (shard.file_flags & IS_ASCII).astype(bool)[shard.chunk_file]  # a match may span chunks
        exact, foreign = _by_reader(shard, plain, chunks, blocks)
    else:
        exact, foreign = ranges_of(shard, chunks, blocks), None
    plan = TextPlan.of(shard, repo, pattern, exact, foreign, need, certain)
    return plan if plan.bytes_to_read else None


def _by_reader(shard: Searchable, plain: Chunks, chunks: Chunks | None, blocks: Blocks | None) -> tuple[Ranges, Ranges]:
    """Where re2 is to look and where rg is: in the plain chunks, and in the others."""
    if chunks is not None or blocks is None:
        return ranges_of(shard, plain if chunks is None else chunks & plain, blocks), ranges_of(shard, ~plain if chunks is None else chunks & ~plain, blocks)
    mixed = shard.mixed_blocks[blocks]  # few, and only there need chunks be told apart
    return ranges_of(shard, None, blocks[~mixed]).and_also(ranges_of(shard, plain, blocks[mixed])), ranges_of(shard, ~plain, blocks[mixed])


def _sifted(plan: TextPlan) -> TextPlan:
    """The plan with those lines alone for rg that may match and hold more than ASCII: re2 reads the others around them."""
    foreign, certain = plan.foreign, plan.needle
    if plan.pattern.re2 is None or foreign is None or foreign.size >= SIFTED:
        return plan

    def may(text: bytes) -> bool:
        return certain in text and may_match(plan.need, text)

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
    return plan.only(exact, Ranges.of(held, foreign.cuts) if held else None)


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
    """Read what may match; whether the bounds ended it early."""
    for part in plan.parts(kept):
        if _part_here(_sifted(part), query, kept, bounds):
            return True
        if kept.full and kept.enough():
            return False
    return False


def _part_here(plan: TextPlan, query: TextQuery, kept: Kept, bounds: Bounds) -> bool:
    """Read what may match, and have rg read what re2 would read otherwise; whether the bounds ended it early."""
    if plan.foreign is None:
        return (_read_lines_together if plan.pattern.multiline else _read)(plan, plan.exact, kept.take, kept, bounds)
    most = max(1, kept.limit - len(kept.found)) if kept.by_line else MOST_HITS
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
    rest: TextPlan | None = plan
    if kept.limit <= MOST_FORWARD:
        first, rest = plan.parted(FORWARD)
        if _part_here(_sifted(first), query, kept, bounds):
            return True
    if rest is None or (kept.full and kept.enough()):
        return False
    return scan(plan.shard, rest.exact if rest.foreign is None else rest.exact.and_also(rest.foreign), query, plan.pattern, kept, bounds)


def _read(plan: TextPlan, ranges: Ranges, take: Callable[[Match], int], kept: Kept, bounds: Bounds) -> bool:
    """Find every match for ``take``, which says where to go on; whether the bounds ended it early."""
    content, first_in, pace = plan.shard.content, _finder(plan), Pace()
    at_once = kept.by_line and kept.limit > MOST_FORWARD and take == kept.take
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
        if at_once:
            if not kept.take_all(_lines_in(content, first_in, begin, end)):
                return False
            continue
        at = max(begin, behind)
        while at < end:
            stop = end
            if kept.full:  # what follows is only counted, and not for long
                if kept.enough():
                    return False
                stop = content.find(b"\n", at + SMALLEST_SEGMENT, end) + 1 or end
            start, last = first_in(at, stop)
            if start < 0:
                at = stop
                continue
            at = take(_line_of(content, begin, start, last, end))
            number += 1
            if number % 64 == 0 and bounds.reached():
                return True
        behind = at
    return False


def _lines_in(content: mmap.mmap | bytes, first_in: Finder, begin: int, end: int) -> list[Match]:
    """Every line of a piece that matches."""
    matches = list[Match]()
    at = begin
    while at < end:
        start, last = first_in(at, end)
        if start < 0:
            break
        matches.append(_line_of(content, begin, start, last, end))
        at = matches[-1][1] + 1
    return matches


def _line_of(content: mmap.mmap | bytes, begin: int, start: int, last: int, end: int) -> Match:
    """The lines, within two offsets, of a match from ``start`` up to ``last``."""
    line_end = content.find(b"\n", max(start, last - 1), end)
    return content.rfind(b"\n", begin, start) + 1 or begin, end if line_end < 0 else line_end, start, 0


def _finder(plan: TextPlan) -> Finder:
    """Where the first match begins and ends in a part of the content, of whole lines; -1 where none is."""
    content, certain, search = plan.shard.content, plan.needle, plan.pattern.search
    literal, (before, behind) = plan.pattern.literal, plan.pattern.alone
    find, rfind = content.find, content.rfind
    assert search is not None  # what re2 cannot read has no range here

    def text_in(begin: int, end: int) -> tuple[int, int]:
        assert literal is not None
        start = find(literal, begin, end)
        while start >= 0 and ((before and start and _WORD[content[start - 1]]) or (behind and _WORD[content[start + len(literal)]])):
            start = find(literal, start + 1, end)
        return start, start

    def pattern_in(begin: int, end: int) -> tuple[int, int]:
        start, last = search(content, begin, end)
        return (start, last) if start < end else (-1, -1)  # an empty match behind the last line is none

    def line_by_line(begin: int, end: int) -> tuple[int, int]:
        held = find(certain, begin, end)
        while held >= 0:
            line_end = find(b"\n", held, end)
            line_end = end if line_end < 0 else line_end
            start, last = search(content, rfind(b"\n", begin, held) + 1 or begin, line_end)
            if start >= 0:
                return start, last
            held = find(certain, line_end, end)
        return -1, -1

    return text_in if literal is not None else line_by_line if certain else pattern_in


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
