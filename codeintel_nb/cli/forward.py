"""Search commands answered by an already running process: a server, or ``codeintel watch``.

This module imports little. Whatever goes wrong, the command then runs in its own process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ..exchange import Address, Channel, ExchangeError, read_address
from ..output.terminal import Written, emit_written
from .guard import guarded, in_utf8

COMMANDS = frozenset({"grep", "search", "symbols", "paths"})
HELP = frozenset({"-h", "--help"})
ANSWER_S = 60.0  # then this process searches itself


def forwarded(arguments: Sequence[str], was_open: bool) -> int | None:
    """Return the exit code of a command answered elsewhere; None if there is no answer.

    ``was_open`` is the result of ``prepare_streams``.
    """
    if (
        not arguments
        or arguments[0] not in COMMANDS
        or os.environ.get("CODEINTEL_LOCAL")
        or not HELP.isdisjoint(arguments)
    ):
        return None
    address = read_address(_home(arguments))
    if address is None or not address.serves():
        return None

    def run() -> int:
        answer = _asked(address, in_utf8(arguments))
        if answer is None:
            raise _Unanswered
        return emit_written(answer, as_json)

    as_json = "--json" in arguments
    try:
        return guarded(run, was_open, as_json)
    except _Unanswered:
        return None


class _Unanswered(BaseException):
    """Lack of an answer; not an error of the command."""


def _asked(address: Address, arguments: Sequence[str]) -> Written | None:
    """Return the answer, or None if there is none."""
    try:
        channel = Channel.to(address)
        try:
            channel.send(b"ask", json.dumps(arguments).encode())
            answer = json.loads(channel.receive(b"answer", ANSWER_S))
            return None if answer is None else Written(**answer)
        finally:
            channel.close()
    except (OSError, ExchangeError, ValueError):
        return None


def _home(arguments: Sequence[str]) -> str:
    """Return the folder of the index that the arguments or the environment name."""
    home = os.environ.get("CODEINTEL_HOME", "")
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for at, argument in enumerate(options):
        if argument.startswith("--home="):
            home = argument.partition("=")[2] or home
        elif argument == "--home":
            home = next(iter(arguments[at + 1 : at + 2]), "") or home
    if not home:
        import platformdirs

        home = platformdirs.user_data_dir("codeintel", appauthor=False)
    return os.path.join(os.getcwd(), os.path.expanduser(home))
