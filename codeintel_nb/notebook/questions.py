"""Queries that end in a question mark, which IPython would read as a request for help."""

from __future__ import annotations

import re
from typing import Any

from ..operations.options import positional_of
from ..operations.requests import SqlRequest
from ..operations.table import OPERATIONS

_MAGICS = "|".join(
    [
        "codemap",
        *(
            one.magic
            for one in OPERATIONS
            if one.magic and one.request is not SqlRequest and positional_of(one.request)
        ),
    ]
)
_QUESTION = re.compile(
    rf"(\s*(?:[^=%#]+=\s*)?(?:%time(?:it)?[ \t]+)?%(?:{_MAGICS})[ \t]+\S.*\?)[ \t]*\n?"
)
_QUOTES = re.compile(r"\"{3}|'{3}")


def search_for_questions(shell: Any) -> None:
    """Have the shell search for ``%semsearch where is it?``; ``%semsearch?`` still shows help."""
    if _protected not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(_protected)


def _protected(lines: list[str]) -> list[str]:
    """Append a space to such lines: IPython checks only the last character."""
    if lines and lines[0].startswith("%%"):
        return lines
    shown, quotes = list[str](), 0
    for line in lines:
        match = _QUESTION.fullmatch(line) if quotes % 2 == 0 else None  # not within a string
        shown.append(f"{match[1]} \n" if match else line)
        quotes += len(_QUOTES.findall(line))
    return shown
