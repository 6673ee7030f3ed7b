"""Freshness: text searches see every change, even before the index is updated."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from codeintel_nb import Scope, Workspace
from codeintel_nb.errors import SearchError, SourceError
from codeintel_nb.index.update.processes import MODULE
from codeintel_nb.search.text.rg_process import rg_path
from codeintel_nb.settings import Settings
from codeintel_nb.sources.walk import Walk
from tests.conftest import write_tree
from tests.live import children_of
from tests.sources.ignore_trees import make_repository
from tests.waiting import HANG_S

TREE = {
    "a.py": "def first():\n    return 1\n",
    "b/c.py": "value = 1\n",
    "b/d.md": "# Title\n\nvalue of prose\n",
    "e.txt": "plain\n",
}


@pytest.fixture(params=["told", pytest.param("looked at", marks=pytest.mark.slow)])
def ws(request, tmp_path):
    """Yield a workspace that watches for changes, or one that scans the folder at each search."""
    workspace = Workspace(
        Settings.from_environment(tmp_path / "home"), follow=request.param == "told"
    )
    yield workspace
    workspace.close()


@pytest.fixture
def tree(ws, tmp_path):
    root = write_tree(tmp_path / "tree", TREE)
    ws.index(root)
    return root


def found(workspace, pattern, **options):
    return [
        (hit.path, hit.start_line)
        for hit in workspace.search_text(pattern, limit=10_000, **options)
    ]


def test_forks_and_their_parent_each_see_every_change(ws, tree):
    """They share the queue of events until a fork opens its own."""
    assert found(ws, "zebra") == []

    def in_fork(search):
        child = os.fork()
        if child == 0:
            signal.alarm(int(HANG_S))
            with contextlib.suppress(BaseException):
                os._exit(0 if search() else 1)
            os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def search_twice():
        before = found(ws, "zebra_1") == [("a.py", 1)]
        (tree / "b/c.py").write_text("zebra_2 = 1\n")
        return before and found(ws, "zebra_2") == [("b/c.py", 1)]

    (tree / "a.py").write_text("zebra_1 = 1\n")
    assert in_fork(search_twice) == 0
    assert found(ws, "zebra") == [("a.py", 1), ("b/c.py", 1)]
    assert found(ws, "def first") == []
    (tree / "a.py").write_text("zebra_3 = 1\n")
    assert found(ws, "zebra_3") == [("a.py", 1)]


def test_just_saved_file_is_found(ws, tree):
    assert found(ws, "zebra") == []
    for i in range(20):
        (tree / "a.py").write_text(f"zebra_{i} = 1\n")
        assert found(ws, f"zebra_{i}") == [("a.py", 1)]
        assert found(ws, "def first") == []
    results = ws.search_text("zebra")
    assert results.coverage.unindexed == 1
    (hit,) = results
    assert ws.open_file("tree", "a.py").text == "zebra_19 = 1"
    (tree / "a.py").unlink()
    with pytest.raises(SourceError, match="no indexed file"):
        ws.open_file("tree", "a.py")
    assert (hit.repo, hit.language, hit.kind, hit.column, hit.revision) == (
        "tree",
        "python",
        "module",
        1,
        "worktree",
    )


def test_new_removed_and_renamed_files(ws, tree):
    assert found(ws, "value") == [("b/c.py", 1), ("b/d.md", 3)]
    write_tree(tree, {"new/deep/er.py": "value = 2\n", "b/.hidden": "value\n"})
    assert found(ws, "value") == [
        ("b/.hidden", 1),
        ("b/c.py", 1),
        ("b/d.md", 3),
        ("new/deep/er.py", 1),
    ]
    write_tree(tree, {"new/deep/second.py": "value = 3\n"})
    (tree / "b" / "d.md").unlink()
    assert found(ws, "value") == [
        ("b/.hidden", 1),
        ("b/c.py", 1),
        ("new/deep/er.py", 1),
        ("new/deep/second.py", 1),
    ]
    (tree / "b").rename(tree / "z")
    assert found(ws, "value") == [
        ("new/deep/er.py", 1),
        ("new/deep/second.py", 1),
        ("z/.hidden", 1),
        ("z/c.py", 1),
    ]
    (tree / "z" / "c.py").write_text("other\n")
    assert ("z/c.py", 1) in found(ws, "other")
    shutil.rmtree(tree / "new")
    assert found(ws, "value") == [("z/.hidden", 1)]


def test_ignore_files_take_effect_immediately(ws, tree):
    assert found(ws, "value = 1") == [("b/c.py", 1)]
    (tree / ".gitignore").write_text("c.py\n")
    write_tree(tree, {"x/c.py": "value = 1\n", "x/k.py": "value = 1\n"})
    assert found(ws, "value = 1") == [("x/k.py", 1)]
    (tree / ".gitignore").unlink()
    assert found(ws, "value = 1") == [("b/c.py", 1), ("x/c.py", 1), ("x/k.py", 1)]


def test_files_that_are_never_indexed_are_not_read(ws, tree):
    write_tree(
        tree,
        {
            ".env": "TOKEN=value\n",
            "key.pem": "value\n",
            "bin.dat": b"value\0",
            "node_modules/m.js": "value\n",
            "big.txt": "value\n" * 400_000,
        },
    )
    (tree / "link.py").symlink_to(tree / "b" / "c.py")
    (tree / "out.txt").symlink_to("/etc/hostname")
    assert found(ws, "value") == [("b/c.py", 1), ("b/d.md", 3)]
    assert found(ws, ".", regex=True, scope=Scope(include_globs=("out.txt", "key.pem"))) == []


def test_scope_applies_to_new_files(ws, tree):
    write_tree(
        tree,
        {
            "n.py": "value\n",
            "n.js": "value\n",
            "t/n.py": "value\n",
            "run": "#!/usr/bin/env python\nvalue\n",
            "h.h": "class value {\n};\n",
        },
    )
    assert found(ws, "value", scope=Scope(languages=("python",))) == [
        ("b/c.py", 1),
        ("n.py", 1),
        ("run", 2),
        ("t/n.py", 1),
    ]
    assert found(ws, "value", scope=Scope(languages=("cpp",))) == [("h.h", 1)]
    assert found(ws, "value", scope=Scope(include_globs=("*.py",), exclude_globs=("t/**",))) == [
        ("b/c.py", 1),
        ("n.py", 1),
    ]
    assert found(ws, "value", scope=Scope(kinds=("markdown",))) == [("b/d.md", 3)]


def test_new_notebook_is_searched_by_cell(ws, tree):
    cells = [
        {"cell_type": "markdown", "source": "# zebra\n"},
        {
            "cell_type": "code",
            "source": ["import zebra\n", "%timeit zebra"],
            "outputs": [{"text": "zebra"}],
        },
    ]
    (tree / "n.ipynb").write_text(
        json.dumps(
            {
                "cells": cells,
                "metadata": {"kernelspec": {"language": "python"}},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        )
    )
    hits = ws.search_text("zebra")
    assert [(hit.start_line, hit.cell, hit.kind, hit.language) for hit in hits] == [
        (1, 0, "markdown", "python"),
        (2, 1, "cell", "python"),
        (3, 1, "cell", "python"),
    ]
    (tree / "n.ipynb").write_text("zebra, but no notebook\n")
    assert [(hit.cell, hit.language) for hit in ws.search_text("zebra")] == [(None, "json")]


def test_limit_spans_index_and_unindexed_files(ws, tree):
    write_tree(tree, {f"b/n{i:03}.py": "value\nvalue\n" for i in range(300)})
    results = ws.search_text("value", limit=5)
    assert [(hit.path, hit.start_line) for hit in results] == [
        ("b/c.py", 1),
        ("b/d.md", 3),
        ("b/n000.py", 1),
        ("b/n000.py", 2),
        ("b/n001.py", 1),
    ]
    assert results.truncated
    assert ws.search_text("value", limit=10_000).total == 602
    assert len(ws.search_text("value", show="files", limit=10_000)) == 302
    assert {
        hit.score
        for hit in ws.search_text(
            "value", show="counts", limit=10_000, scope=Scope(include_globs=("b/n*",))
        )
    } == {2.0}
    cancel = threading.Event()
    cancel.set()
    assert ws.search_text("value", cancel=cancel).truncated


def test_touched_file_with_same_content_uses_the_index(ws, tree):
    os.utime(tree / "a.py")
    results = ws.search_text("first")
    assert results.coverage.unindexed == 0
    assert results[0].symbol == "first"


def test_indexing_clears_unindexed_files(ws, tree):
    (tree / "a.py").write_text("def later():\n    return 2\n")
    assert ws.search_text("later").coverage.unindexed == 1
    ws.index(tree)
    results = ws.search_text("later")
    assert results.coverage.unindexed == 0
    assert results[0].symbol == "later"


def test_index_answers_after_its_folder_is_deleted(ws, tree):
    shutil.rmtree(tree)
    assert found(ws, "def first") == [("a.py", 1)]


def test_current_folder_is_searched_when_nothing_is_indexed(tmp_path):
    write_tree(
        tmp_path / "here", {**TREE, **{f"many/{i}.py": f"number = {i}\n" for i in range(500)}}
    )
    workspace = Workspace(Settings.from_environment(tmp_path / "home"), here=str(tmp_path / "here"))
    results = workspace.search_text("value")
    assert [(hit.repo, hit.path) for hit in results] == [("here", "b/c.py"), ("here", "b/d.md")]
    assert results.coverage.folder == str(tmp_path / "here")
    assert results.roots == {"here": str(tmp_path / "here")}
    assert found(workspace, r"number = \d*7$", regex=True) == sorted(
        (f"many/{i}.py", 1) for i in range(500) if i % 10 == 7
    )
    assert len(workspace.search_text("number", limit=3)) == 3
    with pytest.raises(SearchError, match="is invalid"):
        workspace.search_text("(unclosed", regex=True)
    with pytest.raises(SearchError, match="Nothing is indexed"):
        workspace.search_text("value", Scope(repos=("other",)))
    with pytest.raises(SearchError, match="Nothing is indexed"):
        workspace.semantic_search("value")


def test_unfinished_first_index_hides_no_files(tmp_path):
    """Check that text search covers a repository whose first build was stopped midway."""
    root = write_tree(
        tmp_path / "tree", {f"f{i:03}.py": f"token_{i} = 1\n" * 400 for i in range(400)}
    )
    small = msgspec.structs.replace(
        Settings.from_environment(tmp_path / "home"), shard_bytes=60_000
    )
    workspace = Workspace(small)
    cancel = threading.Event()

    def progress(event):
        if event.stage == "writing":
            cancel.set()

    with pytest.raises(Exception, match="was stopped at"):
        workspace.index(root, progress=progress, cancel=cancel)
    assert len(found(workspace, "token_", show="files")) == 400


class Edits(RuleBasedStateMachine):
    """Random edits of a tree, after each of which a search must equal a plain scan."""

    names = st.sampled_from(["a.py", "b.txt", "d/a.py", "d/e/f.md", "g/h.py", "d/e/i.py"])
    words = st.sampled_from(["alpha", "beta", "gamma"])

    @initialize()
    def begin(self):
        import tempfile
        from pathlib import Path

        self.base = Path(tempfile.mkdtemp())
        self.root = write_tree(self.base / "tree", {"a.py": "alpha\n", "d/a.py": "beta\n"})
        self.workspace = Workspace(Settings.from_environment(self.base / "home"))
        self.workspace.index(self.root)

    @rule(name=names, word=words, count=st.integers(1, 3))
    def write(self, name, word, count):
        if all(not parent.is_file() for parent in (self.root / name).parents):
            write_tree(self.root, {name: f"{word}\n" * count})

    @rule(name=names)
    def remove(self, name):
        (self.root / name).unlink(missing_ok=True)

    @rule(
        one=st.sampled_from(["d", "g", "d/e", "k"]), other=st.sampled_from(["m", "g", "d/n", "k"])
    )
    def move(self, one, other):
        if (
            (self.root / one).is_dir()
            and not (self.root / other).exists()
            and (self.root / other).parent.is_dir()
            and not other.startswith(f"{one}/")
        ):
            (self.root / one).rename(self.root / other)

    @rule()
    def index(self):
        self.workspace.index(self.root)

    @invariant()
    def the_same_as_a_plain_scan(self):
        if not hasattr(self, "root"):
            return
        for word in ("alpha", "gamma"):
            expected = [
                (str(path.relative_to(self.root)), number)
                for path in sorted(self.root.rglob("*"), key=lambda path: path.parts)
                if path.is_file()
                for number, line in enumerate(path.read_text().split("\n"), 1)
                if word in line
            ]
            assert found(self.workspace, word) == expected

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()
            shutil.rmtree(self.base)


TestEdits = pytest.mark.slow(Edits.TestCase)
TestEdits.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


@given(
    st.lists(
        st.sampled_from(["import", "x", "é", "Error", " ", "\n", "def f():", "K", "ſ", "\r"]),
        max_size=30,
    ),
    st.sampled_from(["import", "error", r"\w+", "^x", "k", "s", r"\bx\b", "x$"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_unindexed_files_match_like_ripgrep(tmp_path_factory, pieces, pattern):
    from codeintel_nb.search.text.rg_process import rg_path

    here = tmp_path_factory.mktemp("loose")
    (here / "f.txt").write_bytes("".join(pieces).encode())
    workspace = Workspace(Settings.from_environment(here.with_suffix(".home")), here=str(here))
    done = subprocess.run(
        [rg_path(), "--no-config", "--json", "--smart-case", "-e", pattern, "f.txt"],
        cwd=here,
        capture_output=True,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [e["data"]["line_number"] for e in events if e["type"] == "match"]
    assert [
        hit.start_line for hit in workspace.search_text(pattern, regex=True, limit=1000)
    ] == expected


def test_file_reverted_during_indexing_is_checked_again(tmp_path):
    """Check a file changed and changed back during indexing.

    Its events were compared with the previous index.
    """
    root = write_tree(tmp_path / "tree", {"f.txt": "aaaa\n"})
    workspace = Workspace(Settings.from_environment(tmp_path / "home"))
    workspace.index(root)
    assert found(workspace, "aaaa") == [("f.txt", 1)]
    write_tree(root, {"tmp.txt": "needle_gone\n", "f.txt": "bbbb\n"})

    def progress(event):
        if event.stage == "writing":
            (root / "tmp.txt").unlink(missing_ok=True)
            (root / "f.txt").write_text("aaaa\n")
            found(workspace, "needle_gone")

    workspace.index(root, progress=progress)
    assert found(workspace, "needle_gone") == []
    assert found(workspace, "aaaa") == [("f.txt", 1)]
    assert found(workspace, "bbbb") == []


def test_search_on_an_older_snapshot_is_retried(ws, tree):
    (tree / "a.py").write_text("new_word\n")
    through, once = ws._files.with_changes, [1]

    def late(now, scope, no_ignore=False):
        if once:
            once.clear()
            ws.index(tree)
            assert found(ws, "new_word") == [("a.py", 1)]
        return through(now, scope, no_ignore)

    ws._files.with_changes = late
    assert found(ws, "def first") == []


def test_verified_mtime_is_valid_for_that_content_only(ws, tmp_path):
    root = write_tree(tmp_path / "other", {"f.txt": "aaaa\n"})
    ws.index(root)
    os.utime(root / "f.txt", (1, 1))
    assert found(ws, "aaaa") == [("f.txt", 1)]
    (root / "f.txt").rename(tmp_path / "kept")
    (root / "f.txt").write_text("bbbb\n")
    ws.index(root)
    assert found(ws, "bbbb") == [("f.txt", 1)]
    (tmp_path / "kept").rename(root / "f.txt")
    assert found(ws, "aaaa") == [("f.txt", 1)]
    assert found(ws, "bbbb") == []


def test_replaced_root_and_ignore_rules_above_it(ws, tmp_path, git):
    top = write_tree(tmp_path / "top", {"sub/f.txt": "aaaa\n", "sub/g.log": "aaaa\n"})
    git("init", "-q", cwd=top)
    ws.index(top / "sub")
    assert found(ws, "aaaa") == [("f.txt", 1), ("g.log", 1)]
    (top / ".gitignore").write_text("*.log\n")
    assert found(ws, "aaaa") == [("f.txt", 1)]
    top.rename(tmp_path / "moved")
    write_tree(tmp_path / "top", {"sub/f.txt": "cccc\n"})
    assert found(ws, "aaaa") == []
    assert found(ws, "cccc") == [("f.txt", 1)]


def test_refresh_without_events_walks_nothing(ws, tree, monkeypatch):
    found(ws, "zebra")  # scans the folder once; from then on, events report changes
    looked, walk = [], Walk.__iter__
    monkeypatch.setattr(Walk, "__iter__", lambda self: looked.append(1) or walk(self))
    report = ws.refresh("tree")
    assert (report.indexed, report.removed, report.unchanged, report.files) == (
        0,
        0,
        len(TREE),
        len(TREE),
    )
    assert bool(looked) == (ws._freshness._notices is None)
    for change, expected in [
        (lambda: (tree / "a.py").write_text("zebra = 1\n"), (1, 0)),
        (lambda: (tree / ".ignore").write_text("b/\n"), (1, 2)),
        (lambda: ((tree / "new.py").write_text("zebra = 2\n"), (tree / "e.txt").unlink()), (1, 1)),
        (lambda: (tree / ".ignore").unlink(), (2, 1)),
        (lambda: os.utime(tree / "a.py"), (0, 0)),
    ]:
        change()
        report = ws.refresh("tree")
        assert (report.indexed, report.removed) == expected
        found(ws, "zebra")
    assert found(ws, "value") == [("b/c.py", 1), ("b/d.md", 3)]


def test_refresh_reads_only_the_files_reported_as_changed(ws, tree):
    found(ws, "zebra")
    ws.refresh("tree")
    (tree / "a.py").write_text("zebra = 1\n")
    assert ws.refresh("tree").indexed == 1
    (tree / "a.py").write_text("zebra = 2\n")
    report = ws.refresh("tree")
    assert (report.indexed, report.unchanged, report.files) == (1, len(TREE) - 1, len(TREE))
    # an update of named files leaves its process for the next one
    assert bool(children_of(os.getpid(), MODULE)) == (ws._freshness._notices is not None)
    write_tree(tree, {".env": "PASSWORD=secret\n", "a.py": "zebra = 3\n"})
    report = ws.refresh("tree")
    assert report.secrets == (".env",), "the whole folder is compared to count what is left out"
    assert report.indexed == 1
    (tree / ".env").unlink()
    (tree / "a.py").write_text("zebra = 4\n")
    assert ws.refresh("tree").secrets == ()
    assert found(ws, "zebra = 4") == [("a.py", 1)]
    write_tree(tree, {"b/.gitignore": "*.md\n", "a.py": "zebra = 5\n", ".git/HEAD": "x\n"})
    found(ws, "zebra = 5")
    assert ws.refresh("tree").skipped.get("ignored") == 1, "rules change what is left out"


def replaced_in_place(root):
    (root / "a.py").write_text('VERSION = "1.4.2"\n')


def moved_over(root):
    (root.parent / "new").write_text('VERSION = "1.4.2"\n')
    os.utime(root.parent / "new", (1_600_000_000, 1_600_000_000))
    (root.parent / "new").replace(root / "a.py")


def folders_that_change_places(root):
    (root / "one").rename(root / "three")
    (root / "two").rename(root / "one")
    (root / "three").rename(root / "two")


def linked_over(root):
    (root / "a.py").unlink()
    os.link(root / "one/a.py", root / "a.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [replaced_in_place, moved_over, folders_that_change_places, linked_over]
)
@pytest.mark.parametrize("known", [False, True], ids=["at first", "after a search"])
def test_same_size_and_mtime_do_not_hide_a_change(tmp_path, change, known):
    root = write_tree(
        tmp_path / "r",
        {
            "a.py": 'VERSION = "1.4.1"\n',
            "one/a.py": 'VERSION = "2.0.1"\n',
            "two/a.py": 'VERSION = "2.0.2"\n',
        },
    )
    for path in root.rglob("*.py"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    time.sleep(0.05)
    workspace = Workspace.open(tmp_path / "home")
    workspace.index(root)
    if known:
        assert len(found(workspace, "VERSION")) == 3
    change(root)
    for path in root.rglob("*.py"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    expected = {
        (str(path.relative_to(root)), path.read_text().strip()) for path in root.rglob("*.py")
    }
    assert {(hit.path, hit.snippet) for hit in workspace.search_text("VERSION")} == expected
    assert workspace.index(root).indexed >= 1
    by_meaning = {
        (place.rpartition(":")[0], hit.snippet)
        for hit in workspace.semantic_search("VERSION")
        for place in (hit.location, *hit.also)  # copies are folded
    }
    assert by_meaning == expected
    assert workspace.index(root).indexed == 0
    workspace.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "limits",
    [{"max_inotify_watches": 20}, {"max_inotify_watches": 0}, {"max_inotify_instances": 0}],
    ids=str,
)
def test_search_is_correct_and_warns_without_inotify_watches(tmp_path, limits):
    script = """
