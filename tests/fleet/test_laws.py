"""Engines on fleets obey the law of an engine."""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import msgspec
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.engines.engine import Answer
from codeintel_nb.engines.fleet import hosts as fleet_hosts
from codeintel_nb.engines.fleet import searches, text
from codeintel_nb.engines.fleet.fleet import placement, replicas
from codeintel_nb.engines.fleet.host import MissingShards, ShardHost, packed, unpacked
from codeintel_nb.engines.fleet.in_process import InProcessFleet
from codeintel_nb.engines.fleet.searches import CallValues, TextPart
from codeintel_nb.engines.text_search import Size
from codeintel_nb.index.shard.cache import CHECK_S
from codeintel_nb.index.store import Store
from codeintel_nb.search.query import TextQuery
from codeintel_nb.search.semantic import closest
from codeintel_nb.settings import Settings
from tests.conftest import write_tree
from tests.fleet.law import SCOPES, answer, assert_lawful, opened
from tests.waiting import HANG_S, until


@pytest.fixture(scope="module")
def fleet(home):
    """Search the same home on two hosts on threads."""
    hosts = InProcessFleet(home, str(Store(home.home).root))
    with opened(home, hosts) as it:
        yield it


def test_there_are_many_shards(local):
    targets = local._repositories.view(SCOPES[0]).targets
    assert len(targets) >= 6
    assert any(target.dead for target in targets)


def test_same_hits_scores_order_and_counts(local, fleet, asked):
    assert_lawful(fleet, local, asked)


def test_same_hits_with_a_coarse_first_step(local, fleet, asked, monkeypatch):
    monkeypatch.setattr(closest, "MIN_SHORTLIST", 300)
    for engine in (local._engine, fleet._engine.local):
        monkeypatch.setattr(engine, "full_scan_chunks", 1000)
    semantic = [one for one in asked if one[0] == "semantic_search"]
    for method, arguments, scope in semantic[:60]:
        expected = answer(local, method, arguments, scope)
        assert answer(fleet, method, arguments, scope) == expected, (method, arguments, scope)


def test_placement_is_even_and_moves_little():
    sizes = {f"shard {number}": 40 + number % 7 * 10 for number in range(60)}
    hosts = [f"host {number}" for number in range(5)]
    before, after = placement(sizes, hosts), placement(sizes, hosts[1:])
    for places, names in ((before, hosts), (after, hosts[1:])):
        loads = [sum(sizes[one] for one in sizes if places[one] == host) for host in names]
        assert max(loads) <= 1.1 * sum(sizes.values()) / len(names) + max(sizes.values())
    stayed = [one for one in sizes if before[one] != hosts[0] and before[one] == after[one]]
    others = [one for one in sizes if before[one] != hosts[0]]
    assert len(stayed) >= 0.7 * len(others)


def test_replica_is_where_a_lost_shard_goes():
    sizes = {f"shard {number}": 40 + number % 7 * 10 for number in range(60)}
    hosts = [f"host {number}" for number in range(5)]
    places = placement(sizes, hosts)
    second = replicas(places, hosts)
    assert all(second[one] != places[one] for one in sizes)
    moved = Counter[bool]()
    for lost in hosts:
        after = placement(sizes, [one for one in hosts if one != lost])
        moved.update(after[one] == second[one] for one in sizes if places[one] == lost)
    assert moved.total() == len(sizes)
    assert moved[True] >= 0.7 * moved.total()
    assert set(replicas(placement(sizes, hosts[:1]), hosts[:1]).values()) == {hosts[0]}


def test_two_hosts_open_each_shard(home, local):
    hosts = InProcessFleet(home, str(Store(home.home).root), 3)
    with opened(home, hosts) as it:
        it.search_text("magic", limit=9)
        shards = {one.shard for one in local._repositories.view(SCOPES[0]).targets}
        own = [host._shards for host in hosts._hosts.values()]
        until(lambda: all(sum(one in shard for shard in own) == 2 for one in shards))


