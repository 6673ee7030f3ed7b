"""Counts of a scope's files and chunks, as values."""

from __future__ import annotations

import msgspec


class FolderCount(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of a folder, of the files directly in one, or of a whole repository."""

    repo: str
    path: str  # from the repository's root; empty: the root
    files: int
    chunks: int
    languages: dict[str, int]  # chunks, most first
    glob: str = ""  # matches this folder only; empty: no such glob


class Facets(msgspec.Struct, frozen=True):
    """Counts within a scope; those of languages and kinds ignore its own languages and kinds."""

    # the scope's own are ignored to show what another choice would find
    languages: dict[str, int]  # files, most first
    kinds: dict[str, int]  # chunks, most first
    folders: tuple[FolderCount, ...]  # most chunks first
    base: str = ""  # deepest folder containing all of them
    more_folders: int = 0  # folders left out
