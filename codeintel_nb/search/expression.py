"""Regular expressions as Python parses them, where ripgrep reads them the same."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

op = _constants  # names of the parts of a parsed expression
_SAFE_ESCAPE = re.compile(r"\\(?:[dDwWsSbBAntrfv]|x[0-9a-fA-F]{2}|[^\w\s<>])")
_OTHERWISE_READ = re.compile(r"\\b\{|\[:|&&|--|~~|\[[^\]]*\[|\(\?[a-zA-Z]*x|\(\?[a-zA-Z]*[uULa]")


@lru_cache(256)
def parsed(pattern: str) -> Any:
    """The parts of an expression; None where it cannot be read, or may be read otherwise than here."""
    if _OTHERWISE_READ.search(pattern) or "\\" in _SAFE_ESCAPE.sub("", pattern):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of sets that are read otherwise some day
            return _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError, Warning, MemoryError):
        return None
