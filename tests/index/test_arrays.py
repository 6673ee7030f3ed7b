import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, integer_dtypes

from codeintel_nb.errors import ShardError
from codeintel_nb.index.shard.arrays import open_arrays, write_arrays


@given(
    st.dictionaries(
        st.text("abc_", min_size=1),
        arrays(
            integer_dtypes(endianness="<"),
            array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=7),
        ),
        max_size=4,
    )
)
def test_arrays_round_trip(tmp_path_factory, given_arrays):
    path = tmp_path_factory.mktemp("arrays") / "a.bin"
    write_arrays(path, given_arrays)
    found = open_arrays(path)
    assert list(found) == list(given_arrays)
    for name, array in given_arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"CODEINT1",
        b"x" * 100,
        b"CODEINT1" + (10).to_bytes(8, "little") + b"{not json}" + b" " * 60,
        b"CODEINT1" + (20).to_bytes(8, "little") + b'{"a":["<i8",[99],0]}',
    ],
)
def test_damaged_file_raises_shard_error(tmp_path, damage):
    (tmp_path / "a.bin").write_bytes(damage)
    with pytest.raises(ShardError, match=r"a\.bin"):
        open_arrays(tmp_path / "a.bin")


def test_missing_file_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_arrays(tmp_path / "gone.bin")
