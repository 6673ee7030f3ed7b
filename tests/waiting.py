"""Waiting in tests for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

HANG_S = 120.0  # longer means a hung test; a busy machine needs a tenth of it


def until(holds: Callable[[], Any]) -> Any:
    """Poll until the result is true, and return it; a server may not listen yet."""
    ends_at = time.monotonic() + HANG_S
    while True:
        problem = None
        try:
            if result := holds():
                return result
        except OSError as error:
            problem = error
        if time.monotonic() >= ends_at:
            raise AssertionError(f"timed out after {HANG_S:.0f} s") from problem
        time.sleep(0.02)