import sys, shutil, random
from pathlib import Path
from codeintel_nb import Workspace
from codeintel_nb.diagnostics.doctor import examine
from codeintel_nb.server.health import health
from codeintel_nb.server.jobs import Jobs
from codeintel_nb.output.plain_text import caption
root, workspace = Path(sys.argv[1]), Workspace.open(sys.argv[2])
workspace.index(root)
stale = 0
for number in range(40):
    (root / f"d{number % 50}/a.py").write_text(f"changed_{number} = 1\\n")
    stale += len(workspace.search_text(f"changed_{number} ")) != 1
    (root / f"new{number}/sub").mkdir(parents=True)
    (root / f"new{number}/sub/x.py").write_text(f"newly_{number} = 1\\n")
    stale += len(workspace.search_text(f"newly_{number} ")) != 1
    shutil.rmtree(root / f"new{number}")
    stale += len(workspace.search_text(f"newly_{number} ")) != 0
results = workspace.search_text("changed")
warned = "not all folders are watched" in caption(results, len(results))
print(stale, warned, sorted(results.coverage.unwatched))
jobs = Jobs(lambda *_: None)
findings = examine(workspace.settings)
warnings = [finding.said for finding in findings if finding.level == "warning"]
reports = [health(workspace, 1, jobs).reasons, warnings]
print([sum("sysctl fs.inotify.max_user_" in text for text in texts) for texts in reports])
jobs.close()
"""
    root = write_tree(tmp_path / "r", {f"d{number}/a.py": "x = 1\n" for number in range(50)})
    setting = " && ".join(f"echo {value} > /proc/sys/user/{name}" for name, value in limits.items())
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        f'{setting} && exec "$0" -c "$1" "$2" "$3"',
        sys.executable,
        script,
        root,
        tmp_path / "home",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "0 True ['r']\n[1, 1]\n", done.stderr


def test_root_replaced_by_a_link_does_not_break_other_repositories(tmp_path, ws):
    """Check a root replaced by a link out of the allowed folders.

    The repository is skipped and reported, and searched again once its root is back.
    """
    root = write_tree(tmp_path / "tree", TREE)
    other = write_tree(tmp_path / "other", {"x.py": "value_of_another = 1\n"})
    outside = write_tree(
        tmp_path / "outside",
        {"secret.py": "value_from_outside = 1\n", "a.py": "value_from_outside = 1\n"},
    )
    ws.index(root)
    ws.index(other)
    root.rename(tmp_path / "kept")
    root.symlink_to(outside)
    results = ws.search_text("value")
    assert [hit.path for hit in results] == ["x.py"]
    assert "leads elsewhere now" in results.coverage.failed["tree"]
    assert "leads elsewhere now" in ws.failures["tree"]
    with pytest.raises(SourceError, match="leads elsewhere now"):
        ws.refresh("tree")
    with pytest.raises(SourceError, match="leads elsewhere now"):
        ws.search_text("value", Scope(repos=("tree",)))
    assert [hit.path for hit in ws.list_paths(Scope(repos=("tree",)))] == list(TREE), (
        "the index still answers"
    )
    root.unlink()
    (tmp_path / "kept").rename(root)
    assert found(ws, "value = 1") == [("b/c.py", 1)]
    assert ws.failures == {}


@pytest.mark.slow
def test_link_swapped_in_during_a_read_is_not_followed(tmp_path, ws):
    root = write_tree(tmp_path / "tree", {"sub/a.py": "inside = 1\n", "b.py": "inside = 2\n"})
    write_tree(tmp_path / "outside", {"a.py": "outside = 1\n"})
    ws.index(root)
    over = threading.Event()

    def exchange():
        while not over.is_set():
            (root / "b.py").unlink()
            (root / "b.py").symlink_to(tmp_path / "outside/a.py")
            (root / "sub").rename(tmp_path / "away")
            (root / "sub").symlink_to(tmp_path / "outside")
            (root / "sub").unlink()
            (tmp_path / "away").rename(root / "sub")
            (root / "sub/a.py").write_text(f"inside = {time.time_ns()}\n")
            (root / "b.py").unlink()
            (root / "b.py").write_text(f"inside = {time.time_ns()}\n")

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for _ in range(150):
            assert found(ws, "outside") == []
    finally:
        over.set()
        thread.join()
    assert len(found(ws, "inside")) == 2


@pytest.mark.slow
def test_pipe_as_ignore_file_does_not_block_search(tmp_path, ws):
    root, other = (
        write_tree(tmp_path / "tree", TREE),
        write_tree(tmp_path / "other", {"x.py": "value = 1\n"}),
    )
    ws.index(root)
    ws.index(other)
    os.mkfifo(root / ".gitignore")
    (root / "b/.ignore").symlink_to("/dev/zero")
    assert found(ws, "value = 1") == [("x.py", 1), ("b/c.py", 1)]
    assert (
        ws.index(root, rebuild=True).skipped[
            "ignore file that is not read: no regular file, or over 1 MB"
        ]
        == 2
    )


def test_ignore_rules_outside_the_folder_take_effect_immediately(tmp_path, ws, own_home):
    root = tmp_path / "above" / "tree"
    write_tree(root, {"a.log": "value\n", "inner/b.log": "value\n", "inner/c.tmp": "value\n"})
    make_repository(root / "inner")
    ws.index(root)
    assert [path for path, _ in found(ws, "value")] == ["a.log", "inner/b.log", "inner/c.tmp"]
    write_tree(own_home, {"config/git/ignore": "*.log\n"})
    assert [path for path, _ in found(ws, "value")] == ["inner/c.tmp"]
    write_tree(own_home, {".gitconfig": "[core]\n\texcludesFile = ~/mine\n"})
    assert [path for path, _ in found(ws, "value")] == ["a.log", "inner/b.log", "inner/c.tmp"]
    write_tree(own_home, {"mine": "*.tmp\n"})
    assert [path for path, _ in found(ws, "value")] == ["a.log", "inner/b.log"]
    (root / "inner/.git/info/exclude").write_text("b.*\n")
    assert [path for path, _ in found(ws, "value")] == ["a.log"]
    (tmp_path / ".ignore").write_text("!*.tmp\n")
    assert [path for path, _ in found(ws, "value")] == ["a.log", "inner/c.tmp"]


def test_new_inner_repository_has_its_own_ignore_rules(tmp_path, ws):
    root = write_tree(tmp_path / "tree", {".gitignore": "*.log\n", "inner/b.log": "value\n"})
    ws.index(root)
    assert found(ws, "value") == []
    make_repository(tmp_path / "made")
    (tmp_path / "made/.git").rename(root / "inner/.git")
    assert found(ws, "value") == [("inner/b.log", 1)]
    shutil.rmtree(root / "inner/.git")
    assert found(ws, "value") == []


def test_kind_scope_drops_stale_lines_and_counts_unindexed_files(ws, tree):
    functions = Scope(kinds=("function",))
    assert found(ws, "first", scope=functions) == [("a.py", 1)]
    (tree / "a.py").write_text("def second():\n    return 1\n")
    assert found(ws, "first", scope=functions) == []
    results = ws.search_text("second", functions)
    assert (len(results), results.coverage.unindexed) == (0, 1)
    ws.index(tree)
    assert found(ws, "second", scope=functions) == [("a.py", 1)]


def test_no_ignore_searches_ignored_files_like_ripgrep(tmp_path, ws):
    files = {
        ".gitignore": "*.log\nout/\n",
        "a.log": "value\n",
        "out/b.py": "value\n",
        "c.py": "value\n",
        ".ignore": "d.py\n",
        "d.py": "value\n",
        "node_modules/m.js": "value\n",
        "env/pyvenv.cfg": "value\n",
        "env/lib/x.py": "value\n",
        ".env": "value\n",
    }
    root = write_tree(tmp_path / "tree", files)
    make_repository(root)
    ws.index(root)
    assert [path for path, _ in found(ws, "value")] == ["c.py"]
    theirs = subprocess.run(
        [rg_path(), "--no-config", "--hidden", "--no-ignore", "-g", "!.git", "-l", "value"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ours = [path for path, _ in found(ws, "value", no_ignore=True)]
    assert sorted(ours) == sorted(set(theirs) - {".env"}), "likely secrets are never read"
    assert ours == sorted(ours, key=lambda path: path.split("/"))
    assert [
        path
        for path, _ in found(ws, "value", no_ignore=True, scope=Scope(include_globs=("*.log",)))
    ] == ["a.log"]
    with pytest.raises(SearchError, match="Leave out --no-ignore"):
        ws.search_text("value", Scope(kinds=("module",)), no_ignore=True)
    here = Workspace(Settings.from_environment(tmp_path / "empty"), here=str(root))
    assert [path for path, _ in found(here, "value", no_ignore=True)] == ours
    assert [path for path, _ in found(here, "value")] == ["c.py"]
    here.close()


def test_change_through_a_hard_link_is_seen(tmp_path, ws):
    root = write_tree(tmp_path / "tree", {"a/f.py": "old_value = 1\n", "b/g.py": "x = 1\n"})
    os.link(root / "a/f.py", root / "b/f.py")
    outside = write_tree(tmp_path / "outside", {"o.py": "old_value = 2\n"})
    os.link(outside / "o.py", root / "o.py")
    ws.index(root)
    assert len(found(ws, "old_value")) == 3
    (root / "a/f.py").write_text("new_value = 1\n")
    (outside / "o.py").write_text("new_value = 2\n")
    assert [path for path, _ in found(ws, "new_value")] == ["a/f.py", "b/f.py", "o.py"]
    assert found(ws, "old_value") == []
    (root / "o.py").unlink()
    shutil.rmtree(root / "b")
    assert [path for path, _ in found(ws, "value")] == ["a/f.py"]


def test_bind_mounted_folder_is_seen_under_both_paths(tmp_path):
    script = """
