"""Lines around a row of a panel's search, and whole files for a read-only view."""

from __future__ import annotations

from ...operations.requests import FileRequest
from ...search.file_text import FileText
from ...search.hit import Hit
from ...search.results import Results
from ..highlight import segments, shown_language, spans_in
from ..places import facts_of, is_output, is_prose, place_in_words
from ..plain_text import MAX_LINE_CHARACTERS, clean
from .client import PanelClient, root_of
from .messages import PanelPreview, PanelText, Preview, Text

ABOVE, BELOW = 3, 6  # lines around a match
MAX_LINES = 18


def preview_of(client: PanelClient, request: PanelPreview, results: Results) -> Preview:
    """Return the lines around a row, with its matches marked."""
    hit = _hit_of(results, request)
    last = min(request.end_line, request.line + MAX_LINES) + BELOW
    file: FileText = client.ask(
        FileRequest(
            repo=request.repo,
            path=request.path,
            start_line=max(1, request.line - ABOVE),
            end_line=last,
        )
    )
    first = file.start_line
    texts = file.text.split("\n")[: MAX_LINES + ABOVE]
    if hit is not None and hit.cell is not None and hit.cell_line is not None:
        begin = request.line - hit.cell_line + 1
        end = _end_of_cell(results, hit, begin)
        texts = texts[max(0, begin - first) : None if end is None else max(1, end - first)]
        first = max(first, begin)
    shown = "\n".join(clean(line)[:MAX_LINE_CHARACTERS] for line in texts)
    language = file.language if hit is None else shown_language(hit)
    lines = list[tuple[int, tuple[tuple[str, bool, str], ...]]]()
    line = list[tuple[str, bool, str]]()
    for css, marked, piece in segments(shown, language, spans_in(results, shown)):
        for number, part in enumerate(piece.split("\n")):
            if number:
                lines.append((first + len(lines), tuple(line)))
                line = []
            if part:
                line.append((css, marked, part))
    lines.append((first + len(lines), tuple(line)))
    where = f"line {request.line}"
    if hit is not None:
        where = place_in_words(results.roots.get(hit.repo, ""), hit)
        if hit.symbol:
            where += f" · {clean(hit.symbol)}"
    return Preview(where, tuple(lines), hit is not None and is_prose(hit))


def _end_of_cell(results: Results, hit: Hit, begin: int) -> int | None:
    """Return the line after a hit's cell, from the notebook file; None if it cannot be read."""
    facts = facts_of(results.roots.get(hit.repo, ""), hit)
    if facts is None or is_output(hit):
        return None
    return begin + facts.lines


def _hit_of(results: Results, request: PanelPreview) -> Hit | None:
    return next(
        (
            hit
            for hit in results.hits
            if (hit.start_line, hit.cell) == (request.line, request.cell)
            and clean(hit.path) == request.path
            and clean(hit.repo) == request.repo
        ),
        None,
    )


def text_of(client: PanelClient, request: PanelText) -> Text:
    """Return a file's text as it is now."""
    file: FileText = client.ask(FileRequest(repo=request.repo, path=request.path))
    root = root_of(client, file.repo, file.path)
    return Text(file.repo, file.path, file.language, file.text, root)
