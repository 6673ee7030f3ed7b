"""Indexing in a child process of a live server: progress for every client, nothing lost."""

import http.client
import json
import re
import threading
from contextlib import contextmanager, suppress

import psutil
import pytest

from codeintel_nb.client.http import ServerClient
from codeintel_nb.client.kernel import Kernel
from tests.conftest import write_tree
from tests.live import TOKEN, children_of
from tests.waiting import until

FUNCTION = (
    "def function_{i}_{j}(argument):\n"
    "    '''Compute the value number {j}.'''\n"
    "    return argument * {j} + {i}\n\n\n"
)


def many_files(root, count=600):
    return write_tree(
        root,
        {
            f"package{i // 50}/module{i}.py": "".join(FUNCTION.format(i=i, j=j) for j in range(30))
            for i in range(count)
        },
    )


@pytest.fixture
def work(server):
    """Yield the server with a folder that takes seconds to index; remove it afterwards."""
    many_files(server.root / "work")
    yield server
    server.ask("DELETE", "repositories/work/job")
    until(lambda: server.ask("DELETE", "repositories/work").status in (204, 404))


def events(server, name):
    """Return the states sent to one client until the run ends."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(
        "GET",
        server.uri(f"repositories/{name}/events"),
        headers={"Authorization": f"token {TOKEN}"},
    )
    response = connection.getresponse()
    assert response.headers["content-type"] == "text/event-stream"
    found = [json.loads(line[5:]) for line in response if line.startswith(b"data:")]
    connection.close()
    return found


def builders(server):
    return children_of(server.process.pid, "codeintel_nb.index.update.build")


@contextmanager
def paused(server):
    """Pause the run in the middle of its files."""

    def has_begun():
        progress = server.ask("GET", "repositories/work/job").json.get("progress") or {}
        return progress.get("files_total") and builders(server)

    (builder,) = until(has_begun)
    builder.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            builder.resume()


@pytest.mark.slow
def test_every_client_receives_progress_events(work):
    assert work.ask("POST", "repositories", {"path": "work"}).json["state"] in (
        "waiting",
        "running",
    )
    told = [[], []]
    clients = [
        threading.Thread(target=lambda of=one: of.extend(events(work, "work"))) for one in told
    ]
    for client in clients:
        client.start()
    assert work.ask("POST", "repositories", {"path": "work"}).json["state"] in (
        "waiting",
        "running",
    ), "the second request joins the current run"
    for client in clients:
        client.join()
    for states in told:
        assert states[-1]["state"] == "done"
        assert states[-1]["report"]["indexed"] == 600
        done = [state["progress"]["files_done"] for state in states if state["state"] == "running"]
        assert done == sorted(done)
        assert any(0 < count < 600 for count in done), "progress is reported between start and end"
    assert events(work, "work") == [told[0][-1]], "a late client receives the final state"
    assert work.ask("POST", "repositories/work/refresh").status == 202
    assert events(work, "work")[-1]["report"]["indexed"] == 0


def test_index_worker_runs_at_low_priority(work):
    work.ask("POST", "repositories", {"path": "work"})

    def is_nice():
        with suppress(psutil.Error):  # it may end meanwhile
            return [builder.nice() for builder in builders(work)] == [10]

    until(is_nice)


@pytest.mark.slow
def test_old_index_answers_after_a_cancelled_or_killed_run(work):
    work.index(work.root / "work", "work")
    count = work.ask(
        "POST", "search/text", {"pattern": "def function_1_", "repos": ["work"], "limit": 1000}
    ).json["results"]["total"]
    for how in ("cancelled", "killed"):
        assert work.ask("POST", "repositories/work/refresh", {"rebuild": True}).status == 202
        until(
            lambda: (
                work.ask("GET", "repositories/work/job")
                .json.get("progress", {})
                .get("files_done", 0)
                > 0
            )
        )
        if how == "cancelled":
            assert work.ask("DELETE", "repositories/work/job").status == 202
        else:
            builders(work)[0].kill()
        last = events(work, "work")[-1]
        assert last["state"] == ("cancelled" if how == "cancelled" else "failed")
        assert last["error"] == ("IndexingCancelled" if how == "cancelled" else "EngineError")
        assert "remain searchable" in last["detail"]
        again = work.ask(
            "POST", "search/text", {"pattern": "def function_1_", "repos": ["work"], "limit": 1000}
        ).json["results"]
        assert (again["total"], again["truncated"], again["coverage"]["building"]) == (
            count,
            False,
            [],
        )


def test_repository_cannot_be_removed_while_indexing(work):
    work.ask("POST", "repositories", {"path": "work"})
    with paused(work):
        refused = work.ask("DELETE", "repositories/work")
    assert refused.status == 409
    assert "is being indexed already (process" in refused.json["detail"]


def test_ctrl_c_in_a_notebook_cancels_the_run(work, open_notebook):
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb")

    def interrupt():
        until(lambda: builders(work))
        with paused(work):
            work.ask("POST", f"kernels/{notebook.kernel_id}/interrupt", {}, api=True)
            until(lambda: work.ask("GET", "repositories/work/job").json["state"] == "cancelled")

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    said = notebook.run("%codeindex add work")
    waiting.join()
    assert re.search(
        r"UsageError: Indexing 'work' was stopped at \d+ % \([\d,]+ of 600 files\)", said
    )
    assert "Traceback" not in said
    until(lambda: work.ask("GET", "repositories/work/job").json["state"] == "cancelled")


@pytest.mark.slow
def test_client_reports_the_progress_of_a_run(work):
    kernel_id = work.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    client = ServerClient(
        Kernel(f"http://127.0.0.1:{work.port}{work.base_url}", kernel_id, work.key(kernel_id))
    )
    met = []
    from codeintel_nb.operations.requests import IndexRequest

    report = client.ask(IndexRequest(path=str(work.root / "work")), progress=met.append)
    assert report.indexed == 600
    assert any(0 < progress.files_done < 600 for progress in met)
    work.ask("DELETE", f"kernels/{kernel_id}", api=True)
