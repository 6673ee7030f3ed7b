import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from stringzilla import Str

from codeintel_nb.search.text.ranges import Ranges


@st.composite
def ranges(draw):
    """Draw ranges over content with a cut allowed at every multiple of ten."""
    edges = sorted(draw(st.sets(st.integers(0, 60), max_size=12)))
    edges = edges[: len(edges) // 2 * 2]
    cuts = np.arange(0, 610, 10, dtype=np.uint64)
    return Ranges(np.array(edges[::2], np.int64) * 10, np.array(edges[1::2], np.int64) * 10, cuts)


def places(*many):
    return sorted(
        place
        for one in many
        for begin, end in zip(one.begins.tolist(), one.ends.tolist(), strict=True)
        for place in range(begin, end)
    )


@given(ranges(), st.integers(1, 700))
def test_parted_ranges_cover_the_whole(whole, size):
    first, rest = whole.split_by_file(size)
    assert places(first, rest) == places(whole)
    assert not first.size or not rest.size or first.ends[-1] <= rest.begins[0]
    assert abs(first.size - min(size, whole.size)) <= 10, "cut at the end of a line"
    assert (first.begins < first.ends).all()
    assert (rest.begins < rest.ends).all()


@given(ranges(), st.data())
def test_union_of_complements_is_the_whole(whole, data):
    wanted = data.draw(
        st.lists(st.booleans(), min_size=len(whole.begins), max_size=len(whole.begins))
    )
    edges = list(zip(whole.begins.tolist(), whole.ends.tolist(), strict=True))
    some, others = (
        Ranges.of(
            [edge for edge, one in zip(edges, wanted, strict=True) if one == kept], whole.cuts
        )
        for kept in (True, False)
    )
    assert places(some.union(others)) == places(whole)
    assert (np.diff(some.union(others).begins) > 0).all()


@given(ranges(), st.integers(0, 62))
def test_cut_separates_before_from_after_the_offset(whole, tens):
    head, rest = whole.cut(10 * tens)
    assert places(head) == [place for place in places(whole) if place < 10 * tens]
    assert places(rest) == [place for place in places(whole) if place >= 10 * tens]
    assert all((one.begins < one.ends).all() for one in (head, rest))


@given(ranges(), st.integers(1, 100), st.integers(1, 300))
def test_occurrences_are_estimated_from_samples(whole, samples, size):
    assert whole.occurrences(Str(b"a" * 620), b"a", samples, size) == whole.size
    assert whole.occurrences(Str(b"a" * 620), b"b", samples, size) == 0
