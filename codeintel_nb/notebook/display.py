"""Rich output of results: HTML, Markdown and plain text.

The HTML is readable in untrusted notebooks too. There ``<style>``, ``data-*`` and every
``var(...)`` are stripped; classes, plain colours, tables and relative links stay, and Jupyter's own
theme colours Pygments' classes below ``.highlight``.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter
from urllib.parse import quote, urlencode

import msgspec

from ..operations.command_line import magic_of
from ..operations.options import positional_of
from ..operations.wire import to_wire
from ..output.highlight import (
    MAX_LINES,
    Spans,
    segments,
    shown_language,
    spans_in,
    telling_lines,
)
from ..output.places import facts_of, is_hidden, is_output, is_prose, place_in_words, utf16
from ..output.plain_text import also, around, caption, clean, location, plain
from ..output.progress import plural
from ..output.wording import in_notebook
from ..scopes.globs import empty_hint
from ..search.hit import Hit
from ..search.query import PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ..search.results import Results
from ..sources.notebooks.cell_facts import cell_picture
from .score_bars import score_bars

SHOWN = 10  # hits in plain text and Markdown; slices and `_.show(50)` show others
SHOWN_HTML = 200  # hits in HTML, where files are folded
MAX_HTML_LINES = 1_500  # of all hits with their context, as notebooks store them
OPEN_FILES = 3  # not folded
MAX_PICTURE_BYTES = 40_000  # of a thumbnail, as base64
MAX_PICTURES_BYTES = 300_000  # of all of one output
FRAGMENT = "codeintel"  # of links that the extension of JupyterLab reads
_LEFT = "text-align:left"
_COMMENT = ' style="color:inherit;opacity:0.8"'  # readable in both themes of Jupyter
_NOUNS: dict[type, str] = {TextQuery: "line", SymbolQuery: "definition"}
VENDOR = "application/vnd.codeintel.results+json"


def present(results: Results, shown: int | None = None) -> dict[str, str]:
    """Return the MIME bundle of the first ``shown`` hits."""
    is_list = isinstance(results.query, PathQuery)
    hits = results.hits[: shown or (50 if is_list else SHOWN)]
    lines = 1 + 2 * results.query.context if isinstance(results.query, TextQuery) else 1
    shown_hits = results.hits[: shown or max(SHOWN, min(SHOWN_HTML, MAX_HTML_LINES // lines))]
    return {
        "text/plain": plain(results, len(hits)),
        "text/html": _html(results, shown_hits),
        "text/markdown": _markdown(results, hits),
        VENDOR: msgspec.json.decode(to_wire(msgspec.structs.replace(results, hits=hits, roots={}))),
    }


# HTML


def _html(results: Results, hits: tuple[Hit, ...]) -> str:
    note = html.escape(in_notebook(caption(results, len(hits))))
    if not hits:
        reason = html.escape(clean(results.why_not))
        return f"<p><em>{note}</em>{_advice(results)} {reason}</p>"
    more = (
        ""
        if len(hits) == len(results.hits)
        else f" · <code>_.show({min(1000, len(results.hits))})</code> shows more"
    )
    head = f"<div style='text-align:left'>{note}{more}{_toolbar(results)}</div>"
    if results.why_not:
        head += f"<p style='text-align:left'>{html.escape(clean(results.why_not))}</p>"
    if isinstance(results.query, PathQuery) or _is_counts(results):
        return head + _table_of_files(results, hits)
    pictures = Pictures()
    return head + "".join(
        _file(results, group, number < OPEN_FILES, pictures)
        for number, group in enumerate(_by_file(hits).values())
    )


_MODES = {TextQuery: "text", SemanticQuery: "meaning", SymbolQuery: "symbols", PathQuery: "files"}


def _toolbar(results: Results) -> str:
    """Return links for the extension: to a new cell with these results, or to the panel.

    Empty outside of Jupyter.
    """
    query = results.query
    if query is None or not os.environ.get("JUPYTER_SERVER_ROOT"):
        return ""
    line = magic_of(msgspec.structs.replace(query, timeout_s=None))  # that is the setting's
    links = {} if "\n" in line else {"DataFrame": "frame", "Markdown": "markdown", "map": "map"}
    actions = {name: {"do": "cell", "as": kind, "magic": line} for name, kind in links.items()}
    positional = positional_of(type(query))
    text = getattr(query, positional) if positional else ""
    panel = {"do": "panel", "mode": _MODES[type(query)], "query": text}
    if isinstance(query, TextQuery):
        switches = {"regex": query.regex, "word": query.word, "case": query.case == "sensitive"}
        panel["switches"] = ",".join(name for name, is_on in switches.items() if is_on)
    actions["panel"] = panel
    return "".join(
        f' · <a href="#{FRAGMENT}&amp;{html.escape(urlencode(fields))}">{name}</a>'
        for name, fields in actions.items()
    )


def _is_counts(results: Results) -> bool:
    return isinstance(results.query, TextQuery) and results.query.show == "counts"


def _by_file(hits: tuple[Hit, ...]) -> dict[tuple[str, str], list[Hit]]:
    """Group hits by file, in the order of each file's first hit."""
    groups = dict[tuple[str, str], list[Hit]]()
    for hit in hits:
        groups.setdefault((hit.repo, hit.path), []).append(hit)
    return groups


