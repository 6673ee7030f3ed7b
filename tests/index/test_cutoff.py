"""Shards that know the best scores of earlier ones lose none of the best of all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.index.shard import vectors as module
from codeintel_nb.index.shard.codes import encode
from codeintel_nb.index.shard.cutoff import Cutoff
from codeintel_nb.index.shard.vectors import VectorIndex, top, write_vectors

SCORES = st.lists(st.integers(0, 9).map(float), max_size=12).map(np.array)


@given(st.lists(SCORES, max_size=6), st.integers(1, 8))
def test_the_best_of_all_shards_reach_the_cutoff(shards, most):
    cutoff = Cutoff(most)
    reached = list[float]()
    for scores in shards:
        best = np.sort(scores[scores >= cutoff.score])[::-1][:most]
        cutoff.add(best)
        reached += best.tolist()
    every = sorted((score for scores in shards for score in scores.tolist()), reverse=True)
    assert sorted(reached, reverse=True)[:most] == every[:most]


@pytest.fixture
def shards(tmp_path):
    """Return four shards of 300 chunks, with 40 equal ones among them, and the row of these."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(1200, 64)).astype(np.float32)
    rows[rng.integers(0, 1200, 40)] = rows[7]
    codes = encode(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    made = []
    for number in range(4):
        path = tmp_path / f"{number}.faiss"
        write_vectors(path, codes[number * 300 : (number + 1) * 300])
        made.append(VectorIndex(path, 300, 64))
    return made, rows[7] / np.linalg.norm(rows[7])


@pytest.mark.parametrize("few", [module.FEW, 0])
@pytest.mark.parametrize("search", ["all", "some"])
@pytest.mark.parametrize("is_tied", [True, False])
def test_best_vectors_of_several_shards(shards, monkeypatch, few, search, is_tied):
    monkeypatch.setattr(module, "FEW", few)
    indexes, tied = shards
    query = tied if is_tied else np.roll(tied, 1)
    ids = np.arange(300) if search == "all" else np.arange(0, 300, 2)
    for k in (1, 10, 20, 250):
        cutoff, found = Cutoff(k), []
        for index in indexes:
            if search == "all":
                found.append(index.search(query, None, 300, cutoff))
            else:
                found.append(index.best_of(query, ids, cutoff))
        scores = [index.scores(query, ids) for index in indexes]
        least = np.sort(np.concatenate(scores))[::-1][k - 1]
        for one, own in zip(found, scores, strict=True):
            best = top(own, k)
            expected = best[own[best] >= least]
            assert one.ids[: len(expected)].tolist() == ids[expected].tolist(), "ties are kept"
        if k == 20 and not is_tied:
            assert sum(len(one.ids) for one in found) < 4 * k, "later shards return less"
