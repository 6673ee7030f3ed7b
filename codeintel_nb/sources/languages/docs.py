"""Documentation of definitions: first paragraphs of comments or docstrings."""

from __future__ import annotations

import re
from typing import Any

MAX_DOC = 300  # maximum length of a definition's documentation, in characters
MAX_READ = 4 * MAX_DOC  # bytes of a comment, searched for its first paragraph
# parts of the types of leading nodes with documentation; others are decorators and the like
_SAYING = ("comment", "haddock", "string")
_APART = re.compile(rb"[ \t\r]*\n[ \t\r]*\n[ \t]*[^\s/]")
_OF_FILE = re.compile(rb"@file|@license|@module|@package|[Cc]opyright|SPDX")


class Docs:
    """Documentation of a file's definitions: comments above, or docstrings."""

    def __init__(self, content: bytes, leading: list[Any], inside: list[Any]) -> None:
        """Take nodes with documentation, before definitions and inside them, in their order."""
        self._content = content
        self._by_end: dict[int, Any] = {}  # by row
        for node in leading:
            (row, column), begin = node.end_point, node.start_byte
            current = self._by_end.setdefault(row - (column == 0), node)
            # some grammars divide a comment into nodes
            if current is not node and begin < current.start_byte:
                self._by_end[row - (column == 0)] = node
            if (
                content.startswith(b"/**", begin)
                and _APART.match(content, node.end_byte)
                and not _OF_FILE.search(content, begin, node.end_byte)
            ):
                # it documents the definition after the empty line
                self._by_end[row + 1] = node
        self.rows = {row: node.start_point[0] for row, node in self._by_end.items()}
        self._inside: dict[int, Any] = {}
        for node in inside:  # an f-string has several parts
            self._inside.setdefault(node.parent.parent.parent.parent.id, node)

    def of(self, node: Any) -> str:
        if docstring := self._inside.get(node.id):
            return _said([text_of(docstring, self._content, MAX_READ)])
        row, parts = node.start_point[0] - 1, list[str]()
        if row not in self._by_end:
            return ""
        while (
            (lead := self._by_end.get(row)) is not None
            and lead.start_byte < node.start_byte
            and self._is_alone(lead)
        ):
            text = text_of(lead, self._content, MAX_READ)
            if any(mark in lead.type for mark in _SAYING) or text.startswith("@doc"):
                parts.append(text.removeprefix("@doc").lstrip("( "))
            row = min(row, lead.start_point[0]) - 1
        return _said(parts[::-1])

    def _is_alone(self, node: Any) -> bool:
        """Whether a node's lines have no other text."""
        before = self._content[self._content.rfind(b"\n", 0, node.start_byte) + 1 : node.start_byte]
        behind = (
            self._content[node.end_byte : self._content.find(b"\n", node.end_byte)]
            if node.end_point[1]
            else b""
        )
        return not before.strip() and not behind.strip()


_MARK = re.compile(
    r"^\s*(?:/\*+!?|\*+/|\*(?!\*)|//[/!]*|#+[':!]?|--+ ?[|^]?|\(\*+|\*+\)|;+|%+|<!--|\{-+\|?"
    r"|\"{1,3}|~[sS]\"{1,3})?[ \t]?"
)
# C#'s documentation tags
_TAG = re.compile(r"</?(?:summary|remarks|returns|para|inheritdoc|value|exception|param)\b[^>]*>")
_MARK_END = re.compile(r"\s*(?:\*+/|\*+\)|-->|-\}|\"{1,3})?\s*$")


def _said(parts: list[str]) -> str:
    """Return the first paragraph of documentation, without comment marks."""
    lines, length = list[str](), 0
    for line in (line for part in parts for line in part.strip().split("\n")):
        plain = _MARK_END.sub("", _MARK.sub("", line))
        if "<" in plain:
            plain = _TAG.sub("", plain)
        if plain:
            lines.append(plain)
            length += len(plain) + 1
        if length > MAX_DOC or (lines and not plain):
            break
    return "\n".join(lines).strip()[:MAX_DOC].rstrip()


def comment_above(text: str, begin: int, mark: str = "--") -> str:
    """Return the first paragraph of the comment directly above a place."""
    lines = text[max(0, begin - 4 * MAX_READ) : begin].split("\n")[:-1]
    if lines and lines[-1].rstrip().endswith("*/"):
        block = "\n".join(lines)
        return _said([block[block.rfind("/*") :]]) if "/*" in block else ""
    first = len(lines)
    while first and lines[first - 1].lstrip().startswith(mark):
        first -= 1
    return _said(["\n".join(lines[first:])])


def text_of(node: Any, content: bytes, most: int | None = None) -> str:
    end = node.end_byte if most is None else min(node.end_byte, node.start_byte + most)
    return content[node.start_byte : end].decode("utf-8", "replace")
