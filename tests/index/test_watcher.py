"""Watcher: changed files are indexed automatically."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile

import pytest

from codeintel_nb import Scope
from codeintel_nb.errors import SourceError
from codeintel_nb.index.locking import acquire_lock
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.index.update import build as building
from codeintel_nb.index.update import subprocess_job
from codeintel_nb.index.update.processes import MODULE
from codeintel_nb.index.update.stops import write_stop
from codeintel_nb.index.watch import watcher as watching
from codeintel_nb.sources.repository import package_at
from tests.conftest import write_tree
from tests.sources.test_repository import installed
from tests.waiting import until


def indexed(shop, pattern):
    """Return the live files of the index that contain a text, without reading the folder."""
    found = []
    for stored in Store(shop.settings.home).repositories():
        for ref in read_snapshot(stored.folder).shards:
            shard = Shard(stored.shard(ref.id))
            found += [
                path
                for number, path in enumerate(shard.paths)
                if number not in ref.dead and pattern.encode() in shard.file_content(number)
            ]
    return found


@pytest.fixture
def watched(shop):
    reports, failures = [], []
    watcher = shop.watch(
        updated=reports.append, failed=lambda name, said: failures.append((name, said))
    )
    yield shop, watcher, reports, failures
    watcher.close()


def test_saved_renamed_and_deleted_files_are_followed(watched, tree):
    shop, watcher, reports, failures = watched
    assert watcher.names == ("shop",)
    time.sleep(1.5)  # until the watches are set
    (tree / "src" / "new.py").write_text("def brand_new_thing():\n    pass\n")
    until(lambda: indexed(shop, "brand_new_thing"))
    assert shop.semantic_search("brand new thing").hits[0].path == "src/new.py"
    (tree / "src" / "new.py").rename(tree / "src" / "newer.py")
    until(lambda: indexed(shop, "brand_new_thing") == ["src/newer.py"])
    (tree / "src" / "newer.py").unlink()
    until(lambda: not indexed(shop, "brand_new_thing"))
    assert sum(report.indexed for report in reports) >= 2
    assert failures == []


def test_changes_before_the_start_are_indexed(shop, tree):
    (tree / "early.py").write_text("early_bird = 1\n")
    watcher = shop.watch()
    until(lambda: indexed(shop, "early_bird"))
    watcher.close()


@pytest.mark.slow
def test_closed_watcher_indexes_nothing(watched, tree):
    shop, watcher, reports, _ = watched
    time.sleep(1.5)
    watcher.close()
    assert watcher.names == ()
    (tree / "late.py").write_text("late_bird = 1\n")
    time.sleep(2)
    assert not indexed(shop, "late_bird")
    assert shop.search_text("late_bird").coverage.unindexed == 1


def test_deleted_folder_is_reported(watched, tree):
    _, _, _, failures = watched
    time.sleep(1.5)
    shutil.rmtree(tree)
    until(lambda: failures)
    assert failures[0][0] == "shop"
    assert "no longer exists" in failures[0][1] or "cannot be watched" in failures[0][1]


def test_watch_without_repositories_raises(make_workspace):
    with pytest.raises(SourceError, match="Nothing is indexed yet"):
        make_workspace().watch()


def test_command_prints_each_update_until_interrupted(shop, tree):
    command = [sys.executable, "-m", "codeintel_nb.cli", "watch", "--home", str(shop.settings.home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline() == "Watching shop. Press Ctrl-C to stop.\n"
    time.sleep(2)
    write_tree(tree, {"told.py": "told = 1\n"})
    assert process.stdout.readline().startswith("shop: indexed 1 file,")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()
    process.stderr.close()


@pytest.mark.slow
def test_server_watches_its_repositories(make_server):
    server = make_server("--CodeIntelApp.watch=True")
    write_tree(server.root / "t", {"a.py": "x = 1\n"})
    server.index(server.root / "t", "t")
    until(lambda: server.ask("GET", "health").json["watching"] == ["t"])
    time.sleep(2)
    write_tree(server.root / "t", {"b.py": "fresh_on_the_server = 1\n"})
    until(
        lambda: server.ask(
            "POST", "search/semantic", {"query": "fresh_on_the_server", "mode": "lexical"}
        ).json["results"]["hits"]
    )
    assert server.ask("DELETE", "repositories/t").status in (204, 409)
    until(lambda: server.ask("DELETE", "repositories/t").status == 404)
    until(lambda: server.ask("GET", "health").json["watching"] == [])


@pytest.mark.slow
def test_restored_folder_is_watched_again(watched, tree):
    shop, watcher, _, failures = watched
    time.sleep(1.5)
    tree.rename(tree.parent / "away")
    until(lambda: failures)
    assert indexed(shop, "class Cart") == ["src/shop/cart.py"], "the index still answers"
    write_tree(tree.parent / "away", {"back.py": "came_back = 1\n"})
    (tree.parent / "away").rename(tree)
    until(lambda: indexed(shop, "came_back"))
    write_tree(tree, {"later.py": "later_on = 1\n"})
    until(lambda: indexed(shop, "later_on"))
    assert watcher.names == ("shop",)
    assert len(failures) == 1


def wheel(folder, version):
    """Write a wheel of a package called shelf; return its path."""
    info = f"shelf-{version}.dist-info"
    files = {
        "shelf/__init__.py": f"version_{version.replace('.', '_')} = 1\n",
        "shelf/rules.py": "def rules(): ...\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: shelf\nVersion: {version}\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    path = folder / f"shelf-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(
            f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
        )
    return path


@pytest.fixture
def environment(tmp_path):
    """Return a function to pip install shelf in a virtual environment, and its site-packages."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)

    def install(version):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(tmp_path / "env"),
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            str(wheel(tmp_path, version)),
        ]
        subprocess.run(pip, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})

    install("1.0")
    return install, next((tmp_path / "env").glob("lib/python*/site-packages"))


