"""Text search in files new or changed since indexing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from stringzilla import Str

from ...errors import SourceError
from ...index.shard.arrays import Mask
from ...index.shard.id_lists import Ids
from ...index.shard.postings import Postings
from ...index.shard.shard import KINDS
from ...index.shard.text_flags import IS_ASCII, IS_ILL_FORMED, is_plain, long_chunks, reader_flags
from ...scopes.globs import PathMatcher
from ...scopes.languages import NOTEBOOK, depends_on_text, is_notebook, language_of
from ...scopes.scope import Scope
from ...sources.chunk import Document
from ...sources.opening import TRANSIENT
from ...sources.repository import WORKTREE
from ...sources.source import Reader, Source
from ...sources.walk import FileStat
from ..lazy_hits import EagerHits
from ..mask import ScopeMask, chunks_of_languages
from ..query import MAX_HITS, Bounds, TextQuery
from .matches import MatchCollector
from .pattern import compile_pattern
from .plan import TextPlan, plan_text
from .reader import TextAnswer, read, search_text
from .ripgrep import files_with_matches

FIRST_BATCH, MAX_IN_BATCH = 32, 2_048  # files; the first batch is enough for a common pattern
FEW = 64  # files read directly, without rg as a prefilter
MAX_FILES = 200_000
MAX_TEXT_BYTES = 500  # kept per match for lazy hits; above it, built hits take less memory
# languages of files with cells, perhaps in other languages
_WITH_CELLS = frozenset({"notebook", "markdown", "python", "r", "julia", "scala", "sql"})


class UnindexedTarget(NamedTuple):
    """Current files of a repository, in path order."""

    repo: str
    source: Source
    files: tuple[FileStat, ...] | None  # None: all
    scope: Scope
    no_ignore: bool = False  # of all files: ignored ones too

    def listed(self) -> Iterable[FileStat]:
        """Return the files, listing them now if they are all."""
        return self.source.files(no_ignore=self.no_ignore) if self.files is None else self.files


class UnindexedFiles:
    """Documents in memory, searchable like a shard.

    A document is one chunk; one with cells has a chunk per cell.
    """

    folder: Path | None = None
    postings: Postings | None = None
    symbol_kind = np.zeros(0, np.uint8)
    mixed_blocks = np.zeros(0, bool)

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        self.content = b"".join(document.content for document in documents)
        self.view = Str(self.content)
        self.size = len(self.content)
        self.paths = [document.path for document in documents]
        self.file_start = np.cumsum([0, *(len(document.content) for document in documents)]).astype(
            np.uint64
        )
        # not needed: rg never scans these files as a whole
        self.lines_before = np.zeros(len(documents), np.int64)
        self.file_flags = np.array([reader_flags(document) for document in documents], np.uint8)
        chunks = [
            (file, chunk) for file, document in enumerate(documents) for chunk in document.chunks
        ]
        self.file_chunk = np.searchsorted(
            [file for file, _ in chunks], np.arange(len(documents) + 1)
        ).astype(np.uint32)
        self.chunk_file = np.array([file for file, _ in chunks], np.uint32)
        self.chunk_line = np.array([chunk.start_line for _, chunk in chunks], np.uint32)
        self.chunk_kind = np.array([KINDS.index(chunk.kind) for _, chunk in chunks], np.uint8)
        self.chunk_cell = np.array(
            [-1 if chunk.cell is None else chunk.cell for _, chunk in chunks], np.int32
        )
        self.languages = sorted(
            {language for document in documents for language in _languages(document)}
        )
        numbers = {language: number for number, language in enumerate(self.languages)}
        self.file_language = np.array(
            [numbers[document.language] for document in documents], np.uint8
        )
        self.chunk_language = np.array(
            [numbers[chunk.language or documents[file].language] for file, chunk in chunks],
            np.uint8,
        )
        self.chunk_start = np.array([*self._chunk_starts(), self.size], np.uint64)

    def _chunk_starts(self) -> Iterator[int]:
        for begin, document in zip(self.file_start.tolist(), self._documents, strict=False):
            lines = document.content.split(b"\n") if len(document.chunks) > 1 else []
            for i, chunk in enumerate(document.chunks):
                yield begin
                if i + 1 < len(document.chunks):
                    begin += sum(
                        len(line) + 1 for line in lines[chunk.start_line - 1 : chunk.end_line]
                    )

    @cached_property
    def is_ascii(self) -> bool:
        return is_plain(self.content)

    @cached_property
    def ascii_chunks(self) -> Mask:
        ascii_only: Mask = (self.file_flags & IS_ASCII).astype(bool)[self.chunk_file]
        return ascii_only

    @cached_property
    def ill_formed_chunks(self) -> Mask:
        flagged: Mask = (self.file_flags & IS_ILL_FORMED).astype(bool)[self.chunk_file]
        return flagged

    def long_chunks(self, whole_files: bool) -> Mask | None:
        return long_chunks(self.chunk_start, self.file_start, self.chunk_file)[whole_files]

    def language(self, file: int) -> str:
        return self._documents[file].language

    def revision(self, file: int) -> str:
        return WORKTREE

    def label(self, chunk: int) -> str:
        return ""

    def symbol_labels(self, numbers: Ids) -> list[str]:
        return [""] * len(numbers)

    def definitions_around(self, files: Ids, lines: Ids) -> Ids:
        return np.full(len(files), -1)

    def defines(self, file: int, line: int) -> bool:
        return False


class UnindexedAnswer(NamedTuple):
    """Result of a search in unindexed files."""

    answers: list[TextAnswer]
    files_read: int
    bytes_left: int  # of ``count_bytes``


def search_unindexed(
    target: UnindexedTarget,
    query: TextQuery,
    limit: int,
    bounds: Bounds,
    count_bytes: int,
    look_bytes: int,
) -> UnindexedAnswer:
    """Return answers in path order, with up to ``limit`` hits.

    Further lines are counted in the first ``count_bytes``. After that the search looks for one
    more in ``look_bytes``. It stops after ``MAX_FILES`` files.
    """
    answers: list[TextAnswer] = []
    hits = files_read = 0
    for batch in _batches(_named_in_scope(target)):
        if bounds.reached():
            return UnindexedAnswer(
                [*answers, TextAnswer(None, 0, ended=True)], files_read, count_bytes
            )
        has_looked = query.show != "counts" and hits >= limit and count_bytes < -look_bytes
        if files_read > MAX_FILES or has_looked:
            return UnindexedAnswer(
                [*answers, TextAnswer(None, 0, unread=True)], files_read, count_bytes
            )
        candidates = (
            batch
            if len(batch) <= FEW
            else _matching_files(target.source.folder, batch, query, bounds)
        )
        documents = _documents(target, candidates)
        files_read += len(batch) - len(candidates) + len(documents)
        counted_bytes, count_bytes = count_bytes, count_bytes - sum(stat.size for stat in batch)
        files = UnindexedFiles(documents)
        plan = plan_text(files, target.repo, _mask(files, target.scope), query)
        if plan is not None:
            count_end = plan.count_end(counted_bytes)
            answer = search_text(plan, query, max(0, limit - hits), bounds, count_end)
            matches = answer.matches
            if matches is not None and files.size > MAX_TEXT_BYTES * answer.found:
                answer = answer._replace(matches=EagerHits(matches.hits(0, answer.found)))
            answers.append(answer)
            hits += answer.found
            if answers[-1].rest is not None:
                answers.append(_count(answers[-1].rest, query, bounds, count_end))
            if answers[-1].more or answers[-1].ended:
                break
    return UnindexedAnswer(answers, files_read, count_bytes)


def _count(plan: TextPlan, query: TextQuery, bounds: Bounds, count_end: int) -> TextAnswer:
    """Count matching lines up to an offset; seek one more."""
    head, tail = plan.cut(count_end)
    collector = MatchCollector(plan.shard, query, MAX_HITS)
    if read(head, query, collector, bounds):
        return TextAnswer(None, collector.total, ended=True)
    one_more = MatchCollector(plan.shard, query, 1)
    ended = read(tail, query, one_more, bounds)
    return TextAnswer(
        None, collector.total, more=bool(one_more.matches), ended=ended, unread=collector.full
    )


def _languages(document: Document) -> Iterator[str]:
    yield document.language
    yield from (chunk.language for chunk in document.chunks if chunk.language)


def _mask(files: UnindexedFiles, scope: Scope) -> ScopeMask:
    """Return a scope's language mask; its globs are already applied."""
    count = len(files.paths)
    if not scope.languages or not count:
        return ScopeMask(None, None, count, len(files.chunk_file))
    chunks = chunks_of_languages(files, scope.languages)
    with_chunks = np.bincount(files.chunk_file[chunks], minlength=count) > 0
    return ScopeMask(with_chunks, chunks, int(with_chunks.sum()), int(chunks.sum()), chunks)


