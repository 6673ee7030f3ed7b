"""Scopes in Redis while other servers write, and while Redis is killed and restarted."""

import asyncio
import gc
import itertools
import json
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest

from codeintel_nb.errors import EngineError, ScopeError
from codeintel_nb.scopes.redis.cache import MAX_PAYLOAD, UNTRACKED_S
from codeintel_nb.scopes.redis.client import SCHEMES, make_client, shown
from codeintel_nb.scopes.redis.registry import RedisRegistry
from codeintel_nb.scopes.redis.values import STALE
from codeintel_nb.scopes.scope import Scope
from tests.scopes.redis_peer import SESSIONS
from tests.waiting import HANG_S

A, B = Scope(languages=("python",)), Scope(languages=("go",))


def on_redis(*registries):
    """Wrap an async test with registries on its Redis and close them afterwards."""

    def decorate(test):
        def run(redis):
            async def held():
                made = []

                def make(**options):
                    made.append(RedisRegistry(redis.url, **options))
                    return made[-1]

                try:
                    await asyncio.wait_for(test(redis, make), 120)
                finally:
                    for registry in made:
                        await registry.close()

            asyncio.run(held())

        run.__name__ = test.__name__
        return run

    return decorate


def calls(redis, *commands):
    """Return the number of calls of the commands in Redis."""
    stats = redis.ask("INFO", "commandstats")
    return sum(
        int(found[1])
        for command in commands
        if (found := re.search(rf"cmdstat_{command}:calls=(\d+)", stats))
    )


async def until(holds):
    ends = time.monotonic() + HANG_S
    while not await holds():
        assert time.monotonic() < ends, "timed out waiting for the condition"
        await asyncio.sleep(0.002)


async def expired(redis):
    """Wait until Redis has dropped the scope of "s"."""

    async def is_gone():
        return redis.ask("EXISTS", "codeintel:scope:s") == "0"

    await until(is_gone)


@on_redis()
async def test_scope_set_on_one_server_is_visible_on_the_others(redis, make):
    one, other = make(), make()
    await one.set("s", A)
    assert await other.get("s") == A
    before = (await other.metrics()).l1_hits
    for _ in range(10):
        assert await other.get("s") == A
    assert (await other.metrics()).l1_hits == before + 10, "read from memory"

    async def has_b():
        return await other.get("s") == B

    await one.set("s", B)
    await until(has_b)
    await other.clear("s")

    async def has_none():
        return await one.get("s") is None

    await until(has_none)
    assert await one.take_expired("s") is False, "it was cleared, not expired"


@on_redis()
async def test_expiry_is_reported_once_across_servers(redis, make):
    one, other = make(max_age_s=1.0), make(max_age_s=1.0)
    await other.get("another")  # connects
    await one.set("s", A)
    assert await other.get("s") == A
    await expired(redis)
    assert await one.get("s") is None
    assert await other.get("s") is None
    assert [
        await one.take_expired("s"),
        await other.take_expired("s"),
        await one.take_expired("s"),
    ] == [True, False, False]


@on_redis()
async def test_read_from_memory_keeps_the_scope_alive_in_redis(redis, make):
    one, other = make(max_age_s=1.5), make(max_age_s=1.5)
    await other.get("another")  # connects
    await one.set("s", A)
    for _ in range(12):
        await asyncio.sleep(0.2)
        assert await one.get("s") == A
    assert await other.get("s") == A
    metrics = await one.metrics()
    assert metrics.l1_hits >= 6, "reporting the use to Redis invalidates nothing in memory"


def test_read_extends_the_expiry_without_getex(make_redis):
    redis = make_redis("--rename-command", "GETEX", "")

    async def run():
        one, other = (RedisRegistry(redis.url, max_age_s=1.5) for _ in range(2))
        await other.get("another")  # connects
        await one.set("s", A)
        for _ in range(12):
            await asyncio.sleep(0.2)
            assert await other.get("s") == A, "reads alone keep it alive"
        await expired(redis)
        assert await other.get("s") is None
        assert await other.take_expired("s") is True
        await one.close()
        await other.close()

    asyncio.run(run())


@on_redis()
async def test_thousand_concurrent_misses_query_redis_once(redis, make):
    one, other = make(), make()
    await one.set("s", A)
    await other.get("another")
    before = calls(redis, "get", "getex")
    assert await asyncio.gather(*(other.get("s") for _ in range(1000))) == [A] * 1000
    assert calls(redis, "get", "getex") == before + 1


def test_failed_fetch_reaches_all_waiters_and_is_not_cached(make_redis):
    async def run():
        one, other = RedisRegistry(redis.url), RedisRegistry(redis.url)
        await one.set("s", A)
        await other.get("another")
        redis.ask("CLIENT", "PAUSE", "10000", "ALL")
        waiting = [asyncio.ensure_future(other.get("s")) for _ in range(100)]
        await asyncio.sleep(0.05)
        redis.kill()
        met = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, EngineError) for error in met), met[:3]
        assert len({id(error) for error in met}) == 1, "a single fetch"
        redis.start()

        async def answers():
            try:
                return await other.get("s") == A and await one.get("s") == A
            except EngineError:
                return False

        await until(answers)
        await one.close()
        await other.close()

    redis = make_redis()
    asyncio.run(run())


@on_redis()
async def test_cancelled_waiter_does_not_cancel_the_others(redis, make):
    one, other = make(), make()
    await one.set("s", A)
    await other.get("another")
    redis.process.send_signal(signal.SIGSTOP)
    try:
        waiting = [asyncio.ensure_future(other.get("s")) for _ in range(10)]
        await asyncio.sleep(0.02)
        waiting[0].cancel()
        waiting[5].cancel()
    finally:
        redis.process.send_signal(signal.SIGCONT)
    met = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(value, asyncio.CancelledError) for value in met] == [
        i in (0, 5) for i in range(10)
    ]
    assert [value for i, value in enumerate(met) if i not in (0, 5)] == [A] * 8


def test_refused_write_leaves_the_scope_to_restore(make_redis):
    """Redis loses its data while a write is refused: the scope before it still applies."""
    redis = make_redis()

    async def run():
        registry = RedisRegistry(redis.url)
        await registry.set("s", A)
        redis.kill()
        with pytest.raises(EngineError, match="was not set"):
            await registry.set("s", B)
        redis.start()

        async def is_restored():
            return (await registry.metrics()).restored == 1

        await until(is_restored)
        assert await registry.get("s") == A
        await registry.close()

    asyncio.run(run())


@on_redis()
async def test_name_that_cannot_be_sent_mixes_up_no_answers(redis, make):
    registry = make()
    await registry.set("a", A)
    await registry.set("b", B)
    registry.evict_l1()
    with pytest.raises(UnicodeEncodeError):
        await registry.get("x\udc80")
    assert [await registry.get(name) for name in ("a", "b")] == [A, B]


@on_redis()
async def test_cancelled_write_is_read_from_redis(redis, make):
    """Redis does not report own writes, so only a read shows whether it was applied."""
    one, other = make(), make()
    for turns, clears, reads_first in itertools.product(range(6), (False, True), (False, True)):
        await one.set("s", A)
        if reads_first:  # a read that Redis answers before the write
            one.evict_l1()
            reading = asyncio.ensure_future(one.get("s"))
        write = asyncio.ensure_future(one.clear("s") if clears else one.set("s", B))
        for _ in range(turns):
            await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait([write, reading] if reads_first else [write])
        await one.metrics()  # Redis has answered what was sent before
        other.evict_l1()
        assert await one.get("s") == await other.get("s"), (turns, clears, reads_first)


@pytest.mark.parametrize(
    "payload",
    [
        "no json",
        '{"scope": {}}',
        '{"scope": {"languages": ["no such"]}, "at": 1}',
        '{"scope": {"new field": []}, "at": 1}',
        "[" * 100_000,
        "\xff",
        "x" * 1_000_000,
    ],
)
def test_invalid_payload_counts_as_a_miss_and_warns_once(redis, caplog, payload):
    async def run():
        registry = RedisRegistry(redis.url)
        await registry.set("other", A)
        subprocess.run(
            ["redis-cli", "-p", str(redis.port), "-x", "SET", "codeintel:scope:s"],
            input=payload.encode("latin-1"),
            check=True,
            capture_output=True,
        )
        assert [await registry.get("s") for _ in range(3)] == [None] * 3
        assert await registry.snapshot() == {"other": A}
        await registry.set("s", B)
        assert await registry.get("s") == B
        await registry.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 1


