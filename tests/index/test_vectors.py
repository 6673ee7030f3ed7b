import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.errors import ShardError
from codeintel_nb.index.shard import vectors as module
from codeintel_nb.index.shard.codes import decode, encode
from codeintel_nb.index.shard.cutoff import Cutoff
from codeintel_nb.index.shard.vectors import VectorIndex, top, write_vectors


def unit_rows(count, dim, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def index(tmp_path):
    codes = encode(unit_rows(3000, 64))
    write_vectors(tmp_path / "v.faiss", codes)
    return VectorIndex(tmp_path / "v.faiss", 3000, 64)


def test_codes_match_faiss_and_round_trip(tmp_path, index):
    import faiss

    vectors = unit_rows(3000, 64)
    stored = faiss.read_index(str(index.path))
    apart = stored.sa_encode(vectors).astype(int) - encode(vectors)
    assert np.abs(apart).max() <= 1, "on the edge of a step, rounding decides"
    assert np.count_nonzero(apart) < 20
    np.testing.assert_allclose(stored.reconstruct_n(0, 3000), decode(index.codes), atol=1e-6)
    np.testing.assert_array_equal(encode(decode(index.codes)), index.codes)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 40), st.booleans())
def test_masked_search_equals_brute_force(index, seed, share, k, scan):
    rng = np.random.default_rng(seed)
    mask = rng.random(3000) < share
    query = unit_rows(1, 64, seed)
    ids = np.flatnonzero(mask)
    scores = decode(index.codes[ids]) @ query[0]
    best = np.sort(scores)[::-1][:k]
    few, module.FEW = module.FEW, 0 if scan else module.FEW
    try:
        found = index.search(query, mask, len(ids), Cutoff(k))
    finally:
        module.FEW = few
    assert len(found.ids) == min(k, len(ids))
    assert mask[found.ids].all()
    np.testing.assert_allclose(found.scores, best, atol=1e-5)


def test_no_mask_means_all(index):
    query = unit_rows(1, 64, 7)
    found = index.search(query, None, 3000, Cutoff(5))
    everything = index.search(query, np.ones(3000, bool), 3000, Cutoff(5))
    np.testing.assert_array_equal(found.ids, everything.ids)


def test_empty_index_returns_nothing(tmp_path):
    write_vectors(tmp_path / "v.faiss", np.zeros((0, 8), np.uint8))
    assert (
        len(VectorIndex(tmp_path / "v.faiss", 0, 8).search(unit_rows(1, 8), None, 0, Cutoff(5)).ids)
        == 0
    )


def test_truncated_file_raises_shard_error(tmp_path):
    (tmp_path / "v.faiss").write_bytes(b"short")
    with pytest.raises(ShardError, match="are truncated"):
        VectorIndex(tmp_path / "v.faiss", 100, 64)


def test_file_deleted_before_the_scan_raises_file_not_found(index, monkeypatch):
    monkeypatch.setattr(module, "FEW", 0)
    index.path.unlink()
    with pytest.raises(FileNotFoundError):
        index.search(unit_rows(1, 64), None, 3000, Cutoff(5))


@given(st.lists(st.floats(-1, 1, width=32), max_size=60), st.integers(0, 70))
def test_top_is_a_stable_sort(scores, k):
    array = np.array(scores, np.float32)
    values = array[top(array, k)] if k else array[:0]
    np.testing.assert_array_equal(values, np.sort(array)[::-1][:k])
