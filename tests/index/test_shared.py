"""Shared homes: one index that other users search, and none of them changes."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.errors import ShardError, SourceError
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.settings import Settings
from codeintel_nb.sources.git.folder import head_commit
from tests.conftest import write_tree
from tests.test_hardening import run_cli

CART = "class Cart:\n    def add_line(self, product):\n        return product\n"
FILES = {"shop/cart.py": CART, "shop/card.py": "def charge(card):\n    return card.total\n"}


@pytest.fixture
def shared(tmp_path):
    """Publish an index of a folder, and return its home."""
    write_tree(tmp_path / "shop", FILES)
    run(tmp_path / "shared", "index", tmp_path / "shop", "--publish")
    return tmp_path / "shared"


def run(home, *words, shared=""):
    """Run a command that succeeds; return what it writes to stdout and stderr."""
    code, out, err = run_cli(home, *words, environment={"CODEINTEL_SHARED": str(shared)})
    assert code == 0, err
    return out, err


def opened(home, *shared, **options):
    settings = Settings.from_environment(
        home, {"CODEINTEL_SHARED": os.pathsep.join(map(str, shared))}
    )
    return Workspace(settings, **options)


def places(results):
    return [(hit.repo, hit.path, hit.start_line, hit.score) for hit in results]


def answers(workspace):
    return [
        places(workspace.search_text("return")),
        places(workspace.semantic_search("charge a credit card")),
        places(workspace.symbols("*")),
        places(workspace.list_paths()),
        workspace.sql("select path, lines from files order by path").rows(),
        workspace.count(Scope(languages=("python",))).files_in_scope,
    ]


def tree(folder):
    """Return all files and folders with what a write would change."""
    states = {path: path.lstat() for path in [folder, *folder.rglob("*")]}
    return {path: (one.st_mtime_ns, one.st_size, one.st_mode) for path, one in states.items()}


def test_shared_index_answers_like_the_owners(shared, tmp_path):
    before = tree(shared)
    with opened(tmp_path / "home", shared) as user, opened(shared) as owner:
        assert answers(user) == answers(owner)
        assert all(answers(user))
        assert user.open_file("shop", "shop/cart.py", 1, 1).text == "class Cart:"
        assert [one.shared for one in user.status()] == [str(shared)]
        assert [one.shared for one in owner.status()] == [""]
    assert tree(shared) == before


def test_shared_folder_is_not_walked_and_its_state_is_named(shared, tmp_path):
    (tmp_path / "shop" / "new.py").write_text("return = 'never indexed'\n")
    (tmp_path / "shop" / "shop" / "cart.py").write_text("return = 'changed'\n")
    with opened(tmp_path / "home", shared) as user:
        results = user.search_text("return")
        assert sorted({hit.path for hit in results}) == ["shop/card.py", "shop/cart.py"]
        assert not user.search_text("changed")
        (state,) = results.coverage.shared.values()
        assert f"shop as of {state}" in repr(results)
        assert not user.unwatched
        assert user.open_file("shop", "shop/cart.py").text == CART.rstrip("\n")
        shutil.rmtree(tmp_path / "shop")
        assert places(user.search_text("return")) == places(results)


def test_update_by_the_owner_is_found_at_the_next_search(shared, tmp_path):
    with opened(tmp_path / "home", shared) as user:
        assert not user.search_text("refund")
        (tmp_path / "shop" / "refund.py").write_text("def refund(): ...\n")
        run(shared, "refresh", "shop")
        assert [hit.path for hit in user.search_text("refund")] == ["refund.py"]
        assert [hit.symbol for hit in user.symbols("refund")] == ["refund"]


def test_own_repository_comes_before_a_shared_one_of_its_name(shared, tmp_path):
    write_tree(tmp_path / "other" / "shop", {"mine.py": "return = 1\n"})
    with opened(tmp_path / "home", shared) as user:
        user.index(tmp_path / "other" / "shop")
        assert {hit.path for hit in user.search_text("return")} == {"mine.py"}
        user.remove("shop")
        assert {hit.path for hit in user.search_text("return")} == {"shop/card.py", "shop/cart.py"}


def test_indexing_a_shared_folder_uses_the_shared_index(shared, tmp_path):
    with opened(tmp_path / "home", shared) as user:
        report = user.index(tmp_path / "shop")
        assert (report.files, report.indexed) == (2, 0)
        assert [one.shared for one in user.status()] == [str(shared)]
        user.index(tmp_path / "shop", rebuild=True)
        assert [one.shared for one in user.status()] == [""]


def test_user_cannot_change_a_shared_index(shared, tmp_path):
    before = tree(shared)
    with opened(tmp_path / "home", shared) as user:
        for change in (user.refresh, user.remove, lambda name: user.watch([name])):
            with pytest.raises(SourceError, match=r"'shop' is shared by .*only its owner can"):
                change("shop")
    status, _ = run(tmp_path / "home", "status", shared=shared)
    assert f"shop: shared by {shared}, which only its owner updates" in status
    doctor, _ = run(tmp_path / "home", "doctor", shared=shared)
    assert "shared: shop" in doctor
    assert tree(shared) == before


def test_refresh_and_watch_of_all_leave_shared_ones_alone(shared, tmp_path):
    write_tree(tmp_path / "mine", {"a.py": "x = 1\n"})
    with opened(tmp_path / "home", shared) as user:
        user.index(tmp_path / "mine")
        watcher = user.watch()
        assert [*watcher.names] == ["mine"]
        watcher.close()
    out, _ = run(tmp_path / "home", "refresh", shared=shared)
    assert "mine" in out
    assert "shop" not in out


@pytest.mark.parametrize("kind", ["missing", "empty", "file", "damaged"])
def test_broken_shared_home_does_not_stop_other_repositories(shared, tmp_path, kind):
    other = tmp_path / "broken"
    if kind == "empty":
        other.mkdir()
    elif kind == "file":
        other.write_text("no folder\n")
    elif kind == "damaged":
        shutil.copytree(shared, other)
        (description,) = other.glob("v*/repositories/*/repository.json")
        description.write_text("{")
    with opened(tmp_path / "home", other, shared) as user:
        results = user.search_text("return")
        assert {hit.repo for hit in results} == {"shop"}
        (reason,) = results.coverage.failed.values()
        assert str(other) in reason
    with opened(tmp_path / "home", other) as user, pytest.raises(ShardError, match=str(other)):
        user.search_text("return")


def test_published_index_stays_readable_after_updates(tmp_path):
    write_tree(tmp_path / "shop", FILES)
    home = tmp_path / "shared"
    mask = os.umask(0o077)
    try:
        run(home, "index", tmp_path / "shop")
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        run(home, "index", tmp_path / "shop", "--publish")
        (tmp_path / "shop" / "new.py").write_text("x = 1\n")
        run(home, "refresh", "shop")
        run(home, "refresh", "shop", "--rebuild")
    finally:
        os.umask(mask)
    (folder,) = home.glob("v*/repositories/*")
    snapshots = [folder / "snapshot.json", folder / "repository.json"]
    parts = [*folder.glob("shards/[0-9a-f]*/*"), *snapshots]
    assert len(parts) > 10
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o644}
    entered = {place for part in parts for place in part.relative_to(home).parents}
    assert {stat.S_IMODE((home / place).stat().st_mode) for place in entered} == {0o755}


def test_group_permissions_are_kept(tmp_path):
    write_tree(tmp_path / "shop", FILES)
    home = tmp_path / "shared"
    run(home, "index", tmp_path / "shop")
    (folder,) = home.glob("v*/repositories/*")
    folder.chmod(0o750)
    run(home, "refresh", "shop", "--rebuild")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    (current,) = read_snapshot(folder).shards
    part = folder / "shards" / current.id / "columns.bin"
    assert stat.S_IMODE(part.stat().st_mode) == 0o640
    assert stat.S_IMODE(part.parent.stat().st_mode) == 0o750


def test_folder_that_keeps_others_out_is_named(tmp_path):
    write_tree(tmp_path / "shop", FILES)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    _, err = run(closed / "home", "index", tmp_path / "shop", "--publish")
    assert "Others cannot enter the folder" in err


GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]


def test_status_names_the_commit_of_a_shared_index(tmp_path):
    shop = tmp_path / "shop"
    write_tree(shop, FILES)

    def git(*words):
        done = subprocess.run([*GIT, *words], cwd=shop, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert head_commit(str(shop)) == ""
    git("init", "-q")
    assert head_commit(str(shop)) == ""
    git("add", "-A")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD")
    assert head_commit(str(shop)) == commit
    git("pack-refs", "--all")
    assert head_commit(str(shop)) == commit
    git("worktree", "add", "-q", "../linked")
    assert head_commit(str(tmp_path / "linked")) == commit
    git("checkout", "-q", "--detach")
    assert head_commit(str(shop / "shop")) == commit
    run(tmp_path / "shared", "index", shop, "--publish")
    with opened(tmp_path / "home", tmp_path / "shared") as user:
        (version,) = user.search_text("return").coverage.shared.values()
        assert version.endswith(f", commit {commit[:10]}")
        assert [one.commit for one in user.status()] == [commit]


READ = """
import json, os, sys
from codeintel_nb import Workspace
def repos():
    with Workspace.open(sys.argv[2]) as workspace:
        found = workspace.search_text("return"), workspace.semantic_search("add a line to the cart")
        return [sorted({hit.repo for hit in hits}) for hits in found]
