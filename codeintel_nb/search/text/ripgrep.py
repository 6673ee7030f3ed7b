"""Searches by ripgrep, where re2 differs or postings cannot help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import SearchError
from ..query import Bounds, TextQuery
from .matches import Match, MatchCollector
from .pattern import Pattern
from .ranges import Ranges
from .rg_process import running_rg
from .searchable import Searchable
from .trigrams import NOTHING

MAX_ARGUMENTS = 500_000  # bytes of paths on a command line
FEW = 1000  # requested hits: rg likely finds them long before it ends
_OUTPUT = 256 << 10  # bytes of rg's output read at once
_PLACE = re.compile(rb"^(\d+):(\d+):(\d+):", re.M)  # number, column and offset of a line


class Streamed(NamedTuple):
    matches: list[Match]
    ended: bool  # by the bounds
    more: bool  # more than requested


def stream(
    shard: Searchable,
    found_in: Ranges,
    query: TextQuery,
    pattern: Pattern,
    bounds: Bounds,
    most: int,
) -> Streamed:
    """Stream the ranges to rg; map its first matches back."""
    ranges = list(found_in.pieces())
    matches: list[Match] = []
    more = False
    options = [*options_of(query, pattern), "--json", "--no-mmap", "-"]
    with running_rg(options, query, bounds, input_ranges=[(shard, ranges)]) as rg:
        for match in _matches(rg.out, ranges):
            if more := len(matches) == most:
                rg.stop()
                break
            matches.append(match)
    return Streamed(matches, not more and rg.was_cut, more)


def scan(
    shard: Searchable,
    within: Ranges,
    query: TextQuery,
    pattern: Pattern,
    collector: MatchCollector,
    bounds: Bounds,
) -> bool:
    """Scan all content with rg for single-line matches in ranges."""
    if not len(within.begins) or shard.folder is None:
        return False
    options = [
        "--no-filename",
        "--no-heading",
        "--line-number",
        "--column",
        "--byte-offset",
        "--color=never",
        "--mmap",
    ]
    # only places are needed: rg prints them fastest per match. A pattern that may match at every
    # character prints per line, with a remark instead of the line's text
    by_match = pattern.trigrams != NOTHING
    options += ["--only-matching", "--replace="] if by_match else ["--max-columns=1"]
    options += ["--line-buffered"] if collector.limit <= FEW else []
    contents = [shard.folder / "content.bin"]
    with running_rg([*options_of(query, pattern), *options], query, bounds, contents) as rg:
        find, end = shard.view.find, shard.size
        for lines, starts, offsets in _places(rg.out, by_match):
            at = np.minimum(np.searchsorted(within.ends, starts, "right"), len(within.begins) - 1)
            inside = (within.begins[at] <= starts) & (starts < within.ends[at])
            places = zip(
                starts[inside].tolist(),
                offsets[inside].tolist(),
                lines[inside].tolist(),
                strict=True,
            )
            if not collector.take_all(
                [(start, find(b"\n", offset, end), offset, line) for start, offset, line in places]
            ):
                rg.stop()
                break
    return not collector.stopped and rg.was_cut


def count_in_ranges(
    parts: Sequence[tuple[Searchable, Ranges]], query: TextQuery, pattern: Pattern, bounds: Bounds
) -> tuple[int, bool]:
    """Count matching lines; also return whether the bounds ended it."""
    input_ranges = [(shard, [*ranges.pieces()]) for shard, ranges in parts]
    options = [*options_of(query, pattern), "--count", "--no-mmap", "-"]
    with running_rg(options, query, bounds, input_ranges=input_ranges) as rg:
        count = int(rg.out.read() or b"0")
    return count, rg.was_cut


def count_in_shards(
    folders: Sequence[Path], query: TextQuery, pattern: Pattern, bounds: Bounds
) -> tuple[int, bool]:
    """Count matching lines; also return whether the bounds ended it."""
    contents = [folder / "content.bin" for folder in folders]
    options = [*options_of(query, pattern), "--count", "--no-filename", "--mmap"]
    with running_rg(options, query, bounds, contents) as rg:
        count = sum(map(int, rg.out.read().split()))
    return count, rg.was_cut


def files_with_matches(
    root: str, paths: Sequence[str], query: TextQuery, pattern: Pattern, bounds: Bounds
) -> set[str] | None:
    """Return a folder's files with matches, searched on all cores.

    None if rg rejects the pattern, or the bounds ended it.
    """
    options = [
        *options_of(query, pattern),
        "--encoding",
        "auto",
        "--files-with-matches",
        "--null",
        "--no-messages",
        "--",
    ]
    files = set[str]()
    rest = paths
    while rest:
        count = length = 0
        while count < len(rest) and length < MAX_ARGUMENTS:
            length += len(rest[count].encode()) + 3
            count += 1
        try:
            arguments = [*options, *(f"./{path}" for path in rest[:count])]
            with running_rg(arguments, query, bounds, folder=root) as rg:
                output = rg.out.read()
        except SearchError:
            return None
        if rg.was_cut:
            return None
        files.update(
            path.removeprefix("./") for path in output.decode("utf-8", "replace").split("\0")
        )
        rest = rest[count:]
    return files


def options_of(query: TextQuery, pattern: Pattern) -> list[str]:
    flags = [
        "--no-config",
        "--text",
        "--encoding",
        "none",
        "--ignore-case" if pattern.insensitive else "--case-sensitive",
    ]
    flags += ["--word-regexp"] if query.word else []
    flags += ["--multiline"] if pattern.multiline else []
    flags += [] if query.regex else ["--fixed-strings"]
    if "\0" not in query.pattern:
        return [*flags, "--regexp", query.pattern]
    if not query.regex:  # an argument cannot contain NUL
        flags.remove("--fixed-strings")
    return [
        *flags,
        "--regexp",
        (query.pattern if query.regex else re.escape(query.pattern))
        .replace("\\\0", "\0")
        .replace("\0", r"\x00"),
    ]


def _matches(lines: IO[bytes], ranges: list[tuple[int, int]]) -> Iterator[Match]:
    lengths = np.array([end - begin for begin, end in ranges], np.int64)
    streamed = np.concatenate([[0], np.cumsum(lengths)])
    for line in lines:
        if not line.endswith(b"\n"):
            return  # rg was killed within the line
        event: dict[str, Any] = json.loads(line)
        if event["type"] != "match":
            continue
        offset = event["data"]["absolute_offset"]
        at = int(np.searchsorted(streamed, offset, "right")) - 1
        line_start = ranges[at][0] + offset - int(streamed[at])
        text = event["data"]["lines"]
        length = (
            len(text["text"].encode())
            if "text" in text
            else len(text["bytes"]) * 3 // 4 - text["bytes"].count("=")
        )
        submatches = event["data"]["submatches"]
        yield (
            line_start,
            line_start + length - 1,
            line_start + (submatches[0]["start"] if submatches else 0),
            0,
        )


def _places(out: IO[bytes], by_match: bool) -> Iterator[tuple[Any, Any, Any]]:
    """Yield arrays: line numbers from 1, line offsets, match offsets."""
    rest = b""
    last = 0
    while block := out.read1(_OUTPUT):  # type: ignore[attr-defined]
        rest += block
        cut = rest.rfind(b"\n") + 1
        if by_match:
            lines, columns, offsets = (
                np.fromstring(rest[:cut].replace(b":", b" "), np.int64, sep=" ").reshape(-1, 3).T
            )
            first = np.diff(lines, prepend=last) != 0
            lines, columns, offsets = lines[first], columns[first], offsets[first]
            starts = offsets - columns + 1
        else:
            lines, columns, starts = (
                np.array(_PLACE.findall(rest[:cut]), np.bytes_).astype(np.int64).reshape(-1, 3).T
            )
            offsets = starts + columns - 1
        if len(lines):
            last = int(lines[-1])
            yield lines, starts, offsets
        rest = rest[cut:]
