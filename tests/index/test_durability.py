"""Durability: a writer killed or out of disk space leaves the last good index.

The next write reclaims its leftovers.
"""

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
    """Run ``count`` rounds, split between one process per folder; return the outcomes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.index.killed",
                str(folder),
                how,
                str(count // 2),
                str(seed),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        for seed, folder in enumerate(folders)
    ]
    ended = Counter()
    for process in running:
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, err[-3000:]
        ended += json.loads(out)
    return ended


@pytest.fixture
def folders(tmp_path):
    """Yield a folder on disk and one in memory, if /dev/shm is writable."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as second:
        yield [tmp_path / "disk", Path(second) / "memory"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_writer_leaves_a_valid_index(folders):
    ended = rounds(folders, "kill", KILLS)
    assert sum(ended.values()) == KILLS
    for work in ("build", "update", "compact"):
        assert ended[f"{work}: before one"] > 10, f"{ended}: kills are spread over all of the work"
    assert (
        sum(count for what, count in ended.items() if what.endswith("after a publication")) > 5
    ), ended


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_failed_writes_leave_a_valid_index(folders):
    ended = rounds(folders, "fail", FAILURES)
    assert (
        sum(count for what, count in ended.items() if not what.endswith("done")) > FAILURES / 3
    ), ended
