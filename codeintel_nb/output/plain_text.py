"""Results and index status as plain text, for terminals."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from ..index.update.report import NOTHING, RepositoryStatus
from ..search.hit import Hit
from ..search.query import ALIKE, PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ..search.results import ENDED, Coverage, Results
from .progress import duration, plural, size, skipped

MAX_LINES = 6  # of a snippet: ten hits should fit a screen or two
MAX_LINE_CHARACTERS = 240
MAX_ALSO = 3  # places of copies and overloads that are named
MAX_SHARED = 3  # shared repositories named in a caption
MAX_PATHS = 10  # listed for each reason to skip files
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def plain(results: Results, shown: int | None = None) -> str:
    """Return the first hits and their number, as lines."""
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
            lines.append(f"{name}: {around(clean(hit.snippet), hit.column).strip()}")
        elif isinstance(results.query, SymbolQuery):
            lines.append(f"{name}  {hit.kind} {clean(hit.symbol)}")
            lines += [
                f"       {clean(text)[:MAX_LINE_CHARACTERS]}"
                for text in (hit.signature, hit.doc.split("\n")[0])
                if text
            ]
        else:
            lines.append(f"{name}  {clean(hit.symbol)}".rstrip())
            lines += [f"       {clean(also(hit))}"] * bool(hit.also)
            context = results.query.context if isinstance(results.query, TextQuery) else 0
            most = MAX_LINES + 2 * context
            lines += [f"  {number:>5}  {text}" for number, text in _numbered(hit, most)]
            lines += [f"  {line}" for line in repr(hit.why).splitlines()] if hit.why else []
    if results.why_not:
        lines.append(clean(results.why_not))
    lines.append(f"[{caption(results, len(hits))}]")
    return "\n".join(lines)


def also(hit: Hit) -> str:
    """Return the first places folded into a hit: ``also in a.py:3, b.py:9 and 2 more``."""
    more = len(hit.also) - MAX_ALSO
    return f"also in {', '.join(hit.also[:MAX_ALSO])}{f' and {more:,} more' if more > 0 else ''}"


def _numbered(hit: Hit, most: int) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(hit.snippet.split("\n")[:most], hit.snippet_line):
        column = None
        if number == hit.start_line and hit.column is not None:
            column = len(line[: hit.column - 1].expandtabs(4)) + 1
        yield number, around(clean(line.expandtabs(4)), column)


def around(line: str, column: int | None) -> str:
    """Return a line; of a long one, the part around a column (from 1), with the cuts marked."""
    if len(line) <= MAX_LINE_CHARACTERS:
        return line
    width = MAX_LINE_CHARACTERS - 2  # without the marks
    match = 0 if column is None or column > len(line) else column - 1
    begin = 0 if match < width // 2 else min(match - width // 4, len(line) - width)
    end = begin + width
    return f"{'…' if begin else ''}{line[begin:end]}{'…' if end < len(line) else ''}"


NOUNS: tuple[tuple[type, str, str], ...] = (
    (PathQuery, "file", "files"),
    (TextQuery, "match", "matches"),
    (SemanticQuery, "chunk", "chunks"),
    (SymbolQuery, "definition", "definitions"),
)


def counted(results: Results, shown: int) -> str:
    """Return the hit count as text, with the number shown and the number of files."""
    one, many = next(
        ((one, many) for kind, one, many in NOUNS if isinstance(results.query, kind)),
        ("hit", "hits"),
    )
    show = results.query.show if isinstance(results.query, TextQuery) else "lines"
    if show == "files":
        one, many = "file with matches", "files with matches"
    total = results.total if show == "counts" else max(results.total, len(results.hits))
    number = results.total_text(total)
    noun = one if number == "1" else many
    if not results.hits:
        return f"no {many}{'' if results.total_exact else ' so far'}"
    if (
        isinstance(results.query, SymbolQuery)
        and not results.query.is_glob
        and results.hits[0].score <= ALIKE
    ):
        return (
            f"none named {clean(results.query.name)}; {plural(total, 'similar name')}"
            f"{f', {shown:,} shown' if shown < total else ''}"
        )
    if show == "counts":
        return (
            f"{number} {noun} in {'the first ' if results.truncated else ''}"
            f"{len(results.hits):,} {'file' if len(results.hits) == 1 else 'files'}"
        )
    what = f"{number} {noun}" if number == f"{shown:,}" else f"showing {shown:,} of {number} {noun}"
    if one not in ("match", "chunk", "definition") or results.truncated:
        return what
    return f"{what} in {plural(results.files(), 'file')}"


def caption(results: Results, shown: int) -> str:
    """Return a result's caption: hits, files and time."""
    where = results.coverage
    if where.folder:
        within = f"not indexed yet: searched {plural(where.files, 'file')} in {clean(where.folder)}"
    else:
        within = (
            f"{where.files_in_scope:,} of {plural(where.files, 'file')} in scope"
            if where.files_in_scope != where.files
            else f"{'all ' if where.files > 1 else ''}{plural(where.files, 'file')} in scope"
        )
    parts = [counted(results, shown), within]
    if not results.fits:
        parts.insert(0, "nothing fits well")
    if results.reason in ENDED:
        parts.append(ENDED[results.reason])
    if "total" in results.timings_ms:
        parts.append(f"{results.timings_ms['total']:.0f} ms")
    if where.building:
        parts.append(f"{', '.join(map(clean, where.building))} not indexed yet")
    parts += _reasons_by_words(where)
    if where.shared:
        parts.append(_shared(where.shared))
    if where.failed:
        parts.append(f"{', '.join(map(clean, where.failed))} cannot be read: codeintel doctor")
    if where.unindexed and results.scope.kinds:
        parts.append(
            f"{plural(where.unindexed, 'changed file')} left out: "
            "its kinds are known once it is indexed"
            if where.unindexed == 1
            else f"{where.unindexed:,} changed files left out: "
            "their kinds are known once they are indexed"
        )
    elif where.unindexed and not where.folder:
        ignored = isinstance(results.query, TextQuery) and results.query.no_ignore
        # files of an unindexed project are not changed ones
        kind = (
            "file" if where.building else "ignored or changed file" if ignored else "changed file"
        )
        parts.append(f"{plural(where.unindexed, kind)} searched directly")
    if where.unwatched:
        parts.append(
            f"{', '.join(map(clean, where.unwatched))} scanned, "
            "as not all folders are watched: codeintel doctor"
        )
    return " · ".join(parts)


