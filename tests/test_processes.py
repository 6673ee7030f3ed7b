"""Three processes search while a fourth reindexes in a loop: no error, no partial answer."""

import subprocess
import sys
import time

import pytest

from tests.conftest import write_tree

READER = """
import sys, time
from codeintel_nb import Workspace
workspace = Workspace.open(sys.argv[1])
ends, searches, seen = time.monotonic() + float(sys.argv[2]), 0, set()
while time.monotonic() < ends:
    versions = [hit.snippet for hit in workspace.search_text("VERSION = ", limit=1000)]
    assert len(versions) == 30, f"{len(versions)} files answered: {versions[:3]}"
    assert all(file == 30 for file in [len(workspace.list_paths())])
    found = workspace.semantic_search("the version of a part", limit=30)
    places = [place for hit in found for place in (hit.location, *hit.also)]  # copies are folded
    assert len(places) == len({place.partition(":")[0] for place in places}) == 30, places
    assert workspace.sql("select count(*) from files").rows() == [(30,)]
    seen.add(max(versions)); searches += 1
print(searches, len(seen))
"""
WRITER = """
import pathlib, sys, time
from codeintel_nb import Workspace
import msgspec
from codeintel_nb.settings import Settings
home, root, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
workspace = Workspace(
    msgspec.structs.replace(Settings.from_environment(home), retired_shard_age_s=0.0)
)
ends, rounds = time.monotonic() + seconds, 0
while time.monotonic() < ends:
    rounds += 1
    for i in range(0, 30, 1 + rounds % 4):
        path = root / f"part{i:02}.py"
        temporary = root / ".git" / "x"
        temporary.write_text(f"VERSION = {rounds:04}  # the version of part {i}\\n")
        temporary.rename(path)
    workspace.index(root, name="parts", rebuild=rounds % 3 == 0)
print(rounds)
"""


@pytest.mark.slow
def test_readers_never_see_a_partial_update(tmp_path, make_workspace):
    root = write_tree(
        tmp_path / "parts",
        {f"part{i:02}.py": f"VERSION = 0000  # the version of part {i}\n" for i in range(30)},
    )
    (root / ".git").mkdir()
    workspace = make_workspace()
    workspace.index(root, name="parts")
    home, seconds = str(workspace.settings.home), "12"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, home, seconds],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, home, str(root), seconds],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(float(seconds))
    for process in (*readers, writer):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err[-3000:]
        counts = list(map(int, out.split()))
        assert counts[0] >= 5, "every process kept working"
        assert len(counts) == 1 or counts[1] >= 3, "readers saw the updates"
