import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.errors import ShardError
from codeintel_nb.index.shard import coarse
from codeintel_nb.index.shard.coarse import PART, CoarseCodes, coarse_of
from codeintel_nb.index.shard.codes import encode
from codeintel_nb.index.shard.contents import Contents
from codeintel_nb.index.shard.cutoff import Cutoff
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.index.shard.vectors import VectorIndex, top, write_vectors
from codeintel_nb.index.shard.writer import ShardWriter
from codeintel_nb.sources.document import document_of
from codeintel_nb.sources.opening import FileState
from tests.index.test_vectors import unit_rows


@pytest.mark.parametrize("dim", [16, 100, 256])
def test_a_third_of_the_components_is_in_the_middle(dim):
    coarse = coarse_of(encode(unit_rows(2000, dim)))
    low, high = np.unpackbits(coarse.reshape(2000, 2, -1), axis=2)[:, :, :dim].swapaxes(0, 1)
    assert not (high > low).any()
    for share in (1 - low.mean(), low.mean() - high.mean(), high.mean()):
        assert share == pytest.approx(1 / 3, abs=0.03)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 900), st.sampled_from([9, 64]))
def test_near_returns_all_chunks_within_a_distance(seed, share, least, dim):
    rows, query = encode(unit_rows(2000, dim, seed)), encode(unit_rows(1, dim, seed + 1))
    rows[500:700] = rows[3]  # copies, at one distance
    mask = None if share == 1 else np.random.default_rng(seed).random(2000) < share
    near = CoarseCodes(coarse_of(rows)).near(query, least, mask)
    distances = np.unpackbits(coarse_of(rows) ^ coarse_of(query), axis=1).sum(axis=1)
    inside = np.ones(2000, bool) if mask is None else mask
    np.testing.assert_array_equal(near.distances, distances[near.ids])
    limit = near.distances.max(initial=0)
    np.testing.assert_array_equal(near.ids, np.flatnonzero(inside & (distances <= limit)))
    assert len(near.ids) >= min(least, inside.sum())
    lower = CoarseCodes(coarse_of(rows)).near(query, least, mask, int(limit) - 1)
    np.testing.assert_array_equal(lower.ids, near.ids[near.distances < limit])


def test_shard_without_coarse_codes_computes_them(tmp_path):
    codes, query = encode(unit_rows(3000, 64)), unit_rows(1, 64, 7)
    write_vectors(tmp_path / "v.faiss", codes)

    def nearest():
        return VectorIndex(tmp_path / "v.faiss", 3000, 64).near(query[0], 50, None).ids

    computed = nearest()
    (tmp_path / PART).write_bytes(coarse_of(codes).tobytes())
    np.testing.assert_array_equal(nearest(), computed)
    (tmp_path / PART).write_bytes((~coarse_of(codes)).tobytes())
    assert not np.isin(nearest(), computed).any(), "the stored codes are read"


@pytest.mark.parametrize("step", [1, 40])
@pytest.mark.parametrize("copies", [1, 2500])
def test_best_of_some_chunks(tmp_path, step, copies):
    rows = unit_rows(3000, 64)
    rows[:copies] = rows[0]
    write_vectors(tmp_path / "v.faiss", encode(rows))
    index, query = VectorIndex(tmp_path / "v.faiss", 3000, 64), rows[0]
    ids = np.arange(0, 3000, step)
    scores = index.scores(query, ids)
    expected = top(scores, 20)
    best = index.best_of(query, ids, Cutoff(20))
    np.testing.assert_array_equal(best.ids, ids[expected])
    np.testing.assert_array_equal(best.scores, scores[expected])


@pytest.mark.parametrize("least", [3, 4])
def test_large_shards_store_their_coarse_codes(tmp_path, monkeypatch, least):
    monkeypatch.setattr(coarse, "MIN_STORED", least)
    shards = ShardWriter(tmp_path, Contents(default_embedder()))
    for name in "abc":
        document = document_of(f"{name}.py", f"def {name}(): ...\n".encode())
        shards.add(document, FileState(1, 2, 3, 4))
    shard = Shard(tmp_path / shards.save())
    assert (PART in shard.manifest.parts) == (shard.folder / PART).exists() == (least == 3)
    query = default_embedder().embed_query("b")[0]
    near = shard.vectors.near(query, 2, None)
    expected = CoarseCodes(coarse_of(shard.vectors.codes)).near(encode(query[None]), 2, None)
    np.testing.assert_array_equal(near.ids, expected.ids)
    if least == 3:
        (shard.folder / PART).write_bytes(b"short")
        with pytest.raises(ShardError, match=r"coarse\.bin has 5 bytes instead of 192"):
            Shard(shard.folder)
        (shard.folder / PART).unlink()
        assert len(Shard(shard.folder).vectors.near(query, 2, None).ids) >= 2
