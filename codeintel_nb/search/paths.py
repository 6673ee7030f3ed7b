"""Files of a shard in scope."""

from __future__ import annotations

import numpy as np

from ..index.shard.shard import Shard
from .hit import Hit
from .mask import ScopeMask


def list_paths(shard: Shard, repo: str, mask: ScopeMask, limit: int | None) -> list[Hit]:
    """Return one hit per file, in path order, at most ``limit``."""
    files = np.arange(shard.manifest.files) if mask.files is None else np.flatnonzero(mask.files)
    hits = []
    for file in files[:limit].tolist():
        end = int(shard.file_chunk[file + 1])
        has_chunks = end > int(shard.file_chunk[file])
        lines = int(shard.chunk_end_line[end - 1]) if has_chunks else 0
        hits.append(
            Hit(
                repo=repo, path=shard.paths[file], start_line=1, end_line=max(1, lines), score=1.0,
                snippet="", snippet_line=1, language=shard.language(file), kind="file",
                revision=shard.revision(file),
            )
        )  # fmt: skip
    return hits
