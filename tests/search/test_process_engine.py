"""Searches by meaning in processes beside a server: same hits, on all cores, and none lost."""

import io
import os
import pickle
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.engines.engine import Limit, Target
from codeintel_nb.engines.frames import read_frame, write_frame
from codeintel_nb.engines.process_engine import ProcessEngine
from codeintel_nb.errors import EngineError, SearchError, named_error
from codeintel_nb.index.store import Store
from codeintel_nb.search.query import SemanticQuery
from tests.conftest import write_tree
from tests.live import children_of

MODULE = "codeintel_nb.engines.search_process"
QUESTIONS = ["total price of a cart", "charge a credit card", "Cart", "render", "payments", "json"]


@pytest.fixture
def engine(shop):
    """Return the engine of a second workspace of the shop, and that workspace."""
    made = []

    def make(local):
        made.append(ProcessEngine(local, shop.settings, Store(shop.settings.home).root, 2))
        return made[0]

    with Workspace(shop.settings, engine=make) as workspace:
        yield made[0], workspace


def processes():
    return [child.pid for child in children_of(os.getpid(), MODULE)]


def searched_together(workspace, questions, **options):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda text: workspace.semantic_search(text, **options), questions))


def started(engine, workspace):
    """Search at once until processes answer."""
    ends = time.monotonic() + 60
    while engine._idle.qsize() < 2:
        searched_together(workspace, QUESTIONS)
        assert time.monotonic() < ends, "no process has started"
        time.sleep(0.05)
    assert len(processes()) == 2


def test_first_search_needs_no_process(engine):
    _, workspace = engine
    for question in QUESTIONS:
        assert workspace.semantic_search(question).hits
    assert workspace.search_text("cart")
    assert processes() == []


def test_hits_are_those_of_this_process(engine, shop, tree):
    beside, workspace = engine
    started(beside, workspace)
    for options in (
        {},
        {"scope": Scope(languages=("python",))},
        {"limit": 3, "why": True},
        {"mode": "dense"},
        {"why_not": "README.md:1"},
    ):
        answers = searched_together(workspace, QUESTIONS, **options)
        for question, answer in zip(QUESTIONS, answers, strict=True):
            here = shop.semantic_search(question, **options)
            assert [*answer.hits] == [*here.hits], (question, options)
            assert (answer.confidence, answer.why_not) == (here.confidence, here.why_not)
    write_tree(tree, {"src/tax.py": "def value_added_tax(net):\n    return net * 0.2\n"})
    workspace.index(tree, name="shop")
    found = searched_together(workspace, ["value added tax"] * 4)
    assert {answer.hits[0].path for answer in found} == {"src/tax.py"}, "new shards are opened"


def test_killed_process_fails_its_own_search_alone(engine):
    beside, workspace = engine
    started(beside, workspace)
    for process in processes():
        os.kill(process, signal.SIGSTOP)  # so that the next search waits in it
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(workspace.semantic_search, "total price")
        ends = time.monotonic() + 20
        while beside._idle.qsize() == 2:
            assert time.monotonic() < ends
            time.sleep(0.01)
        time.sleep(0.2)
        for process in processes():
            os.kill(process, signal.SIGBUS)  # as for a mapped file that was truncated
            os.kill(process, signal.SIGCONT)
        with pytest.raises(EngineError, match=r"was killed by SIGBUS.*codeintel doctor"):
            waiting.result()
    ends = time.monotonic() + 20
    while any(process.is_reusable for process in beside._processes):
        assert time.monotonic() < ends
        time.sleep(0.01)
    # the other process died while it was idle: no search fails
    assert all(answer.hits for answer in searched_together(workspace, QUESTIONS))
    started(beside, workspace)


def test_late_process_is_stopped(engine, monkeypatch):
    beside, workspace = engine
    started(beside, workspace)
    monkeypatch.setattr("codeintel_nb.engines.process_engine.GRACE_S", 0.2)
    for process in processes():
        os.kill(process, signal.SIGSTOP)
    with pytest.raises(EngineError, match="did not end in time"):
        workspace.semantic_search("total price", timeout_s=0.3)
    assert len(processes()) == 1, "another process would not have ended in time either"
    for process in processes():
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("length", [0, 3, 8, 9, -1])
def test_frame_cut_off_is_no_answer(length):
    stream = io.BytesIO()
    write_frame(stream, {"hits": [*range(1000)]})
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(stream.getvalue()[:length]))


def test_interrupted_answer_is_not_taken_for_the_next(engine, monkeypatch):
    beside, workspace = engine
    started(beside, workspace)

    def fail(stream):
        stream.read(8)
        raise MemoryError

    def kill_late(process):
        """Kill as a busy machine does: the process still runs when the call returns."""
        threading.Timer(0.3, os.kill, (process.pid, signal.SIGKILL)).start()

    with monkeypatch.context() as patch:
        patch.setattr("codeintel_nb.engines.process_engine.read_frame", fail)
        patch.setattr(subprocess.Popen, "kill", kill_late)
        with pytest.raises(MemoryError):
            workspace.semantic_search("total price")
    for question in QUESTIONS:
        assert workspace.semantic_search(question).hits


def test_engine_closed_while_a_process_starts_leaves_none(shop):
    root = Store(shop.settings.home).root
    with Workspace(
        shop.settings, engine=lambda local: ProcessEngine(local, shop.settings, root, 2)
    ) as workspace:
        searched_together(workspace, QUESTIONS)
    ends = time.monotonic() + 30
    while processes():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_errors_cross_from_a_process(engine):
    beside, workspace = engine
    started(beside, workspace)
    with pytest.raises(SearchError, match="query is empty"):
        workspace.semantic_search(" ")
    error = named_error("SearchError", "one\nline")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_missing_shard_is_told_to_the_caller(engine):
    """A workspace then repeats the search on the current snapshot."""
    beside, workspace = engine
    started(beside, workspace)
    gone = Target("shop", "0123456789abcdef/shards/0123456789abcdef", (), Scope())
    with pytest.raises(FileNotFoundError):
        beside.search(SemanticQuery(query="cart"), [gone], Limit(None, "a call"))
    assert workspace.semantic_search("cart").hits


def test_cancelled_search_returns_at_once(engine):
    beside, workspace = engine
    started(beside, workspace)
    cancel = threading.Event()
    cancel.set()
    answer = workspace.semantic_search("total price", cancel=cancel)
    assert answer.truncated
    assert workspace.semantic_search("total price").hits


def test_processes_end_when_idle_and_when_closed(engine, monkeypatch):
    beside, workspace = engine
    started(beside, workspace)
    monkeypatch.setattr("codeintel_nb.engines.process_engine.IDLE_S", 0.0)
    beside._used_at = 0.0
    beside._end_idle()
    assert processes() == []
    monkeypatch.undo()
    started(beside, workspace)
    running = [psutil.Process(pid) for pid in processes()]
    beside.close()
    psutil.wait_procs(running, 10)
    assert processes() == []


def test_one_core_needs_no_process(shop):
    root = Store(shop.settings.home).root
    with Workspace(
        shop.settings, engine=lambda local: ProcessEngine(local, shop.settings, root, 1)
    ) as workspace:
        assert all(answer.hits for answer in searched_together(workspace, QUESTIONS))
        assert processes() == []