ANSWERS = """
import pickle, sys
from codeintel_nb import Workspace
from tests.fleet.law import answer
settings, chosen = pickle.load(sys.stdin.buffer)
with Workspace(settings, here=None, follow=False) as workspace:
    pickle.dump([answer(workspace, *one) for one in chosen], sys.stdout.buffer)
"""


def test_same_scores_on_processors_of_different_kinds(home, local, asked):
    """OpenBLAS computes sums of single precision in another order on each."""
    chosen = [one for one in asked if one[0] == "semantic_search"]
    assert len(chosen) > 150
    expected = [answer(local, *one) for one in chosen]
    for kind in ("Prescott", "Haswell", "SkylakeX"):
        done = subprocess.run(
            [sys.executable, "-c", ANSWERS], input=pickle.dumps((home, chosen)), check=True,
            capture_output=True, env={**os.environ, "OPENBLAS_CORETYPE": kind},
        )  # fmt: skip
        for one, own, other in zip(chosen, expected, pickle.loads(done.stdout), strict=True):
            assert own == other, (kind, one)


class OneBlind(InProcessFleet):
    """Two hosts, of which one does not see the index."""

    def __init__(self, settings, root, elsewhere):
        super().__init__(settings, root, 1)
        self._hosts["blind"] = ShardHost(settings, elsewhere)


def test_host_without_a_shard_is_not_believed(home, local, asked, tmp_path):
    hosts = OneBlind(home, str(Store(home.home).root), str(tmp_path))
    with opened(home, hosts) as it:
        for one in asked[:40]:
            assert answer(it, *one) == answer(local, *one)
        assert not it.search_text("magic").coverage.failed


class Silent(InProcessFleet):
    """Hosts that never answer."""

    def call(self, host, call):
        return Future()


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_cancelled_search_does_not_blame_its_hosts(home, is_cancelled, monkeypatch):
    monkeypatch.setattr(fleet_hosts, "HUNG_S", 0.0)  # however little time the hosts had
    silent = Silent(home, str(Store(home.home).root))
    with opened(home, silent) as it:
        cancel = threading.Event()
        ending = threading.Timer(0.8, cancel.set)
        if is_cancelled:
            ending.start()
        results = it.search_text(
            "magic", limit=9, timeout_s=None if is_cancelled else 0.8, cancel=cancel
        )
        assert results.reason == ("cancelled" if is_cancelled else "time")
        assert not results
        assert len(it._engine.hosts.names()) == (2 if is_cancelled else 0)


class Endless(InProcessFleet):
    """Hosts that search until they are told to stop."""

    def __init__(self, settings, root):
        super().__init__(settings, root)
        self.begun, self.ended = threading.Event(), threading.Event()
        for host in self._hosts.values():
            host.searches.text = self._text

    def _text(self, call, bounds, *arguments):
        self.begun.set()
        while not bounds.reached():
            bounds.cancel.wait(60)
        self.ended.set()


def test_hosts_are_told_of_a_cancelled_search(home):
    hosts = Endless(home, str(Store(home.home).root))
    with opened(home, hosts) as it:
        cancel = threading.Event()

        def cancel_later():
            hosts.begun.wait(HANG_S)
            cancel.set()

        threading.Thread(target=cancel_later).start()
        assert it.search_text("magic", limit=9, cancel=cancel).reason == "cancelled"
        assert hosts.ended.wait(HANG_S)


class OneFaulty(InProcessFleet):
    """Two hosts, of which one has no memory left."""

    def __init__(self, settings, root):
        super().__init__(settings, root)
        broken = self._hosts["thread-0"].searches
        for method in ("text", "symbols", "candidates", "rank"):
            setattr(broken, method, self._fail)

    def _fail(self, *arguments):
        raise MemoryError("no memory")


def test_fault_of_one_host_is_no_error_of_a_search(home, local, asked):
    hosts = OneFaulty(home, str(Store(home.home).root))
    with opened(home, hosts) as it:
        for one in asked[:30]:
            assert answer(it, *one) == answer(local, *one)
        assert "MemoryError: no memory" in " ".join(it.problems())


