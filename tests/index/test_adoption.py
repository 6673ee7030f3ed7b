"""Indexes of format 7: adopted, searched, compacted, and rebuilt in the background."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.index.update.compact import _merge
from codeintel_nb.settings import Settings
from tests.conftest import write_tree
from tests.test_hardening import run_cli

ARCHIVE = Path(__file__).with_name("format_7.zip")
# unpacked files have other times
SQL = "select * exclude (repo{}) from {} order by path, {}"


@pytest.fixture
def old(tmp_path):
    """Unpack a folder and a home that the version before indexed it in."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
        for entry in archive.infolist():
            changed_at = time.mktime((*entry.date_time, 0, 0, -1))
            os.utime(tmp_path / entry.filename, (changed_at, changed_at))
    (description,) = tmp_path.glob("home/v7/repositories/*/repository.json")
    repository = json.loads(description.read_text())
    description.write_text(json.dumps({**repository, "root": str(tmp_path / "shop")}))
    return tmp_path


def opened(old, **options):
    return Workspace(Settings.from_environment(old / "home"), **options)


def answers(workspace):
    """Return what a workspace answers, without what depends on the cut of its shards."""
    tables = [
        ("files", ", modified", "path"),
        ("chunks", "", "start_line"),
        ("symbols", "", "start_line, name"),
    ]
    return {
        "text": [(hit.path, hit.start_line) for hit in workspace.search_text("cart", limit=99)],
        "meaning": [hit.path for hit in workspace.semantic_search("charge a credit card")],
        "definitions": [*workspace.symbols("*", limit=99)],
        **{
            name: workspace.sql(SQL.format(left_out, name, order)).rows()
            for name, left_out, order in tables
        },
        "counts": workspace.count(Scope(languages=("python",))),
    }


def test_old_index_answers_like_a_new_one(old, tmp_path):
    workspace = opened(old, follow=False)
    fresh = Workspace.open(tmp_path / "fresh")
    fresh.index(old / "shop", name="shop")
    before, now = answers(workspace), answers(fresh)
    assert before == now
    assert len(now["definitions"]) == 13
    assert not [*(tmp_path / "fresh").rglob("*.parquet")]
    workspace.close()
    fresh.close()


def test_old_shard_without_details_is_read_from_parquet(old):
    for manifest in old.glob("home/v7/repositories/*/shards/*/manifest.json"):
        content = json.loads(manifest.read_text())
        del content["parts"]["details.bin"]
        manifest.write_text(json.dumps(content))
        manifest.with_name("details.bin").unlink()
    workspace = opened(old, follow=False)
    assert workspace.symbols("load_cart")[0].doc == "Read a cart from a JSON file."
    assert workspace.sql("select doc from symbols where name = 'load_cart'").rows() == [
        ("Read a cart from a JSON file.",)
    ]
    workspace.close()


def test_old_and_new_shards_are_merged(old):
    workspace = opened(old, follow=False)
    (stored,) = Store(old / "home").repositories()
    write_tree(old / "shop", {"new.py": "def added(): ...\n"})
    workspace.indexer.index(stored.repository, only=["new.py"])
    before, refs = answers(workspace), read_snapshot(stored.folder).shards
    assert len(refs) == 3
    assert _merge(stored, workspace.settings, default_embedder(), [*refs], lambda event: None)
    assert len(read_snapshot(stored.folder).shards) == 1
    assert answers(workspace) == before
    workspace.close()


def test_rebuild_replaces_the_old_index(old):
    workspace = opened(old, follow=False)
    before = answers(workspace)
    assert (old / "home/v7").exists(), "the version before still finds its index"
    report = workspace.refresh("shop")
    assert (report.indexed, report.embedded) == (11, 0), "vectors are copied"
    assert answers(workspace) == before
    assert not (old / "home/v7").exists()
    assert workspace.refresh("shop").indexed == 0
    workspace.close()


def test_lasting_process_rebuilds_in_the_background(old):
    workspace = opened(old)
    assert workspace.search_text("charge_card").hits
    ends = time.monotonic() + 60
    while (old / "home/v7").exists():
        assert time.monotonic() < ends, "it was not rebuilt"
        time.sleep(0.05)
    assert workspace.search_text("charge_card").hits
    workspace.close()


