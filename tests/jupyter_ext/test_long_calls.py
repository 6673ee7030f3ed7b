"""Long maps, indexing runs and SQL: progress, cancellation and prompt shutdown."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from codeintel_nb.client.http import ServerClient
from codeintel_nb.client.kernel import Kernel
from codeintel_nb.errors import SearchError
from codeintel_nb.operations.requests import MapRequest, SqlRequest
from codeintel_nb.search.query import TextQuery
from tests.conftest import write_tree
from tests.jupyter_ext.test_jobs import builders, many_files
from tests.live import TOKEN, children_of, running
from tests.waiting import until

SLOW_SQL = (
    "select count(*) from range(100000) a, range(100000) b, range(100000) c"
    " where a.range + b.range + c.range = 7"
)


@contextmanager
def with_many_files(folder):
    """Run a server with an indexed folder."""
    with running(folder) as server:
        many_files(server.root / "work", 300)
        server.index(server.root / "work", "work")
        yield server


@pytest.fixture
def stopping(tmp_path):
    """Return a server for this test alone."""
    with with_many_files(tmp_path / "server") as server:
        yield server


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """Return a server for the tests that leave it running."""
    with with_many_files(tmp_path_factory.mktemp("lasting")) as server:
        yield server


def client_of(server):
    return ServerClient(
        Kernel(f"http://127.0.0.1:{server.port}{server.base_url}", "script-1", b"", TOKEN)
    )


@pytest.mark.slow
def test_a_first_map_reports_progress(stopping):
    seen = []
    points = client_of(stopping).ask(MapRequest(), progress=seen.append)
    assert points.total > 300
    shares = [progress.share for progress in seen]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert {progress.stage for progress in seen} == {"drawing the map"}
    seen.clear()
    assert client_of(stopping).ask(MapRequest(), progress=seen.append).total == points.total
    assert seen == [], "the second map is cached"


@pytest.mark.parametrize("what", [pytest.param("map", marks=pytest.mark.slow), "sql"])
def test_a_cancelled_call_ends_on_the_server(lasting, what):
    cancel, ended = threading.Event(), []

    def ask():
        client = client_of(lasting)
        try:
            client.ask(
                MapRequest(), progress=lambda progress: cancel.set(), cancel=cancel
            ) if what == "map" else client.ask(SqlRequest(statement=SLOW_SQL), cancel=cancel)
        except SearchError as error:
            ended.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    if what == "sql":
        time.sleep(1)
        cancel.set()
    asking.join(30)
    assert ended == [
        "Drawing the map was interrupted." if what == "map" else "The SQL query was cancelled."
    ]
    until(lambda: not children_of(lasting.process.pid, "projection"))


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_call_is_cancelled_by_its_id(lasting, accept):
    """Cancel a script's background SQL, streamed or not."""
    answers, headers = [], {"X-Session-ID": "script-1", "X-Request-ID": "call-1", "Accept": accept}
    asking = threading.Thread(
        target=lambda: answers.append(lasting.ask("POST", "sql", {"statement": SLOW_SQL}, headers))
    )
    asking.start()

    for _ in range(20):  # another session cannot cancel this call
        lasting.ask("DELETE", "searches/call-1", headers={"X-Session-ID": "script-2"})
        time.sleep(0.1)
    assert asking.is_alive()

    def ended():
        lasting.ask("DELETE", "searches/call-1", headers={"X-Session-ID": "script-1"})
        return not asking.is_alive()

    until(ended)
    assert "The SQL query was cancelled." in answers[0].body.decode()
    until(lambda: lasting.ask("GET", "health").status == 200)


def test_cancellation_before_its_call_starts_takes_effect(lasting):
    """Rely on the client to repeat the cancellation until the call ends."""
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(SearchError, match="The SQL query was cancelled"):
        client_of(lasting).ask(SqlRequest(statement=SLOW_SQL), cancel=cancel)
    found = client_of(lasting).ask(TextQuery(pattern="def", limit=100), cancel=cancel)
    assert found.results.reason in ("limit", "cancelled")


def test_long_call_raises_the_engines_error(lasting):
    client = client_of(lasting)
    with pytest.raises(SearchError, match="SQL"):
        client.ask(SqlRequest(statement="selct 1"))


def busy(server, what):
    """Start a long-running call on the server."""
    if what == "indexing":
        write_tree(
            server.root / "more",
            {f"f{i}.py": f"def function_{i}():\n    return {i}\n" * 300 for i in range(600)},
        )
        assert server.ask("POST", "repositories", {"path": "more"}).status == 202
        until(lambda: builders(server))
        return
    path, body = {
        "map": ("map", {}),
        "sql": ("sql", {"statement": SLOW_SQL}),
        "search": (
            "search/text",
            {"pattern": r"(?s)(\w+\s+){1,40}never_there", "regex": True, "limit": 0},
        ),
    }[what]

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request(
            "POST",
            server.uri(path),
            json.dumps(body),
            {
                "Authorization": f"token {TOKEN}",
                "Content-Type": "application/json",
                "Accept": "text/event-stream, application/json",
            },
        )
        try:
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass  # the server has stopped
        finally:
            connection.close()

    threading.Thread(target=ask, daemon=True).start()
    time.sleep(0.5)


@pytest.mark.parametrize(
    "what",
    [
        "indexing",
        pytest.param("search", marks=pytest.mark.slow),
        pytest.param("map", marks=pytest.mark.slow),
        pytest.param("sql", marks=pytest.mark.slow),
    ],
)
def test_busy_server_stops_promptly_on_sigterm(stopping, what):
    busy(stopping, what)
    stopping.process.send_signal(signal.SIGTERM)
    try:
        stopping.process.wait(30)
    except subprocess.TimeoutExpired:
        pytest.fail("the server is still running")
    log = stopping.log.read_text()
    assert "Traceback" not in log, log[-3000:]


@pytest.mark.slow
def test_run_stopped_by_a_user_stays_stopped(make_server):
    server = make_server("--CodeIntelApp.watch=True")
    many_files(server.root / "work", 900)
    assert server.ask("POST", "repositories", {"path": "work"}).status == 202
    until(
        lambda: (
            server.ask("GET", "repositories/work/job").json.get("progress", {}).get("files_done", 0)
            > 50
        )
    )
    assert server.ask("DELETE", "repositories/work/job").status == 202
    until(lambda: server.ask("GET", "repositories/work/job").json["state"] == "cancelled")

    def state():
        (status,) = server.ask("GET", "repositories").json["repositories"]
        return status["state"]

    write_tree(server.root / "work", {"new.py": "fresh = 1\n"})
    time.sleep(6)  # the watcher checks for repositories to watch every five seconds
    assert state() == "stopped"
    assert server.ask("GET", "repositories/work/job").json["state"] == "cancelled"
    server.stop()
    server.start()
    time.sleep(6)
    assert state() == "stopped"
    assert server.ask("POST", "repositories/work/refresh").status == 202
    until(lambda: state() == "indexed")
