"""Indexes on object storage, against moto's S3: upload, mirrors, writers at once, outages."""

import os
import re
import stat
import subprocess
import sys
import threading

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.errors import BucketError, SearchError, ShardError
from codeintel_nb.index.buckets import bucket as buckets
from codeintel_nb.index.buckets import mirror as mirrors
from codeintel_nb.index.buckets.bucket import Bucket, Swapped
from codeintel_nb.index.buckets.download import restore
from codeintel_nb.index.buckets.upload import upload
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree
from tests.s3_server import S3
from tests.test_hardening import run_cli
from tests.waiting import until

FILES = {
    "shop/cart.py": "class Cart:\n    def add_line(self, product):\n        return product\n",
    "shop/card.py": "def charge(card):\n    return card.total\n",
}


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with (tmp_path_factory.mktemp("s3") / "log").open("wb") as log:
        server = S3(log)
        yield server
        server.stop()


@pytest.fixture
def bucket(s3, monkeypatch, request):
    """Return the URL of a folder of its own in the bucket."""
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(mirrors, "POLL_S", 0.0)
    return f"s3://code/{request.node.name.replace('[', '-').strip(']')}"


def run(home, *words, **environment):
    code, out, err = run_cli(home, *words, environment=environment)
    assert code == 0, err
    return out, err


def opened(home, bucket, follow=False):
    settings = Settings.from_environment(home, {"CODEINTEL_SHARED": str(bucket)})
    return Workspace(settings, follow=follow)


def answers(workspace):
    return [
        [(hit.path, hit.start_line, hit.score) for hit in hits]
        for hits in (
            workspace.search_text("return"),
            workspace.semantic_search("charge a credit card"),
            workspace.symbols("*"),
            workspace.list_paths(),
        )
    ] + [workspace.sql("select path, lines from files order by path").rows()]


@pytest.fixture
def shop(tmp_path, bucket):
    """Index a folder, and upload its index."""
    write_tree(tmp_path / "shop", FILES)
    run(tmp_path / "home", "index", tmp_path / "shop", "--to", bucket)
    return tmp_path / "shop"


def test_second_home_answers_like_the_first(shop, bucket, tmp_path):
    with opened(tmp_path / "other", bucket) as reader, Workspace.open(tmp_path / "home") as owner:
        assert answers(reader) == answers(owner)
        assert all(answers(reader))
        assert [one.shared for one in reader.status()] == [bucket]
        assert "shop as of" in repr(reader.search_text("return"))


def test_update_is_copied_and_nothing_twice(shop, bucket, tmp_path):
    with opened(tmp_path / "other", bucket) as reader:
        assert not reader.search_text("refund")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "other").rglob("*.bin")}
        (shop / "refund.py").write_text("def refund(): ...\n")
        _, err = run(tmp_path / "home", "index", shop, "--to", bucket)
        assert "uploaded" in err
        assert [hit.path for hit in reader.search_text("refund")] == ["refund.py"]
        assert [hit.symbol for hit in reader.symbols("refund")] == ["refund"]
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "other").rglob("*.bin")}
        assert before.items() <= after.items()


def test_command_and_server_take_a_bucket_as_home(shop, bucket, tmp_path):
    environment = {"CODEINTEL_HOME": str(tmp_path / "own")}
    words = [sys.executable, "-m", "codeintel_nb.cli", "grep", "return", "--home", bucket]
    done = subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert "shop/card.py" in done.stdout
    code, _, err = run_cli(bucket, "index", shop, environment=environment)
    assert code == 2
    assert f"The index at {bucket} is only read" in err


def test_new_machine_continues_from_the_bucket(shop, bucket, tmp_path):
    """An update on a machine without an index reads files again, but embeds no chunk again."""
    out, _ = run(tmp_path / "runner", "index", shop, "--to", bucket, "--json")
    assert '"embedded":0' in out.replace(" ", "")
    (mine,) = (tmp_path / "home").glob("v*/repositories/*")
    (theirs,) = (tmp_path / "runner").glob("v*/repositories/*")
    assert read_snapshot(mine).shards == read_snapshot(theirs).shards


def test_swap_fails_if_another_writer_was_faster(bucket):
    here = Bucket(bucket)
    here.swap("a.json", b"1", None)
    with pytest.raises(Swapped):
        here.swap("a.json", b"2", None)
    first = here.read("a.json")
    here.swap("a.json", b"2", first)
    with pytest.raises(Swapped):
        here.swap("a.json", b"3", first)
    assert here.read("a.json").data == b"2"
    assert here.read("a.json", unless=here.e_tag("a.json")) is None
    assert here.read("b.json") is None


