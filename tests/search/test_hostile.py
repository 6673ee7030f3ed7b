"""Hostile input to text search: patterns that hang a backtracking engine, and huge files."""

import os
import resource

import msgspec
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.settings import Settings
from tests.conftest import write_tree

EVIL = [
    r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*a){12}$", r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"([a-zA-Z]+)*$", r"(a*)*b", r"(?:a?){30}a{30}$", r"(x+x+)+y", r"^(a+)+b$", r"(\w+\s?)+$",
    r"((a*)*)*c", r"(.*)*d$", r"a.*a.*a.*a.*a.*b", r"(?i)(A+)+z", r"\b(a+a+)+\b!",
]  # fmt: skip


def lines(length):
    return "".join(
        f"{'a' * length}!\n{'x' * length}\n{'a ' * (length // 2)}\n{'ab' * (length // 2)}C\n"
        for _ in range(4)
    )


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory):
    """Yield two workspaces: text in lines of 20,000 characters, and four times as long."""
    made = []
    for length in (20_000, 80_000):
        base = tmp_path_factory.mktemp("evil")
        workspace = Workspace(Settings.from_environment(base / "home"))
        workspace.index(write_tree(base / "tree", {"long.txt": lines(length)}))
        made.append(workspace)
    yield made
    for workspace in made:
        workspace.close()


@pytest.mark.parametrize("pattern", EVIL)
def test_catastrophic_patterns_take_linear_time(workspaces, pattern):
    took = []
    for workspace in workspaces:
        best = min(timed(workspace, pattern) for _ in range(2))
        took.append(best)
    assert took[1] < 16 * took[0] + 0.5, (
        "four times the text takes about four times as long; backtracking would take forever"
    )


def timed(workspace, pattern):
    began = cpu_s()
    results = workspace.search_text(pattern, regex=True, limit=100, deadline=120)
    took = cpu_s() - began
    assert results.reason != "time"
    return took


def cpu_s():
    """Return the CPU seconds of this process and its ended children.

    Unlike elapsed time, they do not depend on the load of the machine.
    """
    return sum(os.times()[:4])


@pytest.mark.slow
def test_line_of_200_mb_is_not_read(tmp_path):
    tree = write_tree(tmp_path / "tree", {"a.py": "needle = 1\n"})
    with (tree / "one_line.json").open("wb") as file:
        for _ in range(200):
            file.write(b"needle, " * 125_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unindexed = Workspace(Settings.from_environment(tmp_path / "none"), here=str(tree))
    assert [hit.path for hit in unindexed.search_text("needle")] == ["a.py"]
    workspace = Workspace(Settings.from_environment(tmp_path / "home"))
    report = workspace.index(tree)
    assert report.skipped["too large"] == 1
    assert [hit.path for hit in workspace.search_text("needle")] == ["a.py"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, (
        "in kB: the file is not even read"
    )
    (tree / "minified.js").write_text("needle;" * 250_000)  # 1.7 MB, which is indexed
    hit = workspace.search_text("needle", Scope(languages=("javascript",)))[0]
    assert len(hit.snippet) == 2000
    workspace.index(tree)
    (hit,) = workspace.search_text("needle", Scope(languages=("javascript",)))
    assert (hit.column, len(hit.snippet)) == (1, 2000)


@pytest.mark.slow
def test_scope_of_one_per_cent_costs_less_than_a_tenth(tmp_path):
    """Push the scope down: text outside it is not read."""
    text = "".join(f"value_{i} = compute({i}) or fallback\n" for i in range(1500))
    workspace = Workspace(Settings.from_environment(tmp_path / "home"))
    workspace.index(write_tree(tmp_path / "tree", {f"f{i:03}.txt": text for i in range(400)}))
    scope = Scope(include_globs=("f00[0-3].txt",))

    def best(scope):
        times = []
        for _ in range(5):
            began = cpu_s()
            results = workspace.search_text(r"[0-9]{3}7\) or", scope, regex=True, limit=100_000)
            times.append(cpu_s() - began)
        return min(times), len(results)

    (whole_s, found), (narrow_s, inside) = best(None), best(scope)
    assert found == 100 * inside == 100 * 4 * 50
    assert narrow_s < whole_s / 10


@pytest.mark.slow
def test_successor_of_a_shard_deleted_during_a_search_is_searched(tmp_path):
    text = "".join(f"value_{i} = compute({i}) or fallback\n" for i in range(1500))
    tree = write_tree(tmp_path / "tree", {f"f{i:03}.txt": text for i in range(130)})
    settings = msgspec.structs.replace(
        Settings.from_environment(tmp_path / "home"), retired_shard_age_s=0.0
    )
    reader, writer = Workspace(settings), Workspace(settings)
    writer.index(tree)
    pattern = r"[0-9]{3}7\) or"
    expected = reader.search_text(pattern, regex=True, limit=100_000).hits
    through, once = reader._files.with_changes, [1]

    def late(now, scope, no_ignore=False):
        if once:
            once.clear()
            writer.index(tree, rebuild=True)
            root = reader._shards.root
            assert not any((root / target.shard).exists() for target in now.targets)
        return through(now, scope, no_ignore)

    reader._files.with_changes = late
    assert reader.search_text(pattern, regex=True, limit=100_000).hits == expected
    assert not once
