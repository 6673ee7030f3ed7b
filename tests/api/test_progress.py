"""Progress lines: whole seconds, and a share that never decreases."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.index.update.report import Progress
from codeintel_nb.output.progress import Estimate


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@given(
    st.lists(
        st.tuples(st.integers(0, 4_000), st.integers(0, 50_000_000), st.floats(0, 30)),
        min_size=1,
        max_size=60,
    )
)
def test_share_never_decreases_and_seconds_are_whole(steps):
    clock = Clock()
    estimate = Estimate(clock)
    before = 0.0
    for files, size, seconds in steps:
        clock.now += seconds
        line = estimate.line(Progress("indexing", files, 4_000, size, 50_000_000))
        share = estimate.share(Progress("indexing", files, 4_000, size, 50_000_000))
        assert before <= share <= 1
        before = share
        assert not re.search(r"\d\.\d+ s left|ms left", line)


def test_a_steady_run_counts_down():
    clock = Clock()
    estimate, left = Estimate(clock), []
    for second in range(100):
        clock.now += 1
        line = estimate.line(Progress("indexing", second, 100, second * 1000, 100_000))
        if found := re.search(r"(?:(\d+) min )?(\d+) s left", line):
            left.append(60 * int(found[1] or 0) + int(found[2]))
    assert left == sorted(left, reverse=True)
    assert left[-1] <= 2


def test_files_without_text_advance_the_share():
    estimate = Estimate(Clock())
    assert 0.4 < estimate.share(Progress("indexing", 500, 1_000, 0, 0)) < 0.6
    assert estimate.line(Progress("drawing the map", bytes_done=50, bytes_total=100)).startswith(
        "drawing the map  50 %"
    )


def test_share_restarts_for_each_repository_and_for_compaction():
    estimate = Estimate(Clock())
    shares = [
        estimate.share(Progress(stage, done, 100, repository=name))
        for name, stage, done in (
            ("a", "indexing", 90),
            ("a", "indexing", 10),
            ("b", "indexing", 10),
            ("b", "compacting", 0),
        )
    ]
    assert shares == [0.9, 0.9, 0.1, 0.0]
    assert estimate.line(Progress("indexing", 20, 100, repository="c")).startswith(
        "c: indexing  20 %"
    )
