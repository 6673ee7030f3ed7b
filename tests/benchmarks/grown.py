"""A home that holds the repositories of another one several times, as hard links.

Memory and disk are shared, the work of a search is not: so an index can be measured that is larger
than the machine would build.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from codeintel_nb.index.store import ShardRef, Store, read_snapshot


def grow(home: Path, target: Path, copies: int) -> Path:
    """Write a home with ``copies`` of each repository of ``home``."""
    store = Store(target)
    for stored in Store(home).repositories():
        snapshot = read_snapshot(stored.folder)
        for copy in range(copies):
            repository = msgspec.structs.replace(
                stored.repository, name=f"{stored.repository.name}-{copy:02d}"
            )
            folder = store.create(repository).folder
            refs = []
            for ref in snapshot.shards:
                name = f"{ref.id}{copy:02d}"
                _link(stored.shard(ref.id), folder / "shards" / name, ref.id, name)
                refs.append(ShardRef(name, ref.dead))
            grown = msgspec.structs.replace(snapshot, shards=tuple(refs), retired={})
            (folder / "snapshot.json").write_bytes(msgspec.json.encode(grown))
    return target


def _link(shard: Path, copy: Path, former: str, name: str) -> None:
    copy.mkdir()
    for part in shard.iterdir():
        if part.name == "manifest.json":
            (copy / part.name).write_text(part.read_text().replace(former, name))
        else:
            os.link(part, copy / part.name)
