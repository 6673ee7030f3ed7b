"""Runs of character classes: what a pattern needs, and which blocks have it."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeintel_nb import Scope, Workspace
from codeintel_nb.index.shard.postings import Postings, PostingsBuilder
from codeintel_nb.index.shard.runs import CLASSES, MAX_RUN, longest_runs
from codeintel_nb.search.mask import compile_mask
from codeintel_nb.search.query import TextQuery
from codeintel_nb.search.text.class_runs import class_runs
from codeintel_nb.search.text.plan import plan_text
from tests.conftest import write_tree

DIGITS, HEX, LOWER, UPPER, WORD = range(5)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[0-9]{3}-[0-9]{4}", (4, 4, 0, 0, 4)),
        (r"[0-9a-f]{12}", (0, 12, 0, 0, 12)),
        (r"[qzx]{9}[0-9]{9}", (9, 9, 9, 0, 18)),
        (r"\d{4,}", (4, 4, 0, 0, 4)),
        (r"\w+_\d+", (1, 1, 0, 0, 3)),
        (r"(?i)[a-f]{9}", (0, 9, 0, 0, 9)),
        (r"(?i:[a-f]{9})x", (0, 9, 0, 0, 10)),
        (r"[A-Z]{3,}[0-9]?[A-Z]{2}", (0, 0, 0, 3, 5)),
        (r"(foo|ab)cd", (0, 2, 4, 0, 4)),
        (r"a|bcd", (0, 1, 1, 0, 1)),
        (r"(ab){3,}x?y{2}", (0, 6, 8, 0, 8)),
        (r"(a-){9}bb", (0, 2, 2, 0, 2)),
        (r"(a-b){9}", (0, 2, 2, 0, 2)),
        (r"\bab\B", (0, 2, 2, 0, 2)),
        (r"[^a]{9}", (0, 0, 0, 0, 0)),
        (r"[0-9\s]{9}", (0, 0, 0, 0, 0)),
        (r"[0-9٠-٩]{9}", (9, 9, 0, 0, 9)),
        (r"9{300}", (MAX_RUN, MAX_RUN, 0, 0, MAX_RUN)),
        (r"x*", (0, 0, 0, 0, 0)),
        (r"[[:digit:]]{9}", (0, 0, 0, 0, 0)),  # read by ripgrep alone
    ],
)
def test_runs_of_a_pattern(pattern, expected):
    assert class_runs(pattern, True, False) == expected


def test_ignoring_case_needs_no_run_of_one_case():
    assert class_runs("[a-z]{9}", True, True)[LOWER] == 0
    assert class_runs("[a-z]{9}", True, True)[WORD] == 9
    assert class_runs("abcdefghi", False, False) == (0,) * len(CLASSES)


def count_runs(text, starts):
    rows = []
    for begin, end in pairwise(starts):
        row = []
        for members in CLASSES:
            best = length = 0
            for byte in text[begin:end]:
                length = length + 1 if byte > 127 or chr(byte) in members else 0
                best = max(best, length)
            row.append(min(best, MAX_RUN))
        rows.append(row)
    return np.array(rows, np.uint8).reshape(-1, len(CLASSES))


@given(st.lists(st.text("aF0_- é\u0660", max_size=30), max_size=9))
def test_longest_runs_equal_a_plain_count(lines):
    blocks = [f"{line}\n".encode() for line in lines]
    starts = [0, *np.cumsum([len(block) for block in blocks]).tolist()]
    text = b"".join(blocks)
    np.testing.assert_array_equal(longest_runs(text, starts), count_runs(text, starts))


def test_long_run_counts_as_the_maximum():
    assert longest_runs(b"0" * 999 + b"\n", [0, 1000])[0, DIGITS] == MAX_RUN


PIECES = st.sampled_from(["[0-9]", "[a-f]", "[A-Z]", r"\d", r"\w", "-", "_", "x", "é", "[0-9a-f]"])
COUNTS = st.sampled_from(["", "{2}", "{3}", "{2,}", "?", "*", "+", "{5}"])
PARTS = st.lists(st.tuples(PIECES, COUNTS), min_size=1, max_size=4).map(
    lambda parts: "".join(piece + count for piece, count in parts)
)
PATTERNS = st.one_of(
    PARTS,
    st.tuples(PARTS, PARTS).map(lambda two: f"({two[0]}|{two[1]})"),
    st.tuples(PARTS, PARTS).map(lambda two: f"({two[0]}){{2}}{two[1]}"),
    PARTS.map(lambda part: f"(?i){part}"),
)
TEXT = st.text("09afFZx_-é٣ ", max_size=14)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, TEXT)
def test_every_match_has_the_runs(pattern, text):
    match = re.search(pattern, text)
    if match is not None:
        part = match[0].encode()
        runs = longest_runs(part + b"\n", [0, len(part) + 1])[0]
        insensitive = pattern.startswith("(?i)")
        assert (runs >= np.array(class_runs(pattern, True, insensitive))).all(), (match[0], runs)


def test_blocks_without_a_run_are_skipped(tmp_path):
    lines = [f"word {'-' * (n % 7)} number\n" * 300 for n in range(200)]
    lines[150] = "deadbeef0123\n"
    workspace = Workspace.open(tmp_path / "home", follow=False)
    workspace.index(write_tree(tmp_path / "tree", {"a.txt": "".join(lines)}))
    results = workspace.search_text("[0-9a-f]{12}", regex=True)
    assert [hit.start_line for hit in results] == [150 * 300 + 1]
    (target,) = workspace._repositories.view(Scope()).targets
    shard = workspace._shards.open(target.shard)
    plan = plan_text(
        shard, "tree", compile_mask(shard, (), Scope()), TextQuery("[0-9a-f]{12}", regex=True)
    )
    assert plan.bytes_to_read < 20_000 < shard.size / 20
    workspace.close()


def test_blocks_of_a_requirement(tmp_path):
    builder = PostingsBuilder()
    builder.add(b"words only\n" * 2000)
    builder.add(b"0123456789\n")
    builder.add(b"words only\n" * 2000)
    builder.write(tmp_path / "postings.bin")
    postings = Postings(tmp_path / "postings.bin")
    assert postings.runs.shape == (postings.blocks, len(CLASSES))
    assert len(np.flatnonzero(postings.runs[:, DIGITS] >= 10)) == 1
    assert (postings.runs[:, LOWER] >= 5).all()