def _advice(results: Results) -> str:
    if results.coverage.files_in_scope == 0 and results.scope:
        hint = html.escape(empty_hint(results.scope.include_globs))
        return (
            f" No file is in scope: <code>{html.escape(results.scope.describe())}</code>. {hint} "
            "<code>%scope clear</code> goes back to the project."
        )
    return ""


def _table_of_files(results: Results, hits: tuple[Hit, ...]) -> str:
    """Return a row per file; with counts, those with most matches first."""
    is_counts = _is_counts(results)
    several = len(results.coverage.repositories) > 1
    ordered = sorted(hits, key=lambda hit: -hit.score) if is_counts else list(hits)
    heads = [*(["Matches"] if is_counts else []), "File", *(["Repository"] if several else [])]
    rows = []
    for hit in ordered:
        name = _linked(html.escape(clean(hit.path)), _target(results, hit))
        cells = [f"<th scope='row' style='{_LEFT};font-weight:normal'>{name}</th>"]
        if is_counts:
            cells.insert(0, f"<td style='text-align:right'>{hit.score:,.0f}</td>")
        if several:
            cells.append(f"<td style='{_LEFT}'>{html.escape(clean(hit.repo))}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th scope='col' style='{_LEFT}'>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _file(results: Results, hits: list[Hit], is_open: bool, pictures: Pictures) -> str:
    """Return a file's hits below its name, which folds them."""
    folder, _, name = hits[0].path.rpartition("/")
    repo = f"{clean(hits[0].repo)} " if len(results.coverage.repositories) > 1 else ""
    summary = (
        f"<b>{html.escape(clean(name))}</b> <small>{html.escape(repo + clean(folder))}</small> "
        f"<small>({plural(len(hits), _NOUNS.get(type(results.query), 'hit'))})</small>"
    )
    rows = "".join(_row(results, hit, pictures) for hit in hits)
    table = f"<table style='margin:2px 0 6px 0'><tbody>{rows}</tbody></table>"
    opened = " open" if is_open else ""
    return f"<details{opened}><summary style='{_LEFT}'>{summary}</summary>{table}</details>"


def _row(results: Results, hit: Hit, pictures: Pictures) -> str:
    root = results.roots.get(hit.repo, "")
    place = _linked(html.escape(place_in_words(root, hit)), _target(results, hit))
    symbol = ""
    if hit.symbol and not isinstance(results.query, TextQuery) and not is_output(hit):
        symbol = f"<br><small>{html.escape(hit.kind)} {html.escape(clean(hit.symbol))}</small>"
    doc = f"<small>{html.escape(clean(hit.doc.partition(chr(10))[0]))}</small>" if hit.doc else ""
    if hit.also:
        title = html.escape(clean(", ".join(hit.also)))
        doc += f"<small title='{title}'>{html.escape(clean(also(hit)))}</small>"
    return (
        f"<tr><th scope='row' style='{_LEFT};vertical-align:top;font-weight:normal;"
        f"white-space:nowrap'>{place}{symbol}</th>"
        f"<td style='{_LEFT}'>{_code(results, hit)}{doc}{pictures.of(root, hit)}"
        f"{score_bars(hit.why) if hit.why else ''}</td></tr>"
    )


def _linked(text: str, target: str | None) -> str:
    return text if target is None else f'<a href="{html.escape(target)}">{text}</a>'


def _target(results: Results, hit: Hit) -> str | None:
    """Return a link to a hit, as ``target_of`` does."""
    fields: dict[str, object] = {"line": hit.start_line}
    if hit.cell is not None:
        fields["cell"] = hit.cell
        if not is_output(hit):
            fields["cell_line"] = hit.cell_line or 1
    if hit.column is not None:
        start, end = next(iter(spans_in(results, hit.snippet)), (0, 0))
        before = hit.snippet[: hit.column - 1]
        fields["column"] = utf16(before, len(before)) + 1
        fields["length"] = utf16(hit.snippet, end) - utf16(hit.snippet, start)
    root = results.roots.get(hit.repo, "")
    return target_of(root, hit.repo, hit.path, {} if hit.kind == "file" else fields)


def target_of(root: str, repo: str, path: str, fields: Mapping[str, object]) -> str | None:
    """Return a link to a file: relative to the notebook, or to a read-only view.

    JupyterLab opens ``#line=``; the extension reads the other fragments. None for a file of an
    unknown place.
    """
    relative = relative_target(root, path)
    if relative is None:
        if not root or not os.environ.get("JUPYTER_SERVER_ROOT"):
            return None
        view = {"repo": repo, "view": path, "line": fields.get("line", 1)}
        return f"#{FRAGMENT}&{urlencode(view)}"
    if not fields:
        return quote(relative)
    if not path.endswith(".ipynb"):
        return f"{quote(relative)}#line={int(str(fields['line'])) - 1}"
    return f"{quote(relative)}#{FRAGMENT}&{urlencode(fields)}"


def row_target(roots: dict[str, str], row: dict[str, object]) -> str | None:
    """Return a link to the file of a row of SQL, by its columns; None without its repository."""
    repo = str(row["repo"]) if "repo" in row else next(iter(roots)) if len(roots) == 1 else ""
    names = {"start_line": "line", "line": "line", "cell": "cell"}
    fields = {
        names[name]: value
        for name, value in row.items()
        if name in names and isinstance(value, int)
    }
    if "cell" in fields:
        fields["line"] = fields.get("line", 1)
    return target_of(roots.get(repo, ""), repo, str(row["path"]), fields)


def relative_target(root: str, path: str) -> str | None:
    """Return the file's path relative to the kernel's folder.

    Return None if the file is outside the folder shown by the Jupyter server.
    """
    if not root:
        return None
    here = os.getcwd()
    if "JUPYTER_SERVER_ROOT" in os.environ and is_hidden(path):
        return None  # Jupyter does not open hidden files
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
    prose = is_prose(hit)
    language = "text" if prose or is_output(hit) else shown_language(hit)
    parts = []
    for is_string, group in groupby(telling_lines(results, hit), attrgetter("is_string")):
        text = "\n".join(_cut(line.text) for line in group)
        parts.append(coloured(text, "text" if is_string else language, spans_in(results, text)))
    font = "inherit" if prose else "monospace"
    return (
        "<div class='highlight' style='background:none'>"
        f"<pre style='{_LEFT};margin:0;background:none;white-space:pre-wrap;word-break:normal;"
        f"overflow-wrap:normal;font-family:{font}'>" + "\n".join(parts) + "</pre></div>"
    )


def _cut(line: str) -> str:
    return around(clean(line), None)


class Pictures:
    """Thumbnails of cells' plots: each cell's once, up to a total size."""

    def __init__(self) -> None:
        self._left = MAX_PICTURES_BYTES
        self._shown = set[tuple[str, str, int]]()

    def of(self, root: str, hit: Hit) -> str:
        """Return the thumbnail below a hit; empty if its cell has none."""
        if facts_of(root, hit) is None or hit.cell is None or hit.kind == "markdown":
            return ""
        key = hit.repo, hit.path, hit.cell
        if key in self._shown or not self._left:
            return ""
        self._shown.add(key)
        path = os.path.join(root, *hit.path.split("/"))
        picture = cell_picture(path, hit.cell, min(MAX_PICTURE_BYTES, self._left))
        if picture is None:
            return ""
        mime, data = picture
        self._left -= len(data)
        source = html.escape(f"data:{mime};base64,{data}")
        return f'<img src="{source}" alt="output of the cell" style="max-height:6em">'


def coloured(text: str, language: str, spans: Spans) -> str:
    """Return HTML with Pygments' classes, and ``<mark>`` around spans."""
    out: list[str] = []
    for css, marked, piece in segments(text, language, spans):
        escaped = html.escape(piece)
        inner = f"<mark>{escaped}</mark>" if marked else escaped
        style = _COMMENT if css.startswith("c") else ""
        out.append(f'<span class="{css}"{style}>{inner}</span>' if css else inner)
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
        if hit.also:
            parts[-1] += f" {_escaped(clean(also(hit)))}"
        if hit.snippet:
            context = results.query.context if isinstance(results.query, TextQuery) else 0
            most = MAX_LINES + 2 * context
            match = hit.start_line - hit.snippet_line
            lines = "\n".join(
                around(clean(line), hit.column if number == match else None)
                for number, line in enumerate(hit.snippet.split("\n")[:most])
            )
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
            parts.append(f"{fence}{shown_language(hit)}\n{lines}\n{fence}")
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
