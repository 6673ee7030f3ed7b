"""Queries from names that a tree defines once, or from the words of these names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from codeintel_nb.embedding.words import parts_of
from codeintel_nb.index.shard.shard import KINDS, Shard
from codeintel_nb.search.ranking.training.mine import is_source
from codeintel_nb.search.ranking.training.tasks import Target, Task

COUNT = 20  # queries of a repository
MIN_PARTS, MAX_PARTS = 2, 5  # words of a name
_KINDS = {KINDS.index(kind) for kind in ("function", "class", "method")}


def name_tasks(shards: Sequence[Shard]) -> list[Task]:
    """Return queries for names with a single definition, selected by hash.

    Every other query consists of the name's words.
    """
    files = Counter[str]()
    path_of = dict[str, str]()
    for shard in shards:
        for number in range(shard.symbols):
            path = shard.paths[int(shard.symbol_file[number])]
            name = shard.symbol_label(number).rpartition(".")[2]
            files[name] += 1
            if (
                int(shard.symbol_kind[number]) in _KINDS
                and is_source(path)
                and MIN_PARTS <= len(parts_of(name)) <= MAX_PARTS
            ):
                path_of[name] = path
    names = sorted((name for name in path_of if files[name] == 1), key=_hash)[:COUNT]
    return [
        Task(name if at % 2 else " ".join(parts_of(name)), "name", [Target(path_of[name])])
        for at, name in enumerate(names)
    ]


def _hash(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
