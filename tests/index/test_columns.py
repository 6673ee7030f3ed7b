"""Columns and lengths, as stored in a shard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.index.shard.arrays import open_arrays, write_arrays
from codeintel_nb.index.shard.columns import open_columns, write_columns
from codeintel_nb.index.shard.lengths import length_arrays, lengths_in, starts_of

LENGTHS = st.integers(0, 300) | st.sampled_from([0, 254, 255, 256, 65534, 65535, 65536, 1 << 31])


@given(st.lists(LENGTHS))
def test_lengths_are_read_back(lengths):
    arrays = length_arrays("x", lengths)
    assert lengths_in(arrays, "x").tolist() == lengths
    assert starts_of(np.array(lengths, np.int64), np.uint64).tolist() == [
        sum(lengths[:end]) for end in range(len(lengths) + 1)
    ]


def test_rare_large_lengths_do_not_widen_the_others():
    arrays = length_arrays("x", [7] * 1000 + [70_000])
    assert sum(part.nbytes for part in arrays.values()) < 1010


FILES = st.lists(
    st.tuples(
        st.lists(st.integers(1, 400), max_size=4),  # lines of its chunks
        st.lists(st.tuples(st.integers(0, 900), st.integers(0, 90_000)), max_size=4),
    ),
    max_size=6,
)


@given(FILES, st.booleans())
def test_columns_are_read_back(tmp_path_factory, files, has_gap):
    """Lines of chunks and definitions are stored as distances, whatever the files hold."""
    chunks, definitions, file_chunk, file_symbol, lines = [], [], [0], [0], []
    for of_chunks, of_symbols in files:
        line = 2 if has_gap else 1
        for count in of_chunks:
            chunks.append(line)
            line += count
        lines.append(line - 1)
        file_chunk.append(len(chunks))
        starts = np.cumsum([step for step, _ in of_symbols]).tolist()
        definitions += [
            (start, start + size) for start, (_, size) in zip(starts, of_symbols, strict=True)
        ]
        file_symbol.append(len(definitions))
    columns = {
        "file_chunk": np.array(file_chunk, np.uint32),
        "file_symbol": np.array(file_symbol, np.uint32),
        "file_lines": np.array(lines, np.uint32),
        "chunk_start": np.arange(len(chunks) + 1, dtype=np.uint64) * 100_000,
        "chunk_line": np.array(chunks, np.uint32),
        "symbol_line": np.array([first for first, _ in definitions], np.uint32),
        "symbol_end_line": np.array([last for _, last in definitions], np.uint32),
        "symbol_label_ends": np.arange(1, len(definitions) + 1, dtype=np.uint32) * 3,
    }
    path = tmp_path_factory.mktemp("columns") / "columns.bin"
    write_columns(path, columns)
    read = open_columns(path)
    for name, column in columns.items():
        assert read[name].tolist() == column.tolist(), name
        assert read[name].dtype == column.dtype, name


def test_missing_column_is_a_key_error(tmp_path):
    none = np.zeros(0, np.uint32)
    write_columns(
        tmp_path / "columns.bin",
        {
            "file_chunk": np.zeros(1, np.uint32), "file_symbol": np.zeros(1, np.uint32),
            "file_lines": none, "chunk_start": np.zeros(1, np.uint64), "chunk_line": none,
            "symbol_line": none, "symbol_end_line": none, "symbol_label_ends": none,
        },
    )  # fmt: skip
    columns = open_arrays(tmp_path / "columns.bin")
    del columns["symbol_steps"]
    write_arrays(tmp_path / "others.bin", columns)
    with pytest.raises(KeyError, match="symbol_steps"):
        open_columns(tmp_path / "others.bin")


def test_lengths_beyond_the_usual():
    assert lengths_in(length_arrays("x", [1, 1 << 32, 5]), "x").tolist() == [1, 1 << 32, 5]
    with pytest.raises(ValueError, match="x has negative values"):
        length_arrays("x", [3, -1])


def test_definitions_out_of_order_are_read_back(tmp_path):
    """No parser gives these; if one did, its lines would be stored unchanged."""
    columns = {
        "file_chunk": np.array([0, 1], np.uint32), "file_symbol": np.array([0, 3], np.uint32),
        "file_lines": np.array([9], np.uint32), "chunk_start": np.array([0, 1 << 33], np.uint64),
        "chunk_line": np.array([1], np.uint32), "symbol_line": np.array([5, 2, 3], np.uint32),
        "symbol_end_line": np.array([6, 1, 3], np.uint32),
        "symbol_label_ends": np.array([1, 2, 3], np.uint32),
    }  # fmt: skip
    write_columns(tmp_path / "columns.bin", columns)
    read = open_columns(tmp_path / "columns.bin")
    for name, column in columns.items():
        assert read[name].tolist() == column.tolist(), name
