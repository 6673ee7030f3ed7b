"""Text search in one shard.

A literal is searched directly, a pattern by re2, or by ripgrep if re2 would differ or be slower.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from stringzilla import Str

from ...index.shard.text_flags import ENDS_WITH_NEWLINE
from ..lazy_hits import FileMatches
from ..query import MAX_HITS, Bounds, TextQuery
from .hits import TextMatches
from .literals import is_word
from .matches import Match, MatchCollector
from .plan import MAX_FORWARD, TextPlan
from .ranges import Pace, Ranges
from .ripgrep import Streamed, scan, stream
from .searchable import Searchable

_WORD = bytes(is_word(chr(code)) for code in range(256))
_LOWER = bytes(range(256)).lower()

# start and end of the first match within two offsets, or -1
Finder = Callable[[int, int], tuple[int, int]]


class TextAnswer(NamedTuple):
    """The first matches of a shard, in path and line order."""

    matches: FileMatches | None
    total: int  # matches read
    rest: TextPlan | None = None  # the unread part after the last hit
    more: bool = False  # an uncounted match follows
    cut: bool = False  # more files match than are returned
    ended: bool = False  # the bounds ended the search
    unread: bool = False  # text beyond the reading budget is left, or matches beyond MAX_HITS

    @property
    def found(self) -> int:
        """Return the number of matches."""
        return 0 if self.matches is None else len(self.matches)


def search_text(
    plan: TextPlan, query: TextQuery, limit: int, bounds: Bounds, count_end: int | None = None
) -> TextAnswer:
    """Return the first ``limit`` matching lines.

    A file search counts further files up to the offset ``count_end``; a line search leaves further
    lines in ``rest``.
    """
    collector = MatchCollector(plan.shard, query, limit, count_end)
    ended = read(plan, query, collector, bounds) or bounds.reached()
    counts = (
        [float(collector.counts[match[0]]) for match in collector.matches]
        if query.show == "counts"
        else None
    )
    rest = (
        plan.behind(collector.end)
        if collector.by_line and collector.stopped and not ended
        else None
    )
    matches = (
        TextMatches(plan.shard, plan.repo, collector.matches, query, counts)
        if collector.matches
        else None  # without matches, do not keep the text in memory
    )
    return TextAnswer(
        matches,
        collector.total,
        rest,
        collector.more and not collector.by_line,
        len(collector.counts) > limit,
        ended,
        collector.is_cut,
    )


def read(plan: TextPlan, query: TextQuery, collector: MatchCollector, bounds: Bounds) -> bool:
    """Collect matches; return whether the bounds ended it early."""
    return (
        _all_by_rg(plan, query, collector, bounds)
        if plan.scan_with_rg
        else _here(plan, query, collector, bounds)
    )


def _here(plan: TextPlan, query: TextQuery, collector: MatchCollector, bounds: Bounds) -> bool:
    """Search part by part; return whether the bounds ended it."""
    for part in plan.parts(collector):
        if _part_here(part.prefiltered(), query, collector, bounds):
            return True
        if collector.stopped:
            return False
    return False


def _part_here(plan: TextPlan, query: TextQuery, collector: MatchCollector, bounds: Bounds) -> bool:
    """Search by re2 and rg; return whether bounds ended it."""
    read_exact = _read_lines_together if plan.pattern.multiline else _read
    if plan.rg_ranges is None:
        return read_exact(plan, plan.re2_ranges, collector.take, collector, bounds)
    limit = max(1, collector.limit - len(collector.matches)) if collector.by_line else MAX_HITS
    # no match may span files: for a multiline pattern each file is streamed to an rg of its own
    parts = (
        _as_files_have_them(plan.shard, plan.rg_ranges).each_file(plan.shard.file_start)
        if plan.pattern.multiline
        else [plan.rg_ranges]
    )
    by_rg = Streamed([], False, False)
    for part in parts:
        if by_rg.ended or by_rg.more or bounds.reached():
            by_rg = by_rg._replace(ended=not by_rg.more)
            break
        streamed = stream(plan.shard, part, query, plan.pattern, bounds, limit - len(by_rg.matches))
        by_rg = Streamed([*by_rg.matches, *streamed.matches], streamed.ended, streamed.more)
    collector.is_cut = collector.is_cut or (by_rg.more and not collector.by_line)
    waiting = deque(by_rg.matches)

    def take(match: Match) -> int:
        while waiting and waiting[0] < match:
            collector.take(waiting.popleft())
        return collector.take(match)

    ended = plan.pattern.re2 is not None and read_exact(
        plan, plan.re2_ranges, take, collector, bounds
    )
    for match in waiting:
        collector.take(match)
    return ended or by_rg.ended


def _all_by_rg(plan: TextPlan, query: TextQuery, collector: MatchCollector, bounds: Bounds) -> bool:
    """Search the first part here, then the rest with rg.

    Return whether the bounds ended it early.
    """
    rest: TextPlan | None = plan
    if collector.limit <= MAX_FORWARD:
        first, rest = plan.first()
        if _part_here(first.prefiltered(), query, collector, bounds):
            return True
    if rest is None or collector.stopped:
        return False
    return scan(plan.shard, rest.all_ranges, query, plan.pattern, collector, bounds)


def _read(
    plan: TextPlan,
    ranges: Ranges,
    take: Callable[[Match], int],
    collector: MatchCollector,
    bounds: Bounds,
) -> bool:
    """Pass every match to ``take``, continuing at the offset it returns.

    Return whether the bounds ended it early.
    """
    view, first_in, pace = plan.shard.view, _finder(plan), Pace()
    literal = plan.pattern.literal
    at_once = collector.by_line and collector.limit > MAX_FORWARD and take == collector.take
    if bounds.reached():
        return True
    number = behind = size = 0
    pace.begin()
    for begin, end in ranges.pieces(pace):
        if size >= pace.segment:
            if bounds.reached():
                return True
            pace.ended(size)
            pace.begin()
            size = 0
        size += end - begin
        if at_once:
            if literal is not None and not any(plan.pattern.alone):
                lines: list[Match] | None = _lines_with(view, literal, begin, end)
            else:
                lines = _lines_with_any(plan, begin, end)
            if lines is None:
                lines = _lines_in(view, first_in, begin, end)
            if not collector.take_all(lines):
                return False
            continue
        at = max(begin, behind)
        while at < end:
            start, last = first_in(at, end)
            if start < 0:
                break
            at = take(_line_of(view, begin, start, last, end))
            if collector.stopped:
                return False
            number += 1
            if number % 64 == 0 and bounds.reached():
                return True
        behind = at
    return False


def _lines_with(view: Str, literal: bytes, begin: int, end: int) -> list[Match]:
    """Return the lines with a literal in a range, without a Python function per line."""
    find, rfind, matches = view.find, view.rfind, list[Match]()
    keep = matches.append
    at = find(literal, begin, end)
    while at >= 0:
        line_end = find(b"\n", at, end)
        if line_end < 0:
            line_end = end
        keep((rfind(b"\n", begin, at) + 1 or begin, line_end, at, 0))
        at = find(literal, line_end, end)
    return matches


def _lines_with_any(plan: TextPlan, begin: int, end: int) -> list[Match] | None:
    """Return the lines of a range with any of the literals that a pattern is a choice of.

    None for any other pattern, or if non-ASCII letters may match when case is ignored.
    """
    literals, insensitive, has_folds = plan.pattern.choices
    matches, text, offset = list[Match](), plan.shard.view, 0
    if not literals:
        return None
    if insensitive:
        part = bytes(memoryview(plan.shard.content)[begin:end])
        if has_folds and not part.isascii():
            return None
        text, offset = Str(part.translate(_LOWER)), begin
        begin, end = 0, end - begin
    find, rfind = text.find, text.rfind
    places = [find(one, begin, end) for one in literals]
    while (at := min((place for place in places if place >= 0), default=-1)) >= 0:
        line_end = find(b"\n", at, end)
        if line_end < 0:
            line_end = end
        line = rfind(b"\n", begin, at) + 1 or begin
        matches.append((line + offset, line_end + offset, at + offset, 0))
        places = [
            find(one, line_end, end) if 0 <= place < line_end else place
            for one, place in zip(literals, places, strict=True)
        ]
    return matches


def _lines_in(view: Str, first_in: Finder, begin: int, end: int) -> list[Match]:
    """Return every matching line of a piece."""
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
    """Return the lines of ``start`` to ``last``, within two offsets."""
    line_end = view.find(b"\n", max(start, last - 1), end)
    return view.rfind(b"\n", begin, start) + 1 or begin, end if line_end < 0 else line_end, start, 0


def _finder(plan: TextPlan) -> Finder:
    """Return a finder of the first match in whole lines."""
    content, certain, search = plan.shard.content, plan.required, plan.pattern.search
    characters = memoryview(content).cast("B")
    literal, (before, behind) = plan.pattern.literal, plan.pattern.alone
    find, rfind = plan.shard.view.find, plan.shard.view.rfind
    assert search is not None  # a pattern rejected by re2 has no ranges here

    def text_in(begin: int, end: int) -> tuple[int, int]:
        assert literal is not None
        start = find(literal, begin, end)
        while start >= 0 and (
            (before and start and _WORD[characters[start - 1]])
            or (behind and _WORD[characters[start + len(literal)]])
        ):
            start = find(literal, start + 1, end)
        return start, start

    def pattern_in(begin: int, end: int) -> tuple[int, int]:
        start, last = search(content, begin, end)
        # an empty match after the last line does not count
        return (start, last) if start < end else (-1, -1)

    def line_by_line(begin: int, end: int) -> tuple[int, int]:
        at = find(certain, begin, end)
        while at >= 0:
            line_end = find(b"\n", at, end)
            line_end = end if line_end < 0 else line_end
            start, last = search(content, rfind(b"\n", begin, at) + 1 or begin, line_end)
            if start >= 0:
                return start, last
            at = find(certain, line_end, end)
        return -1, -1

    return text_in if literal is not None else line_by_line if certain else pattern_in


def _as_files_have_them(shard: Searchable, ranges: Ranges) -> Ranges:
    """Return the ranges by file, without newlines the index added.

    A match could include one.
    """
    edges = np.array([*ranges.by_file(shard.file_start)], np.int64).reshape(-1, 2)
    # the first file from the end of each range on
    behind = np.searchsorted(shard.file_start, edges[:, 1].astype(np.uint64), "left")
    at_end = shard.file_start[behind].astype(np.int64) == edges[:, 1]
    added = at_end & (
        shard.file_flags[np.maximum(behind.astype(np.int64) - 1, 0)] & ENDS_WITH_NEWLINE == 0
    )
    return Ranges(edges[:, 0], edges[:, 1] - added, ranges.cuts)


def _read_lines_together(
    plan: TextPlan,
    ranges: Ranges,
    take: Callable[[Match], int],
    collector: MatchCollector,
    bounds: Bounds,
) -> bool:
    """Find multiline matches; like ripgrep, merge those sharing a line."""
    content, view = plan.shard.content, plan.shard.view
    search = plan.pattern.search
    assert search is not None
    for begin, end in _as_files_have_them(plan.shard, ranges).by_file(plan.shard.file_start):
        pending: Match | None = None
        text = content[begin:end]  # a copy: the search must not see the next file
        at = begin
        while at < end:
            start, last = search(text, at - begin, end - begin)
            if start < 0 or start >= end - begin:
                break  # an empty match after the last line does not count
            start, last = start + begin, last + begin
            if bounds.reached():
                return True
            line_start = view.rfind(b"\n", begin, start) + 1 or begin
            line_end = view.find(b"\n", max(start, last - 1), end)
            line_end = end if line_end < 0 else line_end
            if pending is not None and line_start <= pending[1]:
                pending = (pending[0], max(pending[1], line_end), pending[2], 0)
            else:
                if pending is not None:
                    take(pending)
                    if collector.stopped:
                        return False
                pending = (line_start, line_end, start, 0)
            at = max(last, start + 1)
        if pending is not None:
            take(pending)
        if bounds.reached():
            return True
        if collector.stopped:
            return False
    return False
