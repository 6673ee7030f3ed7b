"""Snippets split into coloured and marked pieces, for all interfaces."""

from __future__ import annotations

import ast
import re
import textwrap
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from ..embedding.words import FILLERS, stem
from ..search.hit import Hit
from ..search.query import SemanticQuery, SymbolQuery, TextQuery
from ..search.results import Results
from ..search.text.pattern import compile_pattern, is_lower
from .plain_text import around

MAX_LINES = 14  # of a snippet
_WORD_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

Spans = list[tuple[int, int]]


def spans_in(results: Results, text: str) -> Spans:
    """Return the spans of the query's matches or words."""
    query = results.query
    if isinstance(query, TextQuery):
        try:
            pattern = compile_pattern(query)
        except ImportError:  # only the server has the engine: a literal is found without
            flags = (
                0
                if query.case == "sensitive" or not is_lower(query.pattern, False)
                else re.IGNORECASE
            )
            return (
                []
                if query.regex
                else [match.span() for match in re.finditer(re.escape(query.pattern), text, flags)]
            )
        if pattern.re2 is None:
            return []
        data = text.encode("utf-8")
        spans = (match.span(pattern.group) for match in pattern.re2.finditer(data))
        return [
            (len(data[:a].decode("utf-8", "replace")), len(data[:b].decode("utf-8", "replace")))
            for a, b in spans
            if b > a
        ]
    if isinstance(query, SymbolQuery):
        name = re.split(r"[.:#]", query.name)[-1].strip("*?")
        return (
            [match.span() for match in re.finditer(re.escape(name), text, re.IGNORECASE)]
            if name
            else []
        )
    if isinstance(query, SemanticQuery):
        stems = {
            stem(word)
            for word in re.findall(r"[a-z]{3,}", query.query.lower())
            if word not in FILLERS
        }
        return [part.span() for part in _WORD_PART.finditer(text) if stem(part[0].lower()) in stems]
    return []


BEST_LINES = 2  # of a hit by meaning, besides its first line


class ShownLine(NamedTuple):
    """Line that shows a hit."""

    text: str
    is_string: bool = False  # of a string that began before the snippet: a docstring's middle


LEFT_OUT = ShownLine("…", is_string=True)


def telling_lines(results: Results, hit: Hit) -> list[ShownLine]:
    """Return the lines that show a hit.

    Of a hit by meaning, these are its definition's, its first one and the best others.
    """
    lines = hit.snippet.split("\n")
    strings = _lines_in_string(hit, lines)
    if isinstance(results.query, TextQuery):  # with as much context as the query asks for
        match = hit.start_line - hit.snippet_line
        return [
            ShownLine(around(line, hit.column if number == match else None), number < strings)
            for number, line in enumerate(lines[: MAX_LINES + 2 * results.query.context])
        ]
    shown = [ShownLine(line, number < strings) for number, line in enumerate(lines)]
    if not isinstance(results.query, SemanticQuery) or len(lines) <= BEST_LINES + 2:
        return shown[:MAX_LINES]
    out = [ShownLine(hit.signature)] if hit.signature else []
    first = [] if out else [next((i for i, line in enumerate(lines) if _is_telling(line)), 0)]
    scores = [
        (len({line[a:b].lower() for a, b in spans_in(results, line)}), -number, number)
        for number, line in enumerate(lines)
        if number not in first and _is_telling(line)
    ]
    best = [number for score, _, number in sorted(scores, reverse=True) if score][:BEST_LINES]
    chosen = sorted({*first, *(best or range(len(lines))[1 : 1 + BEST_LINES])})
    for before, number in zip([-1, *chosen], chosen, strict=False):
        if out and number > before + 1:
            out.append(LEFT_OUT)
        out.append(shown[number])
    return [*out, LEFT_OUT] if chosen[-1] < len(lines) - 1 else out


def _lines_in_string(hit: Hit, lines: list[str]) -> int:
    """Return how many lines of a Python snippet belong to a string that began before it."""
    if hit.language != "python" or not hit.signature or hit.kind in ("markdown", "text"):
        return 0
    for quotes in ('"""', "'''"):
        if hit.snippet.count(quotes) % 2:
            return next(number for number, line in enumerate(lines) if quotes in line) + 1
    try:
        ast.parse(textwrap.dedent(hit.snippet))
    except (SyntaxError, ValueError):
        return len(lines) if '"""' not in hit.snippet else 0
    return 0


def _is_telling(line: str) -> bool:
    """Whether a line is more than a decorator, a rule or quotes."""
    text = line.strip()
    return bool(text) and not text.startswith("@") and text.strip("\"'#/*-=~_ ") != ""


def without_margin(text: str, spans: Spans) -> tuple[str, Spans]:
    """Return the text without its common indentation, and the shifted spans."""
    lines = text.split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    # of each line: its old start, the number of characters removed, its new start
    places, at, to = list[tuple[int, int, int]](), 0, 0
    for line in lines:
        gone = min(margin, len(line))
        places.append((at, gone, to))
        at, to = at + len(line) + 1, to + len(line) - gone + 1

    def moved(offset: int) -> int:
        begin, gone, begins = places[bisect_right(places, (offset, len(text), len(text))) - 1]
        return begins + max(0, offset - begin - gone)

    shifted = [(moved(start), moved(stop)) for start, stop in spans]
    return "\n".join(line[margin:] for line in lines), [
        (start, stop) for start, stop in shifted if stop > start
    ]


_LEXERS = {
    "template": "html+jinja", "proto": "protobuf", "vb": "vb.net", "apex": "java",
    "lisp": "common-lisp", "wolfram": "wolfram", "roff": "groff", "assembly": "nasm", "coq": "coq",
    "starlark": "python", "typst": "typst", "hcl": "terraform", "jsonl": "json",
}  # fmt: skip


def shown_language(hit: Hit) -> str:
    """Return the language for highlighting a hit."""
    if hit.kind == "markdown":
        return "markdown"
    return "text" if hit.kind == "text" and hit.cell is not None else hit.language


def segments(text: str, language: str, spans: Spans) -> list[tuple[str, bool, str]]:
    """Split the text into (Pygments class, marked, unescaped text) pieces."""
    marks = sorted(spans)
    out: list[tuple[str, bool, str]] = []
    at = 0
    for css, value in _tokens(text, language):
        out += [(css, marked, piece) for piece, marked in _cut(value, at, marks)]
        at += len(value)
    return out


def _cut(value: str, at: int, marks: Spans) -> Iterable[tuple[str, bool]]:
    """Split a token at the edges of the marks."""
    end, position = at + len(value), at
    for start, stop in marks:
        if stop <= position or start >= end:
            continue
        if start > position:
            yield value[position - at : start - at], False
            position = start
        reach = min(stop, end)
        yield value[position - at : reach - at], True
        position = reach
    if position < end:
        yield value[position - at :], False


def _tokens(text: str, language: str) -> Iterable[tuple[str, str]]:
    lexer = _lexer(language)
    if lexer is None:
        return [("", text)]
    from pygments.token import STANDARD_TYPES, Error

    # a snippet may be cut anywhere: what the lexer cannot read is no error
    tokens = [
        ("" if kind is Error else STANDARD_TYPES.get(kind, ""), value)
        for kind, value in lexer.get_tokens(text)
    ]
    return tokens if "".join(value for _, value in tokens) == text else [("", text)]


@lru_cache(32)
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(_LEXERS.get(language, language), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
