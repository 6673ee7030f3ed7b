"""Laws of a scope registry, tested on every registry through the async protocol."""

import asyncio
import random
import sys
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from codeintel_nb.errors import ScopeError
from codeintel_nb.scopes.redis.registry import RedisRegistry
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry, ScopeRegistry
from codeintel_nb.scopes.scope import Scope

A, B = Scope(languages=("python",)), Scope(languages=("go",))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


# seconds of Redis, whose clock cannot be replaced, per second of the laws
SCALE = 1 / 20
MAX_WAIT_S = 3.0


class RealClock:
    """Clock advanced by sleeping."""

    def __init__(self):
        self._now = 1000.0

    @property
    def now(self):
        return self._now

    @now.setter
    def now(self, later):
        time.sleep(min((later - self._now) * SCALE, MAX_WAIT_S))
        self._now = later


class Faster(RedisRegistry):
    """Redis registry on the time scale of RealClock."""

    def __init__(self, url, max_age_s=3600.0, **options):
        super().__init__(url, max_age_s=max_age_s * SCALE, **options)

    async def prune_expired(self, max_age_s=None):
        return await super().prune_expired(None if max_age_s is None else max_age_s * SCALE)


@pytest.fixture(params=["memory", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def clock(kind):
    return Clock() if kind == "memory" else RealClock()


@pytest.fixture
def make_registry(kind, clock, request):
    """Return a function to make registries of the kind.

    Every law below runs on a new kind once it is in the parameters of ``kind``.
    """
    if kind == "memory":
        return lambda **options: AsyncMemoryRegistry(MemoryRegistry(clock=clock, **options))
    redis = request.getfixturevalue("redis")
    return lambda **options: Faster(redis.url, **options)


def law(test):
    """Wrap an async law into a test and close its registries afterwards."""

    def run(make_registry, clock):
        async def held():
            made = []

            def make(**options) -> ScopeRegistry:
                made.append(make_registry(**options))
                return made[-1]

            try:
                await test(make, clock)
            finally:
                for registry in made:
                    await registry.close()

        asyncio.run(held())

    run.__name__ = test.__name__
    return run


@law
async def test_get_returns_the_scope_set_last(make, clock):
    registry = make()
    assert await registry.get("s") is None
    await registry.set("s", A)
    await registry.set("t", B)
    assert (await registry.get("s"), await registry.get("t")) == (A, B)
    await registry.set("s", B)
    assert await registry.get("s") == B
    assert await registry.clear("s") is True
    assert await registry.clear("s") is False
    assert await registry.get("s") is None
    assert await registry.session_count() == 1
    assert await registry.snapshot() == {"t": B}


@law
async def test_every_access_extends_the_expiry(make, clock):
    registry = make(max_age_s=20)
    await registry.set("s", A)
    for _ in range(4):
        clock.now += 8  # a sleep of Redis's own clock may last longer on a busy machine
        assert await registry.get("s") == A
    clock.now += 21
    assert await registry.get("s") is None


@law
async def test_expired_scope_is_reported_once(make, clock):
    registry = make(max_age_s=10)
    await registry.set("s", A)
    assert await registry.take_expired("s") is False
    clock.now += 11
    assert await registry.get("s") is None
    assert await registry.take_expired("s") is True
    assert await registry.take_expired("s") is False
    await registry.set("s", B)
    clock.now += 11
    assert await registry.prune_expired() == 1
    await registry.set("s", A)
    assert await registry.take_expired("s") is False, "a new scope removes the tombstone"


@law
async def test_pruning_uses_the_given_age(make, clock):
    registry = make(max_age_s=100)
    await registry.set("old", A)
    clock.now += 50
    await registry.set("young", A)
    assert await registry.prune_expired(60) == 0
    assert await registry.prune_expired(40) == 1
    assert set(await registry.snapshot()) == {"young"}
    assert (await registry.metrics()).expiries == 1


@law
async def test_least_recently_used_sessions_are_evicted(make, clock):
    registry = make(max_sessions=100)
    for i in range(100):
        clock.now += 1
        await registry.set(f"s{i}", A)
    clock.now += 1
    assert await registry.get("s0") == A
    for i in range(100, 110):
        clock.now += 1
        await registry.set(f"s{i}", A)
        assert await registry.session_count() <= 100
    left = await registry.snapshot()
    assert "s0" in left, "a read makes it recent"
    assert "s1" not in left
    assert {f"s{i}" for i in range(100, 110)} <= set(left)
    assert await registry.take_expired("s1") is True
    assert (await registry.metrics()).evictions >= 10


@pytest.mark.slow
@law
async def test_a_live_kernel_is_neither_expired_nor_evicted(make, clock):
    registry = make(max_sessions=4, max_age_s=10)
    await registry.set("kernel", A)
    await registry.pin("kernel")
    clock.now += 1000
    for i in range(20):
        clock.now += 1
        await registry.set(f"s{i}", B)
    assert await registry.prune_expired(0) >= 1
    assert await registry.get("kernel") == A
    await registry.set("kernel", B)
    clock.now += 1000
    assert await registry.get("kernel") == B, "a new scope of a live kernel does not expire either"
    assert await registry.clear("kernel") is True
    assert await registry.get("kernel") is None


@law
async def test_counts_add_up(make, clock):
    registry = make()
    await registry.set("s", A)
    for _ in range(3):
        await registry.get("s")
    await registry.get("t")
    metrics = await registry.metrics()
    assert (metrics.hits, metrics.misses, metrics.sets, metrics.sessions) == (3, 1, 1, 1)


@law
async def test_a_bad_session_id_is_refused(make, clock):
    with pytest.raises(ScopeError, match="1 to 128"):
        await make().set("not ok", A)


def test_model():
    """Compare any order of calls and waits with a dictionary of scopes and times."""

    class Machine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.clock = Clock()
            self.registry = MemoryRegistry(max_sessions=1000, max_age_s=10, clock=self.clock)
            self.model = {}

        @rule(key=st.sampled_from("abcd"), scope=st.sampled_from([A, B]))
        def set(self, key, scope):
            self.registry.set(key, scope)
            self.model[key] = (scope, self.clock.now)

        @rule(key=st.sampled_from("abcd"))
        def get(self, key):
            scope, used_at = self.model.get(key, (None, 0))
            if scope is not None and self.clock.now - used_at > 10:
                del self.model[key]
                scope = None
            assert self.registry.get(key) == scope
            if scope is not None:
                self.model[key] = (scope, self.clock.now)

        @rule(key=st.sampled_from("abcd"))
        def clear(self, key):
            self.registry.clear(key)
            self.model.pop(key, None)

        @rule(seconds=st.floats(0, 8))
        def wait(self, seconds):
            self.clock.now += seconds

        @rule()
        def prune(self):
            stale = [
                key for key, (_, used_at) in self.model.items() if used_at < self.clock.now - 10
            ]
            assert self.registry.prune_expired() == len(stale)
            for key in stale:
                del self.model[key]

        @invariant()
        def nothing_unknown(self):
            assert set(self.registry.snapshot()) <= set(self.model)

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=60, deadline=None, stateful_step_count=30)
    )


