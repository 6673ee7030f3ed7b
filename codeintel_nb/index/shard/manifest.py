"""Manifest of a shard: its parts, checksums and contents."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from ...errors import ShardError

FORMAT = 8
OLD_FORMAT = 7  # still read: it has the tables for SQL as Parquet, and some without details.bin
MANIFEST = "manifest.json"
PARTS = (
    "content.bin",
    "columns.bin",
    "postings.bin",
    "lexicon.bin",
    "vectors.faiss",
    "details.bin",
)
TABLES = ("files.parquet", "chunks.parquet", "symbols.parquet")
OLD_PARTS = (*PARTS[:-1], *TABLES)
# how an error of a shard ends; ``StoredRepository.named`` puts the repository there
HOW_TO_FIND = " To find its repository, run: codeintel doctor."
HOW_TO_REBUILD = "To rebuild the index, run: codeintel index PATH --rebuild"


class Part(msgspec.Struct, frozen=True):
    size: int  # bytes
    crc32: int


class Manifest(msgspec.Struct, frozen=True):
    """Contents of a shard; parts unknown to a reader are ignored."""

    format: int
    id: str
    embedder: str
    dim: int
    files: int
    chunks: int
    content_bytes: int
    languages: tuple[str, ...]
    revisions: tuple[str, ...]  # bit i of a file's mask means revisions[i]
    parts: dict[str, Part]

    @property
    def required(self) -> tuple[str, ...]:
        """Return the parts that every shard of this format has."""
        return OLD_PARTS if self.format == OLD_FORMAT else PARTS

    @property
    def space(self) -> str:
        """Return the id of the vectors' space; cosines compare within one space only."""
        return f"{self.embedder}-{self.dim}"


def read_manifest(folder: Path) -> Manifest:
    data = (folder / MANIFEST).read_bytes()
    try:
        document = msgspec.json.decode(data)
        if isinstance(document, dict) and document.get("format") not in (FORMAT, OLD_FORMAT):
            raise ShardError(
                f"Shard {folder.name} has format {document.get('format')}, but this version reads "
                f"format {FORMAT}. {HOW_TO_REBUILD}"
            )
        manifest = msgspec.convert(document, Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise damaged(folder, f"its manifest cannot be read: {error}") from error
    missing = [name for name in manifest.required if name not in manifest.parts]
    if missing:
        raise damaged(folder, f"its manifest lacks {missing[0]}")
    return manifest


def check_parts(folder: Path, manifest: Manifest) -> None:
    """Check that the parts of a shard exist and have the recorded sizes.

    Raises
    ------
    FileNotFoundError : a part required in every shard is missing.
    ShardError : the size of a part differs from the manifest, or cannot be read.
    """
    place = os.fspath(folder)
    for name, part in manifest.parts.items():
        try:
            size = os.stat(f"{place}/{name}").st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            if name in manifest.required:
                raise FileNotFoundError(f"{place}/{name}") from error
            continue
        except OSError as error:
            raise unreadable(folder, error) from error
        if size != part.size:
            raise damaged(folder, f"{name} has {size} bytes instead of {part.size}")


def unreadable(folder: Path, error: OSError) -> ShardError:
    return ShardError(
        f"Shard {folder.name} cannot be read ({error.strerror}). "
        "Ask its owner for access, or set CODEINTEL_HOME to a folder that you own."
    )


def damaged(folder: Path, what: str) -> ShardError:
    return ShardError(f"Shard {folder.name} is damaged: {what}.{HOW_TO_FIND} {HOW_TO_REBUILD}")


def crc32_of(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc
