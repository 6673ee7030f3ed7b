"""Runs stopped by the user.

They stay stopped, keep the files read, and are in no default scope until complete.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time

import msgspec
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.errors import IndexingCancelled, SearchError
from codeintel_nb.index.update.stops import Cancellation, Stop, read_stop, write_stop
from codeintel_nb.output.plain_text import status_notes, status_table
from codeintel_nb.settings import Settings
from tests.conftest import write_tree


@pytest.fixture
def large(tmp_path):
    """Return a folder large enough that its first index takes some seconds."""
    function = (
        "def function_{i}_{j}(argument):\n"
        "    '''Compute the value number {j}.'''\n"
        "    return argument * {j} + {i}\n\n\n"
    )
    return write_tree(
        tmp_path / "large",
        {
            f"d{i // 50}/f{i:03}.py": "".join(function.format(i=i, j=j) for j in range(40))
            for i in range(500)
        },
    )


@pytest.fixture
def opened(tmp_path):
    made = []

    def open_(**settings):
        made.append(
            Workspace(
                msgspec.structs.replace(Settings.from_environment(tmp_path / "home"), **settings),
                here=None,
            )
        )
        return made[-1]

    yield open_
    for workspace in made:
        workspace.close()


def stopped(workspace, folder, at=200, cancel=None, **options):
    """Stop a run after ``at`` files; return the error message."""
    cancel = cancel or Cancellation()

    def progress(moved):
        if moved.files_done >= at:
            cancel.set()

    with pytest.raises(IndexingCancelled) as error:
        workspace.index(folder, progress=progress, cancel=cancel, **options)
    return str(error.value)


@pytest.mark.slow
def test_stopped_first_run_keeps_the_files_read(opened, large):
    workspace = opened()
    message = stopped(workspace, large)
    assert "was stopped at" in message
    assert message.endswith(
        "Files indexed so far are kept. To resume, run: codeintel refresh large"
    )
    (status,) = workspace.status()
    assert (status.state, status.complete) == ("stopped", False)
    assert 0 < status.files < 500
    assert status.stopped.startswith("at ")
    assert "of 500 files" in status.stopped
    shown = "\n".join(
        ["  ".join(row) for row in status_table([status])] + status_notes([status], False)
    )
    assert "stopped at" in shown
    assert "being indexed" not in shown
    report = workspace.refresh("large")
    assert report.unchanged == status.files
    assert report.indexed == 500 - status.files
    (status,) = workspace.status()
    assert (status.state, status.stopped, status.files) == ("indexed", "", 500)


@pytest.mark.slow
def test_incomplete_repository_is_searched_only_by_name(opened, large, tree):
    workspace = opened()
    workspace.index(tree, name="shop")
    everywhere = workspace.search_text("def ").total
    stopped(workspace, large)
    assert workspace.search_text("def ").total == everywhere
    assert workspace.count().repositories == ("shop",)
    assert workspace.list_paths().total == 9
    with pytest.raises(
        SearchError, match=r"Not fully indexed yet: 'large'.* codeintel refresh large"
    ):
        workspace.semantic_search("value", Scope(repos=("large",)))
    named = workspace.search_text("def function_499_39", Scope(repos=("large",)))
    assert [hit.path for hit in named] == ["d9/f499.py"]
    assert (named.coverage.building, named.coverage.files) == (("large",), 500)
    assert "large not indexed yet" in repr(named)
    workspace.refresh("large")
    assert workspace.search_text("def ").total == everywhere + 20_000


def test_shutdown_is_not_a_user_stop(opened, large, tmp_path, monkeypatch):
    """Check that a shutdown kills the child at once and leaves the run resumable."""
    workspace, cancel = opened(), Cancellation()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def progress(moved):
        if moved.files_done >= 100:
            cancel.shut_down()

    with pytest.raises(IndexingCancelled):
        workspace.index(large, progress=progress, cancel=cancel)
    assert not workspace.indexer.is_stopped("large")
    assert workspace.status()[0].files == 0, "it did not wait for the files read to be written"
    assert [*temporary.iterdir()] == [], "the killed child's files are removed"
    assert workspace.status()[0].state == "unfinished"


def test_shutdown_does_not_wait_for_a_user_stop(opened, large):
    workspace, cancel = opened(), Cancellation()

    def progress(moved):
        if moved.files_done >= 100:
            cancel.set()
            cancel.shut_down()

    with pytest.raises(
        IndexingCancelled, match=r"was stopped at .* Nothing is indexed yet. To resume, run"
    ):
        workspace.index(large, progress=progress, cancel=cancel)
    assert workspace.indexer.is_stopped("large")
    assert workspace.status()[0].files == 0


@pytest.mark.slow
@pytest.mark.parametrize("by_user", [True, False])
def test_unfinished_rebuild_is_completed_by_the_next_run(opened, large, by_user):
    """Check that a stop or a crash does not revoke the request to index outputs."""
    (large / "n.ipynb").write_text(
        json.dumps(
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "source": "1",
                        "metadata": {},
                        "execution_count": 1,
                        "outputs": [
                            {"output_type": "stream", "name": "stdout", "text": "printed_once"}
                        ],
                    }
                ],
                "metadata": {},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        )
    )
    workspace = opened()
    workspace.index(large)
    cancel = Cancellation()

    def progress(moved):
        if moved.files_done >= 100:
            cancel.set() if by_user else cancel.shut_down()

    with pytest.raises(IndexingCancelled, match="To resume, run: codeintel refresh"):
        workspace.index(large, progress=progress, cancel=cancel, outputs=True)
    assert workspace.search_text("printed_once").total == 0
    (large / "d0" / "f000.py").write_text("fresh = 1\n")
    known = workspace.repository("large")
    if not by_user:  # a watcher's update of one file leaves the rebuild due
        workspace.indexer.index(known, only=["d0/f000.py"], requested=False)
    assert workspace.refresh("large").indexed == 501
    assert workspace.search_text("printed_once").total == 1
    assert workspace.refresh("large").indexed == 0, "nothing is left to index"


@pytest.mark.slow
def test_only_a_user_request_resumes_a_stopped_run(opened, large):
    """Check that a watcher's run, queued before the stop, does not resume it."""
    workspace = opened()
    stopped(workspace, large)
    before = workspace.status()[0]
    with pytest.raises(
        IndexingCancelled, match="was stopped earlier. To resume, run: codeintel refresh large"
    ):
        workspace.indexer.index(workspace.repository("large"), requested=False)
    assert workspace.status()[0] == before
    assert workspace.indexer.index(workspace.repository("large")).files == 500


