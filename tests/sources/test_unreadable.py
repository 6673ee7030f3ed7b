"""Files and folders without read permission, for a process without root's capabilities."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import write_tree

PLAIN = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if hasattr(os, "geteuid") and os.geteuid() == 0
    else []
)
pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits"),
    pytest.mark.skipif(
        bool(PLAIN) and shutil.which("setpriv") is None,
        reason="root can read everything, and setpriv (util-linux) is not installed",
    ),
]


@pytest.fixture
def tree(tmp_path):
    tree = write_tree(
        tmp_path / "t",
        {
            "a.py": "open_one = 1\n",
            "closed.py": "closed_one = 1\n",
            "shut/b.py": "shut_in = 1\n",
            "last.py": "last_one = 1\n",
        },
    )
    yield tree
    (tree / "shut").chmod(0o755)  # so that pytest can delete it


def codeintel(*arguments):
    done = subprocess.run(
        [*PLAIN, sys.executable, "-m", "codeintel_nb.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def found(pattern):
    return [
        line.partition(":")[0] for line in codeintel("grep", pattern)[1].splitlines() if ":" in line
    ]


def close(tree):
    (tree / "closed.py").chmod(0)
    (tree / "shut").chmod(0)


def open_again(tree):
    (tree / "closed.py").chmod(0o644)
    (tree / "shut").chmod(0o755)


@pytest.mark.slow
def test_files_without_permission_are_skipped_and_named(tree):
    close(tree)
    code, out, err = codeintel("index", tree)
    assert (code, "indexed 2 files" in out) == (0, True), out + err
    assert found("_one = 1") == ["a.py", "last.py"]
    code, out, _ = codeintel("status", "--skipped")
    assert code == 0
    assert "unreadable" in out
    assert "closed.py" in out
    assert "shut" in out

    open_again(tree)
    assert found("_one = 1|shut_in") == []
    assert found("shut_in") == ["shut/b.py"], "a text search reads files that became readable"
    code, out, err = codeintel("index", tree)
    assert (code, "indexed 2 files" in out) == (0, True), out + err
    assert "unreadable" not in codeintel("status", "--skipped")[1]


@pytest.mark.slow
def test_indexed_file_that_becomes_unreadable_is_dropped(tree):
    assert codeintel("index", tree)[0] == 0
    assert found("closed_one") == ["closed.py"]
    close(tree)
    assert codeintel("index", tree)[0] == 0
    assert found("closed_one") == found("shut_in") == []
    assert found("_one = 1") == ["a.py", "last.py"]


def test_unreadable_root_is_an_error(tree):
    shut = tree / "shut"
    shut.chmod(0)
    code, out, err = codeintel("index", shut)
    assert code == 2
    assert str(shut) in err
    assert "read" in err
    assert "Traceback" not in err + out


@pytest.mark.slow
def test_index_survives_loss_of_read_permission(tree):
    assert codeintel("index", tree)[0] == 0
    tree.chmod(0)
    try:
        code, out, err = codeintel("index", tree)
        assert (code, "no permission to read" in err, "Traceback" in out + err) == (
            2,
            True,
            False,
        ), out + err
        refresh = [
            *PLAIN,
            sys.executable,
            "-c",
            "from codeintel_nb import Workspace; Workspace.open().refresh('t')",
        ]
        assert (
            "SourceError: The folder"
            in subprocess.run(refresh, capture_output=True, text=True, timeout=60).stderr
        )
        assert found("closed_one") == ["closed.py"]
    finally:
        tree.chmod(0o755)
    assert codeintel("index", tree)[0] == 0
    assert found("closed_one") == ["closed.py"]


SEARCHED_WHILE_IT_OPENS = """
import os, sys
from pathlib import Path
from codeintel_nb import Workspace
root, workspace = Path(sys.argv[1]), Workspace.open(sys.argv[2])
def paths():
    hits = workspace.search_text("_one = 1|shut_in", regex=True)
    return sorted(hit.path for hit in hits)
(root / "shut").chmod(0)
workspace.index(root)
print(paths())
(root / "shut").chmod(0o755)
print(paths())
(root / "shut/b.py").write_text("shut_in = 2\\n")
print(len(workspace.search_text("shut_in = 2")))
handles = []
try:
    while True:
        handles.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
try:
    print(paths() != [])
except Exception as error:
    print(type(error).__name__ in ("SourceError", "EngineError"))
for handle in handles:
    os.close(handle)
print(paths())
"""


def test_folder_made_readable_again_is_searched_at_once(tree, tmp_path):
    done = subprocess.run(
        [*PLAIN, sys.executable, "-c", SEARCHED_WHILE_IT_OPENS, tree, tmp_path / "home"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    everything = "['a.py', 'closed.py', 'last.py', 'shut/b.py']"
    assert done.stdout.splitlines() == [
        "['a.py', 'closed.py', 'last.py']",
        everything,
        "1",
        "True",
        everything,
    ], done.stderr
