"""Results: complete, or marked as truncated."""

from __future__ import annotations

import json
import warnings

import pytest

from codeintel_nb.search.results import TruncatedWarning
from tests.conftest import write_tree


@pytest.fixture
def many(make_workspace, tmp_path):
    """Return a workspace over 386 matching lines, most of them in the last file."""
    root = write_tree(
        tmp_path / "many",
        {
            f"{name}.py": f"get_context({name!r})\n" * count
            for name, count in {"a": 100, "b": 57, "z": 229}.items()
        },
    )
    workspace = make_workspace()
    workspace.index(root, name="many")
    return workspace


def test_results_contain_every_match(many):
    results = many.search_text("get_context")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(results) == results.total == 386
        frame = results.to_df()
    assert frame.groupby("path").size().sort_values().index.tolist() == ["b.py", "a.py", "z.py"]
    assert frame.attrs == {"total": 386, "total_exact": True, "truncated": False, "reason": ""}


def test_use_of_truncated_results_warns(many):
    results = many.search_text("get_context", limit=100)
    for use in (
        len,
        list,
        lambda r: r.to_df(),
        lambda r: r.to_arrow(),
        lambda r: r.to_dicts(),
        lambda r: r.relation(),
    ):
        with pytest.warns(TruncatedWarning, match="100 hits of 386. --limit 0 keeps all"):
            use(results)
    assert results.to_df().attrs["truncated"]
    assert results.to_arrow().schema.metadata[b"total"] == b"386"
    assert json.loads(results.to_json())["truncated"]


def test_slice_warns_only_if_it_reaches_the_truncation(many):
    results = many.search_text("get_context", limit=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(results[:10]) == 10
        assert len(results[20:60]) == 40
        assert bool(results)
    with pytest.warns(TruncatedWarning):
        len(results[90:])


def test_reason_of_a_timeout_is_time(many):
    timed_out = many.search_text("get_context", deadline=1e-9)
    assert (timed_out.truncated, timed_out.reason, timed_out.total_exact) == (True, "time", False)
    assert "stopped at its time limit" in repr(timed_out)
    assert many.semantic_search("context", deadline=1e-9).reason == "time"


def test_limit_of_0_returns_everything(many):
    assert many.search_text("get_context", limit=0).query.limit == 1_000_000
    assert len(many.list_paths(limit=0)) == 3
    assert len(many.symbols("*", limit=0)) == many.symbols("*", limit=1).total
