"""Regular expressions parsed by Python, if ripgrep agrees."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

op = _constants  # node kinds of a parsed expression
_SAFE_ESCAPE = re.compile(r"\\(?:[dDwWsSbBAntrfv]|x[0-9a-fA-F]{2}|[^\w\s<>])")
_OTHERWISE_READ = re.compile(r"\\b\{|\[:|&&|--|~~|\[[^\]]*\[|\(\?[a-zA-Z]*x|\(\?[a-zA-Z]*[uULa]")


@lru_cache(256)
def parsed(pattern: str) -> Any:
    """Return Python's parse of an expression.

    None if Python rejects it, or if ripgrep may read it differently.
    """
    if _OTHERWISE_READ.search(pattern) or "\\" in _SAFE_ESCAPE.sub("", pattern):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # FutureWarning: the meaning of a set may change
            return _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError, Warning, MemoryError):
        return None
