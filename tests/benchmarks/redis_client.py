"""Benchmark process: reads scopes and prints the number of reads.

Usage: python -m tests.benchmarks.redis_client URL registry|l2|bare SECONDS
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from codeintel_nb.scopes.redis.registry import RedisRegistry

SESSIONS = 100


async def main(url: str, kind: str, seconds: float) -> None:
    from redis.asyncio import Redis

    registry, bare = RedisRegistry(url), Redis.from_url(url)
    await registry.get("s0")
    await bare.ping()
    print("ready", flush=True)
    sys.stdin.readline()
    ends, reads, number = time.monotonic() + seconds, 0, 0
    while time.monotonic() < ends:
        for _ in range(20):
            number = (number + 1) % SESSIONS
            found: Any
            if kind == "bare":
                found = await bare.get(f"codeintel:scope:s{number}")
            else:
                if kind == "l2":
                    registry.evict_l1(f"s{number}")
                found = await registry.get(f"s{number}")
            assert found is not None
        reads += 20
    print(reads, flush=True)
    await registry.close()
    await bare.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
