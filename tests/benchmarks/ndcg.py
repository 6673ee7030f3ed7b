"""Retriever for a semantic code-search benchmark.

The benchmark's options are ``--path REPOSITORY_ROOT --retriever tests.benchmarks.ndcg:Retriever``.
Each tree gets its own index home and is searched through ``ws.semantic_search``, as by any caller.
The mode is hybrid unless CODEINTEL_MODE is dense or lexical.
"""

from __future__ import annotations

import os
import shutil
import tempfile

from codeintel_nb import Workspace


class Retriever:
    def __init__(self, root: str) -> None:
        self.home = tempfile.mkdtemp()
        self.workspace = Workspace.open(self.home)
        self.workspace.index(root, name="tree")

    def search(self, query: str, k: int) -> list[tuple[str, int, int]]:
        found = self.workspace.semantic_search(
            query, limit=k, mode=os.environ.get("CODEINTEL_MODE", "hybrid")
        )  # type: ignore[arg-type]
        return [(hit.path, hit.start_line, hit.end_line) for hit in found]

    def close(self) -> None:
        self.workspace.close()
        shutil.rmtree(self.home)
