import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.index.id_lists import BITS, BYTES, IDS, WORDS, IdLists, packed


def read_back(lists, universe):
    ids = np.concatenate([np.array(one, np.uint32) for one in lists]) if lists else np.zeros(0, np.uint32)
    starts = np.cumsum([0, *map(len, lists)])[:-1]
    arrays = packed(ids, starts, universe)
    reader = IdLists(arrays, universe)
    return [reader.read(i).tolist() for i in range(len(lists))], arrays["forms"].tolist()


@given(st.integers(1, 200_000).flatmap(lambda universe: st.tuples(st.just(universe), st.lists(st.lists(st.integers(0, universe - 1), min_size=1, max_size=40, unique=True).map(sorted), max_size=6))))
def test_lists_come_back_as_they_were(universe_and_lists):
    universe, lists = universe_and_lists
    assert read_back(lists, universe)[0] == lists


@pytest.mark.parametrize(
    ("ids", "universe", "form"),
    [
        ([65_000], 65_536, IDS), (list(range(0, 60_000, 100)), 60_000, BYTES), (list(range(0, 60_000, 2)), 60_000, BITS), (list(range(0, 1_000_000, 5_000)), 1_000_000, WORDS),
        ([999_999], 1_000_000, IDS), ([0, 255, 510, 65_535, 65_536 + 255], 1_000_000, BYTES), (list(range(0, 600_000, 65_535)), 1_000_000, IDS),
    ],
)  # fmt: skip
def test_the_smallest_form_is_taken(ids, universe, form):
    (back,), (taken,) = read_back([ids], universe)
    assert back == ids
    sizes = {IDS: len(ids) * (2 if universe <= 65_536 else 3), BITS: (universe + 7) // 8}
    gaps = np.diff(ids, prepend=-1) - 1
    gaps[0] = ids[0]
    sizes |= {BYTES: int((gaps // 255 + 1).sum()), WORDS: int((gaps // 65_535 + 1).sum()) * 2}
    assert sizes[taken] == min(sizes.values())
    if form in (BITS, WORDS):
        assert taken == form
