"""The rg program, for what re2 would read otherwise: content is streamed to it, its matches are mapped back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from ..errors import MissingExtra, SearchError
from ..index.shard import Shard
from .matches import Kept, Match
from .pattern import Pattern
from .query import Bounds, TextQuery
from .ranges import Ranges


def rg_path() -> str:
    """The rg binary: the one pip installed beside this Python, else the system's."""
    beside = shutil.which("rg", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("rg")
    if found is None:
        raise MissingExtra("all", needed_by="A pattern with Unicode classes, which the ripgrep program matches,")
    return found


def with_rg(shard: Shard, found_in: Ranges, query: TextQuery, pattern: Pattern, kept: Kept, bounds: Bounds) -> bool:
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
