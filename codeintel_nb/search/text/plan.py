"""Plan of a text search: candidate ranges and their readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ...index.shard.postings import Blocks
from ...index.shard.text_flags import IS_ASCII, LONG_BYTES, is_plain
from ..mask import ScopeMask
from ..query import TextQuery
from .class_runs import blocks_with_runs
from .matches import MatchCollector
from .pattern import Pattern, compile_pattern
from .ranges import NOWHERE, Chunks, Ranges, ranges_of
from .searchable import Searchable
from .trigrams import (
    NOTHING,
    TrigramQuery,
    candidate_blocks,
    candidate_files,
    may_match,
)

# bytes read here, in order, before starting rg: enough for a common pattern
FORWARD = 1 << 20
MAX_FORWARD = 1000  # maximum requested hits that these bytes likely contain
# bytes a second: of a literal search, of re2, of rg
LITERAL, PATTERN, BY_RG = 4e9, 0.8e9, 8e9
RANGE_S, JUDGED_S = (
    2e-6,
    2e-6,
)  # additional time for each range; for each line with a required literal
RG_START_S = 0.004
# number of samples, and bytes of each, to estimate the frequency of a required literal
SAMPLES, SAMPLED = 64, 8192
SIFTED = 8 << 20  # maximum bytes searched for a pattern's trigrams, to avoid starting rg


class TextPlan(NamedTuple):
    """Ranges of a shard to search for a query, by reader."""

    shard: Searchable
    repo: str
    pattern: Pattern
    re2_ranges: Ranges  # for re2
    rg_ranges: Ranges | None  # for rg: re2 would match differently
    need: TrigramQuery
    required: bytes  # text required in a line, if searching for it first pays off
    scan_with_rg: bool  # rg scans the whole content faster than the candidates are read here
    is_whole: bool = False  # the whole shard is in scope: skipped text cannot match
    speed: float = PATTERN  # bytes a second, read here

    @classmethod
    def of(
        cls,
        shard: Searchable,
        repo: str,
        pattern: Pattern,
        re2_ranges: Ranges,
        rg_ranges: Ranges | None,
        need: TrigramQuery = NOTHING,
        required: bytes = b"",
    ) -> TextPlan:
        """Plan a search of all ranges.

        Chooses the reader (re2 or ripgrep) once, for every part.
        """
        size = re2_ranges.size + (0 if rg_ranges is None else rg_ranges.size)
        read_s = size / (PATTERN if pattern.literal is None else LITERAL)
        if required and pattern.literal is None:
            judged_s = size / LITERAL + JUDGED_S * (
                re2_ranges.occurrences(shard.view, required, SAMPLES, SAMPLED)
                if size >= FORWARD
                else 0.0
            )
            required, read_s = (required, judged_s) if judged_s < read_s else (b"", read_s)
        scan_with_rg = False
        if size >= 4 * FORWARD and shard.folder is not None and not pattern.multiline:
            scan_with_rg = (
                read_s + RANGE_S * len(re2_ranges.begins) > RG_START_S + shard.size / BY_RG
            )
        speed = size / read_s if read_s else PATTERN
        return cls(
            shard, repo, pattern, re2_ranges, rg_ranges, need, required, scan_with_rg, speed=speed
        )

    @property
    def bytes_to_read(self) -> int:
        return self.re2_ranges.size + (0 if self.rg_ranges is None else self.rg_ranges.size)

    @property
    def read_s(self) -> float:
        """Return the estimated time to read the plan here, apart from its matches."""
        return self.bytes_to_read / self.speed + RANGE_S * len(self.re2_ranges.begins)

    @property
    def all_ranges(self) -> Ranges:
        """Return the ranges for both readers."""
        return self.re2_ranges if self.rg_ranges is None else self.rg_ranges.union(self.re2_ranges)

    @property
    def releases_gil(self) -> bool:
        """Whether the reader releases the GIL."""
        return self.scan_with_rg or (self.pattern.literal is None and not self.required)

    def only(self, re2_ranges: Ranges, rg_ranges: Ranges | None) -> TextPlan:
        """Return the plan for a part of its ranges."""
        return self._replace(re2_ranges=re2_ranges, rg_ranges=rg_ranges)

    def split_by_file(self, size: int) -> tuple[TextPlan, TextPlan | None]:
        """Split off about the first ``size`` bytes to read."""
        end = self.end_of(size)
        return (self, None) if end is None else self.cut(end)

    def end_of(self, size: int) -> int | None:
        """Return the offset after about ``size`` bytes; None for all."""
        _, rest = self.all_ranges.split_by_file(size)
        return int(rest.begins[0]) if len(rest.begins) else None

    def count_end(self, size: int) -> int:
        """Return the end offset for counting matches within ``size`` bytes.

        For a multiline pattern the last file is counted whole.
        """
        end = self.end_of(max(0, size)) if self.bytes_to_read > size else None
        if end is None:
            return self.shard.size
        if self.pattern.multiline:
            return int(
                self.shard.file_start[np.searchsorted(self.shard.file_start, np.uint64(end))]
            )
        return end

    def cut(self, offset: int) -> tuple[TextPlan, TextPlan]:
        """Split the plan at an offset."""
        head, tail = self.re2_ranges.cut(offset)
        other_head, other_tail = (
            (None, None) if self.rg_ranges is None else self.rg_ranges.cut(offset)
        )
        return self.only(head, other_head), self.only(tail, other_tail)

    def behind(self, offset: int) -> TextPlan | None:
        """Return the plan after an offset; None if nothing remains."""
        _, rest = self.cut(offset)
        return rest if rest.bytes_to_read else None

    def first(self) -> tuple[TextPlan, TextPlan | None]:
        """Split off the part to read before starting rg."""
        return self.split_by_file(FORWARD)

    def parts(self, collector: MatchCollector) -> Iterator[TextPlan]:
        """Yield the plan, in growing parts for few hits.

        Only a plan that may need rg has parts: the first often contains enough hits.
        """
        size, rest = (
            FORWARD,
            self
            if self.rg_ranges is not None
            and not self.pattern.multiline
            and collector.limit <= MAX_FORWARD
            else None,
        )
        if rest is None:
            yield self
        while rest is not None:
            part, rest = rest.split_by_file(size)
            yield part
            size *= 4

    def prefiltered(self) -> TextPlan:
        """Return the plan leaving rg only non-ASCII candidate lines.

        re2 reads the other lines around them.
        """
        rg_ranges, certain = self.rg_ranges, self.required
        if self.pattern.re2 is None or rg_ranges is None or rg_ranges.size >= SIFTED:
            return self

        def may(text: bytes) -> bool:
            return certain in text and may_match(self.need, text)

        content = self.shard.content
        plain, for_rg = list[tuple[int, int]](), list[tuple[int, int]]()
        for begin, end in zip(rg_ranges.begins.tolist(), rg_ranges.ends.tolist(), strict=True):
            text = content[begin:end]
            if not may(text):
                continue
            if self.pattern.multiline:
                for_rg.append((begin, end))
                continue
            at = begin
            for line in (part + b"\n" for part in text.split(b"\n")):
                behind = min(at + len(line), end)
                if at < behind and len(line) <= LONG_BYTES and is_plain(line):
                    plain.append((at, behind))
                elif at < behind and may(line):
                    for_rg.append((at, behind))
                at = behind
        re2_ranges = (
            self.re2_ranges.union(Ranges.of(plain, self.re2_ranges.cuts))
            if plain
            else self.re2_ranges
        )
        return self.only(re2_ranges, Ranges.of(for_rg, rg_ranges.cuts) if for_rg else None)


def plan_text(
    shard: Searchable,
    repo: str,
    mask: ScopeMask,
    query: TextQuery,
    narrowed: Callable[[Ranges], Ranges] = lambda ranges: ranges,
) -> TextPlan | None:
    """Plan a search in scope; None if nothing can match.

    ``narrowed`` leaves the lines in scope, if not whole chunks are.
    """
    pattern = compile_pattern(query)
    chunks, blocks = mask.chunks, None
    need = pattern.trigrams
    if shard.postings is not None:
        if pattern.multiline:  # its trigrams may be in several blocks of a file
            files = candidate_files(need, shard.postings, shard.file_start)
            if files is not None:
                may = np.repeat(files, np.diff(shard.file_chunk))
                chunks = may if chunks is None else chunks & may
        else:
            blocks = candidate_blocks(need, shard.postings)
            blocks = blocks_with_runs(pattern.class_runs, shard.postings, blocks)
            # only rg can judge a pattern rejected by re2
            if blocks is not None and not len(blocks) and pattern.re2 is not None:
                return None
    if pattern.re2 is None:
        plan = TextPlan.of(
            shard, repo, pattern, NOWHERE, narrowed(ranges_of(shard, chunks, blocks))
        )._replace(is_whole=mask.chunks is None)
        return plan if plan.bytes_to_read or not pattern.multiline else None
    certain = pattern.literal or pattern.required
    certain = b"" if pattern.multiline or len(certain) < 3 else certain
    plain: Chunks | None = None  # chunks for re2; None for all
    if pattern.unicode and not shard.is_ascii:
        # a multiline match may span chunks
        plain = (
            shard.ascii_chunks
            if not pattern.multiline
            else (shard.file_flags & IS_ASCII).astype(bool)[shard.chunk_file]
        )
    elif query.regex and pattern.literal is None and shard.ill_formed_chunks.any():
        plain = ~shard.ill_formed_chunks
    if pattern.literal is None and (long := shard.long_chunks(pattern.multiline)) is not None:
        plain = ~long if plain is None else plain & ~long
    re2_ranges, rg_ranges = (
        (ranges_of(shard, chunks, blocks), None)
        if plain is None
        else _by_reader(shard, plain, chunks, blocks)
    )
    re2_ranges = narrowed(re2_ranges)
    rg_ranges = None if rg_ranges is None else narrowed(rg_ranges)
    plan = TextPlan.of(shard, repo, pattern, re2_ranges, rg_ranges, need, certain)._replace(
        is_whole=mask.chunks is None
    )
    return plan if plan.bytes_to_read else None


def _by_reader(
    shard: Searchable, plain: Chunks, chunks: Chunks | None, blocks: Blocks | None
) -> tuple[Ranges, Ranges]:
    """Return ranges for re2 (plain chunks) and rg (the others)."""
    if chunks is not None or blocks is None:
        return ranges_of(shard, plain if chunks is None else chunks & plain, blocks), ranges_of(
            shard, ~plain if chunks is None else chunks & ~plain, blocks
        )
    mixed = shard.mixed_blocks[blocks]  # few; only these are split by chunk
    return ranges_of(shard, None, blocks[~mixed]).union(
        ranges_of(shard, plain, blocks[mixed])
    ), ranges_of(shard, ~plain, blocks[mixed])
