"""Writer of a shard in a temporary folder, then renamed."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import zlib
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from ...embedding.embedder import Embedder, StaticEmbedder, embedder_input
from ...embedding.words import WORD, hash_of, names_of
from ...files import storage_errors, sync, write_synced
from ...sources.chunk import Document, decoded
from ...sources.opening import FileState
from ...sources.repository import WORKTREE
from .arrays import Array, write_arrays
from .catalog import write_tables
from .coarse import write_coarse
from .codes import check_range, encode
from .lexicon import LexiconBuilder
from .manifest import FORMAT, MANIFEST, PARTS, Manifest, Part, crc32_of
from .paths import PathTable
from .postings import PostingsBuilder
from .shard import HALF, KINDS
from .text_flags import IS_ASCII, IS_GENERATED, flags_of, is_plain
from .texts import text_arrays
from .vectors import write_vectors

Known = Callable[[Array], tuple[Array, Array]]


class ShardWriter:
    """Builder of one shard from documents in path order.

    ``known`` maps digests of embedder inputs to a mask of those with codes, and these codes.
    ``keep`` receives the digests and codes of each new batch.
    """

    def __init__(
        self,
        shards: Path,
        embedder: Embedder,
        known: Known | None = None,
        prefix: str = ".building-",
        keep: Callable[[Array, Array], None] | None = None,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.shards = shards
        self.folder = shards / f"{prefix}{self.id}"
        self.embedder = embedder
        self.known, self._keep = known, keep
        self.content_bytes = 0
        self.embedded = self.reused = 0
        self._content_crc = 0
        with storage_errors(shards):
            self.folder.mkdir(parents=True)
            self._content = (self.folder / "content.bin").open("wb")
        self._lexicon = LexiconBuilder()
        self._postings = PostingsBuilder()
        self._pending: list[tuple[str, str]] = []  # path and text of chunks to embed
        self._codes: list[Array] = []
        self._digests: list[Array] = []
        self._files: list[tuple[Any, ...]] = []
        self._chunks: list[tuple[Any, ...]] = []
        self._plain: list[bool] = []  # of each chunk
        self._labels: list[str] = []
        self._symbols: list[tuple[Any, ...]] = []
        self._symbol_chunks: list[int] = []
        self._definitions: list[tuple[int, int, int]] = []
        self._languages: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a failed write fails again in the flush
            self._content.close()
        if self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._files)

    def add(self, document: Document, state: FileState) -> None:
        """Add a document and the state of its file."""
        file = len(self._files)
        with storage_errors(self.shards):
            self._content.write(document.content)
        self._postings.add(document.content)
        self._content_crc = zlib.crc32(document.content, self._content_crc)
        offset = self.content_bytes
        first_chunk = len(self._chunks)
        lines = document.content.split(b"\n")
        flags = flags_of(document)
        language = self._language(document.language)
        for chunk in document.chunks:
            text = b"\n".join(lines[chunk.start_line - 1 : chunk.end_line]) + b"\n"
            self._pending.append((document.path, decoded(text)))
            cell = -1 if chunk.cell is None else chunk.cell
            own = self._language(chunk.language or document.language)
            self._chunks.append(
                (file, offset, chunk.start_line, chunk.end_line, KINDS.index(chunk.kind), cell, own)
            )
            self._plain.append(bool(flags & IS_ASCII) or is_plain(text))
            self._labels.append(chunk.symbol)
            offset += len(text)
        self.content_bytes += len(document.content)
        self._files.append(
            (
                document.path,
                language,
                flags,
                first_chunk,
                offset - len(document.content),
                len(lines) - 1,
                document.content_hash,
                *state,
            )
        )
        self._add_symbols(document, file, first_chunk)
        while len(self._pending) >= self.embedder.batch:
            self._embed_batch()

    def _language(self, name: str) -> int:
        return self._languages.setdefault(name, len(self._languages))

    def _add_symbols(self, document: Document, file: int, first_chunk: int) -> None:
        begins = [chunk.start_line for chunk in document.chunks]
        for symbol in document.symbols:
            number = len(self._symbols)
            self._symbols.append((file, *symbol))
            self._symbol_chunks.append(first_chunk + bisect_right(begins, symbol.start_line) - 1)
            for name in names_of(symbol.name):
                self._definitions.append(
                    (hash_of(name.lower()) & HALF, hash_of(name) & HALF, number)
                )

    def _embed_batch(self) -> None:
        size = self.embedder.batch
        self._embed(self._pending[:size])
        del self._pending[:size]

    def _embed(self, chunks: list[tuple[str, str]]) -> None:
        """Embed some chunks (path, text), and add their words to the lexicon."""
        words = [WORD.findall(text) for _, text in chunks]
        self._lexicon.add_words(
            [
                [*own, *WORD.findall(path_words(path))]
                for own, (path, _) in zip(words, chunks, strict=True)
            ]
        )
        paths = [path for path, _ in chunks]
        inputs = [embedder_input(path, text) for path, text in chunks]
        digests = np.array([_digest(text) for text in inputs], np.uint64)
        codes = np.zeros((len(inputs), self.embedder.dim), np.uint8)
        fresh = np.ones(len(inputs), bool)
        if self.known is not None:
            matches, their_codes = self.known(digests)
            codes[matches] = their_codes
            fresh[matches] = False
        new = np.flatnonzero(fresh)
        if len(new):
            vectors = self._vectors([(paths[i], words[i], inputs[i]) for i in new.tolist()])
            if self.embedder.is_remote:
                check_range(vectors)
            codes[new] = encode(vectors)
            if self._keep is not None:
                self._keep(digests[new], codes[new])
        self.embedded += len(new)
        self.reused += len(inputs) - len(new)
        self._codes.append(codes)
        self._digests.append(digests)

    def _vectors(self, chunks: list[tuple[str, list[str], str]]) -> Array:
        """Return vectors of chunks (path, words, embedder input).

        The static table needs no embedder input.
        """
        if isinstance(self.embedder, StaticEmbedder):
            return self.embedder.embed_words(
                [[*WORD.findall(path), *words] for path, words, _ in chunks]
            )
        return self.embedder.embed_code([text for _, _, text in chunks])

    def save(self) -> str:
        """Write and publish the shard; return its id."""
        self.write()
        return self.publish()

    def write(self) -> None:
        """Write and sync every part."""
        with storage_errors(self.shards):
            while self._pending:
                self._embed_batch()
            self._content.flush()
            os.fsync(self._content.fileno())
            self._content.close()
            codes = np.concatenate([np.zeros((0, self.embedder.dim), np.uint8), *self._codes])
            self._codes.clear()
            write_vectors(self.folder / "vectors.faiss", codes)
            names = [*PARTS, *write_coarse(self.folder, codes)]
            del codes
            self._lexicon.write(self.folder / "lexicon.bin")
            self._postings.write(self.folder / "postings.bin")
            self._write_columns()
            self._write_catalog()
            parts = {}
            for name in names:
                path = self.folder / name
                sync(path)
                parts[name] = Part(
                    path.stat().st_size,
                    self._content_crc if name == "content.bin" else crc32_of(path),
                )
            manifest = Manifest(
                format=FORMAT, id=self.id, embedder=self.embedder.id, dim=self.embedder.dim,
                files=len(self._files), chunks=len(self._chunks), content_bytes=self.content_bytes,
                languages=tuple(self._languages), revisions=(WORKTREE,), parts=parts,
            )  # fmt: skip
            write_synced(self.folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            sync(self.folder)

    def publish(self) -> str:
        """Rename the folder into place; return the shard's id."""
        with storage_errors(self.shards):
            self.folder.rename(self.shards / self.id)
            sync(self.shards)
        return self.id

    def _write_columns(self) -> None:
        columns = {**self._file_columns(), **self._chunk_columns(), **self._symbol_columns()}
        write_arrays(self.folder / "columns.bin", columns)

    def _file_columns(self) -> dict[str, Array]:
        (
            paths,
            languages,
            flags,
            first_chunks,
            starts,
            lines,
            hashes,
            sizes,
            mtimes,
            ctimes,
            inodes,
        ) = zip(*self._files, strict=True) if self._files else ((),) * 11
        symbol_files = [symbol[0] for symbol in self._symbols]
        first_symbols = np.searchsorted(symbol_files, np.arange(len(paths) + 1))
        return {
            **PathTable.of(paths).arrays(),
            "file_paths": np.frombuffer("\0".join(paths).encode("utf-8"), np.uint8),
            "file_language": np.array(languages, np.uint8),
            "file_flags": np.array(flags, np.uint8),
            "file_revisions": np.ones(len(paths), np.uint64),
            "file_chunk": np.array([*first_chunks, len(self._chunks)], np.uint32),
            "file_start": np.array([*starts, self.content_bytes], np.uint64),
            "file_lines": np.array(lines, np.uint32),
            "file_size": np.array(sizes, np.int64),
            "file_mtime_ns": np.array(mtimes, np.int64),
            "file_ctime_ns": np.array(ctimes, np.int64),
            "file_inode": np.array(inodes, np.uint64),
            "file_hash": np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 16),
            "file_symbol": first_symbols.astype(np.uint32),
        }

    def _chunk_columns(self) -> dict[str, Array]:
        owners, offsets, lines, _, kinds, cells, languages = (
            zip(*self._chunks, strict=True) if self._chunks else ((),) * 7
        )
        columns: dict[str, Array] = {
            "chunk_start": np.array([*offsets, self.content_bytes], np.uint64),
            "chunk_line": np.array(lines, np.uint32),
            "chunk_kind": np.array(kinds, np.uint8),
            "chunk_plain": np.packbits(np.array(self._plain, bool)),
        }
        if any(cell >= 0 for cell in cells):
            columns["chunk_cell"] = np.array(cells, np.int32)
        file_languages = [file[1] for file in self._files]
        if any(file_languages[file] != own for file, own in zip(owners, languages, strict=True)):
            columns["chunk_language"] = np.array(languages, np.uint8)
        digests = np.concatenate(self._digests) if self._digests else np.zeros(0, np.uint64)
        return {**columns, "chunk_input": digests}

    def _symbol_columns(self) -> dict[str, Array]:
        definitions = np.array(self._definitions, np.uint32).reshape(-1, 3)
        definitions = definitions[np.argsort(definitions[:, 0], kind="stable")]
        labels = [f"{symbol[3]}.{symbol[1]}".strip(".") for symbol in self._symbols]
        chunk_labels, others = self._label_numbers(labels)
        kinds = [KINDS.index(symbol[2]) for symbol in self._symbols]
        return {
            "chunk_label": chunk_labels,
            **text_arrays("label", others),
            "symbol_line": np.array([symbol[5] for symbol in self._symbols], np.uint32),
            "symbol_end_line": np.array([symbol[6] for symbol in self._symbols], np.uint32),
            "symbol_kind": np.array(kinds, np.uint8),
            **text_arrays("symbol_label", labels),
            "definition_folded": definitions[:, 0],
            "definition_exact": definitions[:, 1],
            "definition_symbol": definitions[:, 2],
        }

    def _label_numbers(self, symbol_labels: list[str]) -> tuple[Array, list[str]]:
        """Return each chunk's label number, and labels other than symbols.

        A symbol has its own number; other labels count down from -1, the empty one.
        """
        numbers: dict[tuple[int, str], int] = {}
        for number, (symbol, label) in enumerate(zip(self._symbols, symbol_labels, strict=True)):
            numbers.setdefault((symbol[0], label), number)
        others = {"": 0}
        of_chunk = []
        for chunk, label in zip(self._chunks, self._labels, strict=True):
            symbol_number = numbers.get((chunk[0], label))
            of_chunk.append(
                -1 - others.setdefault(label, len(others))
                if symbol_number is None
                else symbol_number
            )
        return np.array(of_chunk, np.int32), list(others)

    def _write_catalog(self) -> None:
        names = list(self._languages)
        paths, languages, flags, _, _, lines, _, sizes, mtimes, _, _ = (
            (list(column) for column in zip(*self._files, strict=True))
            if self._files
            else ([],) * 11
        )
        tables: dict[str, dict[str, Any]] = {
            "files": {
                "file_id": np.arange(len(paths), dtype=np.uint32), "path": paths,
                "language": [names[i] for i in languages], "lines": np.array(lines, np.uint32),
                "size_bytes": np.array(sizes, np.int64), "mtime_ns": np.array(mtimes, np.int64),
                "generated": np.array([bool(flag & IS_GENERATED) for flag in flags], bool),
            },
        }  # fmt: skip
        files, _, starts, ends, kinds, cells, own = (
            (list(column) for column in zip(*self._chunks, strict=True))
            if self._chunks
            else ([],) * 7
        )
        own_languages = [
            None if languages[file] == language else names[language]
            for file, language in zip(files, own, strict=True)
        ]
        tables |= {
            "chunks": {
                "chunk_id": np.arange(len(files), dtype=np.uint32),
                "file_id": np.array(files, np.uint32), "start_line": np.array(starts, np.uint32),
                "end_line": np.array(ends, np.uint32), "kind": [KINDS[k] for k in kinds],
                "symbol": [label or None for label in self._labels],
                "cell": np.array(cells, np.int32), "own_language": own_languages,
            },
        }  # fmt: skip
        symbol_languages = [own_languages[chunk] for chunk in self._symbol_chunks]
        files, names, kinds, containers, signatures, starts, ends, docs = (
            (list(column) for column in zip(*self._symbols, strict=True))
            if self._symbols
            else ([],) * 8
        )
        tables |= {
            "symbols": {
                "file_id": np.array(files, np.uint32), "name": names, "kind": kinds,
                "container": containers, "signature": signatures,
                "start_line": np.array(starts, np.uint32), "end_line": np.array(ends, np.uint32),
                "doc": docs, "own_language": symbol_languages,
            },
        }  # fmt: skip
        write_tables(self.folder, tables)


def path_words(path: str) -> str:
    """Return a path's BM25 words: stem twice, last three folders."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return f"{stem} {stem} {' '.join(folder.split('/')[-3:])}"


def _digest(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little"
    )
