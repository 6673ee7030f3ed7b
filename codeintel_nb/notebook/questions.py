"""Queries that end in a question mark, which IPython would read as a request for help."""

from __future__ import annotations

import re
from typing import Any

from ..operations.options import positional_of
from ..operations.requests import SqlRequest
from ..operations.table import OPERATIONS

_MAGICS = "|".join(
    one.magic
    for one in OPERATIONS
    if one.magic and one.request is not SqlRequest and positional_of(one.request)
)
_QUESTION = re.compile(rf"(\s*(?:[\w, ]+=\s*)?%(?:{_MAGICS})[ \t]+\S.*\?)[ \t]*\n?")


def search_for_questions(shell: Any) -> None:
    """Have the shell search for ``%semsearch where is it?``; ``%semsearch?`` still shows help."""
    if _protected not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(_protected)


def _protected(lines: list[str]) -> list[str]:
    """Append a blank to such lines: IPython looks for a question mark at the end alone."""
    if lines and lines[0].startswith("%%"):
        return lines
    return [f"{match[1]} \n" if (match := _QUESTION.fullmatch(line)) else line for line in lines]
