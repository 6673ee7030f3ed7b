"""``codeintel serve`` in its own process, and requests to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.waiting import HANG_S, until

TOKEN = "token-of-the-tests"


class Serving:
    """Server process of ``codeintel serve``, with REST requests and MCP clients."""

    def __init__(self, home: Path, *options: str, token: str = TOKEN) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = token
        command = [
            sys.executable,
            "-m",
            "codeintel_nb.cli",
            "serve",
            "--home",
            str(home),
            "--port",
            str(self.port),
            "--no-watch",
            *options,
            *(["--token", token] if token else []),
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

        def answers() -> Any:
            assert self.process.poll() is None, self.process.stderr.read()
            return self.ask("GET", "health")

        until(answers)

    def ask(
        self,
        method: str,
        place: str,
        payload: Any = None,
        headers: dict[str, str] | None = None,
        base: str = "/codeintel/v1/",
    ) -> tuple[int, Any, Any]:
        """Send a request and return the answer's status, headers and body."""
        body = None if payload is None else json.dumps(payload).encode()
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(
            self.url + base + place,
            body,
            {"Content-Type": "application/json", **token, **(headers or {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                said = answer.read()
                return answer.status, answer.headers, json.loads(said) if said else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.loads(error.read() or b"null")

    @asynccontextmanager
    async def client(self, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(
                headers={"Authorization": f"Bearer {self.token}", **headers}, timeout=120
            ) as http,
            Client(
                streamable_http_client(f"{self.url}/mcp", http_client=http), mode=mode
            ) as client,
        ):
            yield client

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(HANG_S)
        self.process.stderr.close()


@pytest.fixture(scope="session")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index the small shop and two hundred folders with a file each; return the home."""
    from codeintel_nb import Workspace
    from tests.conftest import FILES, write_tree

    folder = tmp_path_factory.mktemp("mcp")
    write_tree(folder / "shop", dict(FILES))
    write_tree(
        folder / "many", {f"d{i}/f.py": f"def needle_{i}():\n    return {i}\n" for i in range(200)}
    )
    workspace = Workspace.open(folder / "home")
    workspace.index(folder / "shop", name="shop")
    workspace.index(folder / "many", name="many")
    workspace.close()
    return folder / "home"


@pytest.fixture
def make_serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Return a function that starts a server of the index in the test's folder ``home``."""
    made: list[Serving] = []

    def make(*options: str, **given: Any) -> Serving:
        made.append(Serving(tmp_path / "home", *options, **given))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def serving(served_home: Path) -> Iterator[Serving]:
    made = Serving(served_home)
    yield made
    made.stop()
