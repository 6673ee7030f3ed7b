"""Magics as text: the line that makes a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import SearchError
from ..search.request import Request
from .options import OUT, Option, options_of, parse_line, positional_of
from .table import operation_of

_ASSIGNMENT = re.compile(r"\s*\w+\s*<<")


def magic_of(request: Request[Any]) -> str:
    """Return the line, or the cell, of the magic for a request.

    Raises
    ------
    ValueError : the operation has no magic, or a value cannot be written.
    """
    operation = operation_of(request)
    positional = positional_of(operation.request)
    words = [f"%{operation.magic}"]
    defaults = {field.name: field.default for field in msgspec.structs.fields(operation.request)}
    written = set[str]()
    for option in options_of(operation.request):
        value = getattr(request, option.field)
        if option.is_hidden or option.field in written or value == defaults[option.field]:
            continue
        if option.kind == "flag" and value != option.const:
            continue
        written.add(option.field)
        words += _words(option, value)
    text = getattr(request, positional) if positional else ""
    if any(character in text for character in "\r\u2028\u2029"):
        text = " ".join(text.split())
    # IPython reads a line that ends in ? as a question for help
    is_cell = "\n" in text or (text.endswith("?") and '"' in text and "'" in text)
    if is_cell:
        return "\n".join([f"%{' '.join(words)}", text])
    return " ".join([*words, *_text(text, (*options_of(operation.request), OUT))])


def _words(option: Option, value: Any) -> list[str]:
    flag = option.flags[0]
    if option.kind == "flag":
        return [flag]
    values = value if isinstance(value, (list, tuple)) else [value]
    if option.kind == "list" and not values:
        return [flag, "''"]
    return [word for one in values for word in (flag, quoted(str(one)))]


def quoted(value: str) -> str:
    """Return a value as one word of a line.

    A line cannot hold both kinds of quotes beside a blank. Such a value is a glob, so ``?`` takes
    the place of a double quote.
    """
    if value and value[0] not in "'\"" and not any(character in value for character in " \t"):
        return value
    if '"' in value and "'" in value:
        value = value.replace('"', "?")
    return f"'{value}'" if "'" not in value else f'"{value}"'


def _text(text: str, options: Sequence[Option]) -> list[str]:
    """Return the query, protected where it would be read otherwise."""
    if not text:
        return []
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if text != text.strip() or is_quoted or text.endswith("?"):
        text = f'"{text}"' if '"' not in text else f"'{text}'"
        return ["--", text]
    if _ASSIGNMENT.match(text):  # `x << 2` would store the results of `2` as x
        return ["--", text]
    try:
        is_plain = parse_line(text, options, raw=True) == ({}, text)
    except SearchError:  # read as an option
        is_plain = False
    return [text] if is_plain else ["--", text]
