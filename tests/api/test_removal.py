"""Removed repositories stay removed, whatever waits to index them."""

import asyncio
import threading

import pytest

from codeintel_nb.errors import IndexingCancelled
from codeintel_nb.index.update.processes import IndexProcess
from codeintel_nb.operations.limits import Limits
from codeintel_nb.operations.requests import RemoveRequest
from codeintel_nb.scopes.registries import open_registry
from codeintel_nb.server.caller import Caller
from codeintel_nb.server.service import SharedService
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree


@pytest.fixture
def service(shop, tmp_path):
    made = SharedService(
        shop,
        open_registry("memory://"),
        Limits(),
        [str(tmp_path)],
        2,
        False,
        lambda name, said: None,
    )
    yield made
    made.close()


def test_watcher_brings_no_removed_repository_back(shop, tree):
    repository = shop.repository("shop")
    shop.remove("shop")
    with pytest.raises(IndexingCancelled, match="'shop' was removed"):
        shop.indexer.index(repository, only=["src/cart.py"], requested=False)
    assert [*shop.repositories()] == []
    assert shop.indexer.index(repository).files, "a person may index it again"


def test_repository_removed_before_its_process_begins_stays_removed(shop, monkeypatch):
    repository, send = shop.repository("shop"), IndexProcess.send

    def remove_first(process, job):
        monkeypatch.setattr(IndexProcess, "send", send)
        shop.remove("shop")
        send(process, job)

    monkeypatch.setattr(IndexProcess, "send", remove_first)
    with pytest.raises(IndexingCancelled):
        shop.indexer.index(repository, rebuild=True)
    assert [*shop.repositories()] == []


@pytest.mark.parametrize("requested", [True, False])
def test_waiting_run_ends_with_its_repository(service, shop, tmp_path, requested):
    """The run waits behind another repository's, and its repository is removed."""
    other = write_tree(tmp_path / "other", {"one.py": "one = 1\n"})
    gate, index = threading.Event(), service.jobs._index

    def wait_for_the_gate(repository, *rest):
        if repository.name == "other":
            gate.wait(60)
        return index(repository, *rest)

    service.jobs._index = wait_for_the_gate
    service.jobs.start(worktree(str(other), "other"))
    assert service.jobs.start(shop.repository("shop"), requested=requested).state == "waiting"
    asyncio.run(service._remove_repository(RemoveRequest(name="shop"), Caller("me")))
    gate.set()
    assert service.jobs.wait("shop").state == "cancelled"
    assert [one.name for one in shop.repositories()] == ["other"]
