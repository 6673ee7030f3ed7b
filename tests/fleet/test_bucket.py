"""The law of an engine from a bucket: read from a mirror, and by hosts that copy their shards."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import msgspec
import pytest

from codeintel_nb import Workspace
from codeintel_nb.engines.fleet.host import ShardHost
from codeintel_nb.engines.fleet.in_process import InProcessFleet
from codeintel_nb.index.buckets.bucket import Bucket
from codeintel_nb.index.buckets.copies import COPIED, CopiedShards
from codeintel_nb.index.buckets.mirror import bytes_below, mirror_folder
from codeintel_nb.index.buckets.upload import upload
from codeintel_nb.index.shard.cache import CHECK_S
from codeintel_nb.index.store import Store
from codeintel_nb.settings import Settings
from tests.conftest import write_tree
from tests.fleet.law import SCOPES, answer, counts, opened
from tests.s3_server import S3
from tests.waiting import until

URL = "s3://code/law"
COPIES = f"thread-*/{COPIED}/*/v*/repositories/*/shards/[!.]*"


@pytest.fixture(scope="module")
def s3(home, tmp_path_factory):
    log_path = tmp_path_factory.mktemp("s3") / "log"
    with pytest.MonkeyPatch.context() as patch, log_path.open("wb") as log:
        server = S3(log)
        for name, value in server.variables.items():
            patch.setenv(name, value)
        for stored in Store(home.home).repositories():
            upload(Bucket(URL), stored, home.retired_shard_age_s)
        yield server
        server.stop()


def settings_of(folder):
    return Settings.from_environment(folder, {"CODEINTEL_SHARED": URL})


@pytest.fixture(scope="module")
def driver(s3, tmp_path_factory):
    return settings_of(tmp_path_factory.mktemp("driver") / "home")


@pytest.fixture(scope="module")
def mirrored(driver):
    """Search a mirror with the local engine."""
    with Workspace(driver, here=None, follow=False) as workspace:
        yield workspace


def hits(workspace, one):
    return answer(workspace, *one)[:-1]  # coverage names the bucket, and the time of the index


def test_mirror_answers_like_the_home(local, mirrored, asked):
    for one in asked:
        assert hits(mirrored, one) == hits(local, one), one
    for scope in SCOPES:
        assert counts(mirrored, scope)[1:] == counts(local, scope)[1:]


class Elsewhere(InProcessFleet):
    """Hosts on a machine where the driver's home is not: its path is another one there."""

    def __init__(self, driver, monkeypatch, machine):
        self._here = str(driver.home)
        self._there = self._here[:-4] + "away"  # as long, as it is replaced in packed calls
        there = Path(self._there)
        own = msgspec.structs.replace(driver, home=there), str(Store(there).root)
        super().__init__(*own, 3)
        for host in self._hosts:  # each on a machine of its own
            monkeypatch.setenv("CODEINTEL_HOME", str(machine / host))
            self._hosts[host] = ShardHost(*own)

    def call(self, host, call):
        return super().call(host, call.replace(self._here.encode(), self._there.encode()))

    def gather(self, handles, bounds):
        gathered = super().gather(handles, bounds)
        for host, packed in gathered.answers.items():
            gathered.answers[host] = packed.replace(self._there.encode(), self._here.encode())
        return gathered

    def copies(self):
        return sum(len(host._shards._sizes) for host in self._hosts.values())


def test_hosts_copy_their_shards_and_answer_like_one_machine(
    driver, mirrored, asked, tmp_path, monkeypatch
):
    hosts = Elsewhere(driver, monkeypatch, tmp_path)
    with opened(driver, hosts) as it:
        shards = mirrored._repositories.view(SCOPES[0]).targets
        assert hits(it, asked[0]) == hits(
            mirrored, asked[0]
        )  # while they copy, it is searched here
        until(lambda: hosts.copies() == 2 * len(shards))  # each on two of three hosts
        it._engine.hosts._missing.clear()  # of copies that were on their way
        monkeypatch.setattr(it._engine.local, "search", None)  # from now on, hosts search alone
        monkeypatch.setattr(it._engine.hosts, "_own", None)
        chosen = [one for one in asked if one[0] == "semantic_search"][:90]
        for one in chosen:
            assert hits(it, one) == hits(mirrored, one), one
        assert not it.problems()
        total = 0
        for host in hosts._hosts:
            folder = mirror_folder(tmp_path / host, URL, COPIED)
            copies = list(folder.glob("v*/repositories/*/shards/*"))
            total += len(copies)
            assert not list(folder.glob("**/.copying-*"))
        assert total == 2 * len(shards)


