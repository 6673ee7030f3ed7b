"""Patterns made from the corpus's own lines, five hundred in full mode.

They match the same files, lines and columns as ripgrep on the tree.
"""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codeintel_nb import Scope
from codeintel_nb.search.query import MAX_HITS
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import FULL, Corpus, show

pytestmark = pytest.mark.benchmark

PATTERNS = 500 if FULL else 60
SEED = 4
WORD = re.compile(r"\w{3,}")
Made = tuple[str, dict[str, object]]


def test_patterns_find_the_same_places_as_ripgrep(corpus: Corpus) -> None:
    files = [hit.path for hit in corpus.workspace.list_paths(Scope())]
    # notebooks are searched by cell, not as JSON
    text = frozenset(path for path in files if not path.endswith(".ipynb"))
    rng = random.Random(SEED)
    lines = sampled_lines(corpus.root, sorted(text), rng)
    makers = Counter[str]()
    many = differ = 0
    for number in range(PATTERNS):
        maker = rng.choice(MAKERS)
        pattern, options = maker(rng, next(lines), next(lines))
        expected = places_by_rg(corpus.root, pattern, options, text)
        results = corpus.workspace.search_text(pattern, limit=MAX_HITS, **options)
        found = [(hit.path, hit.start_line, hit.column) for hit in results if hit.path in text]
        makers[maker.__name__] += 1
        many += len(expected)
        if results.truncated:  # more matches than the maximum limit: only the first ones
            assert set(found) <= expected
            assert len(results) == MAX_HITS
        elif set(found) != expected or len(set(found)) < len(found):
            differ += 1
            print(
                number,
                repr(pattern),
                options,
                "missing",
                sorted(expected - set(found))[:3],
                "beyond",
                sorted(set(found) - expected)[:3],
            )
    show(
        "patterns that find the same places as ripgrep",
        ("made by", "patterns"),
        [*makers.items(), ("places in all", many)],
    )
    assert differ == 0


def sampled_lines(root: Path, paths: list[str], rng: random.Random) -> Iterator[str]:
    """Yield lines containing a word, from random files."""
    while True:
        held = (root / rng.choice(paths)).read_text("utf-8", "replace").split("\n")
        worded = [
            line
            for line in rng.sample(held, min(len(held), 40))
            if WORD.search(line) and "\ufffd" not in line and len(line) < 300
        ]
        if worded:
            yield rng.choice(worded)


def places_by_rg(
    root: Path, pattern: str, options: dict[str, object], text: frozenset[str]
) -> set[tuple[str, int, int]]:
    flags = {
        "smart": "--smart-case",
        "sensitive": "--case-sensitive",
        "insensitive": "--ignore-case",
    }
    command = [
        rg_path(),
        "--no-config",
        "--json",
        "--hidden",
        "--no-ignore",
        flags[str(options.get("case", "smart"))],
    ]
    command += [
        *(["-w"] if options.get("word") else []),
        *([] if options.get("regex") else ["-F"]),
        "-e",
        pattern,
        ".",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert done.returncode < 2, done.stderr
    places = set()
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if (
            event["type"] != "match"
            or "text" not in event["data"]["path"]
            or event["data"]["path"]["text"].removeprefix("./") not in text
        ):
            continue
        held = event["data"]["lines"]
        raw = held["text"].encode() if "text" in held else base64.b64decode(held["bytes"])
        start = event["data"]["submatches"][0]["start"] if event["data"]["submatches"] else 0
        places.add(
            (
                event["data"]["path"]["text"].removeprefix("./"),
                event["data"]["line_number"],
                len(raw[:start].decode("utf-8", "replace")) + 1,
            )
        )
    return places


def a_word(rng: random.Random, line: str, _: str) -> Made:
    return rng.choice(WORD.findall(line)), {"word": rng.random() < 0.5}


def a_literal(rng: random.Random, line: str, _: str) -> Made:
    start = rng.randrange(max(1, len(line) - 4))
    return line[start : start + rng.randrange(4, 40)].strip("\r") or "import", {
        "case": rng.choice(["smart", "sensitive", "insensitive"])
    }


def a_line_whole(rng: random.Random, line: str, _: str) -> Made:
    return rf"^\s*{re.escape(line.strip())}\s*$", {"regex": True, "case": "sensitive"}


def classes(rng: random.Random, line: str, _: str) -> Made:
    """Return a piece of the line, with some characters replaced by their class."""
    piece = rng.choice(re.findall(r"\S{4,20}", line) or ["import"])
    parts = []
    for character in piece:
        as_class = (
            r"\d"
            if character.isdigit()
            else r"\w"
            if character.isalnum() or character == "_"
            else None
        )
        parts.append(as_class if as_class and rng.random() < 0.3 else re.escape(character))
    return "".join(parts), {"regex": True, "case": rng.choice(["smart", "sensitive"])}


def repeated(rng: random.Random, line: str, _: str) -> Made:
    """Return two words of a line, joined by a pattern for the gap."""
    words = WORD.findall(line)
    between = rng.choice([r"\s+", r".*", r"\W+", r"[^\w]{1,9}", r"\s*[=(,.]\s*", r".{0,20}?"])
    return f"{words[0]}{between}{words[min(1, len(words) - 1)]}", {
        "regex": True,
        "case": "sensitive",
    }


def either(rng: random.Random, line: str, other: str) -> Made:
    one, two = rng.choice(WORD.findall(line)), rng.choice(WORD.findall(other))
    return rng.choice(
        [f"{one}|{two}", f"({one}|{two})s?\\b", f"(?i)(?:{one}|{two})", f"\\b(?:{one}|{two})\\("]
    ), {"regex": True}


def bounded(rng: random.Random, line: str, _: str) -> Made:
    word = rng.choice(WORD.findall(line))
    return rng.choice(
        [
            rf"\b{word}\b",
            rf"\b{word[:-1]}\w\b",
            rf"\B{word[1:]}",
            rf"{word}$",
            rf"^{word}",
            rf"[A-Z]\w*{word[-3:]}\b",
        ]
    ), {"regex": True, "case": "sensitive"}


def unselective(rng: random.Random, line: str, _: str) -> Made:
    """Return a pattern without selective postings."""
    return rng.choice(
        [
            r"\b[A-Z]{%d}\b",
            r"[0-9]{%d}",
            r"\d{%d}-\d",
            r"[xyz]{%d}",
            r"(?:[a-f][0-9]){%d}",
            r"[^\x00-\x7f]{%d}",
        ]
    ) % rng.randrange(5, 9), {"regex": True, "case": "sensitive"}


MAKERS: tuple[Callable[[random.Random, str, str], Made], ...] = (
    a_word,
    a_literal,
    a_line_whole,
    classes,
    repeated,
    either,
    bounded,
    unselective,
)
