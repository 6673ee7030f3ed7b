"""Text search in files that no shard holds as they are now: read, and searched as a shard is."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from stringzilla import Str

from ..errors import SourceError
from ..index.id_lists import Ids
from ..index.postings import Postings
from ..index.shard import ENDS_WITH_NEWLINE, IS_ASCII, IS_ILL_FORMED, IS_NOTEBOOK, KINDS, Mask, is_ill_formed, is_plain
from ..scopes.globs import PathMatcher
from ..scopes.languages import NOTEBOOK, depends_on_text, is_notebook, language_of
from ..scopes.scope import Scope
from ..settings import Settings
from ..sources.chunk import Document, plain_document, refusal
from ..sources.opening import TRANSIENT, FolderReader
from ..sources.repository import WORKTREE
from ..sources.worktree import FileStat
from .mask import ScopeMask, chunks_of_languages
from .matches import Counting
from .pattern import compile_pattern
from .query import Bounds, TextQuery
from .ripgrep import options_of, rg_path
from .text import TextAnswer, search_text
from .text_plan import plan_text

FIRST_BATCH, MOST_IN_BATCH = 32, 2_048  # files; a common pattern is through with the first
FEW = 64  # files that are read at once, and not sifted by rg first
MOST_ARGUMENTS = 500_000  # bytes of paths on a command line
MOST_FILES = 200_000
_WITH_CELLS = frozenset({"notebook", "markdown", "python", "r", "julia", "scala", "sql"})  # may be in other languages than the file


class LooseTarget(NamedTuple):
    """Files of a folder, as they are now, in path order."""

    repo: str
    root: str
    files: Iterable[FileStat]
    scope: Scope
    settings: Settings


class LooseFiles:
    """Documents in memory, with what a text search reads of a shard. Each is one chunk, of a notebook each cell."""

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
        self.file_start = np.cumsum([0, *(len(document.content) for document in documents)]).astype(np.uint64)
        self.lines_before = np.zeros(len(documents), np.int64)  # not asked for: these are never read by rg as a whole
        self.file_flags = np.array([_flags(document) for document in documents], np.uint8)
        chunks = [(file, chunk) for file, document in enumerate(documents) for chunk in document.chunks]
        self.file_chunk = np.searchsorted([file for file, _ in chunks], np.arange(len(documents) + 1)).astype(np.uint32)
        self.chunk_file = np.array([file for file, _ in chunks], np.uint32)
        self.chunk_line = np.array([chunk.start_line for _, chunk in chunks], np.uint32)
        self.chunk_kind = np.array([KINDS.index(chunk.kind) for _, chunk in chunks], np.uint8)
        self.chunk_cell = np.array([-1 if chunk.cell is None else chunk.cell for _, chunk in chunks], np.int32)
        self.languages = sorted({language for document in documents for language in _languages(document)})
        numbers = {language: number for number, language in enumerate(self.languages)}
        self.file_language = np.array([numbers[document.language] for document in documents], np.uint8)
        self.chunk_language = np.array([numbers[chunk.language or documents[file].language] for file, chunk in chunks], np.uint8)
        self.chunk_start = np.array([*self._chunk_starts(), self.size], np.uint64)

    def _chunk_starts(self) -> Iterator[int]:
        for begin, document in zip(self.file_start.tolist(), self._documents, strict=False):
            lines = document.content.split(b"\n") if len(document.chunks) > 1 else []
            for i, chunk in enumerate(document.chunks):
                yield begin
                if i + 1 < len(document.chunks):
                    begin += sum(len(line) + 1 for line in lines[chunk.start_line - 1 : chunk.end_line])

    @cached_property
    def is_ascii(self) -> bool:
        return is_plain(self.content)

    @cached_property
    def ascii_chunks(self) -> Mask:
        held: Mask = (self.file_flags & IS_ASCII).astype(bool)[self.chunk_file]
        return held

    @cached_property
    def ill_formed_chunks(self) -> Mask:
        flagged: Mask = (self.file_flags & IS_ILL_FORMED).astype(bool)[self.chunk_file]
        return flagged

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


def _flags(document: Document) -> int:
    flags = IS_ASCII if is_plain(document.content) else IS_ILL_FORMED if is_ill_formed(document.content) else 0
    return flags | (ENDS_WITH_NEWLINE if document.ends_with_newline else 0) | (IS_NOTEBOOK if is_notebook(document.path) else 0)


def search_loose(target: LooseTarget, query: TextQuery, limit: int, bounds: Bounds, counting: Counting) -> list[TextAnswer]:
    """Answers in path order, until there are hits enough."""
    answers: list[TextAnswer] = []
    found = looked = 0
    for batch in _batches(_named_in_scope(target)):
        if bounds.reached() or looked > MOST_FILES or (found >= limit and counting.over()):
            return [*answers, TextAnswer([], True, 0, False)]
        looked += len(batch)
        files = LooseFiles(_documents(target, batch if len(batch) <= FEW else _sifted(target.root, batch, query)))
        plan = plan_text(files, target.repo, _mask(files, target.scope), query)
        if plan is not None:
            answers.append(search_text(plan, query, max(0, limit - found), bounds, counting))
            found += len(answers[-1].hits)
    return answers


def _languages(document: Document) -> Iterator[str]:
    yield document.language
    yield from (chunk.language for chunk in document.chunks if chunk.language)


def _mask(files: LooseFiles, scope: Scope) -> ScopeMask:
    """Return the mask of a scope's languages; its globs were applied before."""
    count = len(files.paths)
    if not scope.languages or not count:
        return ScopeMask(None, None, count, len(files.chunk_file))
    chunks = chunks_of_languages(files, scope.languages)
    held = np.bincount(files.chunk_file[chunks], minlength=count) > 0
    return ScopeMask(held, chunks, int(held.sum()), int(chunks.sum()), chunks)