everything = repos()  # and all modules are loaded, which the other user may not be able to read
os.setuid(int(sys.argv[1]))
print(json.dumps([everything, repos()]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_file_system_decides_who_reads_what(shared, tmp_path):
    """A user without permission for a repository does not see it, and gets no error."""
    write_tree(tmp_path / "private", {"secret.py": "return = 'private'\n"})
    run(shared, "index", tmp_path / "private")
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() and above != Path(above.anchor):
            above.chmod(above.stat().st_mode | 0o011)
    is_root = os.geteuid() == 0
    if not is_root:  # the owner itself: without its permission
        for folder in shared.glob("v*/repositories/*"):
            if not folder.stat().st_mode & 0o004:
                folder.chmod(0)
    home, nobody = tmp_path / "home", 65_534 if is_root else os.geteuid()
    words = [sys.executable, "-c", READ, str(nobody), str(home)]
    environment = {**os.environ, "CODEINTEL_SHARED": str(shared)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    for folder in shared.glob("v*/repositories/*"):
        folder.chmod(folder.stat().st_mode | 0o700)
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert before == [["private", "shop"] if is_root else ["shop"]] * 2
    assert after == [["shop"]] * 2


def test_publish_keeps_wider_permissions(tmp_path):
    write_tree(tmp_path / "shop", FILES)
    home = tmp_path / "shared"
    home.mkdir()
    home.chmod(0o2775)
    run(home, "index", tmp_path / "shop", "--publish")
    assert stat.S_IMODE(home.stat().st_mode) == 0o2775


def test_group_of_the_folder_reads_later_updates(tmp_path):
    write_tree(tmp_path / "shop", FILES)
    home = tmp_path / "shared"
    run(home, "index", tmp_path / "shop")
    (folder,) = home.glob("v*/repositories/*")
    group = 65_534 if os.geteuid() == 0 else (os.getgroups() or [os.getegid()])[-1]
    os.chown(folder, -1, group)
    folder.chmod(0o750)
    run(home, "refresh", "shop", "--rebuild")
    (current,) = read_snapshot(folder).shards
    parts = [folder / "snapshot.json", *(folder / "shards" / current.id).iterdir()]
    assert {part.stat().st_gid for part in parts} == {group}
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o640}


def test_adopted_index_stays_published(shared):
    """A new format of the index keeps the permissions of the former one."""
    old = shared / "v7"
    (shared / "v8").rename(old)
    for snapshot in old.glob("repositories/*/snapshot.json"):
        snapshot.write_text(snapshot.read_text().replace('"format":8', '"format":7'))
    Store(shared)
    (folder,) = (shared / "v8").glob("repositories/*")
    for place in (folder, folder.parent, folder.parent.parent, *folder.glob("shards/*")):
        assert stat.S_IMODE(place.stat().st_mode) & 0o055 == 0o055, place
    assert (folder / "snapshot.json").stat().st_mode & 0o044 == 0o044


def test_commands_say_what_a_shared_home_lacks_or_forbids(shared, tmp_path):
    _, _, err = run_cli(
        tmp_path / "home", "status", environment={"CODEINTEL_SHARED": str(tmp_path / "missing")}
    )
    assert f"The shared index home {tmp_path / 'missing'} cannot be read" in err
    for command in ("refresh", "watch"):
        code, _, err = run_cli(
            tmp_path / "home", command, environment={"CODEINTEL_SHARED": str(shared)}
        )
        assert code == 2
        assert "All repositories here are shared" in err
