"""Scopes in Redis against bare redis-py, and searches over MCP against embedded ones."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from codeintel_nb import Scope
from codeintel_nb.operations.table import BY_NAME
from codeintel_nb.scopes.redis.registry import RedisRegistry
from tests.benchmarks.conftest import FULL, Corpus, median_ms, show
from tests.benchmarks.redis_client import SESSIONS
from tests.redis_server import RedisServer
from tests.serving import Serving

pytestmark = pytest.mark.benchmark

PROCESSES, SECONDS = (8, 2.0) if FULL else (4, 1.0)
ROUNDS, CALLS = 5, (1000 if FULL else 200)
DEFAULT = BY_NAME["search_text"].tool.limit


def test_scopes_in_redis(redis: RedisServer) -> None:
    scope = Scope(languages=("python",), include_globs=("src/**",), repos=("pandas",))

    async def measured() -> tuple[float, list[tuple[float, float]], float]:
        from redis.asyncio import Redis

        registry, bare = RedisRegistry(redis.url), Redis.from_url(redis.url)
        for number in range(SESSIONS):
            await registry.set(f"s{number}", scope)
        await registry.get("s0")
        began = time.process_time()
        for _ in range(100_000):
            await registry.get("s0")
        l1_us = (time.process_time() - began) * 10

        async def us(call: Callable[[], Awaitable[Any]]) -> float:
            began = time.perf_counter()
            for _ in range(CALLS):
                await call()
            return (time.perf_counter() - began) / CALLS * 1e6

        async def l2() -> None:
            registry.evict_l1("s0")
            assert await registry.get("s0") == scope

        pairs = [
            (await us(l2), await us(lambda: bare.get("codeintel:scope:s0"))) for _ in range(ROUNDS)
        ]
        set_us = await us(lambda: registry.set("s0", scope))
        await registry.close()
        await bare.aclose()
        return l1_us, pairs, set_us

    l1_us, pairs, set_us = asyncio.run(measured())
    ratio = median(l2 / bare for l2, bare in pairs)
    rows = [
        ("get, from memory (CPU)", l1_us, "", ""),
        (
            "get, from Redis",
            median(l2 for l2, _ in pairs),
            median(bare for _, bare in pairs),
            ratio,
        ),
        ("set", set_us, "", ""),
    ]
    show("one client, us", ("", "registry", "bare redis-py GET", "ratio"), rows)
    assert ratio < 3
    throughput = {kind: _throughput(redis.url, kind) for kind in ("bare", "l2", "registry")}
    show(
        f"{PROCESSES} processes, reads a second",
        ("bare redis-py", "registry, from Redis", "registry"),
        [tuple(f"{throughput[kind]:,.0f}" for kind in ("bare", "l2", "registry"))],
    )
    assert throughput["registry"] > throughput["bare"]
    assert throughput["l2"] > throughput["bare"] / 3


def _throughput(url: str, kind: str) -> float:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.redis_client", url, kind, str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    total = 0
    for process in processes:
        said, _ = process.communicate(timeout=60)
        total += int(said)
    return total / SECONDS


def test_search_over_mcp(corpus: Corpus) -> None:
    from mcp import Client, StdioServerParameters

    home = Path(corpus.workspace.settings.home)
    patterns = ["NotImplementedError", "def parse", "qqzzqq", "import re"]
    embedded = [
        median_ms(lambda pattern=pattern: corpus.workspace.search_text(pattern, limit=DEFAULT))
        for pattern in patterns
    ]

    async def p50(client: Client, pattern: str) -> float:
        times = []
        for _ in range(21):
            began = time.perf_counter()
            answer = await client.call_tool("search_text", {"pattern": pattern, "session_id": "s"})
            times.append((time.perf_counter() - began) * 1000)
            assert not answer.is_error
        return median(times)

    async def over_stdio() -> list[float]:
        async with Client(
            StdioServerParameters(
                command=sys.executable, args=["-m", "codeintel_nb.cli", "mcp", "--home", str(home)]
            )
        ) as client:
            return [await p50(client, pattern) for pattern in patterns]

    async def over_http(serving: Serving) -> list[float]:
        async with serving.client() as client:
            return [await p50(client, pattern) for pattern in patterns]

    serving = Serving(home)
    try:
        stdio, http = asyncio.run(over_stdio()), asyncio.run(over_http(serving))
    finally:
        serving.stop()
    rows = [
        (pattern, *times, max(times[1:]) - times[0])
        for pattern, *times in zip(patterns, embedded, stdio, http, strict=True)
    ]
    show("search_text, p50, ms", ("", "embedded", "MCP, stdio", "MCP, HTTP", "at most above"), rows)
    assert median(http) < 4 * median(stdio)