def _batches(files: Iterator[FileStat]) -> Iterator[list[FileStat]]:
    size = FIRST_BATCH
    while batch := list(islice(files, size)):
        yield batch
        size = min(MOST_IN_BATCH, 4 * size)


def _named_in_scope(target: LooseTarget) -> Iterator[FileStat]:
    """Files that their names leave in scope; of some the language shows when they are read."""
    scope = target.scope
    matcher = PathMatcher(scope.include_globs, scope.exclude_globs)
    for stat in target.files:
        if matcher.admits(stat.path) and (not scope.languages or _may_hold(stat.path, scope.languages)):
            yield stat


def _may_hold(path: str, languages: Collection[str]) -> bool:
    """Whether a file may hold code in any of the languages, judging by its name."""
    language = language_of(path)
    return language in languages or language in _WITH_CELLS or depends_on_text(path) or (NOTEBOOK in languages and is_notebook(path))


def _documents(target: LooseTarget, files: Iterable[FileStat]) -> list[Document]:
    with FolderReader(target.root) as reader:
        read = (_document(reader, target.settings, stat.path) for stat in files)
        return [document for document in read if document is not None]


def read_document(target: LooseTarget, path: str) -> Document | None:
    """A file as it is now; None where it is gone since it was listed, or is none that is indexed."""
    with FolderReader(target.root) as reader:
        return _document(reader, target.settings, path)


def _document(reader: FolderReader, settings: Settings, path: str) -> Document | None:
    try:
        data, _ = reader.read(path, settings.raw_limit(path))
    except (OSError, SourceError) as error:
        if isinstance(error, OSError) and error.errno in TRANSIENT:
            raise
        return None  # exchanged since it was listed: the next comparison tells
    document = plain_document(path, data) if refusal(path, data) is None else None
    return None if document is None or len(document.content) > settings.max_file_bytes else document


def _sifted(root: str, files: list[FileStat], query: TextQuery) -> list[FileStat]:
    """The files that rg, on all cores, finds the pattern in, and those that it cannot read as they are searched here."""
    found: set[str] = set()
    options = [*options_of(query, compile_pattern(query)), "--encoding", "auto", "--files-with-matches", "--null", "--no-messages", "--"]
    rest = [stat.path for stat in files if not is_notebook(stat.path)]
    while rest:
        count, length = 0, 0
        while count < len(rest) and length < MOST_ARGUMENTS:
            length += len(rest[count].encode()) + 3
            count += 1
        done = subprocess.run([rg_path(), *options, *(f"./{path}" for path in rest[:count])], cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        found.update(path.removeprefix("./") for path in done.stdout.decode("utf-8", "replace").split("\0"))
        rest = rest[count:]
        if done.returncode == 2 and not done.stdout:
            return files  # a pattern that rg refuses: whoever reads the files says so
    return [stat for stat in files if stat.path in found or is_notebook(stat.path)]