@pytest.mark.slow
def test_upgraded_package_takes_the_name_of_its_new_version(environment, make_workspace):
    install, site = environment
    workspace, failures = make_workspace(), []
    assert (
        workspace.indexer.index(package_at(site / "shelf", "shelf")).repository == "pkg:shelf==1.0"
    )
    watcher = workspace.watch(failed=lambda name, said: failures.append((name, said)))
    try:
        time.sleep(1.5)
        for version in ("1.1", "2.0"):
            install(version)
            until(
                lambda version=version: (
                    [r.name for r in workspace.repositories()] == [f"pkg:shelf=={version}"]
                )
            )
            until(lambda version=version: watcher.names == (f"pkg:shelf=={version}",))
            assert indexed(workspace, rf"version_{version.replace('.', '_')}") == ["__init__.py"]
        assert not indexed(workspace, "version_1_1")
        time.sleep(1.5)
        (site / "shelf" / "rules.py").write_text("by_hand = 1\n")
        until(lambda: indexed(workspace, "by_hand"))
        assert failures == []
    finally:
        watcher.close()


@pytest.mark.slow
def test_server_follows_a_package_upgrade(environment, make_server):
    install, site = environment
    server = make_server("--CodeIntelApp.watch=True", f"--CodeIntelApp.allowed_roots={site}")
    assert (
        server.ask("POST", "repositories", {"path": str(site / "shelf"), "package": "shelf"}).status
        == 202
    )
    until(lambda: server.ask("GET", "health").json["watching"] == ["pkg:shelf==1.0"])
    time.sleep(2)
    install("2.0")
    until(lambda: server.ask("GET", "health").json["watching"] == ["pkg:shelf==2.0"])
    until(
        lambda: (
            [r["name"] for r in server.ask("GET", "repositories").json["repositories"]]
            == ["pkg:shelf==2.0"]
        )
    )
    (site / "shelf" / "rules.py").write_text("by_hand = 1\n")
    until(
        lambda: server.ask("POST", "search/semantic", {"query": "by_hand", "mode": "lexical"}).json[
            "results"
        ]["hits"]
    )


