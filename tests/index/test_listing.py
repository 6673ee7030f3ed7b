"""Listing of an earlier walk: a later process finds the same changes as a walk."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from codeintel_nb import Workspace
from codeintel_nb.index.watch import listing
from codeintel_nb.index.watch.tree import Freshness, _Tree
from codeintel_nb.settings import Settings
from codeintel_nb.sources.mounts import Mount, mount_of, mounts
from codeintel_nb.sources.walk import Walk
from tests.conftest import write_tree

MOUNT = mount_of(tempfile.gettempdir())
pytestmark = pytest.mark.skipif(MOUNT is None, reason="the mounted file systems are unknown")


@pytest.fixture(autouse=True)
def list_small_trees(monkeypatch):
    monkeypatch.setattr(listing, "MIN_FILES", 1)
    monkeypatch.setattr(listing, "LOCAL", {MOUNT.kind})


class Home:
    """A tree and its index, compared with and without inotify."""

    def __init__(self, base):
        self.root = base / "tree"
        self.workspace = Workspace(Settings.from_environment(base / "home"), follow=False)

    def index(self):
        self.workspace.index(self.root, name="tree")

    def snapshot(self):
        (stored,) = self.workspace._repositories.all()
        return self.workspace._repositories.snapshot(stored)

    def changes(self, follow=False, snapshot=None):
        """Return the changes that a new process finds."""
        (stored,) = self.workspace._repositories.all()
        snapshot = snapshot or self.snapshot()
        shards = [(ref, self.workspace._shards.open(stored.key(ref.id))) for ref in snapshot.shards]
        process = Freshness(self.workspace.settings, follow)
        found = process.changes(stored, snapshot, shards)
        again = process.changes(stored, snapshot, shards)
        process.close()
        assert (found.files, found.gone) == (again.files, again.gone)
        return found.files, found.gone

    @property
    def file(self):
        (stored,) = self.workspace._repositories.all()
        return stored.folder / listing.FILE

    def check(self):
        with_listing = self.changes(), self.changes(follow=True)
        before = self.file.read_bytes() if self.file.exists() else None
        self.file.unlink(missing_ok=True)
        walked = self.changes()
        assert with_listing == (walked, walked)
        if before is not None:  # the next step begins with the older listing
            self.file.write_bytes(before)


PATHS = ["a.py", "b.txt", "d/a.py", "d/e/f.md", "g/h.py", "d/e/i.py", "d/bin/j.py", "k.log"]
FOLDERS = ["d", "g", "d/e", "m", "d/n"]
RULES = ["*.log\n", "d/\n", "*.txt\n!b.txt\n", "e\n", ""]


class Edits(RuleBasedStateMachine):
    """Random edits of a tree; after each, the listing and a walk must agree."""

    @initialize()
    def begin(self):
        self.base = Path(tempfile.mkdtemp())
        self.home = Home(self.base)
        self.root = write_tree(self.base / "tree", dict.fromkeys(PATHS, "alpha\n"))
        self.home.index()

    @rule(name=st.sampled_from(PATHS), count=st.integers(0, 3))
    def write(self, name, count):
        place = self.root / name
        if all(not above.is_file() for above in place.parents) and not place.is_dir():
            write_tree(self.root, {name: "alpha\n" * count})

    @rule(name=st.sampled_from(PATHS), other=st.sampled_from(PATHS))
    def replace(self, name, other):
        if (self.root / name).is_file() and (self.root / other).parent.is_dir():
            shutil.copy2(self.root / name, self.base / "copy")
            if not (self.root / other).is_dir():
                os.replace(self.base / "copy", self.root / other)

    @rule(name=st.sampled_from([*PATHS, *FOLDERS]))
    def remove(self, name):
        place = self.root / name
        if place.is_symlink() or place.is_file():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place)

    @rule(one=st.sampled_from(FOLDERS), other=st.sampled_from(FOLDERS))
    def move(self, one, other):
        source, target = self.root / one, self.root / other
        if (
            source.is_dir()
            and not target.exists()
            and target.parent.is_dir()
            and not other.startswith(f"{one}/")
        ):
            source.rename(target)

    @rule(name=st.sampled_from([*PATHS, *FOLDERS]), to=st.sampled_from(["d", "a.py"]))
    def link(self, name, to):
        place = self.root / name
        if not place.exists() and not place.is_symlink() and place.parent.is_dir():
            place.symlink_to(self.root / to)

    @rule(name=st.sampled_from(PATHS))
    def hard_link(self, name):
        place = self.root / name
        if place.is_file() and not (self.base / "linked").exists():
            os.link(place, self.base / "linked")

    @rule()
    def write_by_the_hard_link(self):
        if (self.base / "linked").exists():
            (self.base / "linked").write_text("beta\n")

    @rule(folder=st.sampled_from(["", "d/", "g/"]), rules=st.sampled_from(RULES))
    def ignore(self, folder, rules):
        if not folder or (self.root / folder).is_dir():
            (self.root / f"{folder}.gitignore").write_text(rules)

    @rule(mark=st.sampled_from(["pyvenv.cfg", "bin/activate_this.py", ".git/HEAD"]))
    def mark(self, mark):
        if (self.root / "d").is_dir() and not (self.root / "d" / "bin").is_symlink():
            write_tree(self.root / "d", {mark: "ref: refs/heads/main\n"})

    @rule(mark=st.sampled_from(["pyvenv.cfg", "bin/activate_this.py"]))
    def unmark(self, mark):
        (self.root / "d" / mark).unlink(missing_ok=True)

    @rule(name=st.sampled_from([*PATHS, *FOLDERS]))
    def set_back(self, name):
        if (self.root / name).exists():
            os.utime(self.root / name, (1e9, 1e9))

    @rule()
    def index(self):
        self.home.index()

    @rule()
    def forget(self):
        self.home.file.unlink(missing_ok=True)

    @invariant()
    def same_as_a_walk(self):
        if hasattr(self, "home") and self.root.is_dir():
            self.home.check()

    def teardown(self):
        if hasattr(self, "home"):
            self.home.workspace.close()
            shutil.rmtree(self.base)


TestEdits = Edits.TestCase
TestEdits.settings = settings(
    max_examples=6,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    write_tree(home.root, {f"part{n % 9}/f{n:03}.py": f"x = {n}\n" for n in range(200)})
    old = 1_600_000_000
    for path in [home.root, *home.root.rglob("*")]:
        os.utime(path, (old, old))
    home.index()
    yield home
    home.workspace.close()


def wait_until_settled():
    time.sleep(3 * listing.CLOCK_STEP_NS / 1e9)


@pytest.mark.parametrize("follow", [False, True])
def test_unchanged_tree_is_not_walked(home, monkeypatch, follow):
    wait_until_settled()
    assert home.changes() == ((), frozenset())
    monkeypatch.setattr(Walk, "__iter__", None)
    monkeypatch.setattr(Walk, "of", None)
    assert home.changes(follow) == ((), frozenset())


def test_environment_without_its_mark_is_read(home):
    write_tree(home.root, {"env/bin/activate_this.py": "x\n", "env/own.py": "x\n"})
    wait_until_settled()
    assert home.changes() == ((), frozenset())
    (home.root / "env" / "bin" / "activate_this.py").unlink()
    files, _ = home.changes()
    assert [one.path for one in files] == ["env/own.py"]


def test_inodes_of_64_bits(home, monkeypatch):
    """The upper layers of overlay file systems set the highest bit."""
    wait_until_settled()
    (stored,) = home.workspace._repositories.all()
    settings, repository = home.workspace.settings, stored.repository
    walk = Walk(repository, settings)
    files = {one.path: one._replace(inode=one.inode | 1 << 63) for one in walk}
    walk.folders = {path: (at, inode | 1 << 63) for path, (at, inode) in walk.folders.items()}
    listing.write_listing(
        stored.folder, repository, settings, walk, files, {}, (), {}, time.time_ns()
    )
    stored_listing = listing.read_listing(stored.folder, repository, settings)
    assert stored_listing.changed(repository.root) == set()


def test_mounts_of_other_kinds_need_a_walk(home, monkeypatch):
    repository, settings = home.workspace.repositories()[0], home.workspace.settings
    assert listing.key_of(repository, settings)
    remote = Mount(f"{repository.root}/data", "fuse.sshfs")
    monkeypatch.setattr(listing, "mounts", lambda: [*mounts(), remote])
    assert not listing.key_of(repository, settings)
    monkeypatch.setattr(listing, "mounts", lambda: [*mounts(), remote._replace(kind="proc")])
    assert listing.key_of(repository, settings)


def test_saved_file_costs_no_walk(home, monkeypatch):
    wait_until_settled()
    home.changes()
    (home.root / "part3" / "f003.py").write_text("changed\n")
    (home.root / "part4" / "new.py").write_text("new\n")
    (home.root / "part5" / "f005.py").unlink()
    monkeypatch.setattr(Walk, "__iter__", None)
    files, gone = home.changes()
    assert [one.path for one in files] == ["part3/f003.py", "part4/new.py"]
    assert gone == {"part3/f003.py", "part5/f005.py"}


def test_index_updated_since(home, monkeypatch):
    wait_until_settled()
    home.changes()
    (home.root / "part3" / "f003.py").write_text("changed\n")
    (home.root / "part5" / "f005.py").unlink()
    home.index()
    wait_until_settled()
    monkeypatch.setattr(Walk, "__iter__", None)
    assert home.changes() == ((), frozenset())


def test_older_snapshot_is_compared_by_a_walk(home):
    older = home.snapshot()
    (home.root / "part5" / "f005.py").unlink()
    home.index()
    assert home.changes() == ((), frozenset()), "written with the newer snapshot"
    assert home.changes(snapshot=older) == ((), {"part5/f005.py"})


@pytest.mark.parametrize("damage", [b"", b"\x93", b"\0" * 99, None])
def test_damaged_listing_is_walked_again(home, damage):
    home.changes()
    (home.root / "part4" / "new.py").write_text("new\n")
    data = home.file.read_bytes()
    home.file.write_bytes(data[:-9] if damage is None else damage)
    files, _ = home.changes()
    assert [one.path for one in files] == ["part4/new.py"]


def test_other_settings_need_a_walk(home, tmp_path):
    wait_until_settled()
    home.changes()
    repository = home.workspace.repositories()[0]
    own = home.workspace.settings
    folder = home.file.parent
    assert listing.read_listing(folder, repository, own) is not None
    other = Settings.from_environment(own.home, {"CODEINTEL_MAX_FILE_BYTES": "5"})
    assert listing.read_listing(folder, repository, other) is None


def test_many_changes_are_walked(home, monkeypatch):
    wait_until_settled()
    home.changes()
    monkeypatch.setattr(listing, "MAX_CHANGED", 20)
    for path in home.root.rglob("*.py"):
        path.write_text("changed\n")
    walks, look = [], _Tree._look
    monkeypatch.setattr(_Tree, "_look", lambda *args: walks.append(1) or look(*args))
    files, _ = home.changes()
    assert len(files) == 200
    assert walks