def test_value_of_another_type_counts_as_a_miss_and_warns_once(redis, caplog):
    async def run():
        registry = RedisRegistry(redis.url)
        await registry.set("other", A)
        redis.ask("LPUSH", "codeintel:scope:s", "1", "2")
        redis.ask("LPUSH", "codeintel:scope:t", "1", "2")
        redis.ask("ZADD", "codeintel:used", str(time.time()), "t")
        assert [await registry.get("s") for _ in range(3)] == [None] * 3
        assert await registry.snapshot() == {"other": A}
        await registry.set("s", B)
        assert await registry.get("s") == B
        await registry.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert (
        len(
            [
                record
                for record in caplog.records
                if "session s in Redis cannot be read" in record.message
            ]
        )
        == 1
    )


@on_redis()
async def test_unreadable_value_is_deleted_unless_set_meanwhile(redis, make):
    registry = make()
    await registry.set("other", A)
    redis.ask("SET", "codeintel:scope:s", "no json")
    assert await registry.get("s") is None

    async def is_gone():
        return redis.ask("EXISTS", "codeintel:scope:s") == "0"

    await until(is_gone)
    await registry.set("s", A)
    await registry._unlink("s", b"no json")
    assert redis.ask("EXISTS", "codeintel:scope:s") == "1", (
        "another server has set it since it was read"
    )
    redis.ask("LPUSH", "codeintel:scope:t", "1")
    await registry._unlink("t", None)
    assert redis.ask("EXISTS", "codeintel:scope:t") == "0"
    assert await registry.get("s") == A