import subprocess, sys
from pathlib import Path
from codeintel_nb import Workspace
root, workspace = Path(sys.argv[1]), Workspace.open(sys.argv[2])
subprocess.run(["mount", "--bind", root / "a", root / "b"], check=True)
def paths(pattern): return sorted(hit.path for hit in workspace.search_text(pattern))
workspace.index(root)
print(paths("old"))
(root / "a/f.py").write_text("new = 1\\n")
(root / "a/g.py").write_text("new = 2\\n")
print(paths("old"), paths("new"))
subprocess.run(["umount", root / "b"], check=True)
print(paths("new"))
"""
    root = write_tree(tmp_path / "r", {"a/f.py": "old = 1\n"})
    (root / "b").mkdir()
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            sys.executable,
            "-c",
            script,
            root,
            tmp_path / "home",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "['a/f.py', 'b/f.py']",
        "[] ['a/f.py', 'a/g.py', 'b/f.py', 'b/g.py']",
        "['a/f.py', 'a/g.py']",
    ], done.stderr


def test_git_init_above_or_inside_takes_effect(tmp_path, ws, git):
    root = write_tree(
        tmp_path / "p/sub",
        {
            "a.log": "value\n",
            "deep/.git/config": "",
            "deep/b.tmp": "value\n",
            ".ignore": "",
            ".gitignore": "*.tmp\n",
        },
    )
    (tmp_path / "p/.gitignore").write_text("*.log\n")
    ws.index(root)
    assert [path for path, _ in found(ws, "value")] == ["a.log"]
    git("init", cwd=tmp_path / "p")
    assert found(ws, "value") == []
    git("init", cwd=root / "deep")
    assert [path for path, _ in found(ws, "value")] == ["deep/b.tmp"]
    shutil.rmtree(tmp_path / "p/.git")
    assert [path for path, _ in found(ws, "value")] == ["a.log", "deep/b.tmp"]


@pytest.mark.parametrize(
    "notebook",
    [
        '{"worksheets":[{"cells":5}]}',
        pytest.param('{"cells":true}', marks=pytest.mark.slow),
        pytest.param('{"worksheets":[5, null]}', marks=pytest.mark.slow),
        '{"cells":[5,{"source":{"a":1}}], "metadata":[1]}',
        pytest.param('{"worksheets":[{"cells":true}],"metadata":5}', marks=pytest.mark.slow),
    ],
)
def test_malformed_notebook_breaks_nothing(tmp_path, ws, notebook):
    root = write_tree(tmp_path / "tree", {"bad.ipynb": notebook, "a.py": "value = 1\n"})
    ws.index(root)
    assert found(ws, "value = 1") == [("a.py", 1)]
    (root / "worse.ipynb").write_text(notebook)
    assert found(ws, "value = 1") == [("a.py", 1)]
