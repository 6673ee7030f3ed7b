"""Text search in one shard: re2 over the mapped content in scope, ripgrep where re2 reads a pattern otherwise."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra, SearchError
from ..index.postings import Blocks
from ..index.shard import IS_ASCII, KINDS, Shard
from .hit import Hit
from .mask import ScopeMask
from .pattern import Pattern, compile_pattern
from .query import Bounds, TextQuery
from .trigrams import blocks_that_may, needs

SEGMENT = 8 << 20  # bytes searched between two looks at the clock, at most
FIRST_SEGMENT = 256 << 10  # before the pattern's speed is known: a slow one reads 2 MB a second, a fast one 5 GB
SMALLEST_SEGMENT = 32 << 10
LOOKED_S = 0.05
COUNTED_S = 0.01  # spent on counting matches beyond the limit
MOST_SNIPPET_CHARACTERS = 2000

Offsets = npt.NDArray[np.int64]
Chunks = npt.NDArray[np.bool_]


class Match(NamedTuple):
    """Byte offsets in a shard's content."""

    line_start: int
    line_end: int  # behind the last character of the last line matched
    start: int


class Pace:
    """How much to search between two looks at the clock, from how long the last part took."""

    def __init__(self) -> None:
        self.segment = FIRST_SEGMENT
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def ended(self, searched: int) -> None:
        spent = max(time.perf_counter() - self._began, 1e-6)
        self.segment = int(min(SEGMENT, max(SMALLEST_SEGMENT, searched / spent * LOOKED_S)))


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
        ended = _with_rg(shard, ranges_of(shard, foreign, blocks), query, pattern, others, bounds) or ended
        kept.merge(others)
    ended = ended or bounds.reached()
    hits = _hits(shard, repo, kept.found, query)
    if query.show == "counts":
        hits = [msgspec.structs.replace(hit, score=float(kept.counts[match.line_start])) for hit, match in zip(hits, kept.found, strict=True)]
    return TextAnswer(hits, ended or kept.more, kept.total, kept.exact and not ended)


class Kept:
    """Takes matches in content order and keeps those that the query asks for; beyond its limit it only counts, for a moment."""

    def __init__(self, shard: Shard, query: TextQuery) -> None:
        self.found: list[Match] = []
        self.counts: dict[int, int] = {}  # start of a file's first matching line -> its matching lines
        self.total = 0
        self.exact = True
        self.more = False  # than were kept
        self._file_start = shard.file_start
        self._limit = query.limit
        self._most = 1 if query.show == "files" else query.per_file
        self._counting = query.show == "counts"
        self._by_file = self._counting or self._most is not None
        self._file_end = self._in_file = self._first = 0
        self._count_until = 0.0

    def take(self, match: Match) -> int:
        """Keep a match; the offset at which to go on, or -1 when enough is known."""
        if self._by_file:
            if match.line_start >= self._file_end:
                self._file_end = int(self._file_start[int(np.searchsorted(self._file_start, np.uint64(match.line_start), "right"))])
                self._in_file, self._first = 0, match.line_start
            self._in_file += 1
            if self._most is not None and self._in_file > self._most:
                return self._file_end
        self.total += 1
        if self._counting:
            self.counts[self._first] = self._in_file
            if self._in_file > 1:
                return match.line_end + 1
        if len(self.found) < self._limit:
            self.found.append(match)
        else:
            self.more = True
            if not self._counting and self._counted_enough():
                return -1
        return match.line_end + 1

    def _counted_enough(self) -> bool:
        if not self._count_until:
            self._count_until = time.perf_counter() + COUNTED_S
        elif self.total % 32 == 0 and time.perf_counter() > self._count_until:
            self.exact = False
            return True
        return False

    def merge(self, other: Kept) -> None:
        """Take over what was kept of other files."""
        found = sorted({*self.found, *other.found})
        self.more = self.more or other.more or len(found) > self._limit
        self.found = found[: self._limit]
        self.counts.update(other.counts)
        self.total += other.total
        self.exact = self.exact and other.exact


