"""Daemon threads of a server, and heartbeats of its streams."""

import asyncio
import threading

import pytest

from codeintel_nb import Scope
from codeintel_nb.operations.operations import Limits
from codeintel_nb.operations.values import ScopeAnswer
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry
from codeintel_nb.server.service import SharedService
from codeintel_nb.server.threads import DaemonExecutor


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
    monkeypatch.setattr("codeintel_nb.server.service.HEARTBEAT_S", 0.3)
    service = SharedService(
        shop, AsyncMemoryRegistry(MemoryRegistry()), Limits(), (), 1, False, print
    )
    release = threading.Event()

    async def events():
        said = []
        async for event in service.stream(
            ScopeAnswer(Scope(), "me"),
            threading.Event(),
            "call",
            lambda progress, cancel: release.wait(60) and b"{}",
        ):
            said.append(event)
            if len(said) == 3:
                release.set()
        return said

    said = asyncio.run(events())
    service.close()
    assert said[:3] == [b": still here\n\n"] * 3
    assert said[-1] == b"event: answer\ndata: {}\n\n"
