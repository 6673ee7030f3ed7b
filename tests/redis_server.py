"""A real Redis in its own process, on its own port."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.waiting import until


def _port_with_bus() -> int:
    """Return a free port; a cluster also uses the one 10,000 higher."""
    while True:
        with socket.socket() as free, socket.socket() as bus, suppress(OSError, OverflowError):
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
            bus.bind(("127.0.0.1", port + 10_000))
            return port


class RedisServer:
    """Redis server, without persistence by default; ``kill`` and ``start`` may be repeated."""

    def __init__(self, folder: Path, *options: str) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = _port_with_bus()
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

        def answers() -> bool:
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()[-2000:]
            return self.answers()

        until(answers)

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
        """Return the answer of redis-cli to a command."""
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
    """Return an empty Redis."""
    one_redis.ask("FLUSHALL")
    return one_redis