def test_eight_threads_never_see_a_torn_value():
    """Read only scopes set for the same session, however the threads interleave."""
    registry = MemoryRegistry(max_sessions=64, max_age_s=0.005)
    scopes = {
        f"s{i}": {Scope(repos=(f"s{i}",), languages=(lang,)) for lang in ("python", "go", "rust")}
        for i in range(96)
    }
    choices = {key: list(values) for key, values in scopes.items()}
    wrong, stop = [], threading.Event()

    def work(seed):
        rng = random.Random(seed)
        try:
            while not stop.is_set():
                key = f"s{rng.randrange(96)}"
                action = rng.random()
                if action < 0.6:
                    seen = registry.get(key)
                    if seen is not None and seen not in scopes[key]:
                        wrong.append((key, seen))
                elif action < 0.95:
                    registry.set(key, rng.choice(choices[key]))
                elif action < 0.98:
                    registry.clear(key)
                else:
                    registry.prune_expired()
        except Exception as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert registry.session_count() <= 64


@given(st.integers(1, 50), st.integers(1, 200))
def test_session_count_never_exceeds_the_maximum(most, sessions):
    registry = MemoryRegistry(max_sessions=most)
    for i in range(sessions):
        registry.set(f"s{i}", A)
        assert registry.session_count() <= most
    assert registry.get(f"s{sessions - 1}") == A, "the session set last is present"


def test_pruning_runs_in_the_background_until_closed():
    registry = MemoryRegistry(max_age_s=0.01, prune_interval_s=0.02)
    registry.set("s", A)
    deadline = time.monotonic() + 5
    while registry.session_count() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert registry.session_count() == 0
    registry.close()


def test_session_with_a_shared_scope_takes_little_memory():
    shared = Scope(languages=("python",)).interned()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        registry = MemoryRegistry(max_sessions=20_000)
        for i in range(10_000):
            registry.set(f"{i:036d}", shared)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken / 10_000 <= 250, "bytes per session, including its id"


@pytest.mark.parametrize("drop", ["prune", "read", "evict"])
def test_scope_set_during_removal_is_never_lost(drop):
    """Drop a stale session and set a new scope concurrently: the new scope always stays."""
    clock = Clock()
    registry = MemoryRegistry(max_sessions=40, max_age_s=10, clock=clock)
    rounds, lost = 400, []
    both = threading.Barrier(2)

    def dropper():
        for number in range(rounds):
            both.wait()
            if drop == "prune":
                registry.prune_expired()
            elif drop == "read":
                for i in range(30):
                    registry.get(f"s{i}")
            else:
                registry.set(f"new{number}", Scope(languages=("go",)))
            both.wait()

    def setter():
        for number in range(rounds):
            for i in range(40 if drop == "evict" else 30):
                registry.set(f"s{i}", Scope(languages=("python",)))
            clock.now += 11
            both.wait()
            for i in range(30):
                registry.set(f"s{i}", Scope(languages=("rust",)))
            both.wait()
            lost.extend(
                (number, i)
                for i in range(30)
                if registry.get(f"s{i}") != Scope(languages=("rust",))
            )
            registry.clear(f"new{number}")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for work in (dropper, setter)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert lost == []
