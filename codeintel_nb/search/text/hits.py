"""Hits of a text search, built from matches: lines, columns, snippets and symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Any

import msgspec
import numpy as np

from ...index.shard.arrays import Array
from ...index.shard.id_lists import Ids
from ...index.shard.shard import KINDS
from ..cells import cell_lines
from ..hit import FIELDS, Hit, path_order
from ..lazy_hits import FileKey, LazyHits
from ..mask import NAMED
from ..query import TextQuery
from .kind_ranges import line_kinds
from .matches import Match
from .pattern import compile_pattern
from .searchable import Searchable

MAX_SNIPPET_CHARACTERS = 2000  # of a line
MAX_MATCH_LINES = 14  # of a match in context
_MAX_BYTES = 4 * MAX_SNIPPET_CHARACTERS + 4  # enough for them in UTF-8


class TextMatches:
    """Matches of a text search in one shard, in path and line order."""

    def __init__(
        self,
        shard: Searchable,
        repo: str,
        places: list[Match],
        query: TextQuery,
        counts: list[float] | None = None,
    ) -> None:
        self.repo = repo
        self._shard, self._query = shard, query
        # a row per match, in half the time of np.array
        numbers = np.fromiter(chain.from_iterable(places), np.int64, 4 * len(places))
        self._places = numbers.reshape(-1, 4)
        self._counts = counts  # scores of files, if the query asks for counts

    def __len__(self) -> int:
        return len(self._places)

    def repos(self) -> set[str]:
        return {self.repo}

    def hits(self, begin: int, end: int) -> list[Hit]:
        """Build a range of hits, column by column for speed."""
        if begin == end:
            return []
        columns = self._columns(begin, end)
        return list(map(Hit, *(getattr(columns, name) for name in FIELDS)))

    def columns(self, names: Sequence[str], begin: int, end: int) -> list[list[Any]]:
        """Return columns of a range of hits."""
        count = end - begin
        if not count:
            return [[] for _ in names]
        columns = self._columns(begin, end)
        return [
            [*islice(getattr(columns, name), count)]
            if name in FIELDS
            else [() if name == "also" else None] * count
            for name in names
        ]

    def file_runs(self) -> list[tuple[FileKey, int]]:
        """Return the sort key of each file with matches, and its first match."""
        files = self._columns(0, len(self)).files
        begins = np.flatnonzero(np.diff(files, prepend=-1))
        return [
            (path_order(self.repo, self._shard.paths[file]), begin)
            for file, begin in zip(files[begins].tolist(), begins.tolist(), strict=True)
        ]

    def file_key(self, number: int) -> FileKey:
        """Return the sort key of a match's file."""
        (file,) = self._columns(number, number + 1).files.tolist()
        return path_order(self.repo, self._shard.paths[file])

    def _columns(self, begin: int, end: int) -> _Columns:
        counts = None if self._counts is None else self._counts[begin:end]
        return _Columns(self._shard, self.repo, self._places[begin:end], self._query, counts)


