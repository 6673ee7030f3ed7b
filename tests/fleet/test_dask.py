"""A real Dask cluster of two worker processes: the same answers, lost and hung workers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading

import msgspec
import pytest

from codeintel_nb import Workspace
from codeintel_nb.engines import choice
from codeintel_nb.engines.choice import fleet_of, server_engine
from codeintel_nb.engines.fleet import hosts as fleet_hosts
from codeintel_nb.engines.fleet.dask_fleet import DaskFleet
from codeintel_nb.engines.fleet.host import Identity
from codeintel_nb.errors import CodeIntelError, EngineError
from codeintel_nb.index.store import Store
from codeintel_nb.settings import Settings
from tests.conftest import write_tree
from tests.fleet.law import answer, assert_lawful, opened
from tests.full.programs import free_port
from tests.waiting import until


@pytest.fixture(scope="module")
def cluster(home):
    fleet = DaskFleet("local", home, str(Store(home.home).root))
    until(lambda: len(fleet.hosts()) == 2)
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def fleet(home, cluster):
    with opened(home, cluster) as workspace:
        yield workspace


def workers(cluster):
    """Return the process of each host."""
    return cluster._client.run(os.getpid)


def whole(cluster):
    until(lambda: len(cluster.hosts()) == 2)


def test_same_hits_scores_order_and_counts(local, fleet, cluster, asked):
    whole(cluster)
    assert_lawful(fleet, local, asked)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_workers_lose_no_answer(local, fleet, cluster, asked, kills):
    """16 clients search while workers are killed: each answer is right, and workers come back."""
    whole(cluster)
    chosen = [one for one in asked if one[0] in ("search_text", "semantic_search", "symbols")][-90:]
    expected = [answer(local, *one) for one in chosen]
    fleet._engine.hosts.suspects.clear()
    over, wrong, answered = threading.Event(), [], [0] * 16

    def ask(client):
        numbers = random.Random(client)
        while not over.is_set():
            number = numbers.randrange(len(chosen))
            try:
                if answer(fleet, *chosen[number]) != expected[number]:
                    wrong.append(chosen[number])
            except Exception as error:
                wrong.append(error)
            answered[client] += 1

    clients = [threading.Thread(target=ask, args=(client,)) for client in range(16)]
    for client in clients:
        client.start()
    for _ in range(kills):
        whole(cluster)
        before = sum(answered)
        until(lambda before=before: sum(answered) > before + 16)
        host, pid = random.choice(list(workers(cluster).items()))
        os.kill(pid, signal.SIGKILL)
        until(lambda host=host: host not in cluster.hosts())
        whole(cluster)
    over.set()
    for client in clients:
        client.join()
    assert wrong == []
    assert min(answered) > 0


def test_hung_host_ends_the_search_at_its_limit(fleet, cluster, monkeypatch):
    """The answer says that it is incomplete; later searches do without the host."""
    whole(cluster)
    monkeypatch.setattr(fleet_hosts, "HUNG_S", 0.0)  # however little time the hosts had
    fleet._engine.hosts.suspects.clear()
    pids = workers(cluster)
    hung = pids[cluster.hosts()[0]]
    os.kill(hung, signal.SIGSTOP)
    try:
        results = fleet.search_text("magic", limit=900, timeout_s=1.0)
        assert results.truncated
        assert results.reason == "time"
        assert not results.total_exact
        after = fleet.search_text("magic", limit=900, timeout_s=30.0)
        assert after.reason == "limit"
        assert after.total_exact
        assert len(after) == 900
    finally:
        os.kill(hung, signal.SIGCONT)
        fleet._engine.hosts.suspects.clear()


def test_no_host_left_searches_here(home, local, cluster, asked):
    class Empty(DaskFleet):
        def __init__(self):
            pass

        def hosts(self):
            return []

        def states(self):
            return {}

        def close(self):
            pass

    with opened(home, Empty()) as alone:
        for one in asked[:10]:
            assert answer(alone, *one) == answer(local, *one)
        assert alone.problems() == ["No host answers, so this server searches by itself."]


def test_update_is_found_by_all_hosts(home, cluster, tmp_path):
    settings = Settings.from_environment(tmp_path / "home", {})
    write_tree(tmp_path / "work", {f"{name}.py": f"{name} = 'first'\n" for name in "abcd"})
    root = str(Store(settings.home).root)
    with Workspace(settings, here=None, follow=False) as made:
        made.index(tmp_path / "work")
    own = DaskFleet("local", settings, root)
    with opened(settings, own) as workspace:
        until(lambda: len(own.hosts()) == 2)
        assert len(workspace.search_text("first")) == 4
        write_tree(tmp_path / "work", {"b.py": "b = 'second'\n"})
        workspace.index(tmp_path / "work", rebuild=True)
        assert [hit.path for hit in workspace.search_text("second")] == ["b.py"]
        assert len(workspace.search_text("first")) == 3


def test_identity_says_why_a_worker_is_unfit(tmp_path):
    own = Identity.own(tmp_path)
    assert own.differs(own) == ""
    assert own.differs(own._replace(version="0.0.1")).startswith("it has codeintel-nb 0.0.1, not")
    assert "it runs Python 3.9" in own.differs(own._replace(python=(3, 9)))
    assert own.differs(own._replace(root="")) == f"it does not see the folder {tmp_path}"


def test_wrong_and_absent_clusters_are_named(home):
    with pytest.raises(CodeIntelError, match="There is no engine 'spark://x'"):
        server_engine(msgspec.structs.replace(home, engine="spark://x"))
    absent = msgspec.structs.replace(home, engine=f"dask://127.0.0.1:{free_port()}")
    with pytest.raises(EngineError, match="Dask scheduler at .* does not answer"):
        fleet_of(absent)()
    with Workspace(home, here=None, follow=False, engine=server_engine(absent)) as workspace:
        assert len(workspace.search_text("magic", limit=3)) == 3
        until(lambda: "does not answer" in " ".join(workspace.problems()))


def test_nothing_of_a_fleet_is_imported_without_a_setting(home):
    program = (
        "import sys\n"
        "from codeintel_nb import Workspace\n"
        "from codeintel_nb.settings import Settings\n"
        "from codeintel_nb.engines.choice import server_engine\n"
        f"settings = Settings.from_environment({str(home.home)!r}, {{}})\n"
        "with Workspace(settings, here=None, engine=server_engine(settings)) as workspace:\n"
        "    workspace.search_text('magic'), workspace.semantic_search('magic')\n"
        "print([name for name in sys.modules if 'fleet' in name or 'distributed' in name])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("engine", "command"),
    [
        ("dask://10.0.0.1:8786", r"pip install 'codeintel-nb\[dask\]'"),
        ("ray://auto", r"pip install 'codeintel-nb\[ray\]'"),
        ("dask-gateway://mine", "pip install dask-gateway"),
    ],
)
def test_missing_library_is_named_at_once(home, monkeypatch, engine, command):
    """A server must not start with an engine that will never connect."""
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    with pytest.raises(CodeIntelError, match=f"The engine {engine} .*{command}"):
        server_engine(msgspec.structs.replace(home, engine=engine))
