import threading

import pytest

from codeintel_nb.errors import ScopeError, ShardError
from codeintel_nb.index.update.report import Progress
from codeintel_nb.index.update.stops import write_stop
from codeintel_nb.server.jobs import Jobs
from codeintel_nb.sources.repository import Repository
from tests.waiting import HANG_S, until

REPOSITORY = Repository("shop", "/shop")


@pytest.fixture
def gate():
    return threading.Event()


@pytest.fixture
def jobs(gate, shop):
    """Yield jobs over a real index; each run blocks until the gate opens."""

    def index(repository, progress, cancel, rebuild, only, requested):
        progress(Progress("waiting"))
        gate.wait(10)
        if repository.name == "damaged":
            raise ShardError("it is damaged")
        if repository.name == "broken":
            raise RuntimeError("a mistake")
        return shop.indexer.index(
            shop.repository("shop"), progress, cancel, rebuild, only, requested
        )

    made = Jobs(index)
    yield made
    gate.set()
    made.close()


def ended(jobs, name):
    done = threading.Event()
    states = []

    def tell(state):
        states.append(state)
        if state.ended:
            done.set()

    jobs.follow(name, tell)
    assert done.wait(HANG_S)
    return states


def test_start_joins_a_run_until_it_ends_or_is_cancelled(jobs, gate):
    jobs.start(REPOSITORY)
    assert len(jobs.states()) == 1
    jobs.start(REPOSITORY)
    gate.set()
    assert ended(jobs, "shop")[-1].state == "done"
    gate.clear()
    assert jobs.start(REPOSITORY).state == "waiting", "an ended run is not joined"
    cancelled = jobs.cancel("shop")
    assert not cancelled.ended
    jobs.start(REPOSITORY)
    gate.set()
    assert ended(jobs, "shop")[-1].state == "done", "nor is a cancelled run"


def test_runs_are_queued_and_a_waiting_run_can_be_cancelled(jobs, gate):
    jobs.start(REPOSITORY)
    jobs.start(Repository("other", "/other"))
    assert jobs.state("other").state == "waiting"
    jobs.cancel("other")
    gate.set()
    assert ended(jobs, "other")[-1].state == "cancelled"


def test_waiting_run_cancelled_by_the_user_stays_stopped(jobs, gate, shop):
    jobs.start(Repository("other", "/other"))
    jobs.start(REPOSITORY)
    jobs.cancel("shop")
    gate.set()
    assert ended(jobs, "shop")[-1].detail.startswith(
        "Indexing 'shop' was stopped before the first file."
    )
    assert shop.indexer.is_stopped("shop")
    assert jobs.start(REPOSITORY, requested=False).state == "waiting"
    last = ended(jobs, "shop")[-1]
    assert (last.state, last.error) == ("cancelled", "IndexingCancelled"), (
        "a watcher does not restart a stopped repository"
    )
    jobs.start(REPOSITORY)
    assert ended(jobs, "shop")[-1].state == "done"
    assert not shop.indexer.is_stopped("shop")


def test_request_widens_a_waiting_watcher_run(jobs, gate, shop, tree):
    jobs.start(Repository("damaged", "/damaged"))
    write_stop(shop.store.folder_of("shop"), None)
    jobs.start(REPOSITORY, only=("src",), requested=False)
    (tree / "new.py").write_text("fresh = 1\n")
    jobs.start(REPOSITORY)
    gate.set()
    assert ended(jobs, "shop")[-1].report.indexed == 1, (
        "the run covers more than the watcher's folder"
    )
    assert not shop.indexer.is_stopped("shop")


def test_request_is_queued_behind_a_watcher_run_in_progress(jobs, gate, shop, tree):
    jobs.start(REPOSITORY, only=("src",), requested=False)
    while jobs.state("shop").state != "running":
        pass
    (tree / "new.py").write_text("fresh = 1\n")
    assert jobs.start(REPOSITORY).state == "waiting"
    assert jobs.stuck(0) == ["shop"], "the run in progress counts"
    gate.set()
    assert ended(jobs, "shop")[-1].report.indexed == 1


@pytest.mark.parametrize(
    "other", [Repository("shop", "/elsewhere"), Repository("shop", "/shop", outputs=True)]
)
@pytest.mark.parametrize("running", [True, False])
def test_request_for_another_source_gets_its_own_run(gate, other, running):
    runs = []

    def index(repository, progress, cancel, rebuild, only, requested):
        runs.append(repository)
        gate.wait(10)
        raise ShardError("no need to read anything")

    jobs = Jobs(index)
    if not running:
        jobs.start(Repository("before", "/before"))
    jobs.start(REPOSITORY)
    while running and jobs.state("shop").state != "running":
        pass
    jobs.start(other)
    gate.set()
    ended(jobs, "shop")
    assert runs[-2:] == [REPOSITORY, other]
    jobs.close()


def test_cancel_also_stops_the_run_in_progress(jobs, gate):
    jobs.start(REPOSITORY, only=(), requested=False)
    first = jobs._jobs["shop"]
    while first.state.state != "running":
        pass
    jobs.start(REPOSITORY)
    jobs.cancel("shop")
    assert first.cancel.is_set()
    gate.set()
    assert ended(jobs, "shop")[-1].state == "cancelled"


def test_cancelled_run_does_not_restore_a_removed_repository(jobs, gate, shop):
    jobs.start(Repository("other", "/other"))
    jobs.start(REPOSITORY)
    jobs.cancel("shop")
    shop.remove("shop")
    gate.set()
    assert ended(jobs, "shop")[-1].state in ("cancelled", "failed")
    assert shop.status() == []


def test_close_notifies_followers_of_a_run_that_never_began(jobs, gate):
    jobs.start(REPOSITORY)
    jobs.start(Repository("other", "/other"))
    states = []
    jobs.follow("other", states.append)

    def open_the_gate():
        until(lambda: jobs._worker._closed)
        gate.set()

    threading.Thread(target=open_the_gate).start()
    jobs.close()
    assert states[-1].state == "cancelled"
    assert jobs.wait("other").detail == "The server shut down before the run began."


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("damaged", "ShardError", "it is damaged"),
        ("broken", "EngineError", "RuntimeError: a mistake"),
    ],
)
def test_failed_run_reports_its_error(jobs, gate, name, error, said):
    jobs.start(Repository(name, "/x"))
    gate.set()
    last = ended(jobs, name)[-1]
    assert (last.state, last.error) == ("failed", error)
    assert said in last.detail


def test_unsubscribed_follower_gets_no_final_state(jobs, gate):
    jobs.start(REPOSITORY)
    states = []
    jobs.follow("shop", states.append)()
    gate.set()
    ended(jobs, "shop")
    assert not any(state.ended for state in states)


def test_run_without_progress_is_stuck(jobs):
    jobs.start(REPOSITORY)
    while jobs.state("shop").state != "running":
        pass
    assert jobs.stuck(1000) == []
    assert jobs.stuck(0) == ["shop"]
    with pytest.raises(ScopeError, match="has not been indexed since"):
        jobs.state("none")