@pytest.mark.parametrize("show", ["lines", "files", "counts"])
@pytest.mark.parametrize("count_bytes", [0, 200_000, 1_000_000])
@pytest.mark.parametrize("look_bytes", [0, 1 << 24])
def test_hosts_count_and_look_beyond_the_budget(
    home, local, monkeypatch, show, count_bytes, look_bytes
):
    monkeypatch.setattr("codeintel_nb.engines.text_search.MIN_LOOK_BYTES", look_bytes)
    few = msgspec.structs.replace(home, count_bytes=count_bytes)
    hosts = InProcessFleet(few, str(Store(few.home).root))
    inexact = 0
    with opened(few, hosts) as it, Workspace(few, here=None, follow=False) as alone:
        it._engine.local.search = None  # the driver does not search
        for scope, pattern in itertools.product(SCOPES, ("self", "e", "import", "magic", "zzqx")):
            results, here, whole = (
                one.search_text(pattern, scope, show=show, limit=5) for one in (it, alone, local)
            )
            assert results.hits == here.hits
            assert here.total <= results.total <= whole.total
            # hits count even if they are behind the budget, and hosts find more of them
            assert not results.total_exact or results.total == whole.total
            assert not results.more or results.total < whole.total
            # hosts look for one more match each, so they may know of one
            reasons = results.reason, here.reason
            assert results.reason == here.reason or reasons == ("limit", "reading")
            assert results.more == here.more or not look_bytes
            inexact += not results.total_exact
    if show == "counts":
        assert not inexact, "counts read every line"
    elif count_bytes <= 200_000:
        assert inexact > 5


class LostBetween(InProcessFleet):
    """Fleet that loses thread-0 between the two trips of a text search."""

    trips = 0

    def call(self, host, call):
        _, method, *_ = pickle.loads(call)
        if method == "text" and host == "thread-0":
            self.trips += 1
            if self.trips % 2 == 0:
                return None
        return super().call(host, call)

    def gather(self, handles, bounds):
        lost = {host: "it is gone" for host, handle in handles.items() if handle is None}
        rest = {host: handle for host, handle in handles.items() if host not in lost}
        gathered = super().gather(rest, bounds)
        return gathered._replace(lost={**gathered.lost, **lost})


def test_host_lost_between_two_trips(home, local):
    few = msgspec.structs.replace(home, count_bytes=200_000)
    hosts = LostBetween(few, str(Store(few.home).root))
    with opened(few, hosts) as it:
        for pattern in ("self", "e", "import"):
            it._engine.hosts.suspects.clear()
            results = it.search_text(pattern, limit=5)
            whole = local.search_text(pattern, limit=5)
            assert results.hits == whole.hits
            assert results.total <= whole.total, "nothing is counted twice"
            assert results.reason == "limit"
    assert hosts.trips >= 4


def test_first_answer_is_kept_if_the_second_is_cut_off():
    def part(shards, reason, total):
        answer = Answer([], total, reason, {})
        return TextPart({shard: Size(("tree", [shard]), 1) for shard in shards}, answer)

    other, earlier = part("x", "", 1), part("ab", "limit", 7)
    for ended in ([], [part("a", "limit", 3)], [part("a", "", 3), part("b", "time", 0)]):
        assert text._fall_back([other, *ended], earlier) == [other, earlier]
    later = [other, part("ab", "limit", 9)]
    assert text._fall_back(later, earlier) == later
    wider = [other, part("abc", "time", 9)]
    assert text._fall_back(wider, earlier) == wider, "nothing is counted twice"