def _shared(versions: dict[str, str]) -> str:
    """Say which state of shared indexes was searched."""
    if len(versions) > MAX_SHARED:
        return f"{len(versions)} shared repositories as indexed: codeintel status"
    return ", ".join(f"{clean(name)} as of {versions[name]}" for name in versions)


def location(hit: Hit) -> str:
    """Return ``path:line``, with the cell if any, safe for terminals."""
    return clean(hit.location)


def clean(text: str) -> str:
    """Replace characters that control the cursor or the writing direction."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _reasons_by_words(where: Coverage) -> list[str]:
    """Return the repositories searched by words alone, grouped by reason."""
    names = dict[str, list[str]]()
    for repo, reason in where.by_words.items():
        names.setdefault(reason, []).append(clean(repo))
    return [f"{', '.join(own)} by words only: {clean(reason)}" for reason, own in names.items()]


def status_table(repositories: list[RepositoryStatus]) -> list[tuple[str, ...]]:
    """Return a heading and one row per repository."""
    return [
        ("name", "folder", "files", "chunks", "text", "index", "indexed"),
        *(
            (
                r.name, r.root, f"{r.files:,}", f"{r.chunks:,}",
                size(r.content_bytes), size(r.index_bytes), state_of(r),
            )
            for r in repositories
        ),
    ]  # fmt: skip


def state_of(status: RepositoryStatus) -> str:
    """Return the index's age, or its first run's state."""
    if status.state == "indexed":
        ago = f"{duration(max(0.0, time.time() - status.indexed_at))} ago"
        return f"{ago}, update stopped" if status.stopped else ago
    return {
        "indexing": "being indexed",
        "stopped": f"stopped {status.stopped.partition(' (')[0]}",
        "unfinished": "not finished",
    }[status.state]


def status_notes(repositories: list[RepositoryStatus], with_skipped: bool) -> list[str]:
    """Return notes on problems with indexes and on skipped files."""
    notes = [] if repositories else [NOTHING]
    notes += [f"{r.name} cannot be read: {r.damaged}" for r in repositories if r.damaged]
    notes += [
        f"{r.name}: its last run was stopped {r.stopped}; codeintel refresh {r.name} resumes it"
        for r in repositories
        if r.stopped
    ]
    notes += [
        f"{r.name}: shared by {r.shared}, which only its owner updates"
        f"{f'; commit {r.commit[:10]}' if r.commit else ''}"
        for r in repositories
        if r.shared
    ]
    notes += [
        f"{r.name}: embedded with {r.embedder} of embedders.toml"
        for r in repositories
        if r.embedder
    ]
    notes += [
        f"{r.name}: its first run did not finish; codeintel refresh {r.name} resumes it"
        for r in repositories
        if r.state == "unfinished" and not r.damaged
    ]
    for r in repositories if with_skipped else ():
        notes.append(f"{r.name} skipped: {skipped(r.skipped)}")
        for reason, count in sorted(r.skipped.items(), key=lambda item: -item[1]):
            paths = [clean(path) for path in r.examples.get(reason, [])[:MAX_PATHS]]
            more = f" and {count - len(paths):,} more" if count > len(paths) else ""
            if paths:
                notes.append(f"  {reason}: {', '.join(paths)}{more}")
        if r.secrets:
            notes.append(f"{r.name}: likely secrets, not indexed: {', '.join(r.secrets[:20])}")
    return notes


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as lines; columns from the third are right-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
