"""Where in a shard a text search is to look: what may match by the postings, and who is to read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..index.postings import Blocks
from ..index.shard import IS_ASCII, LONG_BYTES, is_plain
from .literals import needle
from .mask import ScopeMask
from .matches import MatchCollector
from .pattern import Pattern, compile_pattern
from .query import TextQuery
from .ranges import NOWHERE, Chunks, Ranges, ranges_of
from .searchable import Searchable
from .trigrams import NOTHING, Need, blocks_that_may, files_that_may, may_match, needs

FORWARD = (
    1 << 20
)  # bytes that are read here, in order, before rg is asked: a common pattern is through by then
MAX_FORWARD = 1000  # requested hits up to which that is likely
LITERAL, PATTERN, BY_RG = (
    4e9,
    0.8e9,
    8e9,
)  # bytes a second: found as they are, read by re2, and by rg
RANGE_S, JUDGED_S = 2e-6, 2e-6  # beside them, for each range; for each line with a needle
RG_START_S = 0.004
SAMPLES, SAMPLED = (
    64,
    8192,
)  # how often, and how many bytes, is looked for a needle to know how frequent it is
SIFTED = 8 << 20  # bytes that are looked through for a pattern's trigrams, to spare rg's start


class TextPlan(NamedTuple):
    """Where in a shard a query is to look."""

    shard: Searchable
    repo: str
    pattern: Pattern
    exact: Ranges  # for re2
    foreign: Ranges | None  # what re2 would read otherwise than ripgrep
    need: Need
    needle: bytes  # that a line must hold, where looking for it first is worth it
    is_much: bool  # rg is through with all of the content sooner than what may match is read here
    is_whole: bool = False  # the whole shard is in scope: skipped text cannot match

    @classmethod
    def of(
        cls,
        shard: Searchable,
        repo: str,
        pattern: Pattern,
        exact: Ranges,
        foreign: Ranges | None,
        need: Need = NOTHING,
        needle: bytes = b"",
    ) -> TextPlan:
        """To look at all of it; who is to read is decided here, once for all its parts."""
        size = exact.size + (0 if foreign is None else foreign.size)
        read_s = size / (PATTERN if pattern.literal is None else LITERAL)
        if needle and pattern.literal is None:
            judged_s = size / LITERAL + JUDGED_S * (
                exact.occurrences(shard.view, needle, SAMPLES, SAMPLED) if size >= FORWARD else 0.0
            )
            needle, read_s = (needle, judged_s) if judged_s < read_s else (b"", read_s)
        is_much = False
        if size >= 4 * FORWARD and shard.folder is not None and not pattern.multiline:
            is_much = read_s + RANGE_S * len(exact.begins) > RG_START_S + shard.size / BY_RG
        return cls(shard, repo, pattern, exact, foreign, need, needle, is_much)

    @property
    def bytes_to_read(self) -> int:
        return self.exact.size + (0 if self.foreign is None else self.foreign.size)

    @property
    def all_ranges(self) -> Ranges:
        """Return the ranges for both readers."""
        return self.exact if self.foreign is None else self.foreign.and_also(self.exact)

    @property
    def is_free(self) -> bool:
        """Who reads lets go of the interpreter's lock."""
        return self.is_much or (self.pattern.literal is None and not self.needle)

    def only(self, exact: Ranges, foreign: Ranges | None) -> TextPlan:
        """To look at a part of it."""
        return self._replace(exact=exact, foreign=foreign)

    def parted(self, size: int) -> tuple[TextPlan, TextPlan | None]:
        """The first ``size`` bytes to read, about, and what follows them."""
        end = self.end_of(size)
        return (self, None) if end is None else self.cut(end)

    def end_of(self, size: int) -> int | None:
        """Return the offset after about the first ``size`` bytes to read; None if there are no more."""
        _, rest = self.all_ranges.parted(size)
        return int(rest.begins[0]) if len(rest.begins) else None

    def count_end(self, size: int) -> int:
        """Return the end offset for counting matches within ``size`` bytes; a file that a match may span is counted whole."""
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
        head, tail = self.exact.cut(offset)
        other_head, other_tail = (None, None) if self.foreign is None else self.foreign.cut(offset)
        return self.only(head, other_head), self.only(tail, other_tail)

    def behind(self, offset: int) -> TextPlan | None:
        """Return the plan after an offset; None if nothing is left."""
        _, rest = self.cut(offset)
        return rest if rest.bytes_to_read else None

    def first(self) -> tuple[TextPlan, TextPlan | None]:
        """What is read here, in order, before rg is asked, and what follows."""
        return self.parted(FORWARD)

    def parts(self, collector: MatchCollector) -> Iterator[TextPlan]:
        """The plan; in growing parts where a few hits are wanted, which are often in the first, and finding them may need rg."""
        size, rest = (
            FORWARD,
            self
            if self.foreign is not None
            and not self.pattern.multiline
            and collector.limit <= MAX_FORWARD
            else None,
        )
        if rest is None:
            yield self
        while rest is not None:
            part, rest = rest.parted(size)
            yield part
            size *= 4

    def sifted(self) -> TextPlan:
        """The plan with those lines alone for rg that may match and hold more than ASCII: re2 reads the others around them."""
        foreign, certain = self.foreign, self.needle
        if self.pattern.re2 is None or foreign is None or foreign.size >= SIFTED:
            return self

        def may(text: bytes) -> bool:
            return certain in text and may_match(self.need, text)

        content = self.shard.content
        plain, held = list[tuple[int, int]](), list[tuple[int, int]]()
        for begin, end in zip(foreign.begins.tolist(), foreign.ends.tolist(), strict=True):
            text = content[begin:end]
            if not may(text):
                continue
            if self.pattern.multiline:
                held.append((begin, end))
                continue
            at = begin
            for line in (part + b"\n" for part in text.split(b"\n")):
                behind = min(at + len(line), end)
                if at < behind and len(line) <= LONG_BYTES and is_plain(line):
                    plain.append((at, behind))
                elif at < behind and may(line):
                    held.append((at, behind))
                at = behind
        exact = self.exact.and_also(Ranges.of(plain, self.exact.cuts)) if plain else self.exact
        return self.only(exact, Ranges.of(held, foreign.cuts) if held else None)


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
            if (
                blocks is not None and not len(blocks) and pattern.re2 is not None
            ):  # what re2 cannot read is for rg to judge
                return None
    if pattern.re2 is None:
        plan = TextPlan.of(
            shard, repo, pattern, NOWHERE, ranges_of(shard, chunks, blocks)
        )._replace(is_whole=mask.chunks is None)
        return plan if plan.bytes_to_read or not pattern.multiline else None
    certain = pattern.literal or (
        needle(query.pattern, pattern.insensitive) if query.regex else b""
    )
    certain = b"" if pattern.multiline or len(certain) < 3 else certain
    plain: Chunks | None = None  # chunks for re2; None for all
    if pattern.unicode and not shard.is_ascii:
        plain = (
            shard.ascii_chunks
            if not pattern.multiline
            else (shard.file_flags & IS_ASCII).astype(bool)[shard.chunk_file]
        )  # a match may span chunks
    elif query.regex and pattern.literal is None and shard.ill_formed_chunks.any():
        plain = ~shard.ill_formed_chunks
    if pattern.literal is None and (long := shard.long_chunks(pattern.multiline)) is not None:
        plain = ~long if plain is None else plain & ~long
    exact, foreign = (
        (ranges_of(shard, chunks, blocks), None)
        if plain is None
        else _by_reader(shard, plain, chunks, blocks)
    )
    plan = TextPlan.of(shard, repo, pattern, exact, foreign, need, certain)._replace(
        is_whole=mask.chunks is None
    )
    return plan if plan.bytes_to_read else None


def _by_reader(
    shard: Searchable, plain: Chunks, chunks: Chunks | None, blocks: Blocks | None
) -> tuple[Ranges, Ranges]:
    """Where re2 is to look and where rg is: in the plain chunks, and in the others."""
    if chunks is not None or blocks is None:
        return ranges_of(shard, plain if chunks is None else chunks & plain, blocks), ranges_of(
            shard, ~plain if chunks is None else chunks & ~plain, blocks
        )
    mixed = shard.mixed_blocks[blocks]  # few; only these are split by chunk
    return ranges_of(shard, None, blocks[~mixed]).and_also(
        ranges_of(shard, plain, blocks[mixed])
    ), ranges_of(shard, ~plain, blocks[mixed])
