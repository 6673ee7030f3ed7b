"""Chunks of a scope as points on a map."""

from __future__ import annotations

import msgspec


class Cluster(msgspec.Struct, frozen=True):
    """Chunks close together on a map."""

    x: float  # of its middle
    y: float
    points: int
    name: str  # its telling words


class Points(msgspec.Struct, frozen=True):
    """Chunks on a map; the arrays are little-endian bytes, one item per chunk."""

    x: bytes  # float32, about -1 to 1
    y: bytes
    file: bytes  # uint32, position in repos, paths and languages
    line: bytes  # uint32, first of the chunk
    cell: bytes  # int32, -1 outside of notebooks
    kind: bytes  # uint8, position in kinds
    repos: list[str]  # one per file, like paths and languages
    paths: list[str]
    languages: list[str]
    kinds: tuple[str, ...]
    total: int  # chunks in scope; the points are an even sample if there are fewer
    clusters: tuple[Cluster, ...] = ()
