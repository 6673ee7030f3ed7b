"""A real Redis in a process of its own, on a port and a socket of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest


class RedisServer:
    """A Redis without persistence unless it is told; ``kill`` and ``start`` as often as one likes."""

    def __init__(self, folder: Path, *options: str) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = 65_535
        while self.port > 55_535:  # a cluster's second port is 10,000 higher
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.options = options
        self.start()

    def start(self) -> None:
        command = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--logfile",
            str(self.folder / "redis.log"),
            *self.options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(500):
            if self.answers():
                return
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()[-2000:]
            time.sleep(0.01)
        raise AssertionError("redis-server did not come up")

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) in (b"+PONG", b"-NOAU")
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, *command: str) -> str:
        """The answer of redis-cli."""
        return subprocess.run(
            ["redis-cli", "-p", str(self.port), *command],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def make_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    with ExitStack() as stack:
        made = list[RedisServer]()

        def make(*options: str) -> RedisServer:
            made.append(RedisServer(tmp_path / f"redis{len(made)}", *options))
            stack.callback(made[-1].stop)
            return made[-1]

        yield make


@pytest.fixture(scope="session")
def one_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(one_redis: RedisServer) -> RedisServer:
    """A Redis with nothing in it."""
    one_redis.ask("FLUSHALL")
    return one_redis
