"""Exit codes and error messages of commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence

from ..errors import CodeIntelError
from ..output.terminal import (
    ERROR,
    FOUND,
    NotWritten,
    emit_json,
    open_missing_streams,
    print_anything,
    silence,
)


def prepare_streams() -> bool:
    """Make the standard streams take any text; return whether the output was open."""
    was_open = open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        print_anything(stream)
    return was_open


def in_utf8(arguments: Sequence[str]) -> list[str]:
    """Decode arguments as UTF-8, regardless of the locale."""
    decoded = []
    for argument in arguments:
        try:
            decoded.append(os.fsencode(argument).decode())
        except UnicodeError:  # not UTF-8: rejected where it is used
            decoded.append(argument)
    return decoded


def guarded(run: Callable[[], int], was_open: bool, as_json: bool) -> int:
    """Run a command; return its exit code, or print why it failed."""
    try:
        code = run()
        return (
            code
            if was_open
            else _failed("The output is closed, so the answer cannot be written.", as_json)
        )
    except CodeIntelError as error:
        return _failed(str(error), as_json)
    except KeyboardInterrupt:
        return _failed("Interrupted.", as_json)
    except MemoryError:
        return _failed(
            "Out of memory. Narrow the scope, or give this process more memory.", as_json
        )
    except BrokenPipeError:  # the reader, such as head, has seen enough
        silence(sys.stdout, 1)
        return FOUND
    except NotWritten as error:
        silence(sys.stdout, 1)  # JSON cannot be written either
        return _failed(
            f"The answer cannot be written: {error}. Free some space, or redirect the output.",
            as_json=False,
        )
    except Exception as error:  # a bug: not 1, which means nothing found
        if os.environ.get("CODEINTEL_DEBUG"):
            raise
        return _failed(
            f"{type(error).__name__}: {error}. This is a bug in codeintel. "
            "Set CODEINTEL_DEBUG=1 to see the traceback.",
            as_json,
        )


def _failed(message: str, as_json: bool) -> int:
    try:
        if as_json:
            emit_json(json.dumps({"error": message}))
    except (NotWritten, OSError):
        silence(sys.stdout, 1)
    try:
        print(f"codeintel: {message}", file=sys.stderr)
    except OSError:
        silence(sys.stderr, 2)
    return ERROR
