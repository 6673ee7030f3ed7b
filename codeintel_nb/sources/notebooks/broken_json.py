"""A lenient JSON reader: merge conflicts, trailing commas, truncated files."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_CHARACTERS = 20_000_000  # larger files are searched as text
MAX_DEPTH = 200
_TOKEN = re.compile(
    r"[\s\ufeff]+|//[^\n]*|/\*.*?\*/"  # blanks and comments
    r'|(?P<string>"(?:[^"\\\n]|\\.)*"?)'
    r"|(?P<mark>[{}\[\]:,])"
    r"|(?P<word>[-+.\w]+)"
    r"|.",
    re.S,
)
_MERGE_MARKS = re.compile(r"^(?:<{7}(?: .*)?|\|{7}(?: .*)?|={7}|>{7}(?: .*)?)\r?$")
_WORDS = {"true": True, "false": False, "null": None}


def read_broken_json(text: str) -> Any:
    """Parse JSON leniently; None if nothing can be recovered."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _Reader(text).read()


def merge_sides(text: str) -> tuple[str, str] | None:
    """Split conflicting text into both sides; None without conflict markers.

    The common ancestor of diff3-style markers is dropped.
    """
    sides: tuple[list[str], list[str]] = ([], [])
    current: tuple[int, ...] = (0, 1)
    marks = 0
    for line in text.split("\n"):
        mark = line[0] if line[:1] in ("<", "|", "=", ">") and _MERGE_MARKS.match(line) else ""
        if mark == "<":
            current = (0,)
        elif mark == "|" and current == (0,):
            current = ()
        elif mark == "=" and current != (0, 1):
            current = (1,)
        elif mark == ">" and current != (0, 1):
            current = (0, 1)
        else:
            for side in current:
                sides[side].append(line)
            continue
        marks += 1
    return ("\n".join(sides[0]), "\n".join(sides[1])) if marks else None


class _Reader:
    """Single-pass reader; containers still open at the end count as complete."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.finditer(text)
        self._open: list[Any] = []
        self._keys: list[str | None] = []  # for each open container, a key without its value yet
        self._root: Any = None

    def read(self) -> Any:
        pending: str | None = None  # a string in an object, perhaps a key
        for token in self._tokens:
            kind, text = token.lastgroup, token[0]
            if kind is None:
                continue
            in_object = bool(self._open) and isinstance(self._open[-1], dict)
            if kind == "mark":
                if text == ":" and in_object and pending is not None:
                    self._keys[-1], pending = pending, None
                    continue
                pending = None
                if text in "{[":
                    self._begin({} if text == "{" else [])
                elif text in "}]":
                    self._end(dict if text == "}" else list)
            elif kind == "string" and in_object and self._keys[-1] is None:
                pending = _string(text)
            else:
                pending = None
                self._add(_string(text) if kind == "string" else _word(text))
        return self._root

    def _begin(self, container: Any) -> None:
        if len(self._open) < MAX_DEPTH:
            self._add(container)
            self._open.append(container)
            self._keys.append(None)

    def _end(self, kind: type) -> None:
        """Close the innermost container of a kind; ignore an unmatched bracket."""
        if any(isinstance(one, kind) for one in self._open[1:]):
            while not isinstance(self._open.pop(), kind):
                self._keys.pop()
            self._keys.pop()

    def _add(self, value: Any) -> None:
        if not self._open:
            if self._root is None:
                self._root = value
            return
        holder, key = self._open[-1], self._keys[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif key is not None:
            self._keys[-1] = None
            holder[key] = value
        elif (
            isinstance(value, dict)
            and isinstance(self._root, dict)
            and isinstance(self._root.get("cells"), list)
        ):
            self._root["cells"].append(value)  # after an extra closing bracket


def _string(text: str) -> str:
    body = text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:]
    try:
        return str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        return body


def _word(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except ValueError:
        return text
