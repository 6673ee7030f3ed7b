"""Counts of files and chunks by language, kind and folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from posixpath import commonpath
from typing import NamedTuple

import numpy as np

from ..index.shard.arrays import Array
from ..index.shard.shard import KINDS, Shard
from ..index.shard.text_flags import IS_NOTEBOOK
from ..scopes.globs import plain_glob
from ..scopes.languages import NOTEBOOK
from .facets import Facets, FolderCount
from .mask import ScopeMask


class Counted(NamedTuple):
    """Shard of a repository, with its scope mask."""

    repo: str
    shard: Shard
    mask: ScopeMask


# (repository, folder) -> chunks by language, and files under the name ""
_Folders = dict[tuple[str, str], Counter[str]]


def count_facets(
    for_languages: Iterable[Counted],
    for_kinds: Iterable[Counted],
    for_folders: Iterable[Counted],
    most_folders: int,
) -> Facets:
    languages, kinds, folders = (
        Counter[str](),
        Counter[str](),
        defaultdict[tuple[str, str], Counter[str]](Counter),
    )
    for one in for_languages:
        _add(languages, _files_by_language(one), one.shard.languages)
        if notebooks := _notebooks(one):
            languages[NOTEBOOK] += notebooks
    for one in for_kinds:
        chunks = (
            one.shard.chunk_kind
            if one.mask.chunks is None
            else one.shard.chunk_kind[one.mask.chunks]
        )
        _add(kinds, np.bincount(chunks), KINDS)
    for one in for_folders:
        _add_folders(folders, one)
    base, grouped = _grouped(folders)
    shown = sorted(grouped, key=lambda folder: (-folder.chunks, folder.repo, folder.path))
    return Facets(
        dict(languages.most_common()),
        dict(kinds.most_common()),
        tuple(shown[:most_folders]),
        base,
        max(0, len(shown) - most_folders),
    )


def _files_by_language(one: Counted) -> Array:
    """Count files by language, once for each of their languages."""
    shard, mask = one.shard, one.mask
    files = np.arange(shard.manifest.files) if mask.files is None else np.flatnonzero(mask.files)
    of_files = shard.file_language[files].astype(np.int64)
    if not shard.has_mixed_files:
        return np.bincount(of_files)
    chunks = (
        np.arange(shard.manifest.chunks) if mask.chunks is None else np.flatnonzero(mask.chunks)
    )
    of_chunks = (
        shard.chunk_file[chunks].astype(np.int64) * len(shard.languages)
        + shard.chunk_language[chunks]
    )
    pairs = np.unique(np.concatenate([files * len(shard.languages) + of_files, of_chunks]))
    return np.bincount(pairs % len(shard.languages))


def _notebooks(one: Counted) -> int:
    flags = one.shard.file_flags if one.mask.files is None else one.shard.file_flags[one.mask.files]
    return int(np.count_nonzero(flags & IS_NOTEBOOK))


def _add(counts: Counter[str], by_number: Array, names: Sequence[str]) -> None:
    for number in np.flatnonzero(by_number).tolist():
        counts[names[number]] += int(by_number[number])


def _add_folders(folders: _Folders, one: Counted) -> None:
    shard, names = one.shard, one.shard.manifest.languages
    if not names:
        return
    chunks = (
        np.diff(shard.file_chunk.astype(np.int64))
        if one.mask.chunks is None
        else np.bincount(shard.chunk_file[one.mask.chunks], minlength=shard.manifest.files)
    )
    file_ids = (
        np.arange(shard.manifest.files)
        if one.mask.files is None
        else np.flatnonzero(one.mask.files)
    )
    pairs = (
        shard.path_table.file_folder[file_ids].astype(np.int64) * len(names)
        + shard.file_language[file_ids]
    )
    distinct, positions, files = np.unique(pairs, return_inverse=True, return_counts=True)
    chunk_counts = np.bincount(positions, chunks[file_ids], len(distinct)).astype(np.int64)
    for pair, file_count, chunk_count in zip(
        distinct.tolist(), files.tolist(), chunk_counts.tolist(), strict=True
    ):
        counts = folders[one.repo, shard.path_table.folders[pair // len(names)]]
        counts[""] += file_count
        counts[names[pair % len(names)]] += chunk_count


def _grouped(folders: _Folders) -> tuple[str, list[FolderCount]]:
    """Return the deepest common folder, and groups by its children.

    Folders of several repositories are grouped by repository instead.
    """
    repos = {repo for repo, _ in folders}
    several = len(repos) > 1
    base = "" if several or not folders else commonpath([f"/{path}" for _, path in folders])[1:]
    groups: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for (repo, path), counts in folders.items():
        inside = path[len(base) :].lstrip("/")
        child = inside.partition("/")[0]
        if several:
            place = repo, "", ""
        elif child:
            folder = f"{base}/{child}".lstrip("/")
            place = repo, folder, "" if "\n" in folder else f"{plain_glob(folder)}/**"
        else:
            place = repo, base, ""
        groups[place].update(counts)
    return base, [_folder(*place, counts) for place, counts in groups.items()]


def _folder(repo: str, path: str, glob: str, counts: Counter[str]) -> FolderCount:
    files = counts.pop("")
    return FolderCount(repo, path, files, counts.total(), dict(counts.most_common()), glob)
