"""Answers as a terminal's command writes them."""

from __future__ import annotations

import json
import math
from typing import Any

from ..operations.answers import SearchAnswer
from ..operations.wire import to_wire
from ..search.results import Results
from ..search.table import Table
from .plain_text import plain
from .terminal import FOUND, NONE, Written


def written(answer: Any, as_json: bool) -> Written:
    """Return what a command writes for an answer."""
    if isinstance(answer, SearchAnswer):
        return _results(answer.results, as_json)
    if isinstance(answer, Table):
        text = json.dumps(_finite(answer.to_dicts()), default=str) if as_json else str(answer)
        return Written(FOUND if len(answer) else NONE, text)
    return Written(FOUND, to_wire(answer).decode() if as_json else str(answer))


def _finite(value: Any) -> Any:
    """Replace numbers that JSON lacks, such as NaN, by null."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _results(results: Results, as_json: bool) -> Written:
    code = FOUND if results.hits else NONE
    if as_json:
        return Written(code, results.to_json())
    text = plain(results)
    return Written(code, text) if results.hits else Written(code, error=text)
