"""The server under load, and the memory of its sessions.

Peers: an idle server for other requests, the embedded engine for a magic's calls.
"""

import http.client
import statistics
import threading
import time
from pathlib import Path

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.client.http import ServerClient
from codeintel_nb.client.kernel import Kernel
from codeintel_nb.scopes.registry import MemoryRegistry
from codeintel_nb.search.query import SemanticQuery, TextQuery
from tests.benchmarks.conftest import FULL, show
from tests.conftest import write_tree
from tests.live import TOKEN, running

pytestmark = pytest.mark.benchmark

FILES, REQUESTS = (50_000, 100) if FULL else (2_000, 40)
CLIENTS = 8
SOURCE = (
    "def compute_{i}_{j}(argument, retries={j}):\n"
    "    '''Count the retries of request {i}.'''\n"
    "    for attempt in range(retries):\n"
    "        argument = argument * {j} + attempt\n"
    "    return argument\n\n\n"
)


@pytest.fixture(scope="module")
def ticking(tmp_path_factory):
    here = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with running(
        tmp_path_factory.mktemp("server"),
        "--ServerApp.jpserver_extensions=tests.benchmarks.ticking=True",
        environment=here,
    ) as made:
        write_tree(
            made.root / "known",
            {
                f"{i // 100}/module_{i}.py": "".join(SOURCE.format(i=i, j=j) for j in range(8))
                for i in range(2_000)
            },
        )
        made.index(made.root / "known", "known")
        yield made


def fetch(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    began = time.perf_counter()
    connection.request("GET", server.base_url + path, headers={"Authorization": f"token {TOKEN}"})
    response = connection.getresponse()
    said = response.read()
    connection.close()
    assert response.status == 200
    return (time.perf_counter() - began) * 1000, said


def watched(server, until):
    """Return the times of ``/api/status`` at 20 Hz and the event loop's longest block, in ms."""
    import json

    fetch(server, "ticking")
    times = []
    while not until(len(times)):
        times.append(fetch(server, "api/status")[0])
        time.sleep(0.05)
    return sorted(times), json.loads(fetch(server, "ticking")[1])["longest_ms"]


def test_other_requests_during_indexing_and_searching(ticking):
    write_tree(
        ticking.root / "new",
        {
            f"{i // 500}/module_{i}.py": "".join(SOURCE.format(i=i, j=j) for j in range(4))
            for i in range(FILES)
        },
    )
    idle, idle_hold = watched(ticking, lambda count: count >= REQUESTS)

    answered, over = [], threading.Event()

    def search(number):
        while not over.is_set():
            for place, payload in (
                ("search/text", {"pattern": f"compute_{number}", "limit": 100}),
                ("search/semantic", {"query": "count retries of a request"}),
            ):
                answer = ticking.ask(
                    "POST",
                    place,
                    {**payload, "repos": ["known"]},
                    {"X-Session-ID": f"client-{number}"},
                )
                answered.append(answer.status)
                time.sleep(0.02)

    assert ticking.ask("POST", "repositories", {"path": "new"}).status == 202
    clients = [threading.Thread(target=search, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    busy, busy_hold = watched(
        ticking,
        lambda count: (
            count >= REQUESTS and ticking.ask("GET", "repositories/new/job").json["state"] == "done"
        ),
    )
    over.set()
    for client in clients:
        client.join()
    rows = [
        (name, len(times), statistics.median(times), times[int(0.99 * len(times))], times[-1], hold)
        for name, times, hold in (
            ("idle", idle, idle_hold),
            (
                f"indexing {FILES:,} files, {CLIENTS} clients: {len(answered):,} searches",
                busy,
                busy_hold,
            ),
        )
    ]
    show(
        "/api/status beside the work, ms",
        ("", "requests", "p50", "p99", "max", "event loop held, at most"),
        rows,
    )
    assert set(answered) == {200}
    assert statistics.median(busy) < 20 * statistics.median(idle) + 20, "other requests stay fast"


def test_answers_by_meaning_of_many_clients(ticking):
    """Searches that come together run in processes, so two cores give more answers than one."""
    spent_s, rounds = (10.0, 3) if FULL else (1.5, 1)

    def answers(clients):
        ends, counts = time.monotonic() + spent_s, [0] * clients

        def search(number):
            headers = {"X-Session-ID": f"client-{number}"}
            while time.monotonic() < ends:
                query = {"query": f"count the retries of request {counts[number] % 7}"}
                assert ticking.ask("POST", "search/semantic", query, headers).status == 200
                counts[number] += 1

        threads = [threading.Thread(target=search, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / spent_s

    answers(CLIENTS)  # starts the processes
    pairs = [(answers(1), answers(CLIENTS)) for _ in range(rounds)]
    alone, together = (statistics.median(column) for column in zip(*pairs, strict=True))
    show(
        "answers by meaning a second",
        ("clients", "answers"),
        [(1, alone), (CLIENTS, together), (f"{CLIENTS} / 1", together / alone)],
    )
    assert together > 0.7 * alone


def test_search_through_the_server(ticking):
    kernel_id = ticking.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    through = ServerClient(
        Kernel(
            f"http://127.0.0.1:{ticking.port}{ticking.base_url}", kernel_id, ticking.key(kernel_id)
        )
    )
    here = EmbeddedClient(Workspace.open(ticking.home))
    scope = Scope(repos=("known",), languages=("python",))
    rows = []
    for client in (through, here):
        client.set_scope(scope)
    for name, ask in (
        (
            "text, 100 lines",
            lambda client: client.ask(TextQuery(pattern="attempt in range", limit=100)),
        ),
        ("text, no line", lambda client: client.ask(TextQuery(pattern="nowhere"))),
        (
            "semantic, 10 chunks",
            lambda client: client.ask(SemanticQuery(query="count the retries of a request")),
        ),
        ("scope", lambda client: client.get_scope()),
    ):
        p50 = {}
        for client in (through, here, through, here):
            ask(client)
            times = []
            for _ in range(40):
                began = time.perf_counter()
                ask(client)
                times.append((time.perf_counter() - began) * 1000)
            p50[client] = min(p50.get(client, 1e9), statistics.median(times))
        rows.append((name, p50[through], p50[here], p50[through] - p50[here]))
    show("one call, p50 ms", ("", "through the server", "embedded", "more"), rows)
    ticking.ask("DELETE", f"kernels/{kernel_id}", api=True)
    assert all(row[1] < 10 * row[2] + 20 for row in rows)


def test_memory_of_sessions():
    import gc
    import tracemalloc

    scopes = [Scope(languages=(name,)).interned() for name in ("python", "go", "rust")]
    rows = []
    for title, shared in (("scopes that others share", True), ("a scope of its own each", False)):
        gc.collect()
        tracemalloc.start()
        registry = MemoryRegistry()
        kept = []
        for i in range(10_000):
            scope = (
                scopes[i % 3] if shared else Scope(include_globs=(f"src/part{i}/**",)).interned()
            )
            kept.append(scope)
            registry.set(f"{i:08d}-0000-4000-8000-000000000000", scope)
            registry.pin(f"{i:08d}-0000-4000-8000-000000000000")
        kept.clear()
        gc.collect()
        rows.append(
            (
                title,
                tracemalloc.get_traced_memory()[0] / 1e6,
                tracemalloc.get_traced_memory()[0] / 10_000,
            )
        )
        tracemalloc.stop()
        assert registry.session_count() == 10_000
    show("10,000 live sessions", ("", "MB", "bytes each"), rows)
    assert all(row[1] <= 10 for row in rows)
