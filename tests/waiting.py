"""Waiting in tests for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

HANG_S = 120.0  # then a test has hung: a busy machine takes a tenth of it


def until(holds: Callable[[], Any]) -> Any:
    """Poll until the result is true, and return it; a server may not listen yet."""
    ends_at = time.monotonic() + HANG_S
    while True:
        with suppress(OSError):
            if result := holds():
                return result
        assert time.monotonic() < ends_at, f"not within {HANG_S:.0f} s"
        time.sleep(0.02)