def generation(workspace):
    (snapshot,) = workspace.settings.home.glob("v*/repositories/*/snapshot.json")
    return json.loads(snapshot.read_bytes())["generation"]


def test_the_watcher_leaves_a_stopped_upgrade_alone(tmp_path, make_workspace, monkeypatch):
    """Check that a stop of the new version holds while the old one is watched."""
    site = tmp_path / "site"
    installed(site, "alpha", "1.0", "alpha")
    workspace = make_workspace()
    workspace.indexer.index(package_at(str(site / "alpha"), "alpha"))
    shutil.rmtree(site / "alpha-1.0.dist-info")
    installed(site, "alpha", "2.0", "alpha")
    new = workspace.indexer.renewed("pkg:alpha==1.0")
    assert new.name == "pkg:alpha==2.0"
    Store(workspace.settings.home).create(new)
    write_stop(Store(workspace.settings.home).folder_of(new.name), None)
    reports, updates, renewed = [], [], workspace.indexer.renewed
    monkeypatch.setattr(
        workspace.indexer, "renewed", lambda name: updates.append(name) or renewed(name)
    )
    watcher = workspace.watch(["pkg:alpha==1.0"], updated=reports.append)
    (site / "alpha" / "fresh.py").write_text("fresh = 1\n")
    until(lambda: updates)
    watcher.close()
    assert workspace.indexer.is_stopped(new.name)
    assert reports == []


@pytest.mark.slow
@pytest.mark.parametrize("place", [".local/share/codeintel", "index-home", "deep/er/home"])
def test_index_inside_its_own_folder_triggers_no_update(
    tmp_path, make_workspace, place, monkeypatch
):
    root = write_tree(
        tmp_path / "user",
        {
            "work/a.py": "alpha = 1\n",
            ".jupyter_ystore.db": "SQLite format 3",
            ".jupyter/collaboration_sessions.json": "{}",
        },
    )
    workspace = make_workspace(root / place)
    assert workspace.index(root, name="me").files == 1
    reports, runs, run = [], [], building.build
    monkeypatch.setattr(
        building, "build", lambda *given, **options: runs.append(options) or run(*given, **options)
    )
    watcher = workspace.watch(updated=reports.append)
    time.sleep(1)
    before = generation(workspace)
    runs.clear()
    for number in range(10):  # five seconds
        (root / ".jupyter_ystore.db").write_text(f"SQLite format 3 {number}")
        (root / ".jupyter/collaboration_sessions.json").write_text(f"{number}")
        (root / ".jupyter_ystore.db-journal").write_text("for a moment")
        time.sleep(0.02)
        (root / ".jupyter_ystore.db-journal").unlink()
        time.sleep(0.5)
    assert (generation(workspace), reports, runs) == (before, [], [])
    assert [hit.path for hit in workspace.search_text("alpha")] == ["work/a.py"]
    assert workspace.search_text("alpha").coverage.unindexed == 0
    (root / "work/b.py").write_text("beta = 1\n")
    until(lambda: reports)
    assert runs
    watcher.close()
    assert workspace.status()[0].skipped["index of codeintel"] == 1


@pytest.mark.parametrize("inside", ["", "v8", "v8/repositories"])
def test_the_index_itself_is_not_indexed(shop, inside):
    with pytest.raises(SourceError, match="codeintel's own index"):
        shop.index(shop.settings.home / inside)
    assert [status.name for status in shop.status()] == ["shop"]
    assert shop.search_text("Cart").coverage.failed == {}


def test_a_home_that_does_not_exist_yet_is_not_indexed(tmp_path, make_workspace):
    (tmp_path / "new").mkdir()
    workspace = make_workspace(tmp_path / "new")
    with pytest.raises(SourceError, match="codeintel's own index"):
        workspace.index(tmp_path / "new")
    assert workspace.status() == []


