"""Server-sent events, with heartbeats that keep clients from timing out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from ..client.transport import HEARTBEAT_S
from ..operations.answers import JobState
from ..operations.wire import to_wire

INTERVAL_S = HEARTBEAT_S / 3
HEARTBEAT = b": heartbeat\n\n"


def event(name: str, data: bytes) -> bytes:
    """Return one event of a stream."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


async def job_events(
    states: asyncio.Queue[JobState], stop: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """Yield a run's states until it ends; finally call ``stop``."""
    try:
        while True:
            try:
                state = await asyncio.wait_for(states.get(), INTERVAL_S)
            except TimeoutError:
                yield HEARTBEAT
                continue
            while not states.empty():  # a slow client needs only the newest
                state = states.get_nowait()
            yield event(state.state, to_wire(state))
            if state.ended:
                return
    finally:
        stop()
