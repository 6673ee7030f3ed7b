"""Threads that a server ends with."""

import threading

import pytest

from codeintel_nb.api.threads import DaemonExecutor


def test_closing_cancels_what_waits_and_tells_of_what_hangs():
    executor, begun, release = DaemonExecutor(1, "worker"), threading.Event(), threading.Event()
    running = executor.submit(lambda: (begun.set(), release.wait())[1])
    waiting = executor.submit(str)
    assert begun.wait(60)
    assert not executor.close(0.0), "one hangs"
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="shutting down"):
        executor.submit(str)
    release.set()
    assert running.result(60)
    assert executor.close(60)


def test_closing_ends_while_threads_take_the_last_work():
    for _ in range(300):
        executor = DaemonExecutor(4, "worker")
        for _ in range(8):
            executor.submit(int)
        closing = threading.Thread(target=executor.close, args=(60,), daemon=True)
        closing.start()
        closing.join(60)
        assert not closing.is_alive()
