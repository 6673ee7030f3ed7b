"""Assertion that work takes time in proportion to its text, on a machine of any speed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

MOST = 10  # times the cost of a quarter of the text: 4 if linear, 16 if quadratic
LEAST_S = 0.01  # below it, a cost says nothing
END = 64  # bytes at the end of a text that its quarter keeps


def assert_linear(work: Callable[[bytes], object], text: bytes) -> None:
    """Fail if work on a text costs far more CPU than four times that on a quarter of it."""
    quarter = text[: len(text) // 4] + text[-END:]
    costs = []
    for _ in range(3):  # another process may disturb one measurement
        costs.append((_cost_s(work, quarter), _cost_s(work, text)))
        if costs[-1][1] < MOST * max(costs[-1][0], LEAST_S):
            return
    raise AssertionError(f"CPU seconds of a quarter and of the whole: {costs}")


def _cost_s(work: Callable[[bytes], object], text: bytes) -> float:
    gc.disable()  # as in timeit: a collection reads all objects of the test run
    try:
        began = time.process_time()
        work(text)
        return time.process_time() - began
    finally:
        gc.enable()
