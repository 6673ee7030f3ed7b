"""Text search in one shard: a text is found as it is, the rest read by re2, or by ripgrep where it reads otherwise or is faster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from stringzilla import Str

from ..index.shard import ENDS_WITH_NEWLINE
from .hit import Hit
from .lines import hits_of
from .literals import is_word
from .matches import Counting, Kept, Match
from .query import MOST_HITS, Bounds, TextQuery
from .ranges import SMALLEST_SEGMENT, Pace, Ranges
from .ripgrep import Streamed, scan, stream
from .searchable import Searchable
from .text_plan import MOST_FORWARD, TextPlan

_WORD = bytes(is_word(chr(code)) for code in range(256))

Finder = Callable[[int, int], tuple[int, int]]  # first match within two offsets: where it begins and ends, or -1


class TextAnswer(NamedTuple):
    """A shard's first matches, in path and line order."""

    hits: list[Hit]
    truncated: bool
    total: int
    exact: bool  # of the total


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
        if _part_here(part.sifted(), query, kept, bounds):
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
        first, rest = plan.first()
        if _part_here(first.sifted(), query, kept, bounds):
            return True
    if rest is None:
        return False
    if kept.full:  # rg is not started to count
        kept.leave()
        return False
    return scan(plan.shard, rest.exact if rest.foreign is None else rest.exact.and_also(rest.foreign), query, plan.pattern, kept, bounds)


def _read(plan: TextPlan, ranges: Ranges, take: Callable[[Match], int], kept: Kept, bounds: Bounds) -> bool:
    """Find every match for ``take``, which says where to go on; whether the bounds ended it early."""
    view, first_in, pace = plan.shard.view, _finder(plan), Pace()
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
            if not kept.take_all(_lines_in(view, first_in, begin, end)):
                return False
            continue
        at = max(begin, behind)
        while at < end:
            stop = end
            if kept.full:  # what follows is only counted, and not for long
                if kept.enough():
                    return False
                stop = view.find(b"\n", at + SMALLEST_SEGMENT, end) + 1 or end
            start, last = first_in(at, stop)
            if start < 0:
                at = stop
                continue
            at = take(_line_of(view, begin, start, last, end))
            number += 1
            if number % 64 == 0 and bounds.reached():
                return True
        behind = at
    return False


def _lines_in(view: Str, first_in: Finder, begin: int, end: int) -> list[Match]:
    """Every line of a piece that matches."""
    matches = list[Match]()
    at = begin
    while at < end:
        start, last = first_in(at, end)
        if start < 0:
            break
        matches.append(_line_of(view, begin, start, last, end))
        at = matches[-1][1] + 1
    return matches


def _line_of(view: Str, begin: int, start: int, last: int, end: int) -> Match:
    """The lines, within two offsets, of a match from ``start`` up to ``last``."""
    line_end = view.find(b"\n", max(start, last - 1), end)
    return view.rfind(b"\n", begin, start) + 1 or begin, end if line_end < 0 else line_end, start, 0


def _finder(plan: TextPlan) -> Finder:
    """Where the first match begins and ends in a part of the content, of whole lines; -1 where none is."""
    content, certain, search = plan.shard.content, plan.needle, plan.pattern.search
    characters = memoryview(content).cast("B")
    literal, (before, behind) = plan.pattern.literal, plan.pattern.alone
    find, rfind = plan.shard.view.find, plan.shard.view.rfind
    assert search is not None  # what re2 cannot read has no range here

    def text_in(begin: int, end: int) -> tuple[int, int]:
        assert literal is not None
        start = find(literal, begin, end)
        while start >= 0 and ((before and start and _WORD[characters[start - 1]]) or (behind and _WORD[characters[start + len(literal)]])):
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
    content, view = plan.shard.content, plan.shard.view
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
            line_start = view.rfind(b"\n", begin, start) + 1 or begin
            line_end = view.find(b"\n", max(start, last - 1), end)
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