def test_host_does_not_search_a_shard_with_a_truncated_file(home, tmp_path):
    copy = Path(shutil.copytree(home.home, tmp_path / "home"))
    settings = msgspec.structs.replace(home, home=copy)
    host = ShardHost(settings, str(Store(copy).root))
    with Workspace(settings, here=None, follow=False) as workspace:
        targets = tuple(workspace._repositories.view(Scope()).targets)
        arguments = TextQuery("magic"), 1 << 30, {}
        call = packed("search", "text", "call", None, targets, *arguments)
        assert unpacked(host.do(call)).answer.hits
        content = workspace._shards.root / targets[0].shard / "content.bin"
        os.truncate(content, 0)
        time.sleep(2 * CHECK_S)
        with pytest.raises(MissingShards) as error:
            unpacked(host.do(call))
    assert error.value.shards == [targets[0].shard]
    assert "content.bin has 0 bytes" in error.value.reason


@pytest.mark.parametrize("count_bytes", [100_000, 200_000, 10_000_000])
def test_files_outside_the_index_get_what_is_left_to_count(tmp_path, count_bytes):
    home = Settings.from_environment(tmp_path / "home", {"CODEINTEL_COUNT_BYTES": str(count_bytes)})
    tree = write_tree(tmp_path / "tree", {"a.txt": "magic\n" * 30_000})
    with Workspace(home, here=None, follow=False) as alone:
        alone.index(tree, name="tree")
        write_tree(tree, {"b.txt": "magic\n" * 30_000})
        with opened(home, InProcessFleet(home, str(Store(home.home).root))) as it:
            one, two = (each.search_text("magic", limit=5) for each in (it, alone))
    assert one.coverage.unindexed == 1
    assert (one.hits, one.total, one.reason) == (two.hits, two.total, two.reason)
    assert (one.total_exact, one.more) == (two.total_exact, two.more)
    assert one.total_exact or count_bytes < 10_000_000
    assert not one.total_exact or count_bytes > 100_000


def test_call_values_expire_by_number_and_age(monkeypatch):
    values = CallValues()
    for number in range(searches.MAX_CALLS + 5):
        values.keep(f"call {number}", number)
    assert values.pop("call 4") is None
    assert values.pop("call 5") == 5
    assert values.pop("call 5") is None
    monkeypatch.setattr(searches, "KEPT_S", -1.0)
    values.keep("late", 1)
    assert values.pop("call 10") is None


class Slow(InProcessFleet):
    """Hosts of which one answers only at its limit."""

    def call(self, host, call):
        _, method, *rest = pickle.loads(call)
        if host == "thread-0" and method == "text":
            _, left_s, *_ = rest
            future = Future()
            real = super().call(host, call).result()
            threading.Timer(left_s, future.set_result, [real]).start()
            return future
        return super().call(host, call)


def test_hits_of_a_host_at_its_limit_are_kept(home, local, monkeypatch):
    monkeypatch.setattr(fleet_hosts, "GRACE_S", HANG_S)  # a busy machine is late
    slow = Slow(home, str(Store(home.home).root))
    with opened(home, slow) as it:
        results = it.search_text("magic", limit=900, timeout_s=2.0)
        assert len(results) == len(local.search_text("magic", limit=900))
        assert len(it._engine.hosts.names()) == 2


class Short(InProcessFleet):
    """Hosts that have no time for one kind of call."""

    kind = ""

    def call(self, host, call):
        name, method, *rest = pickle.loads(call)
        if method == self.kind:
            rest[1] = 1e-9
            call = pickle.dumps((name, method, *rest))
        return super().call(host, call)


@pytest.mark.parametrize("kind", ["near_counts", "candidates", "symbols"])
def test_hosts_without_time_make_the_answer_incomplete(home, monkeypatch, kind):
    hosts = Short(home, str(Store(home.home).root))
    with opened(home, hosts) as it:
        monkeypatch.setattr(closest, "MIN_SHORTLIST", 300)
        monkeypatch.setattr(it._engine.local, "full_scan_chunks", 1000)
        hosts.kind = kind
        if kind == "symbols":
            results = it.symbols("run_*", limit=900, timeout_s=20)
        else:
            results = it.semantic_search("where is magic", timeout_s=20)
        assert results.reason == "time"
        assert results.truncated