@pytest.mark.slow
def test_the_watcher_leaves_a_stopped_run_alone(opened, large):
    workspace = opened()
    stopped(workspace, large)
    reports = []
    watcher = workspace.watch(updated=reports.append)
    write_tree(large, {"new.py": "fresh = 1\n"})
    time.sleep(1.5)
    assert reports == []
    assert workspace.status()[0].state == "stopped"
    workspace.refresh("large")
    write_tree(large, {"newer.py": "fresher = 1\n"})
    ends = time.monotonic() + 30
    while not any(report.files == 502 for report in reports):
        assert time.monotonic() < ends
        time.sleep(0.05)
    watcher.close()


def test_stopped_update_leaves_the_index_complete(opened, large):
    workspace = opened()
    workspace.index(large)
    for i in range(0, 500, 2):
        (large / f"d{i // 50}/f{i:03}.py").write_text(
            "".join(f"def changed_{i}_{j}():\n    return {j}\n\n\n" for j in range(200))
        )
    message = stopped(workspace, large, at=50)
    assert "Files indexed earlier remain searchable" in message
    (status,) = workspace.status()
    assert (status.state, status.complete, status.files) == ("indexed", True, 500)
    assert status.stopped
    assert workspace.search_text("changed_", show="files").total == 250
    assert workspace.semantic_search("compute the value number").hits
    assert workspace.refresh("large").files == 500
    assert workspace.status()[0].stopped == ""


@pytest.mark.slow
def test_a_stopped_rebuild_changes_nothing(opened, large):
    workspace = opened()
    workspace.index(large)
    before = workspace.status()[0]
    stopped(workspace, large, rebuild=True)
    after = workspace.status()[0]
    assert (after.files, after.chunks, after.complete) == (before.files, before.chunks, True)


def test_ctrl_c_stops_the_run(opened, large):
    workspace = opened()
    sent = []

    def progress(moved):
        if moved.files_done >= 100 and not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(IndexingCancelled, match=r"was stopped at \d+ %"):
        workspace.index(large, progress=progress)
    assert workspace.status()[0].state == "stopped"


@pytest.mark.slow
def test_ctrl_c_during_the_last_shard_completes_the_index(opened, large):
    """Check that the run counts as complete, not as stopped."""
    workspace, sent = opened(), []

    def progress(moved):
        if moved.stage == "writing" and moved.files_done == 500 and not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        workspace.index(large, progress=progress)
    (status,) = workspace.status()
    assert (status.state, status.stopped, status.files) == ("indexed", "", 500)


def test_cancelled_resume_keeps_the_recorded_progress(opened, large):
    workspace, cancel = opened(), Cancellation()
    stopped(workspace, large)
    before = workspace.status()[0].stopped
    cancel.set()
    with pytest.raises(IndexingCancelled, match="was stopped at"):
        workspace.refresh("large", cancel=cancel)
    assert workspace.status()[0].stopped == before


def test_cancel_before_a_first_run_leaves_no_index(opened, large):
    workspace, cancel = opened(), Cancellation()
    cancel.set()
    with pytest.raises(IndexingCancelled, match="Indexing 'large' was cancelled; it has no index"):
        workspace.index(large, cancel=cancel)
    assert workspace.status() == []


@pytest.mark.slow
def test_cancel_before_the_child_reads_its_job_is_a_stop(opened, large):
    workspace, cancel = opened(), Cancellation()
    threading.Timer(0.05, cancel.set).start()
    with pytest.raises(IndexingCancelled, match="was stopped"):
        workspace.index(large, cancel=cancel)
    assert workspace.status()[0].state == "stopped"
    assert workspace.refresh("large").files == 500


def test_damaged_stop_file_counts_as_a_stop(tmp_path):
    write_stop(tmp_path, None)
    assert read_stop(tmp_path) is not None
    (tmp_path / "stopped.json").write_text("{")
    assert read_stop(tmp_path) == Stop(0.0)
    assert read_stop(tmp_path / "elsewhere") is None


def test_status_is_indexing_during_a_run(opened, large):
    workspace, other, seen = opened(), opened(), threading.Event()
    states = []

    def progress(moved):
        if moved.files_done and not seen.is_set():
            seen.set()
            states.append(other.status()[0].state)

    workspace.index(large, progress=progress)
    assert states == ["indexing"]
