"""Nothing is lost: a writer killed or out of disk at any moment leaves the last good index, and what it left behind is reclaimed."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

KILLS, FAILURES = 300, 100
ROOT = Path(__file__).resolve().parents[2]


def rounds(folders, how, count):
    """So many rounds, shared by two processes, each on a file system of its own where there is a second."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.index.killed", str(folder), how, str(count // 2), str(seed)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )
        for seed, folder in enumerate(folders)
    ]  # fmt: skip
    ended = Counter()
    for process in running:
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, err[-3000:]
        ended += json.loads(out)
    return ended


@pytest.fixture
def folders(tmp_path):
    """A folder on the disk, and one in memory."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as second:
        yield [tmp_path / "disk", Path(second) / "memory"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
def test_a_writer_killed_at_any_moment_harms_nothing(folders):
    ended = rounds(folders, "kill", KILLS)
    assert sum(ended.values()) == KILLS
    for work in ("build", "update", "compact"):
        assert ended[f"{work}: before one"] > 10, (
            f"{ended}: the moments are spread over all of the work"
        )
    assert (
        sum(count for what, count in ended.items() if what.endswith("after a publication")) > 5
    ), ended


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
def test_writes_that_fail_harm_nothing(folders):
    ended = rounds(folders, "fail", FAILURES)
    assert (
        sum(count for what, count in ended.items() if not what.endswith("done")) > FAILURES / 3
    ), ended
