"""One of several processes writing the same sessions through one Redis.

Usage: python -m tests.scopes.redis_peer URL NUMBER SECONDS

For each read, it prints the session, the number of changes by others notified before the read
began, and the value.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter

from codeintel_nb.scopes.redis.registry import RedisRegistry
from codeintel_nb.scopes.scope import Scope

SESSIONS = [f"s{i}" for i in range(8)]
MAX_READS = 200_000


class Listening(RedisRegistry):
    heard: Counter[str]

    def _changed(self, key: bytes | None) -> None:
        assert key is not None, "nothing flushes this Redis"
        self.heard[key.decode().rpartition(":")[2]] += 1
        super()._changed(key)


def value_of(scope: Scope | None) -> str:
    return scope.include_globs[0] if scope is not None else ""


async def main(url: str, number: str, seconds: float) -> None:
    registry = Listening(url)
    registry.heard = Counter()
    await registry.get("warm")
    rng, reads, writes = random.Random(int(number)), [], 0
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began = time.monotonic()

    async def client() -> None:
        nonlocal writes
        while time.monotonic() - began < seconds:
            session = rng.choice(SESSIONS)
            if rng.random() < 0.1:
                writes += 1
                await registry.set(session, Scope(include_globs=(f"p{number}-{writes}",)))
                await asyncio.sleep(rng.random() * 0.02)
            else:
                before = registry.heard[session]
                met = value_of(await registry.get(session))
                if len(reads) < MAX_READS:
                    reads.append((session, before, met))
                if rng.random() < 0.05:
                    await asyncio.sleep(0)

    await asyncio.gather(*(client() for _ in range(4)))
    print("written", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.sleep(0.05)  # maximum time until both agree
    final = {session: value_of(await registry.get(session)) for session in SESSIONS}
    metrics = await registry.metrics()
    print(
        json.dumps(
            {
                "reads": reads,
                "writes": writes,
                "final": final,
                "l1_hits": metrics.l1_hits,
                "l2_hits": metrics.l2_hits,
            }
        ),
        flush=True,
    )
    await registry.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
