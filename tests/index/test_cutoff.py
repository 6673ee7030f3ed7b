"""Shards that know the best scores of earlier ones lose none of the best of all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.index.shard import vectors as module
from codeintel_nb.index.shard.codes import encode
from codeintel_nb.index.shard.cutoff import Cutoff
from codeintel_nb.index.shard.vectors import VectorIndex, write_vectors

SCORES = st.lists(st.integers(0, 9).map(float), max_size=12).map(np.array)


@given(st.lists(SCORES, max_size=6), st.integers(1, 8))
def test_the_best_of_all_shards_reach_the_cutoff(shards, most):
    cutoff = Cutoff(most)
    reached = list[float]()
    for scores in shards:
        best = np.sort(scores[scores >= cutoff.score])[::-1][:most]
        cutoff.learn(best)
        reached += best.tolist()
    every = sorted((score for scores in shards for score in scores.tolist()), reverse=True)
    assert sorted(reached, reverse=True)[:most] == every[:most]


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("search", ["all", "some"])
def test_vectors_of_several_shards(tmp_path, monkeypatch, scan, search):
    if scan:
        monkeypatch.setattr(module, "FEW", 0)
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(1200, 64)).astype(np.float32)
    rows[rng.integers(0, 1200, 40)] = rows[7]  # ties in every shard
    codes = encode(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    query = rng.normal(size=64).astype(np.float32)
    query /= np.linalg.norm(query)
    shards = []
    for number in range(4):
        path = tmp_path / f"{number}.faiss"
        write_vectors(path, codes[number * 300 : (number + 1) * 300])
        shards.append(VectorIndex(path, 300, 64))
    ids = np.arange(0, 300, 2)
    for k in (1, 20, 250):
        cutoff = Cutoff(k)
        scores = list[float]()
        for shard in shards:
            found = (
                shard.search(query, k, None, 300, cutoff)
                if search == "all"
                else shard.best_of(query, ids, k, cutoff)
            )
            scores += found.scores.tolist()
        every = np.concatenate(
            [shard.scores(query, np.arange(300) if search == "all" else ids) for shard in shards]
        )
        assert sorted(scores, reverse=True)[:k] == np.sort(every)[::-1][:k].tolist()
        assert len(scores) < 4 * k or k in (1, 250), "later shards return less"