class Ranges(NamedTuple):
    """Byte ranges of the content, ascending and apart, and the places at which they may be cut."""

    begins: Offsets
    ends: Offsets
    cuts: npt.NDArray[np.uint64]

    def pieces(self, pace: Pace | None = None) -> Iterator[tuple[int, int]]:
        """The ranges in pieces about as long as the pace says; ranges that touch are taken together."""
        begins, ends, cuts = self.begins.tolist(), self.ends.tolist(), self.cuts
        i, count = 0, len(begins)
        while i < count:
            begin, end = begins[i], ends[i]
            while True:
                segment = pace.segment if pace else SEGMENT
                while i + 1 < count and begins[i + 1] == end and end - begin < segment:
                    i += 1
                    end = ends[i]
                if end - begin <= segment:
                    yield begin, end
                    break
                at = int(np.searchsorted(cuts, np.uint64(begin + segment), "right")) - 1
                stop = int(cuts[at]) if int(cuts[at]) > begin else int(cuts[at + 1])
                if stop >= end:
                    yield begin, end
                    break
                yield begin, stop
                begin = stop
            i += 1

    def by_file(self, file_start: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """The ranges cut where a file ends: a match of several lines stays within one."""
        for begin, end in zip(self.begins.tolist(), self.ends.tolist(), strict=True):
            first = int(np.searchsorted(file_start, np.uint64(begin), "right"))
            last = int(np.searchsorted(file_start, np.uint64(end), "left"))
            edges = [begin, *(int(edge) for edge in file_start[first:last] if begin < edge < end), end]
            yield from pairwise(edges)


def ranges_of(shard: Shard, chunks: Chunks | None, blocks: Blocks | None) -> Ranges:
    """Where the chunks lie, as far as they are in the blocks; None stands for all of either."""
    postings = shard.postings
    cuts = shard.chunk_start if postings is None else postings.starts
    if chunks is None:
        if blocks is not None and postings is not None:
            return Ranges(postings.starts[blocks].astype(np.int64), postings.starts[blocks + 1].astype(np.int64), cuts)
        size = shard.manifest.content_bytes
        return Ranges(np.array([0] if size else [], np.int64), np.array([size] if size else [], np.int64), cuts)
    edges = np.flatnonzero(np.diff(chunks.view(np.int8), prepend=np.int8(0), append=np.int8(0)))
    begins, ends = shard.chunk_start[edges[::2]].astype(np.int64), shard.chunk_start[edges[1::2]].astype(np.int64)
    if blocks is None or postings is None:
        return Ranges(begins, ends, shard.chunk_start)
    block_begins, block_ends = postings.starts[blocks].astype(np.int64), postings.starts[blocks + 1].astype(np.int64)
    first = np.searchsorted(ends, block_begins, "right")
    counts = np.maximum(np.searchsorted(begins, block_ends, "left") - first, 0)
    owner = np.repeat(np.arange(len(blocks)), counts)
    span = np.repeat(first, counts) + np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Ranges(np.maximum(block_begins[owner], begins[span]), np.minimum(block_ends[owner], ends[span]), shard.chunk_start)


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


def rg_path() -> str:
    """The rg binary: the one pip installed beside this Python, else the system's."""
    beside = shutil.which("rg", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("rg")
    if found is None:
        raise MissingExtra("all", needed_by="A pattern with Unicode classes, which the ripgrep program matches,")
    return found


def _with_rg(shard: Shard, found_in: Ranges, query: TextQuery, pattern: Pattern, kept: Kept, bounds: Bounds) -> bool:
    """Stream the content in scope through one rg process, map its offsets back and give every match to ``kept``."""
    ranges = list(found_in.pieces())
    if not ranges and pattern.re2 is not None:  # else rg still has to judge the pattern
        return False
    command = [rg_path(), "--no-config", "--json", "--text", "--encoding", "none", "--no-mmap"]
    command += ["--ignore-case"] if pattern.insensitive else ["--case-sensitive"]
    command += ["--word-regexp"] if query.word else []
    command += ["--multiline"] if pattern.multiline else []
    command += [] if query.regex else ["--fixed-strings"]
    process = subprocess.Popen([*command, "--regexp", query.pattern, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    timer = threading.Timer(bounds.left_s() or 0, process.kill) if bounds.ends_at is not None else None
    watcher = threading.Thread(target=_kill_when_cancelled, args=(process, bounds.cancel), daemon=True)
    feeder = threading.Thread(target=_feed, args=(process.stdin, shard, ranges), daemon=True)
    for thread in (timer, watcher, feeder):
        if thread is not None:
            thread.start()
    try:
        met = enough = False
        for match in _matches(process.stdout, ranges):
            met = True
            if kept.take(match) < 0:
                enough = True
                process.kill()
                break
        said = process.stderr.read().decode("utf-8", "replace")
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        feeder.join()
        process.stdout.close()
        process.stderr.close()
        if timer is not None:
            timer.cancel()
    if status == 2 and not met:
        raise SearchError(f"The regular expression {query.pattern!r} cannot be read: {_reason(said)}. To search for it as plain text, leave out --regex.")
    return status < 0 and not enough


def _reason(said: str) -> str:
    errors = [line.strip() for line in said.splitlines() if line.strip().startswith("error:")]
    return (errors[0].removeprefix("error:").strip() if errors else said.strip().splitlines()[0] if said.strip() else "rg gave no reason").rstrip(".")


def _feed(pipe: IO[bytes], shard: Shard, ranges: list[tuple[int, int]]) -> None:
    view = memoryview(shard.content)
    try:
        for begin, end in ranges:
            pipe.write(view[begin:end])
        pipe.close()
    except (BrokenPipeError, ValueError, OSError):
        try:
            pipe.close()
        except OSError:
            pass  # rg has all the matches it was asked for, or was stopped
    finally:
        view.release()


def _kill_when_cancelled(process: subprocess.Popen[bytes], cancel: threading.Event | None) -> None:
    while cancel is not None and process.poll() is None:
        if cancel.wait(0.05):
            process.kill()


def _matches(lines: IO[bytes], ranges: list[tuple[int, int]]) -> Iterator[Match]:
    lengths = np.array([end - begin for begin, end in ranges], np.int64)
    streamed = np.concatenate([[0], np.cumsum(lengths)])
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        if event["type"] != "match":
            continue
        offset = event["data"]["absolute_offset"]
        at = int(np.searchsorted(streamed, offset, "right")) - 1
        line_start = ranges[at][0] + offset - int(streamed[at])
        text = event["data"]["lines"]
        length = len(text["text"].encode()) if "text" in text else len(text["bytes"]) * 3 // 4 - text["bytes"].count("=")
        submatches = event["data"]["submatches"]
        yield Match(line_start, line_start + length - 1, line_start + (submatches[0]["start"] if submatches else 0))


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
