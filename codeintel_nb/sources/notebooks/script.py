"""Script and Part, shared by all readers of scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Range of rows (``end`` exclusive), and code for the parser."""

    kind: str  # code, markdown or raw; empty outside cells
    begin: int
    end: int
    code: Sequence[bytes]  # one line per row
    number: int | None = None
    language: str = ""  # empty: the script's
    databricks: bool = False


class Script(NamedTuple):
    """A script's lines, without newlines, and its comment prefix."""

    lines: list[bytes]
    language: str
    comment: bytes

    def uncommented(self, lines: Iterable[bytes]) -> list[bytes]:
        """Strip the comment prefix from lines."""
        size = len(self.comment)
        return [
            line[size + line.startswith(b" ", size) :] if line.startswith(self.comment) else line
            for line in lines
        ]

    def is_comment(self, row: int) -> bool:
        return self.lines[row].startswith(self.comment)

    def is_blank(self, row: int) -> bool:
        return not self.lines[row].strip()


def joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def is_empty(lines: Iterable[bytes]) -> bool:
    return not any(line.strip() for line in lines)


def header_end(script: Script) -> int:
    """Return the header's end, after ``#!``, encoding and commented YAML."""
    lines, row = script.lines, 0
    while row < min(3, len(lines)) and re.match(
        rb"#!|\S+[ \t]*-\*-.*coding|\S+ (?:en)?coding[:=]", lines[row]
    ):
        row += 1
    mark = script.comment + b" ---"
    if row < len(lines) and lines[row].rstrip() == mark:
        for end in range(row + 1, len(lines)):
            if lines[end].rstrip() == mark:
                return end + 1
            if not script.is_comment(end):
                break
    return row