def test_shard_is_copied_once_for_many_requests(driver, mirrored, tmp_path, monkeypatch):
    begun, gate = [], threading.Event()
    shards = CopiedShards(Store(driver.home).root, driver, tmp_path)

    def copy(key):
        begun.append(key)
        gate.wait(60)

    monkeypatch.setattr(shards, "_run", copy)
    key = (next(iter(shards._places)) / "v8/repositories/one/shards/two").as_posix()
    for _ in range(6):
        with pytest.raises(FileNotFoundError):
            shards.open(key)
    gate.set()
    shards._pool.shutdown()
    assert begun == [key]


def test_copies_stay_within_their_limit(driver, mirrored, asked, tmp_path, monkeypatch):
    shards = mirrored._repositories.view(SCOPES[0]).targets
    sizes = [
        sum(part.stat().st_size for part in mirrored._engine.shard_of(one).folder.iterdir())
        for one in shards
    ]
    small = msgspec.structs.replace(driver, mirror_bytes=max(sizes) + min(sizes))
    hosts = Elsewhere(small, monkeypatch, tmp_path)
    with opened(small, hosts) as it:
        for one in asked[:60]:
            assert hits(it, one) == hits(mirrored, one)
        until(lambda: not any(host._shards._copying for host in hosts._hosts.values()))
        for name in hosts._hosts:
            assert 0 < bytes_below(tmp_path / name / COPIED) <= small.mirror_bytes


def test_copies_are_used_by_the_next_host(driver, mirrored, asked, tmp_path, monkeypatch):
    shards = mirrored._repositories.view(SCOPES[0]).targets
    for _ in range(2):
        hosts = Elsewhere(driver, monkeypatch, tmp_path)
        with opened(driver, hosts) as it:
            assert hosts.copies() in (0, 2 * len(shards))
            hits(it, asked[0])
            until(lambda hosts=hosts: hosts.copies() == 2 * len(shards))


def test_host_without_access_to_the_bucket_is_named(driver, mirrored, asked, tmp_path, monkeypatch):
    hosts = Elsewhere(driver, monkeypatch, tmp_path)
    with opened(driver, hosts) as it:
        hits(mirrored, asked[0])  # the driver has its copy
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        for _ in range(2):
            assert hits(it, asked[0]) == hits(mirrored, asked[0])
            until(lambda: not any("" in host._shards._copying.values() for host in
                                  hosts._hosts.values()))  # fmt: skip
            it._engine.hosts._missing.clear()
        assert hits(it, asked[0]) == hits(mirrored, asked[0])
        assert f"The bucket {URL} cannot be read" in " ".join(it.problems())


def test_repository_of_the_driver_is_searched_by_it(s3, mirrored, asked, tmp_path, monkeypatch):
    """Hosts search the bucket's shards; those that they cannot see are the driver's part."""
    driver = settings_of(tmp_path / "home")
    with Workspace(driver, here=None, follow=False) as alone:
        alone.index(write_tree(tmp_path / "own", {"own.py": "def magic_of_mine(): ...\n"}))
        hosts = Elsewhere(driver, monkeypatch, tmp_path)
        with opened(driver, hosts) as it:
            shards = len(it._repositories.view(SCOPES[0]).targets)
            it.search_text("magic", limit=9)
            until(lambda: hosts.copies() == 2 * (shards - 1))
            it._engine.hosts._missing.clear()
            chosen = [one for one in asked if one[0] != "list_paths"][:120]
            for one in chosen:
                assert hits(it, one) == hits(alone, one), one
            assert it.search_text("magic_of_mine", limit=9)
            assert it.semantic_search("magic of mine")[0].path == "own.py"
            missing = {shard for _, shard in it._engine.hosts._missing}
            assert len(missing) == 1
            assert hosts.copies() == 2 * (shards - 1)


def is_whole(copy):
    content = copy / "content.bin"
    return (copy / "manifest.json").exists() and content.exists() and content.stat().st_size > 0


@pytest.mark.parametrize("is_open", [True, False])
def test_damaged_copy_is_copied_again(driver, mirrored, asked, tmp_path, monkeypatch, is_open):
    hosts = Elsewhere(driver, monkeypatch, tmp_path)
    with opened(driver, hosts) as it:
        shards = mirrored._repositories.view(SCOPES[0]).targets
        hits(it, asked[0])
        until(lambda: hosts.copies() == 2 * len(shards))
        for number, copy in enumerate(tmp_path.glob(COPIES)):
            if number % 3 == 0 or is_open:
                os.truncate(copy / "content.bin", 0)
            elif number % 3 == 1:
                shutil.rmtree(copy)  # as another worker's limit may do
            else:
                (copy / "manifest.json").unlink()  # as a killed worker may leave it
        time.sleep(2 * CHECK_S)
        for host in hosts._hosts.values() if not is_open else ():
            host._shards.keep_only(set())

        def are_all_somewhere():
            it._engine.hosts._missing.clear()
            for one in asked[:20]:
                assert hits(it, one) == hits(mirrored, one)
            whole = {one.name for one in tmp_path.glob(COPIES) if is_whole(one)}
            return len(whole) == len(shards)

        until(are_all_somewhere)
