"""Daemon threads of a server, and heartbeats of its streams."""

import asyncio
import threading

import pytest

from codeintel_nb.operations.limits import Limits
from codeintel_nb.operations.requests import MapRequest
from codeintel_nb.operations.table import BY_NAME
from codeintel_nb.operations.wire import to_wire
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry
from codeintel_nb.scopes.session import session_context
from codeintel_nb.search.code_map.points import Points
from codeintel_nb.server.caller import Caller
from codeintel_nb.server.events import HEARTBEAT
from codeintel_nb.server.service import SharedService
from codeintel_nb.server.threads import DaemonExecutor

POINTS = Points(b"", b"", b"", b"", b"", b"", [], [], [], (), 0)


def test_close_cancels_queued_work_and_reports_a_hung_thread():
    executor, begun, release = DaemonExecutor(1, "worker"), threading.Event(), threading.Event()
    running = executor.submit(lambda: (begun.set(), release.wait())[1])
    waiting = executor.submit(str)
    assert begun.wait(60)
    assert not executor.close(0.0), "one thread is blocked"
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="shutting down"):
        executor.submit(str)
    release.set()
    assert running.result(60)
    assert executor.close(60)


def test_close_returns_while_threads_take_the_last_work():
    for _ in range(300):
        executor = DaemonExecutor(4, "worker")
        for _ in range(8):
            executor.submit(int)
        closing = threading.Thread(target=executor.close, args=(60,), daemon=True)
        closing.start()
        closing.join(60)
        assert not closing.is_alive()


def test_silent_call_sends_heartbeats(shop, monkeypatch):
    """A stream sends heartbeats during a call without progress, so that clients do not time out."""
    monkeypatch.setattr("codeintel_nb.server.calls.INTERVAL_S", 0.1)
    release = threading.Event()
    monkeypatch.setattr(shop, "points", lambda *args: release.wait(60) and POINTS)
    service = SharedService(
        shop, AsyncMemoryRegistry(MemoryRegistry()), Limits(), (), 1, False, print
    )

    async def events():
        received = []
        with session_context("me"):
            stream = await service.answer(
                BY_NAME["draw_map"], MapRequest, Caller("me", wants_events=True)
            )
        async for event in stream:
            received.append(event)
            if len(received) == 3:
                release.set()
        return received

    received = asyncio.run(events())
    service.close()
    assert received[:3] == [HEARTBEAT] * 3
    assert received[-1] == b"event: answer\ndata: " + to_wire(POINTS) + b"\n\n"
