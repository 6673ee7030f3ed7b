"""Fixtures shared by the live-server tests."""

from __future__ import annotations

import random

import pytest

from tests.conftest import write_tree
from tests.live import Server


@pytest.fixture(scope="session")
def large(server: Server) -> Server:
    """Return the server with a repository that a slow pattern takes seconds to search."""
    letters = random.Random(7)
    lines = "\n".join("".join(letters.choices("ab ", k=100)) for _ in range(18_000))
    write_tree(server.root / "large", {f"{i}.txt": f"{i}\n{lines}" for i in range(8)})
    server.index(server.root / "large", "large")
    return server
