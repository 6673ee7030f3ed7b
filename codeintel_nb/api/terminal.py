"""Standard streams as they come: in any encoding, closed, or full."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from typing import IO

_PLAIN = {
    "·": "-", "–": "-", "—": "-", "…": "...", "→": "->", "×": "x", "•": "*", "‘": "'", "’": "'", "“": '"', "”": '"', "│": "|", "─": "-", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+",
    "┴": "+", "┼": "+",
}  # fmt: skip


def _replace(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks: like ones of ASCII, else their escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    met = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode("ascii") for c in met), error.end


codecs.register_error("codeintel", _replace)


def print_anything(stream: IO[str] | None) -> None:
    """Let a stream take every text, whatever its encoding lacks."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="codeintel")


def takes_all_characters(stream: IO[str] | None) -> bool:
    """Whether a stream's encoding is one of Unicode's."""
    return codecs.lookup(getattr(stream, "encoding", None) or "ascii").name.startswith("utf")


def open_missing_streams() -> bool:
    """Put the null device in place of closed standard streams; whether the output was open.

    A file that is opened next would have the number of a closed stream, and what is printed would be written into it.
    """
    was_open = sys.stdout is not None
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, mode)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (a standard stream stays open)
    return was_open


def silence(stream: IO[str] | None, number: int) -> None:
    """Send what is left in a stream's buffer to the null device, as the interpreter writes it at its end."""
    handle = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(handle, number)
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        pass
    finally:
        os.close(handle)


class NotWritten(Exception):
    """The standard output took no more: the disk is full, say."""


def emit(text: str) -> None:
    """Print a text, at once.

    Raises
    ------
    NotWritten : the output took less than all of it.
    BrokenPipeError : its reader has gone.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NotWritten(error.strerror or str(error)) from error


def emit_json(text: str) -> None:
    """Print JSON, with escapes in place of what the output's encoding may lack."""
    emit(text if text.isascii() or takes_all_characters(sys.stdout) else "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text))
