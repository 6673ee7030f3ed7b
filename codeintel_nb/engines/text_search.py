"""Text search over many shards: first hits, then a count.

Lines beyond the limit are counted in the first ``count_bytes`` of candidate text, in path order.
The count does not depend on timing, so one machine gives the same in every run. If more text is
left, the count is a lower bound, and the search looks for one more match in as many bytes again, at
least ``MIN_LOOK_BYTES``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from ..search.hit import path_order
from ..search.lazy_hits import FileKey, merge_matches
from ..search.query import MAX_HITS, Bounds, TextQuery
from ..search.results import Reason
from ..search.text.hits import ranked
from ..search.text.kind_ranges import with_kinds
from ..search.text.matches import MatchCollector
from ..search.text.plan import RG_START_S, TextPlan, plan_text
from ..search.text.reader import TextAnswer, read, search_text
from ..search.text.ripgrep import count_in_ranges, count_in_shards
from ..search.text.unindexed import UnindexedTarget, search_unindexed
from .engine import Answer, OpenShards, Target

MAX_RANKED = 5_000  # matches scored by a ranked text search, the first in path order
PARALLEL_BYTES = 8 << 20  # read with the GIL released, above which a second thread pays off
MIN_LOOK_BYTES = 16 << 20  # read to look for one more match, which takes some milliseconds
COUNTED_HERE = 1 << 20  # bytes up to which counting here is faster than starting rg
# lines counted here before rg takes over, which counts more lines faster
MAX_COUNTED_HERE = 30_000


Plans = Mapping[str, TextPlan | None]  # of shards; None if nothing can match


class Budget(NamedTuple):
    """Bytes of candidate text to count, and after these to look at for one more match."""

    count_bytes: int
    look_bytes: int
    # bytes left to count when a shard's turn comes, if other processes search some of the shards
    of_shards: Mapping[str, int] = MappingProxyType({})

    @classmethod
    def of(cls, count_bytes: int) -> Budget:
        """Return the budget of a whole search."""
        return cls(count_bytes, max(count_bytes, MIN_LOOK_BYTES))


class Size(NamedTuple):
    """First path of a shard, as a sort key, and its bytes of candidate text."""

    order: FileKey
    size: int


def left_for(sizes: Mapping[str, Size], count_bytes: int) -> tuple[dict[str, int], int]:
    """Return the bytes left to count for each shard, in path order, and for what follows."""
    left = dict[str, int]()
    for shard, (_, size) in sorted(sizes.items(), key=lambda item: item[1].order):
        left[shard] = max(0, count_bytes)
        count_bytes -= size
    return left, max(0, count_bytes)


class Rest(NamedTuple):
    """Part of a shard with lines to count."""

    plan: TextPlan
    counted: int = 0  # matching lines of the shard before it
    is_last: bool = True  # the part reaches the shard's end


class TextSearch:
    """State of a running text search.

    ``plans`` are those of an earlier call of ``sizes`` for the same query.
    """

    def __init__(
        self,
        engine: OpenShards,
        query: TextQuery,
        bounds: Bounds,
        budget: Budget,
        plans: Plans = MappingProxyType({}),
    ) -> None:
        self._engine, self._query, self._bounds = engine, query, bounds
        self._limit = max(query.limit, MAX_RANKED) if query.rank else query.limit
        self._bytes_left, self._look_bytes, self._of_shards = budget
        self.plans = plans
        self._answers: list[TextAnswer] = []
        self._found = 0  # hits in the answers
        # an answer was ended by the bounds; an answer has an uncounted match
        self._ended = self._more = False
        self._rests: list[Rest] = []
        self._unread: list[Callable[[], TextPlan | None]] = []  # plans beyond the counted bytes
        self._planned_s = 0.0

    def run(self, targets: Sequence[Target], unindexed: Sequence[UnindexedTarget]) -> Answer:
        began = time.perf_counter()
        self._search_shards(sorted(targets, key=self._first_path))
        files_read = 0
        self._bytes_left = max(0, self._bytes_left)
        for files in unindexed:
            searched = search_unindexed(
                files, self._query, self._limit, self._bounds, self._bytes_left, self._look_bytes
            )
            self._bytes_left = searched.bytes_left
            for answer in searched.answers:
                self._add(answer)
            files_read += searched.files_read
        matches = [answer.matches for answer in self._answers if answer.matches is not None]
        every = merge_matches(matches)
        total = sum(answer.total for answer in self._answers)
        if not self._ended:
            counted, ended = self._count()
            total += counted
            self._add(TextAnswer(None, 0, ended=ended))
        if not self._ended and not self._more:
            self._add(self._look_beyond())
        ended, more = self._ended, self._more
        unread = any(answer.unread for answer in self._answers)
        cut = any(answer.cut for answer in self._answers) or len(every) > self._query.limit
        if self._query.show != "counts":
            cut = cut or more or total > len(every)
        reason: Reason = (
            self._bounds.reason() if ended else "limit" if cut else "reading" if unread else ""
        )
        limit = self._query.limit
        most = len(every) if self._query.show == "counts" else MAX_RANKED
        hits = ranked(every, most, limit) if self._query.rank else every[:limit]
        planned_ms = self._planned_s * 1000
        timings = {"plan": planned_ms, "search": (time.perf_counter() - began) * 1000 - planned_ms}
        return Answer(
            hits,
            total,
            reason,
            timings,
            not more and not ended and not unread,
            files_read,
            more and not ended,
        )

    def _search_shards(self, waiting: list[Target]) -> None:
        wave_size = 1  # the first shard is often enough
        while waiting and not self._ended:
            if self._has_all(waiting[0]):
                self._leave(waiting)
                return
            wave, waiting = waiting[:wave_size], waiting[wave_size:]
            wave_size *= 2
            planned = [(one, plan) for one in wave if (plan := self._plan(one)) is not None]
            plans = [plan for _, plan in planned]
            ends = [self._count_end(*one) for one in planned]
            parallel = (
                sum(plan.bytes_to_read for plan in plans if plan.releases_gil) >= PARALLEL_BYTES
            )
            limit = self._limit - self._found if self._is_behind(wave[0]) else self._limit
            works = [
                partial(search_text, plan, self._query, limit, self._bounds, end)
                for plan, end in zip(plans, ends, strict=True)
            ]
            answers = self._engine.each(works, lambda work: work(), parallel)
            for plan, end, answer in zip(plans, ends, answers, strict=True):
                self._add(answer)
                if answer.rest is not None:
                    self._put_off(answer.rest, end, answer.total, plan.shard.size)

    def _add(self, answer: TextAnswer) -> None:
        self._answers.append(answer)
        self._found += answer.found
        self._ended = self._ended or answer.ended
        self._more = self._more or answer.more

    def _leave(self, targets: list[Target]) -> None:
        """Defer shards beyond the limit: their lines are only counted."""
        for target in targets:
            if self._left(target) <= 0 or self._ended:
                self._unread.append(partial(self._plan, target))
                continue
            plan = self._plan(target)
            if plan is None:
                continue
            end = self._count_end(target, plan)
            if self._query.by_line:
                self._put_off(plan, end, 0, plan.shard.size)
            else:
                self._add(search_text(plan, self._query, 0, self._bounds, end))

    def _put_off(self, plan: TextPlan, count_end: int, counted: int, size: int) -> None:
        """Defer a shard's rest, split where counting ends."""
        head, tail = plan.cut(count_end)
        if head.bytes_to_read:
            self._rests.append(Rest(head, counted, count_end >= size))
        if tail.bytes_to_read:
            self._unread.append(lambda: tail)

    def _count_end(self, target: Target, plan: TextPlan) -> int:
        """Return the offset at which counting ends; deduct the shard's text from the budget."""
        size, left = plan.bytes_to_read, self._left(target)
        self._bytes_left -= size
        return plan.shard.size if size <= left else plan.count_end(left)

    def _left(self, target: Target) -> int:
        """Return the bytes left to count when a shard's turn comes."""
        return self._of_shards.get(target.shard, self._bytes_left)

    def _count(self) -> tuple[int, bool]:
        """Return the deferred parts' count, and whether bounds ended it."""
        total, rests, ended = self._count_here()
        if ended or not rests:
            return total, ended
        query, bounds = self._query, self._bounds
        whole, parts = list[Rest](), list[Rest]()
        for rest in rests:
            (whole if _is_read_whole(rest) else parts).append(rest)
        if whole:
            folders = [
                rest.plan.shard.folder for rest in whole if rest.plan.shard.folder is not None
            ]
            counted, ended = count_in_shards(folders, query, whole[0].plan.pattern, bounds)
            total += max(0, counted - sum(rest.counted for rest in whole))
            if ended:
                return total, True
        if parts:
            ranges = [(rest.plan.shard, rest.plan.all_ranges) for rest in parts]
            size = sum(one.size for _, one in ranges)
            groups = [ranges[::2], ranges[1::2]] if size >= PARALLEL_BYTES else [ranges]
            pattern = parts[0].plan.pattern
            counts = self._engine.each(
                [group for group in groups if group],
                lambda group: count_in_ranges(group, query, pattern, bounds),
            )
            return total + sum(count for count, _ in counts), any(ended for _, ended in counts)
        return total, False

    def _count_here(self) -> tuple[int, list[Rest], bool]:
        """Count the deferred parts that are read faster here: of a literal, or small ones.

        Also return the others, for rg, and whether the bounds ended the count.
        """
        are_small = sum(rest.plan.bytes_to_read for rest in self._rests) < COUNTED_HERE
        are_fast = sum(rest.plan.read_s for rest in self._rests) < RG_START_S
        total, room, others = 0, MAX_COUNTED_HERE, list[Rest]()
        for rest in self._rests:
            plan = rest.plan
            must_read = are_small or plan.pattern.multiline
            is_fast = are_fast or (plan.pattern.literal is not None and not _is_read_whole(rest))
            if not must_read and (not is_fast or plan.scan_with_rg or room <= 0):
                others.append(rest)
                continue
            limit = MAX_HITS if must_read else room
            collector = MatchCollector(plan.shard, self._query, limit)
            ended = read(plan, self._query, collector, self._bounds)
            total += collector.total
            room -= collector.total
            if ended:
                return total, [], True
            if collector.full and must_read:
                self._add(TextAnswer(None, 0, unread=True))
            elif collector.full and (behind := plan.behind(collector.end)) is not None:
                others.append(Rest(behind, rest.counted + collector.total, rest.is_last))
        return total, others, False

    def _look_beyond(self) -> TextAnswer:
        """Look for one match in the text after the counted bytes."""
        for plan_of in self._unread:
            if self._look_bytes <= 0:
                return TextAnswer(None, 0, unread=True)
            plan = plan_of()
            if plan is None:
                continue
            head, tail = plan.cut(plan.count_end(self._look_bytes))
            self._look_bytes -= plan.bytes_to_read
            collector = MatchCollector(plan.shard, self._query, 1)
            if read(head, self._query, collector, self._bounds):
                return TextAnswer(None, 0, ended=True)
            if collector.matches:
                return TextAnswer(None, 0, more=True)
            if tail.bytes_to_read:
                return TextAnswer(None, 0, unread=True)
        return TextAnswer(None, 0)

    def sizes(self, targets: Sequence[Target]) -> dict[str, Size]:
        """Plan the search; return the candidate text of the shards, as far as the bounds allow."""
        plans, sizes = dict[str, TextPlan | None](), dict[str, Size]()
        for target in targets:
            if self._bounds.reached():
                break
            plans[target.shard] = plan = self._plan(target)
            size = plan.bytes_to_read if plan else 0
            sizes[target.shard] = Size(self._first_path(target), size)
        self.plans = plans
        return sizes

    def _plan(self, target: Target) -> TextPlan | None:
        if target.shard in self.plans:
            return self.plans[target.shard]
        began = time.perf_counter()
        shard, kinds = self._engine.shard_of(target), target.scope.kinds
        if kinds:  # a line's kind may differ from its chunk's
            mask = self._engine.mask(target._replace(scope=target.scope.merged(kinds=())))
            mask, narrowed = with_kinds(shard, mask, kinds)
            plan = plan_text(shard, target.repo, mask, self._query, narrowed)
        else:
            plan = plan_text(shard, target.repo, self._engine.mask(target), self._query)
        self._planned_s += time.perf_counter() - began
        return plan

    def _has_all(self, target: Target) -> bool:
        """Whether enough hits were found, all before a shard's files."""
        return (
            self._query.show != "counts" and self._found >= self._limit and self._is_behind(target)
        )

    def _is_behind(self, target: Target) -> bool:
        """Whether all files of a shard sort after the hits."""
        last = [
            answer.matches.file_key(answer.found - 1)
            for answer in self._answers
            if answer.matches is not None
        ]
        return not last or self._first_path(target) > max(last)

    def _first_path(self, target: Target) -> tuple[str, list[str]]:
        """Return the sort key of a shard's first path."""
        paths = self._engine.shard_of(target).paths
        return path_order(target.repo, paths[0] if paths else "")


def _is_read_whole(rest: Rest) -> bool:
    """Whether rg counts a whole shard faster than candidate text."""
    plan = rest.plan
    return (
        plan.is_whole
        and rest.is_last
        and plan.shard.folder is not None
        and 3 * plan.bytes_to_read > plan.shard.size
    )