def test_removed_repository_is_not_adopted_again(old):
    workspace = opened(old, follow=False)
    workspace.remove("shop")
    assert opened(old, follow=False).status() == []
    workspace.close()


def test_command_answers_from_an_old_index(old):
    code, out, error = run_cli(old / "home", "grep", "def charge_card")
    assert (code, error) == (0, "")
    assert "payment.py:8" in out


def test_damaged_old_index_is_reported_and_left_alone(old):
    (snapshot,) = old.glob("home/v7/repositories/*/snapshot.json")
    snapshot.write_bytes(b"{")
    workspace = opened(old, follow=False)
    (status,) = workspace.status()
    assert "is damaged" in status.damaged
    assert "--rebuild" in status.damaged
    assert not [*old.glob("home/v8/.adopting-*")]
    workspace.index(old / "shop", name="shop")
    assert workspace.search_text("charge_card").hits
    assert not snapshot.exists(), "its successor is complete"
    workspace.close()


def test_home_that_is_only_read_answers_from_the_old_index(old, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("codeintel_nb.index.adoption.make_private", refuse)
    workspace = opened(old, follow=False)
    expected = answers(workspace)
    assert not (old / "home/v8").exists()
    (snapshot,) = old.glob("home/v7/repositories/*/snapshot.json")
    assert json.loads(snapshot.read_text())["format"] == 7
    monkeypatch.undo()
    assert answers(opened(old, follow=False)) == expected
    assert (old / "home/v8").exists()
    assert json.loads(snapshot.read_text())["format"] == 7, "it is never written to"
    workspace.close()


def test_one_index_that_cannot_be_adopted_stops_no_other(old, monkeypatch):
    (folder,) = old.glob("home/v7/repositories/*")
    other = shutil.copytree(folder, folder.with_name("0123456789abcdef"))
    (other / "repository.json").write_text(
        (other / "repository.json").read_text().replace('"shop"', '"other"')
    )
    shutil.rmtree(next((other / "shards").iterdir()))
    workspace = opened(old, follow=False)
    assert [one.name for one in workspace.status()] == ["other", "shop"]
    assert workspace.search_text("charge_card", Scope(repo="shop")).hits
    assert len([*old.glob("home/v8/repositories/*")]) == 1
    workspace.close()


def test_processes_that_start_together_all_see_the_index(old):
    script = (
        "import sys; from pathlib import Path; from codeintel_nb.index.store import Store;"
        "print([one.repository.name for one in Store(Path(sys.argv[1])).repositories()])"
    )
    command = [sys.executable, "-c", script, str(old / "home")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert {process.communicate()[0] for process in running} == {"['shop']\n"}
    assert not [*old.glob("home/v8/.adopting-*")]


def test_removed_leftovers_and_new_names_of_packages(old):
    """A folder that was being removed is not adopted; later names of packages are kept."""
    (folder,) = old.glob("home/v7/repositories/*")
    shutil.copytree(folder, folder.with_name(".removed-1-x"))
    (old / "home/v7/renamed.json").write_text('{"pkg:a==1": "pkg:a==2"}')
    store = Store(old / "home")
    assert store.renamed() == {"pkg:a==1": "pkg:a==2"}
    assert [one.repository.name for one in store.repositories()] == ["shop"]
    store.note_renamed("pkg:a==2", "pkg:a==3")
    (stored,) = store.repositories()
    shutil.rmtree(stored.folder)
    assert Store(old / "home").renamed()["pkg:a==1"] == "pkg:a==3"


def test_adoption_that_was_interrupted_is_done_again(old):
    abandoned = old / "home/v8/.adopting-1"
    abandoned.mkdir(parents=True)
    os.utime(abandoned, (0, 0))
    assert [one.name for one in opened(old, follow=False).status()] == ["shop"]
    assert not abandoned.exists()


def test_file_system_without_hard_links(old, monkeypatch):
    def link(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    workspace = opened(old, follow=False)
    assert workspace.search_text("charge_card").hits
    shutil.rmtree(old / "home/v7")
    workspace._shards.keep_only(set())
    assert workspace.search_text("charge_card").hits
    workspace.close()