class _Columns:
    """Columns of hits, each computed on access."""

    def __init__(
        self,
        shard: Searchable,
        repo: str,
        places: Ids,
        query: TextQuery,
        counts: list[float] | None,
    ) -> None:
        self._shard, self._query, self._counts = shard, query, counts
        self._places = places  # a row per match
        self.repo = repeat(repo)
        self.signature = self.doc = repeat("")

    @cached_property
    def _begins(self) -> list[int]:
        return self._place(0)

    @cached_property
    def _ends(self) -> list[int]:
        return self._place(1)

    @cached_property
    def _numbers(self) -> list[int]:
        return self._place(3)

    def _place(self, number: int) -> list[int]:
        values: list[int] = self._places[:, number].tolist()
        return values

    @cached_property
    def chunks(self) -> Ids:
        begins = self._places[:, 0].astype(np.uint64)
        chunks: Ids = self._shard.chunk_start.searchsorted(begins, "right") - 1
        return chunks

    @cached_property
    def files(self) -> Ids:
        return self._shard.chunk_file[self.chunks].astype(np.int64)

    @property
    def path(self) -> list[str]:
        return self._of_files(self._shard.paths.__getitem__)

    @property
    def revision(self) -> list[str]:
        return self._of_files(self._shard.revision)

    def _of_files(self, value_of: Callable[[int], str]) -> list[str]:
        files, which = np.unique(self.files, return_inverse=True)
        return _take([value_of(file) for file in files.tolist()], which)

    @property
    def language(self) -> list[str]:
        return _take(self._shard.languages, self._shard.chunk_language[self.chunks])

    @cached_property
    def start_line(self) -> list[int]:
        """Return each line's number in its file.

        An unknown number is counted from the start of its chunk, or from the previous match.
        """
        shard, files = self._shard, self.files
        if self._places[:, 3].all():
            numbers: list[int] = (self._places[:, 3] - shard.lines_before[files]).tolist()
            return numbers
        count, counted, line, lines = shard.view.count, -1, 0, list[int]()
        columns = (
            self._numbers,
            shard.lines_before[files].tolist(),
            shard.chunk_start[self.chunks].tolist(),
            shard.chunk_line[self.chunks].tolist(),
        )
        for begin, number, lines_before, chunk_start, chunk_line in zip(
            self._begins, *columns, strict=True
        ):
            if number:
                line, counted = number - lines_before, begin
            else:
                if chunk_start > counted:
                    counted, line = chunk_start, chunk_line
                if begin != counted:
                    line += count(b"\n", counted, begin)
                    counted = begin
            lines.append(line)
        return lines

    @property
    def end_line(self) -> list[int]:
        if not compile_pattern(self._query).multiline:
            return self.start_line
        count = self._shard.view.count
        return [
            line + count(b"\n", begin, end)
            for line, begin, end in zip(self.start_line, self._begins, self._ends, strict=True)
        ]

    @property
    def score(self) -> Iterable[float]:
        """Return a file's count; in a ranked search 2 for a definition's line, else 1."""
        if self._counts is not None:
            return self._counts
        if not self._query.rank:
            return repeat(1.0)
        places = zip(self.files.tolist(), self.start_line, strict=True)
        return [2.0 if self._shard.defines(*place) else 1.0 for place in places]

    @cached_property
    def _cells(self) -> Array:
        return self._shard.chunk_cell[self.chunks]

    @property
    def cell(self) -> Iterable[int | None]:
        if (self._cells < 0).all():
            return repeat(None)
        return [None if cell < 0 else cell for cell in self._cells.tolist()]

    @property
    def cell_line(self) -> Iterable[int | None]:
        if (self._cells < 0).all():
            return repeat(None)
        return cell_lines(self._shard, self.chunks.tolist(), self.start_line)

    @property
    def symbol(self) -> list[str]:
        return self._symbols[0]

    @property
    def kind(self) -> list[str]:
        return self._symbols[1]

    @cached_property
    def _symbols(self) -> tuple[list[str], list[str]]:
        """Return each line's symbol and its kind.

        In a chunk of definitions, it is the innermost definition around the line.
        """
        shard, chunks = self._shard, self.chunks
        named = shard.chunk_kind[chunks] < NAMED
        around, kinds = line_kinds(shard, chunks, self.files, np.array(self.start_line))
        numbers, which = np.unique(around, return_inverse=True)
        symbols = _take(shard.symbol_labels(numbers), which)
        by_chunk = chunks[~named].tolist()
        of_chunk = {chunk: shard.label(chunk) for chunk in set(by_chunk)}
        for i, chunk in zip(np.flatnonzero(~named).tolist(), by_chunk, strict=True):
            symbols[i] = of_chunk[chunk]
        return symbols, _take(KINDS, kinds)

    @property
    def snippet(self) -> list[str]:
        if self._query.context:
            return [text for text, _ in self._in_context]
        return self._texts[0]

    @property
    def snippet_line(self) -> list[int]:
        if not self._query.context:
            return self.start_line
        return [
            line - above for line, (_, above) in zip(self.start_line, self._in_context, strict=True)
        ]

    @cached_property
    def _in_context(self) -> list[tuple[str, int]]:
        lines = zip(self.files.tolist(), self._begins, self._ends, strict=True)
        return [_snippet(self._shard, *line, self._query.context) for line in lines]

    @property
    def column(self) -> list[int]:
        return self._texts[1]

    @cached_property
    def _texts(self) -> tuple[list[str], list[int]]:
        """Return truncated lines, and the matches' columns in characters."""
        content = self._shard.content
        begins, starts = self._places[:, 0], self._places[:, 2]
        ends = np.minimum(self._places[:, 1], begins + _MAX_BYTES)
        texts = [*map(content.__getitem__, map(slice, begins.tolist(), ends.tolist()))]
        together = b"\0".join(texts)
        shown = _text(together).split("\0")
        if len(shown) > len(texts):  # a notebook's text may contain NUL
            shown = [_text(text) for text in texts]
        longest = int((ends - begins).max())
        if longest > MAX_SNIPPET_CHARACTERS or b"\r" in together:
            shown = [text.rstrip("\r")[:MAX_SNIPPET_CHARACTERS] for text in shown]
        columns = (starts - begins + 1).tolist()
        if longest == _MAX_BYTES or not together.isascii():
            for number, text in enumerate(texts):
                if len(text) == _MAX_BYTES or not text.isascii():
                    columns[number] = len(_text(content[begins[number] : starts[number]])) + 1
        return shown, columns


def _take(values: Sequence[str], which: Ids) -> list[str]:
    """Return the values at some indexes."""
    picked: list[str] = np.array(values, object)[which].tolist()
    return picked


def ranked(hits: LazyHits, most: int, limit: int) -> list[Hit]:
    """Rank the first ``most`` hits: definitions, then files with many matches.

    The others follow in path order, so the first hits are the same for every limit.
    """
    others = hits[most:limit]
    hits = hits.first(most)
    repos, paths, own = hits.columns(["repo", "path", "score"])
    places = [*zip(repos, paths, strict=True)]
    in_file = Counter(places)
    scores = [
        score + in_file[place] / (10 + in_file[place])
        for score, place in zip(own, places, strict=True)
    ]
    best = np.argsort(-np.array(scores), kind="stable")[:limit].tolist()
    ranks = [msgspec.structs.replace(hits[at], score=scores[at]) for at in best]
    last = min(scores, default=0.0)
    return ranks + [msgspec.structs.replace(hit, score=last) for hit in others]


def _snippet(shard: Searchable, file: int, start: int, stop: int, context: int) -> tuple[str, int]:
    """Return the lines with context, and how many are above."""
    content = shard.content
    first, end = int(shard.file_start[file]), int(shard.file_start[file + 1])
    above = 0
    for _ in range(context):
        if start <= first:
            break
        start = max(first, shard.view.rfind(b"\n", first, start - 1) + 1)
        above += 1
    for _ in range(context):
        if stop + 1 >= end:
            break
        stop = shard.view.find(b"\n", stop + 1, end)
    lines = _text(content[start:stop]).split("\n", 2 * context + MAX_MATCH_LINES)
    shown = lines[: 2 * context + MAX_MATCH_LINES]
    return "\n".join(line.rstrip("\r")[:MAX_SNIPPET_CHARACTERS] for line in shown), above


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
