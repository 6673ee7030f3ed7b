"""Standard streams in any state: of any encoding, closed, or full."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from typing import IO, NamedTuple

_SIGNS = zip("·–—×•‘’“”│─┌┐└┘├┤┬┴┼", "---x*''\"\"|-+++++++++", strict=True)
_PLAIN = {"…": "...", "→": "->", **dict(_SIGNS)}


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace unencodable characters by similar ASCII ones, else by escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = (
        _PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode("ascii") for c in missing
    )
    return "".join(plain), error.end


codecs.register_error("codeintel", _replace)


def print_anything(stream: IO[str] | None) -> None:
    """Make a stream accept every text, whatever its encoding lacks."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
        stream.reconfigure(errors="codeintel")


def takes_all_characters(stream: IO[str] | None) -> bool:
    """Whether a stream's encoding is one of Unicode's."""
    return codecs.lookup(getattr(stream, "encoding", None) or "ascii").name.startswith("utf")


def open_missing_streams() -> bool:
    """Open the null device in place of closed standard streams.

    Otherwise the next file opened would get the number of a closed stream, and receive its output.
    Return whether the standard output was open.
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
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (it stays open)
            setattr(sys, name, stream)
    return was_open


def silence(stream: IO[str] | None, number: int) -> None:
    """Redirect a stream to the null device, where flushing succeeds."""
    handle = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(handle, number)
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        pass
    finally:
        os.close(handle)


FOUND, NONE, ERROR = 0, 1, 2  # exit codes, those of grep


class Written(NamedTuple):
    """Exit code and texts of a command's answer."""

    code: int
    out: str | None = None
    error: str | None = None


class NotWritten(Exception):
    """Failure to write standard output, as on a full disk."""


def emit(text: str) -> None:
    """Print a text and flush it.

    Raises
    ------
    NotWritten : the write failed.
    BrokenPipeError : the reader has closed the pipe.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NotWritten(error.strerror or str(error)) from error


def emit_json(text: str) -> None:
    """Print JSON, escaping characters that the output's encoding may lack."""
    if not text.isascii() and not takes_all_characters(sys.stdout):
        text = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    emit(text)


def emit_written(answer: Written, as_json: bool) -> int:
    """Print an answer, and return its exit code; raises like ``emit``."""
    if answer.out is not None:
        (emit_json if as_json else emit)(answer.out)
    if answer.error is not None:
        print(answer.error, file=sys.stderr)
    return answer.code
