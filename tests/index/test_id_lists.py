import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.index.shard import id_lists
from codeintel_nb.index.shard.id_lists import BITS, ELIAS_FANO, IDS, IdLists, packed


def read_back(lists, universe):
    ids = (
        np.concatenate([np.array(one, np.uint32) for one in lists])
        if lists
        else np.zeros(0, np.uint32)
    )
    starts = np.cumsum([0, *map(len, lists)])[:-1]
    arrays = packed(ids, starts, universe)
    reader = IdLists(arrays, universe)
    return (
        [reader.read(i).tolist() for i in range(len(lists))],
        arrays["forms"].tolist(),
        reader.sizes(np.arange(len(lists))),
    )


def lists_below(universe):
    return st.lists(
        st.lists(st.integers(0, universe - 1), min_size=1, max_size=40, unique=True).map(sorted),
        max_size=6,
    )


@given(
    st.sampled_from(
        [1, 2, 7, 100, 65_536, 65_537, 200_000, 1 << 24, (1 << 24) + 1, 1 << 31]
    ).flatmap(lambda universe: st.tuples(st.just(universe), lists_below(universe)))
)
def test_lists_round_trip(universe_and_lists):
    universe, lists = universe_and_lists
    assert read_back(lists, universe)[0] == lists


@given(st.integers(1, 3000), st.floats(0.0005, 0.999), st.integers(0, 1 << 30))
def test_lists_of_any_density_round_trip(universe, density, seed):
    rng = np.random.default_rng(seed)
    lists = [
        np.flatnonzero(rng.random(universe) < density).tolist() or [universe - 1] for _ in range(3)
    ]
    assert read_back(lists, universe)[0] == lists


def test_packing_in_batches_equals_packing_at_once(monkeypatch):
    rng = np.random.default_rng(7)
    lists = [
        sorted(rng.choice(5000, rng.integers(1, 2000), replace=False).tolist()) for _ in range(60)
    ]
    whole = read_back(lists, 5000)
    monkeypatch.setattr(id_lists, "_AT_ONCE", 3000)
    assert read_back(lists, 5000) == whole
    assert whole[0] == lists


@pytest.mark.parametrize(
    ("ids", "universe", "form"),
    [
        ([65_000], 65_536, IDS),
        (range(0, 60_000, 2), 60_000, BITS),
        ([999_999], 1_000_000, IDS),
        (range(60_000), 60_000, BITS),
        (range(0, 60_000, 100), 60_000, ELIAS_FANO + 6),
        (range(0, 1_000_000, 5_000), 1_000_000, ELIAS_FANO + 12),
        (range(0, 1_000_000, 9), 1_000_000, ELIAS_FANO + 3),
    ],
)
def test_smallest_encoding_is_chosen(ids, universe, form):
    (back,), (taken,), (size,) = read_back([list(ids)], universe)
    assert back == list(ids)
    assert taken == form
    in_ids, in_bits = len(ids) * (2 if universe <= 65_536 else 3), (universe + 7) // 8
    assert size <= min(in_ids, in_bits)
    if form >= ELIAS_FANO:
        assert size <= len(ids) * (2 + np.log2(universe / len(ids))) / 8 + 2, "the Elias-Fano bound"


def test_among_intersects_a_list_with_ids():
    lists = [[5, 700, 59_999], list(range(0, 60_000, 3)), list(range(0, 60_000, 41))]
    arrays = packed(np.concatenate(lists).astype(np.uint32), np.array([0, 3, 20_003]), 60_000)
    reader = IdLists(arrays, 60_000)
    assert len(set(arrays["forms"].tolist())) == 3
    asked = np.array([0, 5, 41, 82, 123, 700, 59_999])
    for position, ids in enumerate(lists):
        assert reader.among(position, asked).tolist() == sorted(set(ids) & set(asked.tolist()))
