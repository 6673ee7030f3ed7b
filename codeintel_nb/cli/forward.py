"""Search commands answered by a process that is warm: a server, or ``codeintel watch``.

This module imports little. Whatever goes wrong, the command then runs in its own process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..exchange import Address, Channel, Refused, read_address, remove_address
from ..output.terminal import emit, emit_json
from .guard import guarded, in_utf8, prepare_streams

COMMANDS = frozenset({"grep", "search", "symbols", "paths"})
HELP = frozenset({"-h", "--help"})
ANSWER_S = 60.0  # then this process searches itself


def forwarded(arguments: Sequence[str]) -> int | None:
    """Return the exit code of a command answered elsewhere; None if there is no answer."""
    if (
        not arguments
        or arguments[0] not in COMMANDS
        or os.environ.get("CODEINTEL_LOCAL")
        or not HELP.isdisjoint(arguments)
    ):
        return None
    home = _home(arguments)
    address = read_address(home)
    if address is None or not address.serves():
        return None
    was_open = prepare_streams()

    def run() -> int:
        answer = _asked(home, address, in_utf8(arguments))
        if answer is None:
            raise _Unanswered
        return _write(answer, as_json)

    as_json = "--json" in arguments
    try:
        return guarded(run, was_open, as_json)
    except _Unanswered:
        return None


class _Unanswered(BaseException):
    """Lack of an answer; not an error of the command."""


def _asked(home: str, address: Address, arguments: Sequence[str]) -> Any:
    """Return the answer, or None if there is none."""
    try:
        channel = Channel.to(address)
        try:
            channel.send(b"ask", json.dumps(arguments).encode())
            return json.loads(channel.receive(b"answer", ANSWER_S))
        finally:
            channel.close()
    except ConnectionRefusedError:  # its process was killed
        remove_address(home, address)
        return None
    except (OSError, Refused, ValueError):
        return None


def _write(answer: dict[str, Any], as_json: bool) -> int:
    if answer["out"] is not None:
        (emit_json if as_json else emit)(answer["out"])
    if answer["error"] is not None:
        print(answer["error"], file=sys.stderr)
    return int(answer["code"])


def _home(arguments: Sequence[str]) -> str:
    """Return the folder of the index that the arguments or the environment name."""
    home = os.environ.get("CODEINTEL_HOME", "")
    for at, argument in enumerate(arguments):
        if argument.startswith("--home="):
            home = argument.partition("=")[2]
        elif argument == "--home" and at + 1 < len(arguments):
            home = arguments[at + 1]
    if not home:
        import platformdirs

        home = platformdirs.user_data_dir("codeintel", appauthor=False)
    return os.path.abspath(os.path.expanduser(home))
