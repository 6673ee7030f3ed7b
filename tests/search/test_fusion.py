import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.search.fusion import reciprocal_rank_fusion

RANKINGS = st.lists(
    st.tuples(st.permutations(range(8)).map(lambda p: p[:5]), st.floats(0.1, 1)), max_size=4
)


@given(RANKINGS, st.randoms())
def test_the_order_of_the_channels_does_not_matter(rankings, random):
    shuffled = list(rankings)
    random.shuffle(shuffled)
    assert reciprocal_rank_fusion(rankings) == pytest.approx(reciprocal_rank_fusion(shuffled))


def test_ranks_count_from_one_and_weights_multiply():
    assert reciprocal_rank_fusion([(["a", "b"], 1.0), (["b"], 0.5)], k=60) == pytest.approx(
        {"a": 1 / 61, "b": 1 / 62 + 0.5 / 61}
    )
    assert reciprocal_rank_fusion([(["a"], 0.0)]) == {}
