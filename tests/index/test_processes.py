"""A process that stays after an update, for the next ones."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from codeintel_nb.errors import CodeIntelError, EngineError, IndexingCancelled
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.index.update.processes import MODULE, IndexProcess
from tests.conftest import write_tree
from tests.live import children_of


def processes():
    return [child.pid for child in children_of(os.getpid(), MODULE)]


@pytest.fixture
def save(shop, tree):
    """Save a file and index it alone, as a watcher does; return the report."""
    (stored,) = Store(shop.settings.home).repositories()

    def update(name="src/saved.py", text="def saved_thing():\n    pass\n"):
        write_tree(tree, {name: text})
        return shop.indexer.index(stored.repository, only=[name])

    return update


def test_process_stays_for_the_next_update(shop, save):
    assert save().indexed == 1
    (process,) = processes()
    for number in range(3):
        assert save(text=f"def saved_{number}():\n    pass\n").indexed == 1
        assert [hit.path for hit in shop.search_text(f"saved_{number}").hits] == ["src/saved.py"]
    assert processes() == [process]
    assert save(text="def saved_2():\n    pass\n").indexed == 0
    assert shop.count().files == 10


def test_process_that_stays_compacts_too(shop, save):
    save()
    (process,) = processes()
    (stored,) = Store(shop.settings.home).repositories()
    ends = time.monotonic() + 60
    number = 0
    while len(read_snapshot(stored.folder).shards) >= number and time.monotonic() < ends:
        number += 1
        save(name=f"src/saved_{number}.py", text=f"def saved_{number}():\n    pass\n")
        shop.indexer._compactor.wait()
    assert len(read_snapshot(stored.folder).shards) < number
    assert processes() == [process]
    assert len(shop.search_text("def saved_").hits) == number + 1


def test_run_over_a_whole_folder_leaves_no_process(shop, tree):
    write_tree(tree, {"src/other.py": "other = 1\n"})
    assert shop.index(tree, name="shop").indexed == 1
    assert processes() == []


def test_idle_process_ends_after_a_while(shop, save):
    shop.indexer._processes.idle_s = 0.3
    save()
    ends = time.monotonic() + 20
    while processes():
        assert time.monotonic() < ends, "it is still there"
        time.sleep(0.05)
    assert save(text="later = 1\n").indexed == 1


def test_process_killed_within_a_line_of_output_says_so(shop, tree, monkeypatch):
    def spawn(module, stderr, folder, environment):
        dying = (
            "import os, signal, sys\n"
            "sys.stdin.readline()\n"
            'os.write(1, b\'{"type":"report","repository":"sh\')\n'
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        return subprocess.Popen(
            [sys.executable, "-c", dying],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip

    monkeypatch.setattr("codeintel_nb.index.update.processes.spawn", spawn)
    with pytest.raises(EngineError, match="killed by SIGKILL"):
        shop.index(tree, name="shop", rebuild=True)


@pytest.mark.parametrize("stays", [False, True])
def test_interruption_before_the_job_is_sent_leaves_no_process(
    shop, tree, save, monkeypatch, stays
):
    save()
    (idle,) = processes()

    def interrupted(process, job):
        raise KeyboardInterrupt

    monkeypatch.setattr(IndexProcess, "send", interrupted)
    with pytest.raises((KeyboardInterrupt, IndexingCancelled)):
        save(text="another = 1\n") if stays else shop.index(tree, name="shop", rebuild=True)
    assert processes() == ([] if stays else [idle])


def test_killed_idle_process_is_replaced(shop, save):
    save()
    (process,) = processes()
    os.kill(process, signal.SIGKILL)
    while processes():
        time.sleep(0.01)
    assert save(text="later = 1\n").indexed == 1
    assert processes() != [process]


def test_changed_environment_starts_another_process(shop, save, monkeypatch):
    save()
    first = processes()
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    save(text="later = 1\n")
    assert len(processes()) == 1
    assert processes() != first


def test_closed_workspace_and_removed_repository_leave_no_process(shop, save):
    save()
    shop.remove("shop")
    assert processes() == []
    assert shop.status() == []
    shop.close()


def test_failed_update_leaves_the_process_for_the_next(shop, save, tree):
    save()
    (process,) = processes()
    tree.rename(tree.with_name("away"))
    (stored,) = Store(shop.settings.home).repositories()
    with pytest.raises(CodeIntelError, match="cannot be read"):
        shop.indexer._built(stored.repository, None, None, False, ["src/saved.py"])
    tree.with_name("away").rename(tree)
    assert save(text="later = 1\n").indexed == 1
    assert processes() == [process]


def test_process_that_stays_sees_an_index_built_anew(shop, save, tree):
    save()
    (process,) = processes()
    shop.index(tree, name="shop", rebuild=True)
    assert save(text="later = 1\n").indexed == 1
    assert processes() == [process]
    assert len(shop.search_text("later").hits) == 1
    assert shop.semantic_search("total price of a cart").hits
    assert shop.count().files == 10


def test_missing_shard_is_reported_by_a_process_that_had_it_open(shop, save):
    save()
    (stored,) = Store(shop.settings.home).repositories()
    for ref in read_snapshot(stored.folder).shards:
        shutil.rmtree(stored.shards / ref.id)
    with pytest.raises(CodeIntelError, match="rebuild"):
        save(text="later = 1\n")


def test_error_of_the_progress_display_is_raised(shop, save, tree):
    save()
    (stored,) = Store(shop.settings.home).repositories()

    def fail(progress):
        raise BrokenPipeError("the display is gone")

    write_tree(tree, {"src/saved.py": "later = 1\n"})
    with pytest.raises(BrokenPipeError, match="display"):
        shop.indexer.index(stored.repository, fail, only=["src/saved.py"])
    assert save(text="later = 2\n").indexed == 1


def test_ctrl_c_ends_a_job_of_the_process_at_once(shop, save, tree, monkeypatch):
    monkeypatch.setattr("codeintel_nb.index.update.build.STOP_S", 600.0)
    save()
    (stored,) = Store(shop.settings.home).repositories()
    files = {f"src/f{i}.py": "def function(x):\n    return x\n\n" * 200 for i in range(300)}
    write_tree(tree, files)

    def interrupt(progress):
        if progress.stage == "indexing":
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(IndexingCancelled):
        shop.indexer.index(stored.repository, interrupt, only=list(files))
    assert time.monotonic() - began < 300, "it does not wait for a process that stays"
    assert shop.index(tree, name="shop").files == 310


def test_refresh_of_an_unchanged_folder_starts_no_process(shop):
    shop.search_text("cart")
    shop.refresh("shop")
    assert shop.refresh("shop").indexed == 0
    assert processes() == []


def test_fork_leaves_the_process_to_its_owner(shop, save):
    save()
    (process,) = processes()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        shop.indexer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert processes() == [process]
    assert save(text="later = 1\n").indexed == 1
    assert processes() == [process]