@pytest.mark.slow
def test_folder_without_inotify_watches_is_polled_and_reported(tmp_path):
    script = """
import sys, time
from pathlib import Path
from codeintel_nb import Workspace
root, workspace, said = Path(sys.argv[1]), Workspace.open(sys.argv[2]), []
workspace.index(root)
watcher = workspace.watch(failed=lambda name, text: said.append(text))
time.sleep(2)
for number in (0, 25, 49):
    (root / f"d{number}/a.py").write_text(f"def followed_{number}(): pass\\n")
ends = time.monotonic() + 40
while len(workspace.symbols("followed_*")) < 3 and time.monotonic() < ends:
    time.sleep(0.2)
names_limit = "max_user_watches" in said[0]
print(len(workspace.symbols("followed_*")), len(said), names_limit, sorted(watcher.unwatched))
watcher.close()
"""
    root = write_tree(tmp_path / "r", {f"d{number}/a.py": "x = 1\n" for number in range(50)})
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        'echo 20 > /proc/sys/user/max_inotify_watches && exec "$0" -c "$1" "$2" "$3"',
        sys.executable,
        script,
        root,
        tmp_path / "home",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "3 1 True ['r']\n", done.stderr


@pytest.mark.slow
def test_changing_ignored_file_triggers_no_update(watched, tree):
    shop, _, reports, _ = watched
    (tree / "run.log").write_text("0\n")
    (tree / ".gitignore").write_text("*.log\n")
    until(lambda: indexed(shop, "*.log"))
    # until later updates find no change: the file is already counted as ignored
    time.sleep(3)
    before = generation(shop)
    for number in range(6):
        (tree / "run.log").write_text(f"{number}\n")
        time.sleep(0.3)
    time.sleep(1)
    assert generation(shop) == before


def test_update_without_memory_for_a_process_is_tried_again(watched, tree, monkeypatch):
    shop, _, _, failures = watched
    shop.indexer._processes.end_idle()
    start = subprocess_job.subprocess.Popen

    def fail(command, **options):
        if MODULE not in command or failures:
            return start(command, **options)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess_job.subprocess, "Popen", fail)
    (tree / "late.py").write_text("def late_arrival(): ...\n")
    until(lambda: shop.symbols("late_arrival"))
    ((_, message),) = failures
    assert message.startswith(f"No process can be started ({os.strerror(errno.EAGAIN)}).")


def test_watching_that_fails_is_tried_again(shop, tree, monkeypatch):
    failures, events = [], watching.FolderEvents

    def fail(*_):
        monkeypatch.setattr(watching, "FolderEvents", events)
        raise RuntimeError("no threads")

    monkeypatch.setattr(watching, "FolderEvents", fail)
    watcher = shop.watch(failed=lambda name, message: failures.append(message))
    (tree / "late.py").write_text("def late_arrival(): ...\n")
    until(lambda: shop.symbols("late_arrival"))
    watcher.close()
    (message,) = failures
    assert message.startswith("'shop' cannot be watched: no threads. Retrying automatically.")


@pytest.mark.slow
def test_changes_during_a_failed_update_are_in_the_next_one(watched, tree):
    shop, _, _, failures = watched
    time.sleep(1)
    (stored,) = shop.settings.home.glob("v*/repositories/*")
    lock = acquire_lock(stored / "writer.lock", 5)
    (tree / "late.py").write_text("def late_arrival(): ...\n")
    until(lambda: failures)
    lock.release()
    until(lambda: shop.symbols("late_arrival"))
    assert len(failures) == 1


@pytest.mark.slow
def test_ignore_rules_outside_the_folder_are_watched(watched, tree, own_home):
    shop, _, _, _ = watched
    time.sleep(1)
    write_tree(own_home, {"config/git/ignore": "*.js\n"})
    until(lambda: not shop.list_paths(Scope(include_globs=("*.js",))))
    (own_home / "config/git/ignore").unlink()
    until(lambda: shop.list_paths(Scope(include_globs=("*.js",))))
