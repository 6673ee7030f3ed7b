"""Answers to search commands of this user's terminals, from an already running process.

A command spends most of its time starting and comparing folders. A server or ``codeintel watch``
has done both, so a command sends its arguments here first.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import psutil

from ..client.embedded import FixedClient
from ..exchange import (
    GREETING_S,
    Address,
    Channel,
    ExchangeError,
    read_address,
    remove_address,
    write_address,
)
from ..operations.answers import ScopeAnswer
from ..operations.arguments import parsed
from ..output.written import written
from ..scopes.scope import EVERYTHING
from ..workspace import Workspace

MAX_COMMANDS = 8  # answered together; others run locally
CHECK_S = 5.0  # between checks of the address in the home
LOOK_S = 0.1  # between checks whether a command is still waiting


class Listener:
    """Thread that answers search commands for the home of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._client = FixedClient(workspace, ScopeAnswer(EVERYTHING, "", is_default=True))
        self._free = threading.Semaphore(MAX_COMMANDS)
        self._closed = threading.Event()
        self._home = str(workspace.settings.home)
        self._socket = socket.create_server(("127.0.0.1", 0))
        variables = {**os.environ, **workspace.settings.shared_variables()}
        self._thread = threading.Thread(target=self._listen, name="codeintel-listener", daemon=True)
        self._address = Address.of_this_process(self._socket.getsockname()[1], variables)

    def start(self) -> None:
        """Write the address to the home, and listen; OSError if the home is not writable."""
        write_address(self._home, self._address)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; commands in flight then run locally."""
        self._closed.set()
        remove_address(self._home, self._address)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(2 * LOOK_S)
        remove_address(self._home, self._address)  # the thread may have written it again

    def _listen(self) -> None:
        self._socket.settimeout(CHECK_S)
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                self._renew_address()
                continue
            except OSError:  # closed, or too many open files
                self._closed.wait(LOOK_S)
                continue
            if not self._free.acquire(blocking=False):
                connection.close()
                continue
            try:
                threading.Thread(
                    target=self._serve, args=(connection,), name="codeintel-command", daemon=True
                ).start()
            except RuntimeError:  # too many threads
                self._free.release()
                connection.close()

    def _renew_address(self) -> None:
        """Write the address again if its place is free: the process that took it has ended."""
        current = read_address(self._home)
        if current is None or (
            current.host == self._address.host and not psutil.pid_exists(current.pid)
        ):
            with suppress(OSError):
                write_address(self._home, self._address)
                if self._closed.is_set():
                    remove_address(self._home, self._address)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError, ExchangeError, ValueError):
                channel = Channel.of(connection, self._address.key)
                message = channel.receive(b"ask", GREETING_S)
                arguments = msgspec.json.decode(message, type=list[str])
                answer = self._answer(channel, arguments)
                channel.send(b"answer", json.dumps(answer).encode())
        finally:
            self._free.release()

    def _answer(self, channel: Channel, arguments: Sequence[str]) -> Any:
        """Return what a command writes, or None if it must search by itself."""
        answers, cancel, ready = list[Any](), threading.Event(), threading.Event()

        def search() -> None:
            try:
                request, as_json = parsed(arguments)
                if self._workspace.repositories():
                    answer = self._client.ask(request, cancel=cancel)
                    # another process may have the key of an endpoint
                    if not answer.results.coverage.by_words:
                        answers.append(written(answer, as_json))
            except Exception:
                pass  # the command repeats what fails, and says why
            finally:
                ready.set()

        threading.Thread(target=search, name="codeintel-command-search", daemon=True).start()
        while not ready.wait(LOOK_S):
            if channel.is_closed():
                cancel.set()
        return answers[0]._asdict() if answers else None