def _batches(files: Iterator[FileStat]) -> Iterator[list[FileStat]]:
    size = FIRST_BATCH
    while batch := list(islice(files, size)):
        yield batch
        size = min(MAX_IN_BATCH, 4 * size)


def _named_in_scope(target: UnindexedTarget) -> Iterator[FileStat]:
    """Yield files that may be in scope, judging by name."""
    scope = target.scope
    matcher = PathMatcher(scope.include_globs, scope.exclude_globs)
    for stat in target.listed():
        if matcher.admits(stat.path) and (
            not scope.languages or _may_contain(stat.path, scope.languages)
        ):
            yield stat


def _may_contain(path: str, languages: Collection[str]) -> bool:
    """Whether a path may contain code in one of ``languages``."""
    language = language_of(path)
    return (
        language in languages
        or language in _WITH_CELLS
        or depends_on_text(path)
        or (NOTEBOOK in languages and is_notebook(path))
    )


def _documents(target: UnindexedTarget, files: Iterable[FileStat]) -> list[Document]:
    with target.source.open() as reader:
        max_bytes = target.source.settings.max_file_bytes
        documents = (_document(reader, max_bytes, stat.path) for stat in files)
        return [document for document in documents if document is not None]


def read_document(target: UnindexedTarget, path: str) -> Document | None:
    """Return the current document; None if gone or not indexable."""
    with target.source.open() as reader:
        return _document(reader, target.source.settings.max_file_bytes, path)


def _document(reader: Reader, max_bytes: int, path: str) -> Document | None:
    from ...sources.document import plain_document, refusal  # with all readers of notebooks

    try:
        data, _ = reader.read(path)
    except (OSError, SourceError) as error:
        if isinstance(error, OSError) and error.errno in TRANSIENT:
            raise
        return None  # replaced since it was listed: the next comparison reports it
    document = plain_document(path, data) if refusal(path, data) is None else None
    return None if document is None or len(document.content) > max_bytes else document


def _matching_files(
    root: str, files: list[FileStat], query: TextQuery, bounds: Bounds
) -> list[FileStat]:
    """Return the files matched by rg, and all notebooks unsearched."""
    paths = [stat.path for stat in files if not is_notebook(stat.path)]
    matches = files_with_matches(root, paths, query, compile_pattern(query), bounds)
    return (
        files
        if matches is None
        else [stat for stat in files if stat.path in matches or is_notebook(stat.path)]
    )