def test_two_writers_at_once_lose_nothing(shop, bucket, tmp_path):
    """Each upload ends; the index is that of one of the writers, and whole."""
    homes = [tmp_path / "home", tmp_path / "second"]
    write_tree(tmp_path / "again" / "shop", FILES | {"more.py": "more = 'return'\n"})
    run(homes[1], "index", tmp_path / "again" / "shop")
    failures, turns = [], 6
    with Workspace.open(homes[0]) as first, Workspace.open(homes[1]) as second:

        def write(workspace):
            try:
                for _ in range(turns):
                    stored = workspace.store.stored(workspace.repositories()[0])
                    upload(Bucket(bucket), stored, 600.0)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(one,)) for one in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        place = f"v8/repositories/{first.store.folder_of('shop').name}/snapshot.json"
        assert Bucket(bucket).read(place) is not None
        with opened(tmp_path / "reader", bucket) as reader:
            assert answers(reader) in (answers(first), answers(second))


def test_retired_shards_are_deleted_after_their_age(shop, bucket, tmp_path):
    (shop / "shop" / "cart.py").write_text("return = 'changed'\n")
    run(tmp_path / "home", "index", shop, "--rebuild", "--to", bucket)
    here = Bucket(bucket)
    (folder,) = here.folders("v8/repositories")
    place = f"v8/repositories/{folder}/shards"
    assert len(here.folders(place)) == 2
    with Workspace.open(tmp_path / "home") as owner:
        (stored,) = [owner.store.stored(one) for one in owner.repositories()]
        upload(here, stored, retired_age_s=0.0)
        assert here.folders(place) == [ref.id for ref in read_snapshot(stored.folder).shards]
    with opened(tmp_path / "reader", bucket) as reader:
        assert [hit.path for hit in reader.search_text("changed")] == ["shop/cart.py"]


def test_bucket_that_goes_away_leaves_the_last_index(bucket, tmp_path, monkeypatch):
    with (tmp_path / "log").open("wb") as log:
        own = S3(log)
        monkeypatch.setattr(mirrors, "WAIT_S", 0.5)
        monkeypatch.setattr(buckets, "RETRY_S", 1)
        for name, value in own.variables.items():
            monkeypatch.setenv(name, value)
        write_tree(tmp_path / "shop", FILES)
        run(tmp_path / "home", "index", tmp_path / "shop", "--to", bucket)
        with opened(tmp_path / "other", bucket) as reader:
            expected = answers(reader)
            (shared,) = reader.store.shared
            own.hang()
            assert answers(reader) == expected
            assert f"The bucket {bucket} does not answer" in shared.problem
            own.stop()
        with opened(tmp_path / "other", bucket) as reader:
            (shared,) = reader.store.shared
            # the reader that hangs is still looking at the bucket, until its connection ends
            until(lambda: answers(reader) == expected and shared.problem)
            assert re.match(f"The bucket {bucket} (cannot be read|does not)", shared.problem)
        reader = opened(tmp_path / "third", bucket, follow=True)
        with reader:
            for _ in range(3):
                with pytest.raises(ShardError, match="cannot be read"):
                    reader.search_text("return")
        with pytest.raises(BucketError, match="cannot be written"):
            Bucket(bucket).write("x", b"")


def test_search_during_the_first_look_does_not_hide_its_failure(bucket, tmp_path, monkeypatch):
    began, may_end = threading.Event(), threading.Event()

    def fail(self, path):
        began.set()
        may_end.wait(30)
        raise BucketError("the network is gone")

    monkeypatch.setattr(Bucket, "folders", fail)
    with opened(tmp_path / "home", bucket, follow=True) as reader:
        looking = threading.Thread(target=lambda: reader.store.shared[0].prepare())
        looking.start()
        began.wait(30)
        with pytest.raises(SearchError, match="Nothing is indexed yet"):
            reader.semantic_search("cart")
        may_end.set()
        looking.join()
        with pytest.raises(ShardError, match="network is gone"):
            reader.semantic_search("cart")


def test_index_larger_than_the_limit_is_not_copied(shop, bucket, tmp_path):
    settings = Settings.from_environment(
        tmp_path / "other", {"CODEINTEL_SHARED": bucket, "CODEINTEL_MIRROR_BYTES": "1000"}
    )
    with (
        Workspace(settings) as reader,
        pytest.raises(ShardError, match="set CODEINTEL_MIRROR_BYTES"),
    ):
        reader.search_text("return")


