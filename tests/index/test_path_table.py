"""Equivalence of the path table and the path matcher."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codeintel_nb.index.shard.paths import PathTable
from codeintel_nb.scopes.globs import PathMatcher
from tests.strategies import GLOBS, PATHS


@given(st.lists(GLOBS, max_size=3), st.lists(GLOBS, max_size=3), st.lists(PATHS, max_size=25))
@example(["**/a/**"], [], ["a", "a/b", "x/a/b/c", "a/a"])
@example(["**/a/**/"], [], ["a/b", "a/b/c", "x/a/b/c"])
@example(["a/**/"], [], ["a/b", "a/b/c"])
@example(["**"], ["/a"], ["a", "b/a", "a/b"])
@example(["a/*"], [], ["a/b", "a/b/c", "a"])
@example(["*a"], [], ["a", "ba/c", "c/ba", "ab"])
@example(["**/**"], [], ["a", "a/b"])
@example(["**/"], [], ["a", "a/b"])
def test_table_and_matcher_admit_the_same_paths(include, exclude, paths):
    paths = sorted(set(paths))
    table = PathTable.of(paths)
    assert table.admitted(include, exclude).tolist() == PathMatcher(include, exclude).admits_each(
        paths
    )
    assert (
        PathTable.stored(table.arrays()).admitted(include, exclude).tolist()
        == table.admitted(include, exclude).tolist()
    )


@pytest.mark.parametrize(
    "glob",
    [
        "src/**",
        "*.py",
        "*_test.py",
        "test_*",
        "/src",
        "src/*/core/**/*.{py,pyi}",
        "**/tests/**",
        "a?[bc]*",
        "README.md",
        "**/*.py",
        "src/a",
    ],
)
def test_realistic_globs_and_paths(glob):
    rng = np.random.default_rng(5)
    names = [
        "src",
        "lib",
        "core",
        "tests",
        "a",
        "ab",
        "axb",
        "x_test.py",
        "test_x.py",
        "m.py",
        "m.pyi",
        "README.md",
        "é.py",
    ]
    paths = sorted({"/".join(rng.choice(names, int(rng.integers(1, 6)))) for _ in range(3000)})
    assert PathTable.of(paths).admitted([glob], []).tolist() == PathMatcher([glob], []).admits_each(
        paths
    )
    assert PathTable.of(paths).admitted([], [glob]).tolist() == PathMatcher([], [glob]).admits_each(
        paths
    )