@on_redis()
async def test_too_large_scope_is_refused(redis, make):
    with pytest.raises(ScopeError, match="bytes"):
        await make().set(
            "s", Scope(include_globs=tuple(f"{i}{'x' * 200}" for i in range(MAX_PAYLOAD // 200)))
        )


@on_redis()
async def test_scope_evicted_from_memory_is_read_again(redis, make):
    registry = make(l1_size=4)
    for i in range(8):
        await registry.set(f"s{i}", A)
    assert len(registry._l1) == 4
    assert [await registry.get(f"s{i}") for i in range(8)] == [A] * 8
    registry.evict_l1("s7")
    registry.evict_l1()
    assert len(registry._l1) == 0
    assert await registry.get("s7") == A


SECONDS = float(os.environ.get("CODEINTEL_REDIS_SECONDS", "6"))


@pytest.mark.slow
def test_reads_of_two_writers_are_not_older_than_their_notifications(redis):
    """Compare the reads of each process with the changes by the other one.

    MONITOR gives the order of the writes in Redis. Each read comes with the number of changes
    notified before it. NOLOOP excludes a process's own changes, so n notifications mean at least
    n changes by the other.
    """
    monitor = socket.create_connection(("127.0.0.1", redis.port))
    monitor.sendall(b"MONITOR\r\n")
    lines, over = [], threading.Event()

    def listen():
        with monitor.makefile("rb") as said:
            lines.extend(said)
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    peers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.scopes.redis_peer", redis.url, str(number), str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for word in ("ready", "written"):
        for peer in peers:
            assert peer.stdout.readline().strip() == word
        for peer in peers:
            peer.stdin.write("go\n")
            peer.stdin.flush()
    said = [json.loads(peer.stdout.readline()) for peer in peers]
    for peer in peers:
        assert peer.wait(20) == 0
        peer.stdin.close()
        peer.stdout.close()
    time.sleep(0.2)
    monitor.shutdown(socket.SHUT_RDWR)
    assert over.wait(10)
    monitor.close()

    met = [
        found
        for line in lines
        if (
            found := re.search(
                rb'\[0 ([^\]]+)\] "(SET|GETEX|PEXPIRE)" "codeintel:scope:(s\d)"(?:.*(p(\d)-\d+))?',
                line,
            )
        )
    ]
    writers = {found[1]: int(found[5]) for found in met if found[5]}
    order = {session: [""] for session in SESSIONS}
    # by the other process: the number of the value at each change
    changes = {(session, number): [] for session in SESSIONS for number in range(2)}
    for found in met:
        session = found[3].decode()
        if found[2] == b"SET":
            order[session].append(found[4].decode())
        changes[session, 1 - writers[found[1]]].append(len(order[session]) - 1)
    assert sum(len(values) for values in order.values()) - len(SESSIONS) == sum(
        one["writes"] for one in said
    ), "MONITOR reported every write"
    places = {
        session: {value: i for i, value in enumerate(values)} for session, values in order.items()
    }
    stale = [
        (number, session, heard, value)
        for number, one in enumerate(said)
        for session, heard, value in one["reads"]
        if heard
        and places[session][value] < (known := changes[session, number])[min(heard, len(known)) - 1]
    ]
    assert stale == []
    assert (
        said[0]["final"]
        == said[1]["final"]
        == {session: values[-1] for session, values in order.items()}
    )
    assert all(one["l1_hits"] > one["l2_hits"] for one in said), "most reads are from memory"
    print(
        f"{sum(len(one['reads']) for one in said):,} reads, "
        f"{sum(one['writes'] for one in said):,} writes in {SECONDS:.0f} s"
    )


def connections(redis):
    return [
        line for line in redis.ask("CLIENT", "LIST").splitlines() if "cmd=client|list" not in line
    ]


@pytest.mark.slow
def test_redis_killed_and_restarted_under_load(make_redis):
    """Check each read of 100 clients: it returns the last value set, or one attempted since.

    Redis stores nothing on disk.
    """
    redis = make_redis()
    wrong, recoveries, failed_writes, reads_away = [], [], 0, 0

    async def client(registry, number, stop):
        nonlocal failed_writes, reads_away
        session, count, rng = f"client{number}", 0, random.Random(number)
        allowed = set()
        while not stop.is_set():
            if not allowed or rng.random() < 0.2:
                count += 1
                value = Scope(include_globs=(f"{number}-{count}",))
                try:
                    await registry.set(session, value)
                    allowed = {value}
                except EngineError:
                    failed_writes += 1
                    if allowed:
                        allowed.add(value)
            else:
                try:
                    met = await registry.get(session)
                    reads_away += registry.is_away()
                except EngineError as error:
                    met = error
                if met not in allowed:
                    wrong.append((session, met, allowed))
            await asyncio.sleep(rng.random() * 0.02)

    async def run():
        registry = RedisRegistry(redis.url)
        await registry.get("s")
        stop = asyncio.Event()
        clients = [asyncio.ensure_future(client(registry, number, stop)) for number in range(100)]
        loop, rng = asyncio.get_running_loop(), random.Random(7)
        for _ in range(20):
            await asyncio.sleep(0.1 + rng.random() * 0.2)
            redis.kill()
            await asyncio.sleep(rng.random() * 0.3)
            await loop.run_in_executor(None, redis.start)
            began = time.monotonic()

            async def sets():
                try:
                    await registry.set("probe", A)
                    return not registry.is_away()
                except EngineError:
                    return False

            await until(sets)
            recoveries.append(time.monotonic() - began)
        await asyncio.sleep(0.3)
        stop.set()
        await asyncio.gather(*clients)
        metrics = await registry.metrics()
        await registry.close()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        await asyncio.sleep(0.05)
        assert connections(redis) == []
        return metrics

    metrics = asyncio.run(run())
    assert wrong == []
    assert max(recoveries) < 2.0
    assert metrics.restored > 100, "scopes lost by Redis were restored"
    assert failed_writes > 0
    assert reads_away > 0, "reads continued from memory"


def test_unknown_session_is_an_error_while_redis_is_away(make_redis):
    redis = make_redis()

    async def run():
        registry = RedisRegistry(redis.url)
        await registry.set("s", A)
        redis.kill()
        assert await registry.get("s") == A
        with pytest.raises(EngineError, match="does not answer"):
            await registry.get("unknown")
        with pytest.raises(EngineError, match="was not set"):
            await registry.set("s", B)
        with pytest.raises(EngineError, match="was not cleared"):
            await registry.clear("s")
        assert registry.is_away()
        assert "is unreachable" in registry.state()
        before = (await registry.metrics()).failures
        for _ in range(1000):
            assert await registry.get("s") == A
        assert (await registry.metrics()).failures - before < 10, "no read waits for a connection"
        assert await registry.session_count() == 0, "the last known count: Redis was never queried"
        await registry.close()

    asyncio.run(run())
    redis.start()


def test_scope_renewed_by_another_server_stays_known_while_redis_is_away(make_redis):
    """A renewal is reported as a change: the value is stale, but it is the last known one."""
    redis = make_redis()

    async def run():
        one, other = RedisRegistry(redis.url), RedisRegistry(redis.url)
        await one.set("s", A)
        assert await other.get("s") == A
        invalidations = (await other.metrics()).invalidations
        one._renewed.clear()
        one.evict_l1("s")
        assert await one.get("s") == A, "the read extends the expiry in Redis"

        async def is_told():
            return (await other.metrics()).invalidations > invalidations

        await until(is_told)
        redis.kill()
        assert await other.get("s") == A
        assert other._l1["s"].epoch == STALE
        await one.close()  # its own copy is current: it would restore it
        await asyncio.get_running_loop().run_in_executor(None, redis.start)

        async def has_none():
            return not other.is_away() and await other.get("s") is None

        redis.ask("FLUSHALL")
        await until(has_none)
        await other.close()

    asyncio.run(run())


def test_error_names_an_unreachable_redis_without_its_password():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def run():
        registry = RedisRegistry(f"redis://:secret@127.0.0.1:{port}")
        with pytest.raises(EngineError, match=f"127.0.0.1:{port}") as met:
            await registry.get("s")
        assert "secret" not in str(met.value) + registry.state()
        await registry.close()

    asyncio.run(run())


@on_redis()
async def test_killed_connection_loses_nothing(redis, make):
    one, other = make(), make()
    await one.set("s", A)
    assert await other.get("s") == A
    for number in range(5):
        redis.ask("CLIENT", "KILL", "TYPE", "normal" if number % 2 else "pubsub")
        scope = Scope(include_globs=(f"{number}",))

        async def sets(scope=scope):
            try:
                await one.set("s", scope)
                return True
            except EngineError:
                return False

        await until(sets)

        async def has_it(scope=scope):
            return await other.get("s") == scope

        await until(has_it)


@on_redis()
async def test_read_waits_for_the_next_connection_after_a_killed_one(redis, make):
    one, other = make(), make()
    for number in range(60):
        await one.set(f"s{number}", Scope(include_globs=(f"{number}",)))
    await other.get("s0")
    loop = asyncio.get_running_loop()
    for number in range(1, 60):
        killing = loop.run_in_executor(
            None, redis.ask, "CLIENT", "KILL", "TYPE", "normal" if number % 2 else "pubsub"
        )
        for repeat in range(20):
            other.evict_l1(f"s{number}")
            assert await other.get(f"s{number}") == Scope(include_globs=(f"{number}",)), repeat
            await asyncio.sleep(0.001)
        await killing
    assert (await other.metrics()).flushes > 10


@on_redis()
async def test_flushing_redis_invalidates_the_cache(redis, make):
    registry = make()
    await registry.set("s", A)
    assert await registry.get("s") == A
    redis.ask("FLUSHALL")

    async def is_gone():
        return await registry.get("s") is None

    await until(is_gone)


def test_untracked_scope_is_read_again_after_a_moment(make_redis, caplog):
    redis = make_redis()
    redis.ask("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")

    async def run():
        url, now = f"redis://app:secret@127.0.0.1:{redis.port}", time.time()
        one, other = RedisRegistry(url), RedisRegistry(url, clock=lambda: now)
        await one.set("s", A)
        assert await other.get("s") == A
        await one.set("s", B)
        now += 2 * UNTRACKED_S
        assert await other.get("s") == B
        before = (await other.metrics()).l1_hits
        assert await other.get("s") == B
        assert (await other.metrics()).l1_hits == before + 1
        assert "sends no change notifications" in one.state()
        await one.close()
        await other.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert "sends no change notifications" in caplog.text


def test_sockets_passwords_users_and_prefixes(make_redis, tmp_path):
    path = f"/tmp/codeintel-{os.getpid()}.sock"
    redis = make_redis("--unixsocket", path)
    redis.ask("ACL", "SETUSER", "app", "on", ">secret", "~mine:*", "&*", "+@all")

    async def run():
        by_socket = RedisRegistry(f"unix://app:secret@{path}", prefix="mine:")
        by_port = RedisRegistry(f"redis://app:secret@127.0.0.1:{redis.port}/0", prefix="mine:")
        other = RedisRegistry(redis.url, prefix="other:")
        await by_socket.set("s", A)
        assert await by_port.get("s") == A
        assert await other.get("s") is None
        denied = RedisRegistry(f"redis://app:secret@127.0.0.1:{redis.port}")
        with pytest.raises(EngineError, match="No permissions|NOPERM|no permissions"):
            await denied.set("s", A)
        for registry in (by_socket, by_port, other, denied):
            await registry.close()

    asyncio.run(run())


def test_tls_connection(make_redis, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(made, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    make_redis(
        "--tls-port",
        str(port),
        "--tls-cert-file",
        str(certificate),
        "--tls-key-file",
        str(key),
        "--tls-ca-cert-file",
        str(certificate),
        "--tls-auth-clients",
        "no",
    )

    async def run():
        one, other = (
            RedisRegistry(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}") for _ in range(2)
        )
        await one.set("s", A)
        assert await other.get("s") == A
        await other.get("s")
        assert (await other.metrics()).l1_hits == 1
        untrusted = RedisRegistry(f"rediss://127.0.0.1:{port}")
        with pytest.raises(EngineError, match="certificate"):
            await untrusted.get("s")
        for registry in (one, other, untrusted):
            await registry.close()
        sockets = asyncio.get_running_loop()._selector  # with the loop's own

        async def are_closed():
            return len(sockets.get_map()) == 1

        await until(are_closed)  # asyncio closes TLS connections with a delay

    asyncio.run(run())


def test_cluster_by_its_url(make_redis):
    redis = make_redis("--cluster-enabled", "yes")
    redis.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    for _ in range(200):
        if "cluster_state:ok" in redis.ask("CLUSTER", "INFO"):
            break
        time.sleep(0.05)

    async def run():
        one, other = (RedisRegistry(f"redis+cluster://127.0.0.1:{redis.port}") for _ in range(2))
        await one.set("s", A)
        assert await other.get("s") == A
        assert await one.session_count() == 1
        assert await one.snapshot() == {"s": A}
        assert await other.clear("s") is True
        assert "cluster" in one.state()
        await one.close()
        await other.close()

    asyncio.run(run())


@pytest.mark.slow
def test_sentinels_by_their_url_follow_a_failover(make_redis, tmp_path):
    master = make_redis()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    replica = make_redis("--replicaof", "127.0.0.1", str(master.port))
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor scopes 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds scopes 500\nsentinel failover-timeout scopes 2000\n"
    )
    with subprocess.Popen(
        ["redis-server", str(config), "--sentinel"], stdout=subprocess.DEVNULL
    ) as sentinel:
        try:
            for _ in range(300):
                told = subprocess.run(
                    ["redis-cli", "-p", str(port), "SENTINEL", "replicas", "scopes"],
                    capture_output=True,
                    text=True,
                ).stdout
                if str(replica.port) in told and "master-link-status\nok" in told:
                    break
                time.sleep(0.1)

            async def run():
                registry = RedisRegistry(f"redis+sentinel://127.0.0.1:{port}/scopes")
                await registry.set("s", A)
                assert await registry.get("s") == A
                await asyncio.sleep(0.5)
                master.kill()

                async def sets():
                    assert await registry.get("s") == A
                    try:
                        await registry.set("t", B)
                        return True
                    except EngineError:
                        return False

                await until(sets)
                assert await registry.get("s") == A
                await registry.close()

            asyncio.run(run())
            assert "codeintel:scope:t" in replica.ask("KEYS", "*")
        finally:
            sentinel.kill()
    master.start()


@pytest.mark.parametrize(
    "url", ["http://x", "redis+sentinel://127.0.0.1", "memory", "redis://127.0.0.1:x"]
)
def test_invalid_address_is_refused(url):
    with pytest.raises(ScopeError, match="address"):
        make_client(url)


def test_addresses_are_shown_without_their_passwords():
    assert shown("rediss://me:secret@host:1/2?password=x") == "rediss://me@host:1/2"
    assert shown("redis://:secret@host") == "redis://host"
    assert len(SCHEMES) == 7


def test_no_connection_is_left_open(redis):
    async def run():
        for _ in range(5):
            registry = RedisRegistry(redis.url)
            await registry.set("s", A)
            await registry.close()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(run())
        gc.collect()
    assert connections(redis) == []
