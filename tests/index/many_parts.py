"""A tree that is indexed in many parts, and the parts of an index."""

from __future__ import annotations

from pathlib import Path

from codeintel_nb import Workspace
from codeintel_nb.index.shard.manifest import Part, read_manifest
from codeintel_nb.index.store import read_snapshot
from tests.conftest import write_tree


def functions_tree(folder: Path) -> Path:
    """Write 120 files with 30 functions each."""
    return write_tree(
        folder,
        {
            f"part{n % 7}/f{n:03}.py": "".join(
                f"def function_{n}_{i}(value):\n    return value + {i}\n\n\n" for i in range(30)
            )
            for n in range(120)
        },
    )


def parts(workspace: Workspace) -> list[dict[str, Part]]:
    """Return the parts of each shard of the only repository, with their checksums."""
    (stored,) = workspace._repositories.all()
    return [
        read_manifest(stored.shards / ref.id).parts for ref in read_snapshot(stored.folder).shards
    ]