def test_interrupted_copy_is_resumed(shop, bucket, tmp_path, monkeypatch):
    real, is_broken = Bucket.download, True

    def cut(self, path, file, size):
        if is_broken and path.endswith("manifest.json"):  # after other parts
            raise BucketError("the network is gone")
        yield from real(self, path, file, size)

    monkeypatch.setattr(Bucket, "download", cut)
    with opened(tmp_path / "other", bucket) as reader:
        with pytest.raises(ShardError, match="network is gone"):
            reader.search_text("return")
        is_broken = False
        assert len(reader.search_text("return")) == 2
    assert not [*(tmp_path / "other").rglob(".copying-*")]


@pytest.mark.parametrize(
    ("url", "message"),
    [("ftp://code/x", "is not the address of a bucket"), ("s3://", "address of a bucket")],
)
def test_wrong_address_is_named(tmp_path, url, message):
    write_tree(tmp_path / "shop", FILES)
    code, _, err = run_cli(tmp_path / "home", "index", tmp_path / "shop", "--to", url)
    assert code == 2
    assert message in err
    assert not (tmp_path / "home").exists()


def test_shard_deleted_from_the_bucket_is_uploaded_again(shop, bucket, tmp_path):
    here = Bucket(bucket)
    (folder,) = here.folders("v8/repositories")
    (shard,) = here.folders(f"v8/repositories/{folder}/shards")
    here.delete([f"v8/repositories/{folder}/shards/{shard}/manifest.json"])
    reader = opened(tmp_path / "reader", bucket)
    with reader, pytest.raises(ShardError, match="incomplete"):
        reader.search_text("return")
    run(tmp_path / "home", "index", shop, "--to", bucket)
    with opened(tmp_path / "reader", bucket) as reader:
        assert len(reader.search_text("return")) == 2


def test_another_machines_folder_of_the_same_path_is_not_this_one(shop, bucket, tmp_path):
    with opened(tmp_path / "other", bucket) as reader:
        assert reader.project_scope(shop / "shop").repos != ("shop",)
        report = reader.index(shop)
        assert report.indexed == 2
        assert [one.shared for one in reader.status()] == [""]


def test_mirror_leaves_the_permissions_of_its_home(shop, bucket, tmp_path):
    home = tmp_path / "home"
    home.chmod(0o755)
    with opened(home, bucket) as reader:
        reader.search_text("return")
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "buckets").stat().st_mode) == 0o700


def test_unwritable_home_is_named(shop, bucket, tmp_path):
    (tmp_path / "file").write_text("")
    reader = opened(tmp_path / "file" / "home", bucket)
    with reader, pytest.raises(ShardError, match="is not writable"):
        reader.semantic_search("cart")


def test_interrupted_restore_is_finished_by_the_next_run(shop, bucket, tmp_path, monkeypatch):
    settings = Settings.from_environment(tmp_path / "runner", {})
    store, here = Store(settings.home), Bucket(bucket)
    source = worktree(shop)
    (folder,) = here.folders("v8/repositories")
    former = here.read(f"v8/repositories/{folder}/repository.json")
    here.write(
        f"v8/repositories/{folder}/repository.json",
        former.data.replace(b'"name"', b'"outputs":true,"name"'),
    )
    real = Bucket.download

    def cut(self, path, file, size):
        if path.endswith("manifest.json"):
            raise BucketError("the network is gone")
        yield from real(self, path, file, size)

    monkeypatch.setattr(Bucket, "download", cut)
    with pytest.raises(BucketError):
        restore(here, store, source)
    assert store.repositories() == []
    monkeypatch.setattr(Bucket, "download", real)
    restore(here, store, source)
    (stored,) = store.repositories()
    assert stored.repository.outputs
    assert read_snapshot(stored.folder).complete


def test_sql_on_own_repositories_needs_no_shared_home(tmp_path):
    write_tree(tmp_path / "mine", FILES)
    with opened(tmp_path / "home", tmp_path / "missing") as user:
        user.index(tmp_path / "mine")
        scope = Scope(repos=("mine",))
        assert user.sql("select count(*) from files", scope).rows() == [(2,)]
        with pytest.raises(ShardError, match="missing"):
            user.sql("select count(*) from files")
