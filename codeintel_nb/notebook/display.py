"""Rich output of results: HTML, Markdown and plain text.

The HTML is readable in untrusted notebooks too. There ``<style>``, ``data-*`` and every
``var(...)`` are stripped; classes, plain colours, tables and relative links stay, and Jupyter's own
theme colours Pygments' classes below ``.highlight``.
"""

from __future__ import annotations

import html
import os
import re
from urllib.parse import quote

import msgspec

from ..output.highlight import MAX_LINES, Spans, segments, shown_language, spans_in
from ..output.plain_text import MAX_LINE_CHARACTERS, caption, clean, location, plain
from ..output.progress import plural
from ..output.wording import in_notebook
from ..scopes.globs import empty_hint
from ..search.hit import Hit, Results
from ..search.query import PathQuery, TextQuery

SHOWN = 10  # hits; `_.show(50)` and slices show others
VENDOR = "application/vnd.codeintel.results+json"


def present(results: Results, shown: int | None = None) -> dict[str, str]:
    """Return the MIME bundle of the first ``shown`` hits."""
    shown = (None if isinstance(results.query, PathQuery) else SHOWN) if shown is None else shown
    hits = results.hits[: shown or 50]
    return {
        "text/plain": plain(results, len(hits)),
        "text/html": _html(results, hits),
        "text/markdown": _markdown(results, hits),
        VENDOR: msgspec.json.decode(
            msgspec.json.encode(msgspec.structs.replace(results, hits=hits, roots={}))
        ),
    }


# HTML


def _html(results: Results, hits: tuple[Hit, ...]) -> str:
    note = html.escape(in_notebook(caption(results, len(hits))))
    if not hits:
        return f"<p><em>{note}</em>{_advice(results)}</p>"
    several = len(results.coverage.repositories) > 1
    rows = "".join(_row(results, hit, several) for hit in hits)
    head = (
        "<th scope='col'>Repository</th>" if several else ""
    ) + "<th scope='col' style='text-align:left'>Where</th>"
    head += (
        ""
        if isinstance(results.query, PathQuery)
        else "<th scope='col' style='text-align:left'>What</th>"
    )
    more = (
        ""
        if len(hits) == len(results.hits)
        else f" · <code>_.show({min(50, len(results.hits))})</code> shows more"
    )
    return (
        f"<table><caption style='text-align:left;white-space:nowrap'>{note}{more}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _advice(results: Results) -> str:
    if results.coverage.files_in_scope == 0 and results.scope:
        hint = html.escape(empty_hint(results.scope.include_globs))
        return (
            f" No file is in scope: <code>{html.escape(results.scope.describe())}</code>. {hint} "
            "<code>%scope clear</code> goes back to the project."
        )
    return ""


def _row(results: Results, hit: Hit, several: bool) -> str:
    repo = (
        f"<td style='text-align:left;vertical-align:top'>{html.escape(clean(hit.repo))}</td>"
        if several
        else ""
    )
    symbol = (
        f"<br><small>{html.escape(hit.kind)} <code>{html.escape(clean(hit.symbol))}</code></small>"
        if hit.symbol
        else ""
    )
    if isinstance(results.query, TextQuery) and results.query.show == "counts":
        symbol = f"<br><small>{plural(round(hit.score), 'line')}</small>"
    where = (
        "<th scope='row' style='text-align:left;vertical-align:top;font-weight:normal'>"
        f"{_link(results, hit)}{symbol}</th>"
    )
    doc = f"<small>{html.escape(clean(hit.doc.partition(chr(10))[0]))}</small>" if hit.doc else ""
    what = (
        ""
        if isinstance(results.query, PathQuery)
        else f"<td style='text-align:left'>{_code(results, hit)}{doc}</td>"
    )
    return f"<tr>{repo}{where}{what}</tr>"


def _link(results: Results, hit: Hit) -> str:
    """Return a notebook-relative link to a hit's line.

    Return plain text if the Jupyter server does not show the file.
    """
    text = html.escape(location(hit))
    target = relative_target(results.roots.get(hit.repo, ""), hit.path)
    if target is None:
        return text
    anchor = (
        "" if hit.path.endswith(".ipynb") or hit.kind == "file" else f"#line={hit.start_line - 1}"
    )
    return f'<a href="{html.escape(quote(target) + anchor)}">{text}</a>'


def relative_target(root: str, path: str) -> str | None:
    """Return the file's path relative to the kernel's folder.

    Return None if the file is outside the folder shown by the Jupyter server.
    """
    if not root:
        return None
    here = os.getcwd()
    shown = os.environ.get("JUPYTER_SERVER_ROOT") or here
    full = os.path.join(root, *path.split("/"))
    try:
        if os.path.commonpath(
            [os.path.realpath(shown), os.path.realpath(full)]
        ) != os.path.realpath(shown):
            return None
        return os.path.relpath(full, here).replace(os.sep, "/")
    except ValueError:  # another drive
        return None


def _code(results: Results, hit: Hit) -> str:
    shown = hit.snippet.split("\n")
    cut = [
        clean(line)[:MAX_LINE_CHARACTERS] + ("…" if len(line) > MAX_LINE_CHARACTERS else "")
        for line in shown[:MAX_LINES]
    ]
    text = "\n".join(cut)
    more = (
        f"\n<small>… {plural(len(shown) - MAX_LINES, 'more line')}</small>"
        if len(shown) > MAX_LINES
        else ""
    )
    return (
        "<div class='highlight' style='background:none'>"
        "<pre style='margin:0;text-align:left;background:none;font-family:monospace'>"
        f"{coloured(text, shown_language(hit), spans_in(results, text))}{more}</pre></div>"
    )


def coloured(text: str, language: str, spans: Spans) -> str:
    """Return HTML with Pygments' classes, and ``<mark>`` around spans."""
    out: list[str] = []
    for css, marked, piece in segments(text, language, spans):
        escaped = html.escape(piece)
        inner = f"<mark>{escaped}</mark>" if marked else escaped
        out.append(f'<span class="{css}">{inner}</span>' if css else inner)
    return "".join(out)


# Markdown


def _markdown(results: Results, hits: tuple[Hit, ...]) -> str:
    parts = [f"*{_escaped(in_notebook(caption(results, len(hits))))}*"]
    for hit in hits:
        target = relative_target(results.roots.get(hit.repo, ""), hit.path)
        name = _escaped(location(hit))
        parts.append(
            f"[{name}]({quote(target)}#line={hit.start_line - 1})" if target else f"**{name}**"
        )
        if hit.snippet:
            lines = "\n".join(
                clean(line)[:MAX_LINE_CHARACTERS] for line in hit.snippet.split("\n")[:MAX_LINES]
            )
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
            parts.append(f"{fence}{shown_language(hit)}\n{lines}\n{fence}")
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
