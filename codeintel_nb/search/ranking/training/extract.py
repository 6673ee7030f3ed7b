"""Features of the pools of annotated queries, as the product computes them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codeintel_nb import Scope, Workspace
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.engines.local import LocalEngine
from codeintel_nb.index.shard.cutoff import Cutoff
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.search.query import SemanticQuery
from codeintel_nb.search.ranking.confidence import Evidence, best_pieces, evidence
from codeintel_nb.search.ranking.features import FEATURES, matrix_of
from codeintel_nb.search.ranking.order import Ranking, rank_pool
from codeintel_nb.search.ranking.training.names import name_tasks
from codeintel_nb.search.ranking.training.tasks import Task, Tasks
from codeintel_nb.search.semantic.candidates import (
    Part,
    candidates,
)
from codeintel_nb.search.semantic.closest import Search, closest
from codeintel_nb.search.semantic.collection import Collections
from codeintel_nb.search.semantic.plan import CANDIDATES, plan_search, with_vectors
from codeintel_nb.search.semantic.rank import pool_of_found, question_of


class Pooled(msgspec.Struct):
    """The files of a query's pool, in the order of their rows in the matrix."""

    task: Task
    paths: list[str]
    pieces: list[tuple[int, int]]  # first and last line of each file's best piece


class Extract(msgspec.Struct):
    """Pools of one repository; the matrices lie beside, one below the other."""

    repository: str
    kind: str
    language: str
    prefix: str
    features: list[str]
    pools: list[Pooled]
    own: list[Evidence]  # for the best file of each query
    foreign: list[Evidence]  # the same for queries about another repository


class Pools:
    """An indexed tree, and the pools of queries in it."""

    def __init__(self, workspace: Workspace) -> None:
        engine = workspace._engine
        assert isinstance(engine, LocalEngine)
        self._embedder = default_embedder()
        self._collections = Collections()
        self._parts = [
            Part(engine.shard_of(one), one.repo, engine.mask(one), engine.live(one))
            for one in workspace._repositories.view(Scope()).targets
        ]

    @property
    def shards(self) -> list[Shard]:
        return [part.shard for part in self._parts]

    def ranking(self, query: str) -> Ranking | None:
        """Return the pool of a query as the product ranks it; None if it is empty."""
        plan = plan_search(SemanticQuery(query))
        collection, folders = self._collections.of("", self._parts, plan.terms)
        space = self._parts[0].shard.manifest.space
        plan = with_vectors(
            plan, lambda term: collection.is_common(term, folders), {space: self._embedder}
        )
        near = closest(self._parts, plan, CANDIDATES, Search(_each, lambda: False, sys.maxsize))
        cutoff = Cutoff(CANDIDATES)
        by_part = [
            candidates(part, plan, collection, cutoff, steps)
            for part, steps in zip(self._parts, near, strict=True)
        ]
        pool, fused = pool_of_found(by_part, plan)
        return rank_pool(pool, question_of(plan, collection), fused) if pool.files else None

    def pooled(self, task: Task, ranking: Ranking) -> Pooled:
        pool = ranking.described.pool
        lines = {
            int(pool.file[at]): self._lines(*pool.places[at])
            for at in np.flatnonzero(ranking.pieces == 0).tolist()
        }
        files = range(len(pool.files))
        return Pooled(task, [file.path for file in pool.files], [lines[at] for at in files])

    def evidence(self, ranking: Ranking) -> Evidence:
        places = [ranking.described.pool.places[chunk] for chunk in best_pieces(ranking)]
        texts = [self._parts[at].shard.text(chunk) for at, chunk in places]
        return evidence(ranking, texts)

    def _lines(self, at: int, chunk: int) -> tuple[int, int]:
        shard = self._parts[at].shard
        return int(shard.chunk_line[chunk]), int(shard.chunk_end_line[chunk])


def _each(values: list[Any], work: Callable[[Any], Any]) -> list[Any]:
    return [*map(work, values)]


def extract(tasks: Tasks, foreign: list[str], out: Path) -> str:
    """Index a tree, and write the features of every query's files; return the tree's name."""
    with tempfile.TemporaryDirectory() as home, Workspace.open(home=home) as workspace:
        workspace.index(Path(tasks.root), name="it")
        pools = Pools(workspace)
        if tasks.kind == "names":
            tasks = msgspec.structs.replace(tasks, tasks=name_tasks(pools.shards))
        ranked = [(task, pools.ranking(task.query)) for task in tasks.tasks]
        answered = [(task, ranking) for task, ranking in ranked if ranking is not None]
        others = [ranking for query in foreign if (ranking := pools.ranking(query)) is not None]
        result = Extract(
            tasks.repository, tasks.kind, tasks.language, tasks.prefix, [*FEATURES],
            [pools.pooled(task, ranking) for task, ranking in answered],
            [pools.evidence(ranking) for _, ranking in answered],
            [pools.evidence(ranking) for ranking in others],
        )  # fmt: skip
    matrix = np.concatenate(
        [np.zeros((0, len(FEATURES))), *(matrix_of(one.described) for _, one in answered)]
    )
    np.save(out / f"{tasks.name}.npy", matrix.astype(np.float32))
    (out / f"{tasks.name}.json").write_bytes(msgspec.json.encode(result))
    return tasks.name
