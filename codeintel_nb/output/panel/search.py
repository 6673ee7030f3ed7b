"""Rows of a panel's search."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ...errors import CodeIntelError
from ...operations.command_line import magic_of
from ...operations.requests import FileRequest
from ...scopes.globs import plain_glob, within_folder
from ...scopes.scope import Scope
from ...search.hit import Hit
from ...search.lazy_hits import columns_of
from ...search.query import (
    MAX_HITS,
    MAX_RANKED_CHUNKS,
    AnyQuery,
    PathQuery,
    SemanticQuery,
    SymbolQuery,
    TextQuery,
)
from ...search.results import Results
from ..highlight import spans_in
from ..places import is_output, is_prose, place_in_words, short_label, utf16
from ..plain_text import caption, clean, counted
from ..progress import plural
from .client import PanelClient, place
from .messages import Facet, FileRows, Found, PanelSearch, Row

MAX_ROW_CHARACTERS = 300
MEANT = 50  # hits of a search by meaning
LISTED = 10_000  # hits of a search; more on demand
MAX_FACETS = 12
_ICONS = {"jupyter": "notebook", "markdown": "prose", "text": "prose"}
_DATA = {"json", "jsonl", "csv", "yaml", "toml", "xml", "ini"}


class PanelSearches:
    """Cache of the last results, which serve the rows in pages."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._last: OrderedDict[tuple[str, PanelSearch], Results] = OrderedDict()
        self._lock = threading.Lock()

    def found(
        self, client: PanelClient, request: PanelSearch, shown_root: str, session: str
    ) -> Found:
        """Return the rows of a search from its offset on."""
        results = self.results(client, request, session, is_new=not request.offset)
        hits = results.hits[request.offset : request.offset + request.rows]
        following = request.offset + len(hits)
        repos, paths, scores = columns_of(results.hits, ["repo", "path", "score"])
        places = [*zip(repos, paths, strict=True)]
        counts = Counter(places)
        if isinstance(results.query, TextQuery) and results.query.show == "counts":
            counts = Counter(dict(zip(places, map(round, scores), strict=True)))
        maximum = MAX_RANKED_CHUNKS if request.mode == "meaning" else MAX_HITS
        has_more = following < len(results.hits) or (
            results.reason == "limit" and following < maximum
        )
        return Found(
            files=tuple(_files(client, results, hits, counts, shown_root)),
            facets=tuple(_facets(results)) if not request.offset else (),
            total=max(results.total, len(results.hits)),
            summary=summary(results),
            detail=caption(results, len(results.hits)),
            note=_note(results),
            next=following if hits and has_more else None,
            has_several=len(results.coverage.repositories) > 1,
            code=_magic(client, request),
        )

    def results(
        self, client: PanelClient, request: PanelSearch, session: str, is_new: bool = False
    ) -> Results:
        """Return the hits of a search, from the cache as far as they reach."""
        key = session, msgspec.structs.replace(request, offset=0, rows=0)
        with self._lock:
            last = None if is_new else self._last.get(key)
        if last is not None and (request.offset < len(last.hits) or last.reason != "limit"):
            return last
        maximum = MAX_RANKED_CHUNKS if request.mode == "meaning" else MAX_HITS
        limit = LISTED if request.mode != "meaning" else MEANT
        while limit <= request.offset and limit < maximum:
            limit = min(10 * limit, maximum)
        results = _found(client, request, limit)
        with self._lock:
            self._last[key] = results
            self._last.move_to_end(key)
            while len(self._last) > self._most:
                self._last.popitem(last=False)
        return results


def _magic(client: PanelClient, request: PanelSearch) -> str:
    """Return the magic for the same search; of files, those whose names contain the words."""
    query = _query(client, request, 0)
    words = request.query.split()
    if isinstance(query, PathQuery) and words:
        query = msgspec.structs.replace(query, include_globs=(f"*{'*'.join(words)}*",))
    return magic_of(query)


def _query(client: PanelClient, request: PanelSearch, limit: int) -> AnyQuery:
    """Return the query of a panel's search."""
    scope = request.scope
    fields: dict[str, Any] = (
        {} if scope is None else {name: getattr(scope, name) for name in Scope.__struct_fields__}
    )
    if request.include:
        fields["include_globs"] = request.include
    if request.exclude:
        own = client.get_scope().scope if scope is None else scope
        fields["exclude_globs"] = (*own.exclude_globs, *request.exclude)
    limits: dict[str, Any] = {"limit": limit} if limit else {}
    match request.mode:
        case "meaning":
            return SemanticQuery(query=request.query, **limits, **fields)
        case "symbols":
            return SymbolQuery(name=request.query, **limits, **fields)
        case "files":
            return PathQuery(**fields)
    return TextQuery(
        pattern=request.query,
        regex=request.regex,
        word=request.word,
        case=request.case,
        **limits,
        **fields,
    )


def _found(client: PanelClient, request: PanelSearch, limit: int) -> Results:
    results: Results = client.ask(_query(client, request, limit)).results
    if request.mode != "files":
        return results
    hits = _named(results.hits, request.query)
    return msgspec.structs.replace(results, hits=tuple(hits), total=len(hits))


def _named(hits: Sequence[Hit], query: str) -> list[Hit]:
    """Return the files whose paths contain every word; those whose names begin with it first."""
    words = query.lower().split()

    def rank(hit: Hit) -> int:
        path = hit.path.lower()
        name = path.rpartition("/")[2]
        if not all(word in path for word in words):
            return -1
        first = words[0] if words else ""
        return 0 if name.startswith(first) else 1 if first in name else 2

    ranked = [(rank(hit), number, hit) for number, hit in enumerate(hits)]
    return [hit for value, _, hit in sorted(ranked, key=lambda one: one[:2]) if value >= 0]


