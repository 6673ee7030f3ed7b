"""A real Jupyter server in its own process, and the real kernels it starts."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import psutil
import pytest
from jupyter_client import BlockingKernelClient

from codeintel_nb.client.signature import credential
from codeintel_nb.client.transport import BASE
from tests.waiting import until

TOKEN = "secret-of-the-tests"
CULLING = ["--MappingKernelManager.cull_interval=1", "--MappingKernelManager.cull_connected=True"]


def children_of(pid: int, word: str, *, recursive: bool = False) -> list[psutil.Process]:
    """Return the living children of a process whose command line contains a word."""
    running = []
    for child in psutil.Process(pid).children(recursive=recursive):
        with suppress(psutil.Error):  # it has just ended
            # one that has just begun has no command line for a moment
            if word in " ".join(until(child.cmdline)):
                running.append(child)
    return running


def sql_children_at_work(pid: int) -> list[psutil.Process]:
    """Return the SQL children of a server that have run for a while, unlike its spare one."""
    running = []
    for child in children_of(pid, "codeintel_nb.server.sql_process"):
        with suppress(psutil.Error):  # it has just ended
            if child.cpu_times().user > 2.0:
                running.append(child)
    return running


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Jupyter server, with requests that carry its token or a kernel's signature."""

    # as JupyterHub's for a name with an @: the signature covers the URL as sent
    base_url = "/a%40b/"

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        program: str = "jupyter_server",
    ) -> None:
        self.folder = folder
        self.program = program
        self.root = folder / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        self.home = folder / "index-home"
        self.runtime = folder / "runtime"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            **os.environ,
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "IPYTHONDIR": str(folder / "ipython"),
            "CODEINTEL_HOME": str(self.home),
            **(environment or {}),
        }
        # an automatic index run would interfere with those of the tests
        watch = (
            () if any("watch=" in option for option in options) else ("--CodeIntelApp.watch=False",)
        )
        self.options = (*options, *watch)
        self.start()

    def start(self) -> None:
        self.log = self.folder / "server.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    self.program,
                    "--allow-root",
                    "--no-browser",
                    f"--ServerApp.port={self.port}",
                    "--ServerApp.port_retries=0",
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.base_url={self.base_url}",
                    f"--IdentityProvider.token={TOKEN}",
                    f"--ServerApp.root_dir={self.root}",
                    "--ServerApp.reraise_server_extension_failures=True",
                    *self.options,
                ],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.root,
            )
        for _ in range(1200):  # two minutes: a cold start on a busy machine takes half of one
            try:
                answer = self.ask("GET", "status", api=True)
                assert answer.status == 200, f"{answer.body!r}\n{self.log.read_text()[-3000:]}"
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(
        self,
        method: str,
        place: str,
        payload: Any = None,
        headers: dict[str, str] | None = None,
        api: bool = False,
    ) -> Answer:
        """Send a request with the server's token, below our own base or Jupyter's ``api``.

        Bytes are sent unchanged.
        """
        return self.raw(
            method, place, payload, {"Authorization": f"token {TOKEN}", **(headers or {})}, api
        )

    def raw(
        self,
        method: str,
        place: str,
        payload: Any = None,
        headers: dict[str, str] | None = None,
        api: bool = False,
    ) -> Answer:
        body = payload if isinstance(payload, bytes | None) else json.dumps(payload).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method,
                self.uri(place, api),
                body,
                {"Content-Type": "application/json", **(headers or {})},
            )
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def uri(self, place: str, api: bool = False) -> str:
        return self.base_url + ("api/" if api else BASE) + place

    def signed(
        self,
        kernel_id: str,
        method: str,
        place: str,
        payload: Any = None,
        key: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request signed with the kernel's key."""
        body = b"" if payload is None else json.dumps(payload).encode()
        signature = credential(
            self.key(kernel_id) if key is None else key, kernel_id, method, self.uri(place), body
        )
        return self.raw(method, place, body or None, {"Authorization": signature, **headers})

    def key(self, kernel_id: str) -> bytes:
        return str(
            json.loads((self.runtime / f"kernel-{kernel_id}.json").read_text())["key"]
        ).encode()

    def index(self, path: Path, name: str) -> None:
        assert self.ask("POST", "repositories", {"path": str(path), "name": name}).status == 202
        until(lambda: self.ask("GET", f"repositories/{quote(name)}/job").json["state"] == "done")


class Notebook:
    """Notebook session with a kernel that runs cells."""

    def __init__(self, server: Server, path: str, kernel_name: str = "python3") -> None:
        self.server = server
        created = server.ask(
            "POST",
            "sessions",
            {"path": path, "type": "notebook", "name": path, "kernel": {"name": kernel_name}},
            api=True,
        )
        assert created.status == 201, created.body
        self.session_id = created.json["id"]
        self.kernel_id = created.json["kernel"]["id"]
        self.connect()

    def connect(self) -> None:
        """Connect to the kernel, retrying while it restarts."""
        for _ in range(20):
            self.client = BlockingKernelClient(
                connection_file=str(self.server.runtime / f"kernel-{self.kernel_id}.json")
            )
            self.client.load_connection_file()
            self.client.start_channels()
            try:
                self.client.wait_for_ready(timeout=60)
                return
            except RuntimeError:  # no heartbeat yet
                self.client.stop_channels()
                time.sleep(0.5)
        raise AssertionError("the kernel did not start")

    def run(self, cell: str) -> str:
        """Run a cell and return its output as plain text; for an error, the message."""
        shown: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.append(content["data"].get("text/plain", ""))
            elif message["msg_type"] == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")

        self.client.execute_interactive(cell, timeout=60, output_hook=take)
        return "\n".join(shown)

    def close(self) -> None:
        self.client.stop_channels()
        self.server.ask("DELETE", f"sessions/{self.session_id}", api=True)


@contextmanager
def running(folder: Path, *options: str, **given: Any) -> Iterator[Server]:
    server = Server(folder, *options, **given)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server for this test alone."""
    with ExitStack() as stack:
        numbers = itertools.count()
        yield lambda *options, **given: stack.enter_context(
            running(tmp_path / f"server{next(numbers)}", *options, **given)
        )


@contextmanager
def shop_server(folder: Path) -> Iterator[Server]:
    """Run a server with the small shop indexed as ``shop``."""
    from tests.conftest import FILES, write_tree

    with running(folder) as made:
        write_tree(made.root / "shop", dict(FILES))
        made.index(made.root / "shop", "shop")
        yield made


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with shop_server(tmp_path_factory.mktemp("server")) as made:
        yield made


@pytest.fixture
def open_notebook(server: Server) -> Iterator[Callable[..., Notebook]]:
    opened: list[Notebook] = []

    def open_one(
        path: str = "work.ipynb", on: Server | None = None, kernel_name: str = "python3"
    ) -> Notebook:
        opened.append(Notebook(on or server, path, kernel_name))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()
