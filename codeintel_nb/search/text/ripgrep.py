"""Searches by ripgrep, where re2 differs or postings cannot help."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import EngineError, SearchError
from ...index.shard.mapping import FILES_EXHAUSTED
from ..query import Bounds, TextQuery
from .matches import Match, MatchCollector
from .pattern import Pattern
from .ranges import Ranges
from .searchable import Searchable
from .trigrams import NOTHING

MAX_ARGUMENTS = 500_000  # bytes of paths on a command line
FEW = 1000  # requested hits: rg likely finds them long before it ends
_OUTPUT = 256 << 10  # bytes of rg's output read at once
_PLACE = re.compile(rb"^(\d+):(\d+):(\d+):", re.M)  # number, column and offset of a line


@lru_cache(1)
def rg_path() -> str:
    """Return rg's path: pip's beside this Python, else the system's."""
    beside = shutil.which("rg", path=sysconfig.get_path("scripts"))
    path = beside or shutil.which("rg")
    if path is None:
        raise EngineError(
            "This pattern needs the ripgrep program, which is missing. "
            "Run: pip install --force-reinstall ripgrep"
        )
    return os.path.abspath(path)


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
    with _rg(
        [*options_of(query, pattern), "--json", "--no-mmap", "-"], query, bounds, subprocess.PIPE
    ) as process:
        feeder = threading.Thread(
            target=_feed, args=(process.stdin, [(shard, ranges)]), daemon=True
        )
        feeder.start()
        try:
            for match in _matches(_out(process), ranges):
                if more := len(matches) == most:
                    break
                matches.append(match)
            if more:
                process.kill()  # or the feeder would block without a reader
        except BaseException:
            process.kill()
            raise
        finally:
            feeder.join()
    return Streamed(matches, not more and _was_cut(process, bounds), more)


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
    content = shard.folder / "content.bin"
    if not content.exists():
        raise FileNotFoundError(content)  # deleted: the caller retries on a new snapshot
    with _rg([*options_of(query, pattern), *options, str(content)], query, bounds, None) as process:
        find, end = shard.view.find, shard.size
        for lines, starts, offsets in _places(_out(process), by_match):
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
                process.kill()
                break
    return not collector.stopped and _was_cut(process, bounds)


def count_in_ranges(
    parts: Sequence[tuple[Searchable, Ranges]], query: TextQuery, pattern: Pattern, bounds: Bounds
) -> tuple[int, bool]:
    """Count matching lines; also return whether the bounds ended it."""
    with _rg(
        [*options_of(query, pattern), "--count", "--no-mmap", "-"], query, bounds, subprocess.PIPE
    ) as process:
        feeder = threading.Thread(
            target=_feed,
            args=(process.stdin, [(shard, [*ranges.pieces()]) for shard, ranges in parts]),
            daemon=True,
        )
        feeder.start()
        try:
            count = int(_out(process).read() or b"0")
        except BaseException:
            process.kill()
            raise
        finally:
            feeder.join()
    return count, _was_cut(process, bounds)


def count_in_shards(
    folders: Sequence[Path], query: TextQuery, pattern: Pattern, bounds: Bounds
) -> tuple[int, bool]:
    """Count matching lines; also return whether the bounds ended it."""
    contents = [folder / "content.bin" for folder in folders]
    for content in contents:
        if not content.exists():
            raise FileNotFoundError(content)
    with _rg(
        [
            *options_of(query, pattern),
            "--count",
            "--no-filename",
            "--mmap",
            "--",
            *map(str, contents),
        ],
        query,
        bounds,
        None,
    ) as process:
        count = sum(map(int, _out(process).read().split()))
    return count, _was_cut(process, bounds)


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
            with _rg(
                [*options, *(f"./{path}" for path in rest[:count])], query, bounds, None, root
            ) as process:
                output = _out(process).read()
        except SearchError:
            return None
        if _was_cut(process, bounds):
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


@contextmanager
def _rg(
    options: list[str],
    query: TextQuery,
    bounds: Bounds,
    stdin: int | None,
    folder: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run rg within the bounds; SearchError for a rejected pattern."""
    try:
        process = subprocess.Popen(
            [rg_path(), *options],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
        )
    except OSError as error:
        if error.errno in (*FILES_EXHAUSTED, errno.EAGAIN, errno.ENOMEM):
            raise
        if folder is not None and not os.path.isdir(folder):
            raise SearchError(f"The folder {folder} no longer exists.") from None
        path = rg_path()
        rg_path.cache_clear()  # rg was removed, or built for another machine
        raise EngineError(
            f"The ripgrep program {path} cannot be run ({error.strerror}). "
            "To reinstall it, run: pip install --force-reinstall ripgrep"
        ) from error
    over = threading.Event()
    watched = bounds.ends_at is not None or bounds.cancel is not None
    watcher = (
        threading.Thread(target=_kill_when_reached, args=(process, bounds, over), daemon=True)
        if watched
        else None
    )
    if watcher is not None:
        watcher.start()
    try:
        yield process
        assert process.stderr is not None
        message = process.stderr.read().decode("utf-8", "replace")
        if process.wait() == 2 and message:
            raise SearchError(
                f"The regular expression {query.pattern!r} is invalid: {_reason(message)}. "
                "To search for it as plain text, leave out --regex."
            )
        if process.returncode > 2:  # 1: no match; below 0: killed
            raise EngineError(
                f"The ripgrep program exited with status {process.returncode}: {_reason(message)}. "
                "To reinstall it, run: pip install --force-reinstall ripgrep"
            )
    finally:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # blocked on an unresponsive drive
            process.wait(1)
        over.set()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _was_cut(process: subprocess.Popen[bytes], bounds: Bounds) -> bool:
    """Whether the bounds killed rg, which on Windows returns 1."""
    return process.returncode < 0 or (process.returncode == 1 and bounds.reached())


def _out(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _reason(message: str) -> str:
    errors = [line.strip() for line in message.splitlines() if line.strip().startswith("error:")]
    return (
        errors[0].removeprefix("error:").strip()
        if errors
        else message.strip().splitlines()[0]
        if message.strip()
        else "rg gave no reason"
    ).rstrip(".")


def _feed(pipe: IO[bytes], parts: Sequence[tuple[Searchable, Sequence[tuple[int, int]]]]) -> None:
    try:
        for shard, ranges in parts:
            with memoryview(shard.content) as view:
                for begin, end in ranges:
                    pipe.write(view[begin:end])
        pipe.close()
    except (ValueError, OSError):
        with suppress(OSError):  # rg ended: enough matches, or stopped
            pipe.close()


def _kill_when_reached(
    process: subprocess.Popen[bytes], bounds: Bounds, over: threading.Event
) -> None:
    while not over.wait(0.02 if bounds.cancel is not None else bounds.left_s()):
        if bounds.reached():
            process.kill()
            return


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
