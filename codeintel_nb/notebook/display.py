"""Results as rich output: HTML that reads well untrusted, Markdown for GitHub, plain text for a terminal.

In an untrusted notebook ``<style>``, ``data-*`` and every ``var(...)`` are stripped; classes, plain colours, tables
and relative links stay, and Jupyter's own theme colours Pygments' classes below ``.highlight``.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from ..api.text import MOST_LINE_CHARACTERS, caption, clean, location, plain
from ..index.words import FILLERS, stem
from ..search.hit import Hit, Results
from ..search.pattern import compile_pattern, is_lower
from ..search.query import PathQuery, SemanticQuery, TextQuery

SHOWN = 10  # hits; `results.show(50)` and slices show others
MOST_LINES = 14  # of a snippet
_WORD_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
VENDOR = "application/vnd.codeintel.results+json"

Spans = list[tuple[int, int]]


def present(results: Results, shown: int | None = None) -> dict[str, str]:
    """The mimebundle of results, the first ``shown`` hits of them."""
    shown = (None if isinstance(results.query, PathQuery) else SHOWN) if shown is None else shown
    hits = results.hits[: shown or 50]
    return {
        "text/plain": plain(results, len(hits)),
        "text/html": _html(results, hits),
        "text/markdown": _markdown(results, hits),
        VENDOR: msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(results, hits=hits, roots={}))),
    }


# HTML


def _html(results: Results, hits: tuple[Hit, ...]) -> str:
    note = html.escape(caption(results, len(hits)))
    if not hits:
        return f"<p><em>{note}</em>{_advice(results)}</p>"
    several = len(results.coverage.repositories) > 1
    rows = "".join(_row(results, hit, several) for hit in hits)
    head = ("<th scope='col'>Repository</th>" if several else "") + "<th scope='col' style='text-align:left'>Where</th>"
    head += "" if isinstance(results.query, PathQuery) else "<th scope='col' style='text-align:left'>What</th>"
    more = "" if len(hits) == len(results.hits) else f" · see more with <code>results.show({min(50, len(results.hits))})</code>"
    return f"<table><caption style='text-align:left;white-space:nowrap'>{note}{more}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _advice(results: Results) -> str:
    if results.coverage.files_in_scope == 0 and results.scope:
        return f" Nothing is in scope: <code>{html.escape(results.scope.describe())}</code>. Widen it with <code>%scope clear</code>."
    return ""


def _row(results: Results, hit: Hit, several: bool) -> str:
    repo = f"<td style='text-align:left;vertical-align:top'>{html.escape(clean(hit.repo))}</td>" if several else ""
    symbol = f"<br><small>{html.escape(hit.kind)} <code>{html.escape(clean(hit.symbol))}</code></small>" if hit.symbol else ""
    if isinstance(results.query, TextQuery) and results.query.show == "counts":
        symbol = f"<br><small>{hit.score:,.0f} lines</small>"
    where = f"<th scope='row' style='text-align:left;vertical-align:top;font-weight:normal'>{_link(results, hit)}{symbol}</th>"
    what = "" if isinstance(results.query, PathQuery) else f"<td style='text-align:left'>{_code(results, hit)}</td>"
    return f"<tr>{repo}{where}{what}</tr>"


def _link(results: Results, hit: Hit) -> str:
    """A link relative to the notebook, which opens at the line in JupyterLab; plain text where it would lead nowhere."""
    text = html.escape(location(hit))
    target = relative_target(results.roots.get(hit.repo, ""), hit.path)
    if target is None:
        return text
    anchor = "" if hit.cell is not None or hit.kind == "file" else f"#line={hit.start_line - 1}"
    return f'<a href="{html.escape(quote(target) + anchor)}">{text}</a>'


def relative_target(root: str, path: str) -> str | None:
    """The file's path from the kernel's folder, if a Jupyter server that shows the one shows the other too."""
    if not root:
        return None
    here = os.getcwd()
    shown = os.environ.get("JUPYTER_SERVER_ROOT") or here
    full = os.path.join(root, *path.split("/"))
    try:
        if os.path.commonpath([os.path.realpath(shown), os.path.realpath(full)]) != os.path.realpath(shown):
            return None
        return os.path.relpath(full, here).replace(os.sep, "/")
    except ValueError:  # another drive
        return None


def _code(results: Results, hit: Hit) -> str:
    shown = hit.snippet.split("\n")
    cut = [clean(line)[:MOST_LINE_CHARACTERS] + ("…" if len(line) > MOST_LINE_CHARACTERS else "") for line in shown[:MOST_LINES]]
    text = "\n".join(cut)
    more = f"\n<small>… {len(shown) - MOST_LINES} more lines</small>" if len(shown) > MOST_LINES else ""
    return f"<div class='highlight'><pre style='margin:0;text-align:left'>{coloured(text, hit.language, spans_in(results, text))}{more}</pre></div>"


def spans_in(results: Results, text: str) -> Spans:
    """Where the query's matches, or its words, stand in a snippet."""
    query = results.query
    if isinstance(query, TextQuery):
        try:
            pattern = compile_pattern(query)
        except ImportError:  # the engine is the server's alone: a literal can be found without it
            flags = 0 if query.case == "sensitive" or not is_lower(query.pattern, False) else re.IGNORECASE
            return [] if query.regex else [match.span() for match in re.finditer(re.escape(query.pattern), text, flags)]
        if pattern.re2 is None:
            return []
        data = text.encode("utf-8")
        spans = (match.span(pattern.group) for match in pattern.re2.finditer(data))
        return [(len(data[:a].decode("utf-8", "replace")), len(data[:b].decode("utf-8", "replace"))) for a, b in spans if b > a]
    if isinstance(query, SemanticQuery):
        stems = {stem(word) for word in re.findall(r"[a-z]{3,}", query.text.lower()) if word not in FILLERS}
        return [part.span() for part in _WORD_PART.finditer(text) if stem(part[0].lower()) in stems]
    return []


def coloured(text: str, language: str, spans: Spans) -> str:
    """The text as HTML with Pygments' classes and ``<mark>`` around the spans."""
    out: list[str] = []
    for css, marked, piece in segments(text, language, spans):
        escaped = html.escape(piece)
        inner = f"<mark>{escaped}</mark>" if marked else escaped
        out.append(f'<span class="{css}">{inner}</span>' if css else inner)
    return "".join(out)


def segments(text: str, language: str, spans: Spans) -> list[tuple[str, bool, str]]:
    """The text in pieces: Pygments' class of each, whether it is marked, and the piece itself, which is not escaped."""
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
    from pygments.token import STANDARD_TYPES

    found = [(STANDARD_TYPES.get(kind, ""), value) for kind, value in lexer.get_tokens(text)]
    return found if "".join(value for _, value in found) == text else [("", text)]


@lru_cache(32)
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name({"template": "html+jinja", "proto": "protobuf"}.get(language, language), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


# Markdown


def _markdown(results: Results, hits: tuple[Hit, ...]) -> str:
    parts = [f"*{_escaped(caption(results, len(hits)))}*"]
    for hit in hits:
        target = relative_target(results.roots.get(hit.repo, ""), hit.path)
        name = _escaped(location(hit))
        parts.append(f"[{name}]({quote(target)}#line={hit.start_line - 1})" if target else f"**{name}**")
        if hit.snippet:
            lines = "\n".join(clean(line)[:MOST_LINE_CHARACTERS] for line in hit.snippet.split("\n")[:MOST_LINES])
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
            parts.append(f"{fence}{hit.language}\n{lines}\n{fence}")
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
