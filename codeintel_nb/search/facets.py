"""How much of what a scope holds, as values."""

from __future__ import annotations

import msgspec


class FolderCount(msgspec.Struct, frozen=True, omit_defaults=True):
    """A folder, the files that lie in one themselves, or a whole repository."""

    repo: str
    path: str  # from the repository's root; empty: the root
    files: int
    chunks: int
    languages: dict[str, int]  # chunks, most first
    glob: str = ""  # that admits it alone; empty: there is none


class Facets(msgspec.Struct, frozen=True):
    """Counts within a scope; those of languages and kinds leave out the scope's own, as they say what a choice would bring."""

    languages: dict[str, int]  # files, most first
    kinds: dict[str, int]  # chunks, most first
    folders: tuple[FolderCount, ...]  # most chunks first
    base: str = ""  # the folder that holds all of them
    more_folders: int = 0  # that were left out
