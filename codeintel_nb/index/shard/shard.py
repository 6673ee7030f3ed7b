"""Shard: one immutable index of some documents, opened read-only by mmap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from stringzilla import Str

from ...embedding.words import hash_of
from ...sources.chunk import decoded
from ...sources.opening import FileState
from .arrays import Array, Mask
from .columns import PART as COLUMNS
from .columns import open_columns
from .details import PART as DETAILS
from .details import Details
from .id_lists import Ids
from .inputs import Inputs
from .lexicon import Lexicon
from .manifest import OLD_FORMAT, check_parts, crc32_of, damaged, read_manifest, unreadable
from .mapping import map_file
from .paths import PathTable
from .postings import Postings
from .symbol_names import SymbolNames
from .text_flags import ENDS_WITH_NEWLINE, IS_ILL_FORMED, long_chunks, mixed_blocks
from .texts import Texts
from .vectors import VectorIndex

# positions are stored: append only
KINDS = (
    "function",
    "class",
    "method",
    "module",
    "cell",
    "markdown",
    "text",
)

_NEAR = 8  # definitions checked backward from a line before a sweep of the whole file
HALF = 0xFFFFFFFF  # half of a hash identifies a name


class Shard:
    """Parts of one shard; ids count from 0, in path order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._open()
        except PermissionError as error:
            raise unreadable(folder, error) from error

    def _open(self) -> None:
        folder = self.folder
        self.manifest = read_manifest(folder)
        check_parts(folder, self.manifest)
        if crc32_of(folder / COLUMNS) != self.manifest.parts[COLUMNS].crc32:
            raise damaged(folder, f"{COLUMNS} fails its checksum")
        try:
            self._read(open_columns(folder / COLUMNS))
        except KeyError as error:
            raise damaged(folder, f"{COLUMNS} lacks {error}") from error
        self.content = map_file(folder / "content.bin")  # a buffer; its slices are bytes

    def _read(self, columns: dict[str, Array]) -> None:
        self._columns = columns
        self._path_blob = columns["file_paths"]
        self.file_language = columns["file_language"]  # position in manifest.languages
        self.file_flags = columns["file_flags"]
        self.file_revisions = columns["file_revisions"]
        self.file_chunk = columns["file_chunk"]  # first chunk of each file, and the end
        self.file_start = columns["file_start"]  # first content byte of each file, and the end
        self.file_size = columns["file_size"]
        self.file_mtime_ns = columns["file_mtime_ns"]
        self.file_ctime_ns = columns["file_ctime_ns"]
        self.file_inode = columns["file_inode"]
        self.file_hash = columns["file_hash"]
        self.file_lines = columns["file_lines"]
        # first byte of each chunk, and the end: chunks tile the content
        self.chunk_start = columns["chunk_start"]
        self.chunk_line = columns["chunk_line"]
        self.chunk_kind = columns["chunk_kind"]  # position in KINDS
        none = np.broadcast_to(np.int32(-1), (self.manifest.chunks,))
        self.chunk_cell = columns.get("chunk_cell", none)  # -1: not of a notebook
        # position in manifest.languages; None: the language of the file
        self._own_language = columns.get("chunk_language")
        self._chunk_plain = columns["chunk_plain"]  # one bit a chunk
        self.inputs = Inputs(columns["chunk_input"])
        # read one by one: a memoryview takes a tenth of an array's time
        # first symbol of each file, and the end; symbols are in line order
        self._file_symbol = memoryview(columns["file_symbol"].data)
        self.symbol_line = columns["symbol_line"]
        self.symbol_kind = columns["symbol_kind"]  # position in KINDS
        self._symbol_line = memoryview(self.symbol_line.data)
        self.symbol_end_line = columns["symbol_end_line"]
        self._symbol_end_line = memoryview(self.symbol_end_line.data)
        # names qualified by their containers
        self.symbol_texts = Texts(columns["symbol_label_texts"], columns["symbol_label_ends"])
        self.symbol_names = SymbolNames(columns)
        # number of a symbol, or of another text counted down from -1
        self._chunk_label = memoryview(columns["chunk_label"].data)
        self._labels = Texts(columns["label_texts"], columns["label_ends"])
        self._definition_folded = columns["definition_folded"]  # sorted hashes of lower-case names
        self._definition_exact = columns["definition_exact"]
        self._definition_symbol = columns["definition_symbol"]

    def check_dead(self, dead: Sequence[int]) -> None:
        """Raise ShardError if tombstones name files outside the shard."""
        if dead and not (min(dead) >= 0 and max(dead) < self.manifest.files):
            raise damaged(self.folder, "the snapshot refers to files that it does not contain")

    @property
    def id(self) -> str:
        return self.manifest.id

    @cached_property
    def view(self) -> Str:
        """Return the content as ``Str``, for faster find and count."""
        return Str(memoryview(self.content).cast("B"))

    @property
    def size(self) -> int:
        """Return the bytes of the content."""
        return self.manifest.content_bytes

    @cached_property
    def paths(self) -> list[str]:
        blob = self._path_blob.tobytes().decode("utf-8")
        return blob.split("\0") if self.manifest.files else []

    @cached_property
    def file_numbers(self) -> dict[str, int]:
        """Return the number of each file by path."""
        return {path: number for number, path in enumerate(self.paths)}

    def below(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder."""
        if folder not in self.path_table.all_folders:
            return []
        return [path for path in self.paths if path.startswith(f"{folder}/")]

    @cached_property
    def path_table(self) -> PathTable:
        return PathTable.stored(self._columns)

    @cached_property
    def lines_before(self) -> Array:
        """Return the total lines of the files before each file."""
        return np.cumsum(self.file_lines, dtype=np.int64) - self.file_lines

    @cached_property
    def chunk_file(self) -> Array:
        counts = self.file_chunk[1:].astype(np.int64) - self.file_chunk[:-1]
        return np.repeat(np.arange(self.manifest.files, dtype=np.uint32), counts)

    @property
    def symbols(self) -> int:
        """Return the number of definitions."""
        return len(self.symbol_line)

    @cached_property
    def symbol_file(self) -> Array:
        return np.repeat(
            np.arange(self.manifest.files, dtype=np.uint32), np.diff(self._first_symbol)
        )

    def symbols_of(self, file: int) -> int:
        """Return the number of a file's definitions."""
        return self._file_symbol[file + 1] - self._file_symbol[file]

    def chunk_of_symbol(self, number: int) -> int:
        """Return the chunk in which a definition begins."""
        file = int(self._first_symbol.searchsorted(number, "right")) - 1
        return self.chunk_at(file, self._symbol_line[number])

    def definitions_in(self, chunks: Ids) -> tuple[Ids, Ids]:
        """Return the first definition that begins in each chunk, and their number."""
        files = self.chunk_file[chunks].astype(np.int64) << 32
        first: Ids = self._symbol_keys.searchsorted(files | self.chunk_line[chunks], "left")
        end = self._symbol_keys.searchsorted(files | self.chunk_end_line[chunks], "right")
        return first, np.maximum(end - first, 0)

    def names_in(self, chunks: Ids) -> list[tuple[str, ...]]:
        """Return the names, with their containers, of the definitions that begin in each chunk."""
        first, counts = self.definitions_in(chunks)
        ends = np.cumsum(counts)
        numbers = np.repeat(first - (ends - counts), counts) + np.arange(int(counts.sum()))
        labels = self.symbol_texts.each(numbers)
        return [
            tuple(labels[stop - count : stop])
            for stop, count in zip(ends.tolist(), counts.tolist(), strict=True)
        ]

    def symbol_label(self, number: int) -> str:
        """Return a definition's name with its containers."""
        return self.symbol_texts[number]

    def symbol_labels(self, numbers: Ids) -> list[str]:
        """Return definitions' names with their containers; empty for -1."""
        return self.symbol_texts.each(numbers)

    def chunk_at(self, file: int, line: int) -> int:
        """Return the chunk of a file's line."""
        first, end = int(self.file_chunk[file]), int(self.file_chunk[file + 1])
        return first + int(np.searchsorted(self.chunk_line[first:end], line, "right")) - 1

    @cached_property
    def language_counts(self) -> Array:
        """Return the number of files in each of ``languages``."""
        return np.bincount(self.file_language, minlength=len(self.languages))

    @cached_property
    def chunk_end_line(self) -> Array:
        """Return the last line of each chunk: chunks tile their file."""
        ends = np.append(self.chunk_line[1:], np.uint32(1)) - np.uint32(1)
        last = self.file_chunk[1:].astype(np.int64) - 1
        filled = np.diff(self.file_chunk.astype(np.int64)) > 0
        ends[last[filled]] = self.file_lines[filled]
        return ends

    @property
    def has_mixed_files(self) -> bool:
        """Return whether any chunk's language differs from its file's."""
        return self._own_language is not None

    @cached_property
    def chunk_language(self) -> Array:
        """Return each chunk's language, as an index into ``languages``."""
        return (
            self.file_language[self.chunk_file]
            if self._own_language is None
            else self._own_language
        )

    @property
    def languages(self) -> tuple[str, ...]:
        return self.manifest.languages

    @cached_property
    def symbol_chunk(self) -> Ids:
        """Return the first chunk of each definition."""
        keys = self.chunk_file.astype(np.int64) << 32 | self.chunk_line
        chunks: Ids = np.searchsorted(keys, self._symbol_keys, "right") - 1
        return chunks

    @cached_property
    def vectors(self) -> VectorIndex:
        return VectorIndex(self.folder / "vectors.faiss", self.manifest.chunks, self.manifest.dim)

    @cached_property
    def ascii_chunks(self) -> Mask:
        """Return the mask of chunks in ASCII without vertical tabs (``is_plain``)."""
        return np.unpackbits(self._chunk_plain, count=self.manifest.chunks).view(bool)

    @cached_property
    def ill_formed_chunks(self) -> Mask:
        """Return the mask of chunks in files other than UTF-8."""
        flagged: Mask = (self.file_flags & IS_ILL_FORMED).astype(bool)
        return flagged[self.chunk_file]

    @cached_property
    def _long_chunks(self) -> tuple[Mask | None, Mask | None]:
        return long_chunks(self.chunk_start, self.file_start, self.chunk_file)

    def long_chunks(self, whole_files: bool) -> Mask | None:
        """Return the mask of long chunks or long files' chunks."""
        return self._long_chunks[whole_files]

    @cached_property
    def mixed_blocks(self) -> Mask:
        """Return the mask of blocks long or overlapping non-ASCII chunks."""
        if self.postings is None:
            return np.zeros(0, bool)
        return mixed_blocks(self.postings.starts, self.ascii_chunks, self.chunk_start)

    @cached_property
    def is_ascii(self) -> bool:
        return bool(self.ascii_chunks.all())

    @cached_property
    def postings(self) -> Postings | None:
        return Postings(self.folder / "postings.bin")

    @cached_property
    def details(self) -> Details | None:
        """Return signatures and documentation; None if they are in Parquet (format 7)."""
        path = self.folder / DETAILS
        is_old = self.manifest.format == OLD_FORMAT
        return None if is_old and not path.exists() else Details(path)

    @cached_property
    def lexicon(self) -> Lexicon:
        return Lexicon(self.folder / "lexicon.bin")

    def label(self, chunk: int) -> str:
        """Return the symbol or heading of a chunk."""
        number = self._chunk_label[chunk]
        return self.symbol_texts[number] if number >= 0 else self._labels[-1 - number]

    def definitions_around(self, files: Ids, lines: Ids) -> Ids:
        """Return each line's innermost definition by number, or -1.

        The lines of each file must ascend.
        """
        if not self.symbols:
            return np.full(len(files), -1)
        first = self._first_symbol[files]
        around: Ids = self._symbol_keys.searchsorted(files << 32 | lines, "right") - 1
        far = np.arange(len(around))
        for _ in range(_NEAR):
            far = far[
                (around[far] >= first[far]) & (self.symbol_end_line[around[far]] < lines[far])
            ]
            if not len(far):
                break
            around[far] -= 1
        around[around < first] = -1
        for file in set(files[far].tolist()):
            of_file = far[files[far] == file]
            around[of_file] = self._swept(file, lines[of_file].tolist())
        return around

    def _swept(self, file: int, lines: list[int]) -> list[int]:
        """Return ``definitions_around`` for one file, in one sweep over its definitions."""
        stack, innermost = list[int](), list[int]()
        number, end = self._file_symbol[file], self._file_symbol[file + 1]
        for line in lines:
            while number < end and self._symbol_line[number] <= line:
                stack.append(number)
                number += 1
            while stack and self._symbol_end_line[stack[-1]] < line:
                stack.pop()
            innermost.append(stack[-1] if stack else -1)
        return innermost

    @cached_property
    def _first_symbol(self) -> Ids:
        return np.asarray(self._file_symbol).astype(np.int64)

    @cached_property
    def _symbol_keys(self) -> Ids:
        """Return file and line of each definition, packed in one number."""
        return self.symbol_file.astype(np.int64) << 32 | self.symbol_line

    def defines(self, file: int, line: int) -> bool:
        """Whether a definition begins at the line."""
        first, end = self._file_symbol[file], self._file_symbol[file + 1]
        at = bisect_right(self._symbol_line, line, first, end)
        return at > first and self._symbol_line[at - 1] == line

    def language(self, file: int) -> str:
        return self.manifest.languages[int(self.file_language[file])]

    def revision(self, file: int) -> str:
        """Return the first revision with the file."""
        if len(self.manifest.revisions) == 1:
            return self.manifest.revisions[0]
        bits = int(self.file_revisions[file])
        return self.manifest.revisions[(bits & -bits).bit_length() - 1]

    def text(self, chunk: int) -> str:
        return decoded(
            self.content[int(self.chunk_start[chunk]) : int(self.chunk_start[chunk + 1])]
        )

    def file_state(self, file: int) -> FileState:
        """Return a file's state at its read; a time of -1: read it again."""
        return FileState(
            int(self.file_size[file]),
            int(self.file_mtime_ns[file]),
            int(self.file_ctime_ns[file]),
            int(self.file_inode[file]),
        )

    def file_content(self, file: int) -> bytes:
        """Return a file's text, without a newline added by the index."""
        content = bytes(self.content[int(self.file_start[file]) : int(self.file_start[file + 1])])
        return content if self.file_flags[file] & ENDS_WITH_NEWLINE or not content else content[:-1]

    def definitions(self, name: str) -> list[tuple[int, bool]]:
        """Return the numbers of a name's definitions, and whether the case matches.

        A dotted name is found by each of its parts too, ``$name`` without its mark.
        """
        folded, exact = np.uint32(hash_of(name.lower()) & HALF), hash_of(name) & HALF
        start = int(np.searchsorted(self._definition_folded, folded, "left"))
        end = int(np.searchsorted(self._definition_folded, folded, "right"))
        return [
            (int(self._definition_symbol[i]), int(self._definition_exact[i]) == exact)
            for i in range(start, end)
        ]