def summary(results: Results) -> str:
    """Return the number of results and of their files."""
    if isinstance(results.query, PathQuery):
        return plural(len(results.hits), "file")
    return (
        counted(results, len(results.hits))
        .replace(" matches", " results")
        .replace(" match", " result")
    )


def _note(results: Results) -> str:
    """Return why hits are missing; empty if none are."""
    coverage = results.coverage
    notes = []
    if coverage.failed:
        notes.append(f"{', '.join(map(clean, coverage.failed))} cannot be read.")
    notes += [
        f"{clean(repo)} is searched by words only: {clean(reason)}"
        for repo, reason in coverage.by_words.items()
    ]
    if coverage.building and not isinstance(results.query, TextQuery):
        verb = "is" if len(coverage.building) == 1 else "are"
        notes.append(f"{', '.join(map(clean, coverage.building))} {verb} not indexed yet.")
    if results.reason in ("time", "reading", "cancelled"):
        notes.append("The search was stopped early, so results are missing.")
    return " ".join(notes)


def _files(
    client: PanelClient,
    results: Results,
    hits: Sequence[Hit],
    counts: Counter[tuple[str, str]],
    shown_root: str,
) -> list[FileRows]:
    """Group hits by file, in the order of each file's first hit."""
    files, groups = [], dict[tuple[str, str], list[Hit]]()
    for hit in hits:
        groups.setdefault((hit.repo, hit.path), []).append(hit)
    for (repo, path), own in groups.items():
        root = results.roots.get(repo, "")
        rows = (
            ()
            if isinstance(results.query, PathQuery)
            else (_row(client, results, hit) for hit in own)
        )
        files.append(
            FileRows(
                clean(repo),
                clean(path),
                _icon(own[0]),
                place(shown_root, root, path),
                counts[repo, path],
                tuple(rows),
            )
        )
    return files


def _icon(hit: Hit) -> str:
    if hit.path.endswith(".ipynb"):
        return "notebook"
    return "data" if hit.language in _DATA else _ICONS.get(hit.language, "code")


def _row(client: PanelClient, results: Results, hit: Hit) -> Row:
    root = results.roots.get(hit.repo, "")
    line = clean(_telling_line(results, hit))
    if hit.column is not None and hit.column > len(line):  # beyond a truncated snippet
        line = clean(_whole_line(client, hit) or line)
    cut = len(line) - len(line.lstrip())
    if hit.column is not None:
        cut = max(cut, hit.column - 1 - MAX_ROW_CHARACTERS // 2)
    text = line[cut : cut + MAX_ROW_CHARACTERS].rstrip()
    begin = max(0, cut - MAX_ROW_CHARACTERS)  # a match may begin in the margin
    near = line[begin : cut + MAX_ROW_CHARACTERS]
    shift = cut - begin
    spans = ((max(0, a - shift), min(len(text), b - shift)) for a, b in spans_in(results, near))
    return Row(
        line=hit.start_line, end_line=hit.end_line, label=short_label(root, hit),
        where=place_in_words(root, hit), text=text,
        marks=tuple((utf16(text, a), utf16(text, b)) for a, b in spans if a < b),
        symbol=clean(hit.symbol), kind=hit.kind, column=_utf16_column(line, hit), cell=hit.cell,
        cell_line=hit.cell_line, is_prose=is_prose(hit), is_output=is_output(hit),
        also=tuple(map(clean, hit.also)),
    )  # fmt: skip


def _utf16_column(line: str, hit: Hit) -> int | None:
    return None if hit.column is None else utf16(line, hit.column - 1) + 1


def _whole_line(client: PanelClient, hit: Hit) -> str:
    """Return a hit's line from its file; empty if it cannot be read."""
    place = {"repo": hit.repo, "path": hit.path}
    with suppress(CodeIntelError):
        request = FileRequest(**place, start_line=hit.start_line, end_line=hit.start_line)
        text: str = client.ask(request).text
        return text
    return ""


def _telling_line(results: Results, hit: Hit) -> str:
    """Return the line to show of a hit: its match, its signature, or its best line."""
    if hit.signature:
        return hit.signature
    lines = hit.snippet.split("\n")
    if isinstance(results.query, TextQuery):
        return lines[max(0, min(hit.start_line - hit.snippet_line, len(lines) - 1))]
    return max(lines, key=lambda line: (len(spans_in(results, line)), bool(line.strip())))


def _facets(results: Results) -> list[Facet]:
    """Count the hits by language, kind, folder and repository."""
    facets = list[Facet]()
    fields = ["language", "kind", "repo", "path"]
    languages, kinds, repos, paths = columns_of(results.hits, fields)
    for field, values in (
        ("languages", Counter(languages)),
        ("kinds", Counter(kind for kind in kinds if kind != "file")),
        ("repos", Counter(repos)),
    ):
        if len(values) > 1:
            facets += [
                Facet(field, name, clean(name), count)  # type: ignore[arg-type]
                for name, count in values.most_common(MAX_FACETS)
                if name
            ]
    folders = Counter(map(_top_folder, paths))
    if len(folders) > 1:
        facets += [
            Facet(
                "include_globs",
                f"{plain_glob('/' + name)}/**",
                f"{clean(name)}/",
                count,
                within_folder(results.scope.include_globs, name),
            )
            for name, count in folders.most_common(MAX_FACETS)
            if name
        ]
    return facets


def _top_folder(path: str) -> str:
    return path.rpartition("/")[0].partition("/")[0]
