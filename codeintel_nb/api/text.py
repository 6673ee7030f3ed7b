"""Results and the state of the index as plain text, for terminals and for every place without HTML."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from ..index.report import NOTHING, RepositoryStatus
from ..search.hit import Hit, Results
from ..search.query import PathQuery, SemanticQuery, SymbolQuery, TextQuery
from .progress import duration, size, skipped

MOST_LINES = 6  # of a snippet: ten hits should fit a screen or two
MOST_LINE_CHARACTERS = 240
MOST_PATHS = 10  # named of those left out for one reason
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def plain(results: Results, shown: int | None = None) -> str:
    """The first hits, a line or a few each, and how many there are."""
    hits = results.hits[:shown]
    lines: list[str] = []
    several = len(results.coverage.repositories) > 1
    for hit in hits:
        name = f"{clean(hit.repo)}/{location(hit)}" if several else location(hit)
        if isinstance(results.query, PathQuery):
            lines.append(name)
        elif isinstance(results.query, TextQuery) and results.query.show == "counts":
            lines.append(f"{name.rpartition(':')[0]}: {hit.score:.0f}")
        elif isinstance(results.query, TextQuery) and not results.query.context:
            lines.append(f"{name}: {clean(hit.snippet).strip()[:MOST_LINE_CHARACTERS]}")
        elif isinstance(results.query, SymbolQuery):
            lines.append(f"{name}  {hit.kind} {clean(hit.symbol)}")
            lines += [f"       {clean(text)[:MOST_LINE_CHARACTERS]}" for text in (hit.signature, hit.doc.split("\n")[0]) if text]
        else:
            lines.append(f"{name}  {clean(hit.symbol)}".rstrip())
            lines += [f"  {number:>5}  {text}" for number, text in _numbered(hit)]
    lines.append(f"[{caption(results, len(hits))}]")
    return "\n".join(lines)


def _numbered(hit: Hit) -> Iterable[tuple[int, str]]:
    for offset, line in enumerate(hit.snippet.split("\n")[:MOST_LINES]):
        yield hit.snippet_line + offset, clean(line.expandtabs(4))[:MOST_LINE_CHARACTERS]


def caption(results: Results, shown: int) -> str:
    """How many there are, of what, and how long it took."""
    nouns: tuple[tuple[type, str], ...] = ((PathQuery, "files"), (TextQuery, "matching lines"), (SemanticQuery, "chunks"), (SymbolQuery, "definitions"))
    noun = next((noun for kind, noun in nouns if isinstance(results.query, kind)), "hits")
    show = results.query.show if isinstance(results.query, TextQuery) else "lines"
    if show == "files":
        noun = "files with matches"
    if not results.hits:
        counted = f"no {noun}"
    elif show == "counts":
        counted = f"{shown:,} files shown, {'' if results.total_exact else 'at least '}{results.total:,} {noun}"
    elif not results.total_exact:
        counted = f"{shown:,} of at least {results.total:,} {noun}"
    elif max(results.total, len(results.hits)) > shown:
        counted = f"{shown:,} of {max(results.total, len(results.hits)):,} {noun}"
    else:
        counted = f"{shown:,} {noun}"
    where = results.coverage
    if where.folder:
        within = f"nothing is indexed: {clean(where.folder)} was read as it is"
    else:
        within = f"{where.files_in_scope:,} of {where.files:,} files in scope" if where.files_in_scope != where.files else f"all {where.files:,} files"
    parts = [counted, within]
    if "total" in results.timings_ms:
        parts.append(f"{results.timings_ms['total']:.0f} ms")
    if where.building:
        parts.append(f"{', '.join(where.building)} still being indexed")
    if where.failed:
        parts.append(f"{', '.join(map(clean, where.failed))} cannot be read: codeintel doctor")
    if where.unindexed:
        ignored = isinstance(results.query, TextQuery) and results.query.no_ignore
        parts.append(f"{where.unindexed:,} {'ignored or ' if ignored else ''}newer than the index")
    if where.unwatched:
        parts.append(f"{', '.join(map(clean, where.unwatched))} scanned, as not all folders are watched: codeintel doctor")
    return " · ".join(parts)


def location(hit: Hit) -> str:
    """``path:line``, with the cell where there is one."""
    place = f"{clean(hit.path)}:{hit.start_line}" if hit.kind != "file" else clean(hit.path)
    return f"{place} [cell {hit.cell}]" if hit.cell is not None else place


def clean(text: str) -> str:
    """Text without characters that would move the cursor or turn the direction of writing."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def status_table(repositories: list[RepositoryStatus]) -> list[tuple[str, ...]]:
    """A heading and a row a repository."""
    return [
        ("name", "folder", "files", "chunks", "text", "index", "indexed"),
        *(
            (
                r.name, r.root, f"{r.files:,}", f"{r.chunks:,}", size(r.content_bytes), size(r.index_bytes),
                f"{duration(max(0.0, time.time() - r.indexed_at))} ago" if r.complete else "being indexed",
            )
            for r in repositories
        ),
    ]  # fmt: skip


def status_notes(repositories: list[RepositoryStatus], with_skipped: bool) -> list[str]:
    """What else is to be said: nothing indexed, what was left out."""
    notes = [] if repositories else [NOTHING]
    notes += [f"{r.name} cannot be read: {r.damaged}" for r in repositories if r.damaged]
    for r in repositories if with_skipped else ():
        notes.append(f"{r.name} skipped: {skipped(r.skipped)}")
        for reason, count in sorted(r.skipped.items(), key=lambda item: -item[1]):
            paths = [clean(path) for path in r.examples.get(reason, [])[:MOST_PATHS]]
            more = f" and {count - len(paths):,} more" if count > len(paths) else ""
            if paths:
                notes.append(f"  {reason}: {', '.join(paths)}{more}")
        if r.secrets:
            notes.append(f"{r.name} holds likely secrets, not indexed: {', '.join(r.secrets[:20])}")
    return notes


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines: the first two columns to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
