"""Writer of a shard in a temporary folder, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from ...files import storage_errors, sync, write_synced
from ...sources.chunk import Document
from ...sources.opening import FileState
from ...sources.repository import WORKTREE
from .arrays import Array
from .coarse import write_coarse
from .columns import PART as COLUMNS
from .columns import write_columns
from .contents import Contents, Piece
from .details import PART as DETAILS
from .details import write_details
from .manifest import FORMAT, MANIFEST, PARTS, Manifest, Part, crc32_of
from .paths import PathTable
from .shard import KINDS
from .symbol_names import odd_name_arrays
from .texts import text_arrays
from .vectors import write_vectors


class ShardWriter:
    """Writer of one shard, from documents or pieces in path order."""

    def __init__(self, shards: Path, contents: Contents, prefix: str = ".building-") -> None:
        self.id = secrets.token_hex(8)
        self.shards, self.contents = shards, contents
        self.folder = shards / f"{prefix}{self.id}"
        self._content_crc = 0
        with storage_errors(shards):
            self.folder.mkdir(parents=True)
            self._content = (self.folder / "content.bin").open("wb")

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
        return len(self.contents.files)

    def add(self, document: Document, state: FileState) -> None:
        """Add a document and the state of its file."""
        self._append(document.content)
        self.contents.add(document, state)

    def extend(self, piece: Piece) -> None:
        """Add the files of a piece."""
        for text in piece.texts:
            self._append(text)
        self.contents.extend(piece.contents)

    def _append(self, text: bytes) -> None:
        with storage_errors(self.shards):
            self._content.write(text)
        self._content_crc = zlib.crc32(text, self._content_crc)

    def save(self) -> str:
        """Write and publish the shard; return its id."""
        self.write()
        return self.publish()

    def write(self) -> None:
        """Write and sync every part."""
        with storage_errors(self.shards):
            contents = self.contents
            contents.end_piece()
            self._content.flush()
            os.fsync(self._content.fileno())
            self._content.close()
            codes = np.concatenate(
                [np.zeros((0, contents.embedder.dim), np.uint8), *contents.codes]
            )
            contents.codes.clear()
            write_vectors(self.folder / "vectors.faiss", codes)
            names = [*PARTS, *write_coarse(self.folder, codes)]
            del codes
            contents.lexicon.write(self.folder / "lexicon.bin")
            contents.postings.write(self.folder / "postings.bin")
            self._write_columns()
            parts = {}
            for name in names:
                path = self.folder / name
                sync(path)
                parts[name] = Part(
                    path.stat().st_size,
                    self._content_crc if name == "content.bin" else crc32_of(path),
                )
            manifest = Manifest(
                format=FORMAT, id=self.id, embedder=contents.embedder.id,
                dim=contents.embedder.dim, files=len(contents.files), chunks=contents.chunks,
                content_bytes=contents.content_bytes, languages=tuple(contents.languages),
                revisions=(WORKTREE,), parts=parts,
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
        write_columns(self.folder / COLUMNS, columns)
        details = [(symbol[4], symbol[7]) for symbol in self.contents.symbols]
        write_details(self.folder / DETAILS, details)

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
        ) = zip(*self.contents.files, strict=True) if self.contents.files else ((),) * 11
        symbol_files = [symbol[0] for symbol in self.contents.symbols]
        first_symbols = np.searchsorted(symbol_files, np.arange(len(paths) + 1))
        return {
            **PathTable.of(paths).arrays(),
            "file_paths": np.frombuffer("\0".join(paths).encode("utf-8"), np.uint8),
            "file_language": np.array(languages, np.uint8),
            "file_flags": np.array(flags, np.uint8),
            "file_revisions": np.ones(len(paths), np.uint64),
            "file_chunk": np.array([*first_chunks, self.contents.chunks], np.uint32),
            "file_start": np.array([*starts, self.contents.content_bytes], np.uint64),
            "file_lines": np.array(lines, np.uint32),
            "file_size": np.array(sizes, np.int64),
            "file_mtime_ns": np.array(mtimes, np.int64),
            "file_ctime_ns": np.array(ctimes, np.int64),
            "file_inode": np.array(inodes, np.uint64),
            "file_hash": np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 16),
            "file_symbol": first_symbols.astype(np.uint32),
        }

    def _chunk_columns(self) -> dict[str, Array]:
        owners, offsets, lines, _, kinds, cells, languages = self.contents.chunk_rows().T
        columns: dict[str, Array] = {
            "chunk_start": np.array([*offsets, self.contents.content_bytes], np.uint64),
            "chunk_line": lines.astype(np.uint32),
            "chunk_kind": kinds.astype(np.uint8),
            "chunk_plain": np.packbits(np.array(self.contents.is_plain, np.uint8)),
        }
        if (cells >= 0).any():
            columns["chunk_cell"] = cells.astype(np.int32)
        file_languages = np.array([file[1] for file in self.contents.files], np.int64)
        if (file_languages[owners] != languages).any():
            columns["chunk_language"] = languages.astype(np.uint8)
        digests = (
            np.concatenate(self.contents.digests)
            if self.contents.digests
            else np.zeros(0, np.uint64)
        )
        return {**columns, "chunk_input": digests}

    def _symbol_columns(self) -> dict[str, Array]:
        definitions = self.contents.definition_rows()
        definitions = definitions[np.argsort(definitions[:, 0], kind="stable")]
        names = [(symbol[3], symbol[1]) for symbol in self.contents.symbols]
        labels = [f"{container}.{name}".strip(".") for container, name in names]
        chunk_labels, others = self._label_numbers(labels)
        kinds = [KINDS.index(symbol[2]) for symbol in self.contents.symbols]
        return {
            "chunk_label": chunk_labels,
            **text_arrays("label", others),
            "symbol_line": np.array([symbol[5] for symbol in self.contents.symbols], np.uint32),
            "symbol_end_line": np.array([symbol[6] for symbol in self.contents.symbols], np.uint32),
            "symbol_kind": np.array(kinds, np.uint8),
            **text_arrays("symbol_label", labels),
            **odd_name_arrays(names, labels),
            "definition_folded": definitions[:, 0],
            "definition_exact": definitions[:, 1],
            "definition_symbol": definitions[:, 2],
        }

    def _label_numbers(self, symbol_labels: list[str]) -> tuple[Array, list[str]]:
        """Return each chunk's label number, and labels other than symbols.

        A symbol has its own number; other labels count down from -1, the empty one.
        """
        numbers: dict[tuple[int, str], int] = {}
        for number, (symbol, label) in enumerate(
            zip(self.contents.symbols, symbol_labels, strict=True)
        ):
            numbers.setdefault((symbol[0], label), number)
        others = {"": 0}
        of_chunk = []
        files = self.contents.chunk_rows()[:, 0].tolist()
        for file, label in zip(files, self.contents.labels, strict=True):
            symbol_number = numbers.get((file, label))
            of_chunk.append(
                -1 - others.setdefault(label, len(others))
                if symbol_number is None
                else symbol_number
            )
        return np.array(of_chunk, np.int32), list(others)
