"""Rewording of terminal messages for notebooks and panels."""

from __future__ import annotations

import re

_IN_NOTEBOOK = (
    (re.compile(r"(?<!in a terminal: )\bcodeintel index\b"), "%codeindex add"),
    (re.compile(r"\bcodeintel (refresh|status|watch)\b"), r"%codeindex \1"),
    (re.compile(r"\bcodeintel remove\b"), "%codeindex drop"),
    (re.compile(r"\bcodeintel grep\b"), "%textsearch"),
    (re.compile(r"\bcodeintel search\b"), "%semsearch"),
    (re.compile(r"\bcodeintel symbols\b"), "%symbol"),
    (re.compile(r"\bcodeintel paths\b"), "%paths"),
    (re.compile(r"\bcodeintel sql\b"), "%codesql"),
    (re.compile(r"(?<!!)\bcodeintel (doctor|demo)\b"), r"!codeintel \1"),
)
_IN_PANEL = (
    *_IN_NOTEBOOK,
    (re.compile(r"[Ll]eave out --regex\b"), "switch off .*"),
    (re.compile(r"--limit 0 keeps all"), "%textsearch --limit 0 in a cell keeps all"),
    (
        re.compile(r"\bIndex a folder: %codeindex add PATH"),
        "Use the Index button below, or %codeindex add PATH in a cell",
    ),
)


def in_notebook(message: str) -> str:
    """Return a message with magics in place of commands."""
    return _reworded(message, _IN_NOTEBOOK)


def in_panel(message: str) -> str:
    """Return a message with a panel's buttons in place of options."""
    return _reworded(message, _IN_PANEL)


def _reworded(message: str, words: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, replacement in words:
        message = pattern.sub(replacement, message)
    return message
