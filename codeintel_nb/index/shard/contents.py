"""Contents of a shard, collected from documents before it is written.

They may be collected in pieces by several processes, and then joined.
"""

from __future__ import annotations

import hashlib
import pickle
from array import array
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...embedding.embedder import Embedder, StaticEmbedder, Vectors, embedder_input
from ...embedding.vocabulary import MAX_WORDS, Vocabulary, Words
from ...embedding.words import WORD, hash_of, names_of
from ...sources.chunk import Document, decoded, line_ends
from ...sources.opening import FileState
from .arrays import Array
from .codes import check_range, encode
from .lexicon import LexiconBuilder
from .postings import PostingsBuilder
from .shard import HALF, KINDS
from .text_flags import IS_ASCII, flags_of, is_plain

_KIND_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}

Known = Callable[[Array], tuple[Array, Array]]


class Contents:
    """Files, chunks, symbols, words and codes of documents in path order.

    ``known`` takes digests of embedder inputs. It returns a mask of those already embedded, and
    their codes. ``keep`` receives the digests and codes of each new batch.
    """

    def __init__(
        self,
        embedder: Embedder,
        known: Known | None = None,
        keep: Callable[[Array, Array], None] | None = None,
    ) -> None:
        self.embedder = embedder
        self._known, self._keep = known, keep
        self.content_bytes = 0
        self.embedded = self.reused = 0
        self.lexicon = LexiconBuilder()
        self.postings = PostingsBuilder()
        self._vocabulary = Vocabulary()  # for a remote embedder
        self._pending: list[tuple[str, str]] = []  # path and text of chunks to embed
        self.codes: list[Array] = []
        self.digests: list[Array] = []
        self.files: list[tuple[Any, ...]] = []
        # rows of file, first byte, first and last line, kind, cell and language
        self._chunks = array("q")
        self.is_plain = bytearray()  # of each chunk
        self.labels: list[str] = []
        self.symbols: list[tuple[Any, ...]] = []
        self.symbol_chunks = array("I")
        self._definitions = array("I")  # rows of folded hash, exact hash and symbol
        self.languages: dict[str, int] = {}

    def add(self, document: Document, state: FileState) -> None:
        """Add a document and the state of its file."""
        file, content = len(self.files), document.content
        self.postings.add(content)
        first_chunk = self.chunks
        ends = line_ends(content)
        flags = flags_of(document)
        is_ascii = bool(flags & IS_ASCII)
        whole = content.decode("ascii") if is_ascii else ""
        language = self._language(document.language)
        for chunk in document.chunks:
            begin, end = ends[chunk.start_line - 1], ends[chunk.end_line]
            # in ASCII, places of bytes are those of characters
            text = whole[begin:end] if is_ascii else decoded(content[begin:end])
            self._pending.append((document.path, text))
            cell = -1 if chunk.cell is None else chunk.cell
            own = self._language(chunk.language) if chunk.language else language
            kind = _KIND_NUMBERS[chunk.kind]
            self._chunks.extend(
                (
                    file,
                    self.content_bytes + begin,
                    chunk.start_line,
                    chunk.end_line,
                    kind,
                    cell,
                    own,
                )
            )
            self.is_plain.append(is_ascii or is_plain(content[begin:end]))
            self.labels.append(chunk.symbol)
        self.files.append(
            (
                document.path,
                language,
                flags,
                first_chunk,
                self.content_bytes,
                len(ends) - 1,
                document.content_hash,
                *state,
            )
        )
        self.content_bytes += len(content)
        self._add_symbols(document, file, first_chunk)
        while len(self._pending) >= self.embedder.batch:
            self._embed_batch()

    @property
    def chunks(self) -> int:
        """Return the number of chunks."""
        return len(self._chunks) // 7

    def chunk_rows(self) -> Array:
        """Return the chunks as rows, (n, 7)."""
        return np.array(self._chunks, np.int64).reshape(-1, 7)

    def definition_rows(self) -> Array:
        """Return the names of definitions as rows of hashes and symbol, (n, 3)."""
        return np.array(self._definitions, np.uint32).reshape(-1, 3)

    def end_piece(self) -> None:
        """Embed the pending chunks, and end the last block of text.

        This makes the contents the same in whichever process a piece is collected.
        """
        while self._pending:
            self._embed_batch()
        self.postings.end_piece()

    def _language(self, name: str) -> int:
        return self.languages.setdefault(name, len(self.languages))

    def _add_symbols(self, document: Document, file: int, first_chunk: int) -> None:
        begins = [chunk.start_line for chunk in document.chunks]
        for symbol in document.symbols:
            number = len(self.symbols)
            self.symbols.append((file, *symbol))
            self.symbol_chunks.append(first_chunk + bisect_right(begins, symbol.start_line) - 1)
            for name in names_of(symbol.name):
                self._definitions.extend(
                    (hash_of(name.lower()) & HALF, hash_of(name) & HALF, number)
                )

    def _embed_batch(self) -> None:
        self._embed(self._pending[: self.embedder.batch])
        del self._pending[: self.embedder.batch]

    def _embed(self, chunks: list[tuple[str, str]]) -> None:
        """Embed some chunks (path, text), and add their words to the lexicon."""
        vocabulary = self._vocabulary_now()
        paths = [path for path, _ in chunks]
        words = vocabulary.words_of([WORD.findall(text) for _, text in chunks])
        self.lexicon.add(words.joined(_path_words(vocabulary, paths, path_words)))
        inputs = [embedder_input(path, text) for path, text in chunks]
        digests = np.array([_digest(text) for text in inputs], np.uint64)
        codes = np.zeros((len(inputs), self.embedder.dim), np.uint8)
        fresh = np.ones(len(inputs), bool)
        if self._known is not None:
            matches, known_codes = self._known(digests)
            codes[matches] = known_codes
            fresh[matches] = False
        new = np.flatnonzero(fresh)
        if len(new):
            vectors = self._vectors(new, words, paths, inputs)
            if self.embedder.is_remote:
                check_range(vectors)
            codes[new] = encode(vectors)
            if self._keep is not None:
                self._keep(digests[new], codes[new])
        self.embedded += len(new)
        self.reused += len(inputs) - len(new)
        self.codes.append(codes)
        self.digests.append(digests)

    def _vocabulary_now(self) -> Vocabulary:
        """Return the embedder's vocabulary, or an own one for a remote embedder."""
        if isinstance(self.embedder, StaticEmbedder):
            return self.embedder.vocabulary
        if len(self._vocabulary) > MAX_WORDS:
            self._vocabulary = Vocabulary()
        return self._vocabulary

    def _vectors(self, new: Array, words: Words, paths: list[str], inputs: list[str]) -> Vectors:
        """Return vectors of the chunks ``new``; only a remote embedder needs their inputs."""
        if isinstance(self.embedder, StaticEmbedder):
            in_paths = _path_words(words.vocabulary, paths, str)
            return self.embedder.embed_words(words.joined(in_paths).only(new))
        return self.embedder.embed_code([inputs[i] for i in new.tolist()])

    def extend(self, other: Contents) -> None:
        """Append the contents of the next files, a piece ended by ``end_piece``."""
        files, chunks, symbols = len(self.files), self.chunks, len(self.symbols)
        languages = [self._language(name) for name in other.languages]
        rows = other.chunk_rows()
        rows += np.array([files, self.content_bytes, 0, 0, 0, 0, 0])
        rows[:, 6] = np.array(languages, np.int64)[rows[:, 6]]
        self._chunks.frombytes(rows.tobytes())
        definitions = other.definition_rows() + np.array([0, 0, symbols], np.uint32)
        self._definitions.frombytes(definitions.tobytes())
        for path, language, flags, first, start, *rest in other.files:
            self.files.append(
                (
                    path,
                    languages[language],
                    flags,
                    first + chunks,
                    start + self.content_bytes,
                    *rest,
                )
            )
        self.symbols += [(file + files, *rest) for file, *rest in other.symbols]
        self.symbol_chunks.extend(chunk + chunks for chunk in other.symbol_chunks)
        self.is_plain += other.is_plain
        self.labels += other.labels
        self.codes += other.codes
        self.digests += other.digests
        self.lexicon.extend(other.lexicon)
        self.postings.extend(other.postings)
        self.content_bytes += other.content_bytes
        self.embedded += other.embedded
        self.reused += other.reused

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only collects further documents."""
        left_out = ("embedder", "_known", "_keep", "_vocabulary")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}


class Piece:
    """Contents and text of neighbouring files, collected for another process."""

    def __init__(self, embedder: Embedder, known: Known | None = None) -> None:
        self.contents = Contents(embedder, known)
        self.texts: list[bytes] = []

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, document: Document, state: FileState) -> None:
        """Add a document and the state of its file."""
        self.contents.add(document, state)
        self.texts.append(document.content)

    def save(self, path: Path) -> None:
        """Write the piece; only a process of the same build reads it."""
        self.contents.end_piece()
        with path.open("wb") as file:
            pickle.dump(self, file, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def load(path: Path) -> Piece:
        with path.open("rb") as file:
            piece: Piece = pickle.load(file)
        return piece


def _path_words(vocabulary: Vocabulary, paths: list[str], text_of: Callable[[str], str]) -> Words:
    """Return the words of each chunk's path, in the text made of it."""
    words = {path: WORD.findall(text_of(path)) for path in set(paths)}
    return vocabulary.words_of([words[path] for path in paths])


def path_words(path: str) -> str:
    """Return a path's BM25 words: stem twice, last three folders."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return f"{stem} {stem} {' '.join(folder.split('/')[-3:])}"


def _digest(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little"
    )
