"""Third-party programs in tests: ports, processes, REST, and kernels over a server's websocket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import websocket


class Answer(NamedTuple):
    status: int
    body: Any  # decoded JSON, or text


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ask(method: str, url: str, token: str = "", body: object = None, **headers: str) -> Answer:
    """Send a request with a token; 4xx and 5xx are answers too."""
    sent = {
        "Content-Type": "application/json",
        **({"Authorization": f"token {token}"} if token else {}),
        **headers,
    }
    request = urllib.request.Request(
        url, method=method, data=None if body is None else json.dumps(body).encode(), headers=sent
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            status, data = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, data = error.code, error.read()
    try:
        return Answer(status, json.loads(data) if data else None)
    except ValueError:
        return Answer(status, data.decode(errors="replace"))


@contextmanager
def running(
    command: Sequence[object],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in its own process session, and kill the session at the end."""
    with log.open("wb") as out:
        started = subprocess.Popen(
            list(map(str, command)),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
            cwd=folder,
        )
    try:
        yield started
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


class Cells:
    """Connection that runs cells in a kernel through a server's websocket, as a page does."""

    def __init__(self, base: str, kernel_id: str, token: str) -> None:
        self._session = uuid.uuid4().hex
        url = (
            base.replace("http", "ws", 1)
            + f"api/kernels/{kernel_id}/channels?session_id={self._session}"
        )
        self._socket = websocket.create_connection(
            url, header=[f"Authorization: token {token}"], timeout=60
        )

    def run(self, code: str) -> str:
        """Run a cell and return its output as plain text; for an error, the message."""
        number = uuid.uuid4().hex
        header = {
            "msg_id": number,
            "msg_type": "execute_request",
            "username": "",
            "session": self._session,
            "version": "5.3",
            "date": "",
        }
        content = {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        self._socket.send(
            json.dumps(
                {
                    "header": header,
                    "parent_header": {},
                    "metadata": {},
                    "content": content,
                    "channel": "shell",
                    "buffers": [],
                }
            )
        )
        shown: list[str] = []
        while True:
            message = json.loads(self._socket.recv())
            if message.get("parent_header", {}).get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in ("execute_result", "display_data"):
                shown.append(content["data"].get("text/plain", ""))
            elif kind == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
            elif kind == "status" and content["execution_state"] == "idle":
                return "\n".join(shown).strip()

    def close(self) -> None:
        self._socket.close()
