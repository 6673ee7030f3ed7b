"""Text search in one shard: re2 over the mapped content in scope, ripgrep where re2 reads a pattern otherwise."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra, SearchError
from ..index.shard import IS_ASCII, KINDS, Shard
from .hit import Hit
from .mask import ScopeMask
from .pattern import Pattern, compile_pattern
from .query import Bounds, TextQuery
from .trigrams import NOTHING, Need, blocks_that_may, needs

SEGMENT = 8 << 20  # bytes searched between two looks at the clock, at most
FIRST_SEGMENT = 256 << 10  # before the pattern's speed is known: a slow one reads 2 MB a second, a fast one 5 GB
SMALLEST_SEGMENT = 32 << 10
LOOKED_S = 0.05
MOST_SNIPPET_CHARACTERS = 2000

Offsets = npt.NDArray[np.int64]


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


def search_text(shard: Shard, repo: str, mask: ScopeMask, query: TextQuery, bounds: Bounds) -> TextAnswer:
    """Lines in scope that match, the first ``query.limit`` of them."""
    pattern = compile_pattern(query)
    chunks = np.ones(shard.manifest.chunks, bool) if mask.chunks is None else mask.chunks
    if pattern.re2 is None:
        exact, foreign = np.zeros_like(chunks), chunks
    elif pattern.unicode and not pattern.multiline:
        ascii_only = (shard.file_flags & IS_ASCII).astype(bool)[shard.chunk_file]
        exact, foreign = chunks & ascii_only, chunks & ~ascii_only
    else:
        exact, foreign = chunks, np.zeros_like(chunks)
    most = query.limit + 1  # one more tells whether there are more
    need = NOTHING if pattern.multiline else needs(query.pattern, query.regex, pattern.insensitive)
    found, ended = _with_re2(shard, ranges_of(shard, exact, need), pattern, most, bounds)
    if foreign.any() and not bounds.reached():
        others, ended_too = _with_rg(shard, ranges_of(shard, foreign, need), query, pattern, most, bounds)
        found = sorted({*found, *others})
        ended = ended or ended_too
    return TextAnswer(_hits(shard, repo, found[: query.limit], query), ended or bounds.reached() or len(found) > query.limit)


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


def ranges_of(shard: Shard, chunks: npt.NDArray[np.bool_], need: Need = NOTHING) -> Ranges:
    """Where the chunks of the mask lie, as far as their blocks hold the trigrams needed."""
    edges = np.flatnonzero(np.diff(chunks.astype(np.int8), prepend=0, append=0))
    begins, ends = shard.chunk_start[edges[::2]].astype(np.int64), shard.chunk_start[edges[1::2]].astype(np.int64)
    postings = shard.postings
    if postings is None:
        return Ranges(begins, ends, shard.chunk_start)
    blocks = blocks_that_may(need, postings)
    if blocks is None:
        return Ranges(begins, ends, postings.starts if chunks.all() else shard.chunk_start)
    block_begins, block_ends = postings.starts[blocks].astype(np.int64), postings.starts[blocks + 1].astype(np.int64)
    if len(begins) == 1 and begins[0] == 0 and ends[0] == shard.manifest.content_bytes:
        return Ranges(block_begins, block_ends, postings.starts)
    first = np.searchsorted(ends, block_begins, "right")
    counts = np.maximum(np.searchsorted(begins, block_ends, "left") - first, 0)
    owner = np.repeat(np.arange(len(blocks)), counts)
    span = np.repeat(first, counts) + np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Ranges(np.maximum(block_begins[owner], begins[span]), np.minimum(block_ends[owner], ends[span]), shard.chunk_start)


def _with_re2(shard: Shard, ranges: Ranges, pattern: Pattern, most: int, bounds: Bounds) -> tuple[list[Match], bool]:
    content, search = shard.content, pattern.re2.search if pattern.re2 is not None else None
    found: list[Match] = []
    if search is None:
        return found, False
    pace = Pace()
    for begin, end in ranges.by_file(shard.file_start) if pattern.multiline else ranges.pieces(pace):
        if bounds.reached():
            return found, True
        pace.begin()
        at = begin
        while at < end and (match := search(content, at, end)) is not None:
            start = match.start(pattern.group)
            if start >= end:
                break  # an empty match behind the last line
            line_start = content.rfind(b"\n", begin, start) + 1 or begin
            last = max(start, match.end(pattern.group) - 1)
            line_end = content.find(b"\n", last, end)
            line_end = end if line_end < 0 else line_end
            found.append(Match(line_start, line_end, start))
            if len(found) >= most:
                return found, False
            if len(found) % 64 == 0 and bounds.reached():
                return found, True
            at = line_end + 1
        pace.ended(end - begin)
    return found, False


def rg_path() -> str:
    """The rg binary: the one pip installed beside this Python, else the system's."""
    beside = shutil.which("rg", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("rg")
    if found is None:
        raise MissingExtra("all", needed_by="A pattern with Unicode classes, which the ripgrep program matches,")
    return found


def _with_rg(shard: Shard, found_in: Ranges, query: TextQuery, pattern: Pattern, most: int, bounds: Bounds) -> tuple[list[Match], bool]:
    """Stream the content in scope through one rg process and map its offsets back."""
    ranges = list(found_in.pieces())
    command = [rg_path(), "--no-config", "--json", "--text", "--encoding", "none", "--no-mmap", "--max-count", str(most)]
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
        found = list(_matches(process.stdout, ranges))
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
    if status == 2 and not found:
        raise SearchError(f"The regular expression {query.pattern!r} cannot be read: {_reason(said)}. To search for it as plain text, leave out --regex.")
    return found, status < 0


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
    if not found:
        return []
    content = shard.content
    starts = np.array([match.line_start for match in found], np.uint64)
    chunks = np.searchsorted(shard.chunk_start, starts, "right") - 1
    hits = []
    for match, chunk in zip(found, chunks.tolist(), strict=True):
        file = int(shard.chunk_file[chunk])
        line = int(shard.chunk_line[chunk]) + content[int(shard.chunk_start[chunk]) : match.line_start].count(b"\n")
        shown, above = _snippet(shard, file, match, query.context)
        cell = int(shard.chunk_cell[chunk])
        symbol, kind = shard.label(chunk), KINDS[int(shard.chunk_kind[chunk])]
        if kind in ("function", "class", "method"):  # a chunk may hold several: name the one around the line
            symbol, kind = shard.symbol_at(file, line) or ("", "module" if cell < 0 else "cell")
        hits.append(
            Hit(
                repo=repo, path=shard.paths[file], start_line=line, end_line=line + content[match.line_start : match.line_end].count(b"\n"),
                column=len(_text(content[match.line_start : match.start])) + 1, score=1.0, snippet=shown, snippet_line=line - above,
                language=shard.language(file), kind=kind, symbol=symbol,
                cell=None if cell < 0 else cell, revision=shard.revision(file),
            )
        )  # fmt: skip
    return hits


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
