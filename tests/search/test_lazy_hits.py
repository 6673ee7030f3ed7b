import gc
import json
import pickle
import shutil

import msgspec
import pytest

from codeintel_nb import Results, Scope, Workspace
from codeintel_nb.search.hit import Hit
from codeintel_nb.search.lazy_hits import CACHED, LazyHits, columns_of
from codeintel_nb.search.text.hits import TextMatches
from codeintel_nb.search.text.unindexed import UnindexedFiles
from codeintel_nb.settings import Settings
from tests.conftest import write_tree
from tests.search.test_same_in_any_cut import copied, opened

OPTIONS = (
    {},
    {"context": 2},
    {"rank": True},
    {"show": "files"},
    {"show": "counts"},
    {"per_file": 2},
    {"pattern": r"def \w+\(\n?", "regex": True},
    {"pattern": "(?s)def .{0,9}\n", "regex": True},
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lazy")
    workspace = opened(folder / "home", 400_000)
    root = copied(folder / "tree")
    workspace.index(root, name="tree")
    (root / "core" / "magic.py").write_text("self = 1\n" * 9)  # read outside the index
    yield workspace
    workspace.close()


def search(workspace, pattern="self", **options):
    return workspace.search_text(pattern, limit=options.pop("limit", 0), **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_columns_are_the_fields_of_the_hits(workspace, options):
    results = search(workspace, **options)
    hits = [*results.hits]
    assert len(hits) == len(results.hits) > 2
    names = Hit.__struct_fields__
    for name, values in zip(names, columns_of(results.hits, names), strict=True):
        assert values == [getattr(hit, name) for hit in hits], name
        if name not in ("why", "also"):
            column = results.to_df(columns=[name])[name].astype(object)
            assert column.where(column.notna(), None).tolist() == values, name
    assert results.to_arrow().to_pylist() == [
        {name: value for name, value in one.items() if name not in ("why", "also")}
        for one in results.to_dicts()
    ]
    assert results.files() == len({(hit.repo, hit.path) for hit in hits})


def test_arrow_has_every_column(tmp_path, make_workspace):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": "def charge(card): ..."}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    tree = {"n.ipynb": json.dumps(notebook), "a.py": "def charge(card): ...\n"}
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "tree", tree), name="t")
    for results in (
        workspace.search_text("charge"),
        workspace.semantic_search("charge a card", why=True),
        workspace.search_symbols("charge"),
    ):
        table = results.to_arrow([*Hit.__struct_fields__])
        for hit, row in zip(results, table.to_pylist(), strict=True):
            row["also"], row["why"] = tuple(row["also"]), row["why"] and json.loads(row["why"])
            why = msgspec.json.decode(msgspec.json.encode(hit.why))
            assert row == {**msgspec.structs.asdict(hit), "why": why}
        assert results.to_arrow()["cell_line"].to_pylist() == [hit.cell_line for hit in results]
        assert len(results.relation()) == len(results.to_polars("all")) == len(results) > 0
    assert 1 in workspace.search_text("charge").to_arrow()["cell_line"].to_pylist()
    assert workspace.search_text("nothing_at_all").to_arrow().num_rows == 0


def test_hits_behave_like_a_tuple(workspace):
    results = search(workspace)
    lazy, hits = results.hits, tuple(results.hits)
    assert isinstance(lazy, LazyHits)
    assert len(hits) > 3 * CACHED
    assert lazy == hits == lazy
    assert hits == lazy
    assert (lazy != hits[1:], lazy[1:] == hits[1:], lazy == [*hits]) == (True, True, False)
    assert lazy + lazy[:1] == (*hits, hits[0])
    assert hits[:1] + lazy == (hits[0], *hits)
    assert hash(lazy) == hash(hits)
    assert repr(lazy[:3]) == repr(hits[:3])
    for at in (0, 1, CACHED - 1, CACHED, len(hits) - 1, -1, -len(hits)):
        assert lazy[at] == hits[at]
    for part in (slice(5), slice(70, 300), slice(-9, None), slice(300, 70), slice(None, None, -7)):
        assert tuple(lazy[part]) == hits[part]
        assert tuple(results[part]) == hits[part]
    for at in (len(hits), -len(hits) - 1):
        with pytest.raises(IndexError):
            lazy[at]
    assert hits[80] in lazy
    assert lazy.index(hits[80]) == hits.index(hits[80])
    assert [*reversed(lazy)] == [*reversed(hits)]
    assert pickle.loads(pickle.dumps(lazy)) == hits


def test_hits_are_built_on_access(workspace, monkeypatch):
    made = []
    real = TextMatches.hits

    def hits(self, begin, end):
        made.append(end - begin)
        return real(self, begin, end)

    monkeypatch.setattr(TextMatches, "hits", hits)
    results = search(workspace)
    assert (len(results) > 3 * CACHED, results.files() > 20, bool(results)) == (
        True,
        True,
        True,
    )
    assert results["path"] == results.to_df()["path"].tolist()
    assert results.to_arrow().num_rows == len(results)
    assert made == []
    assert "self" in repr(results)
    assert 0 < sum(made) <= 250 < len(results) / 10
    made.clear()
    assert results[200] == results[200]
    assert sum(made) == CACHED


def test_hits_outlive_their_index(tmp_path):
    workspace = opened(tmp_path / "home", 400_000)
    workspace.index(copied(tmp_path / "tree"), name="tree")
    results = search(workspace)
    expected = tuple(search(workspace).hits)
    workspace.close()
    shutil.rmtree(tmp_path / "home")
    shutil.rmtree(tmp_path / "tree")
    assert results.hits == expected


def test_json_round_trip(workspace):
    import msgspec

    results = search(workspace, limit=70)
    again = msgspec.json.decode(results.to_json(), type=Results)
    assert again.hits == results.hits
    assert again == results


@pytest.mark.parametrize(("others", "is_kept"), [(0, True), (300_000, False)])
def test_text_of_unindexed_files_is_kept_for_many_matches_only(tmp_path, others, is_kept):
    files = {f"{name}.txt": "word\n" * 600 + "-\n" * others for name in "ab"}
    here = str(write_tree(tmp_path / "tree", files))
    workspace = Workspace(Settings.from_environment(tmp_path / "home"), here=here, follow=False)
    gc.collect()
    before = [one for one in gc.get_objects() if isinstance(one, UnindexedFiles)]
    results = search(workspace, "word", context=1)
    workspace.close()
    gc.collect()
    alive = [one for one in gc.get_objects() if isinstance(one, UnindexedFiles)]
    assert any(all(one is not other for other in before) for one in alive) == is_kept
    del alive, before
    names = Hit.__struct_fields__
    for name, values in zip(names, columns_of(results.hits, names), strict=True):
        assert values == [getattr(hit, name) for hit in results.hits]
    assert [(hit.path, hit.start_line) for hit in results[598:602]] == [
        ("a.txt", 599),
        ("a.txt", 600),
        ("b.txt", 1),
        ("b.txt", 2),
    ]


def test_neighbouring_files_of_a_shard_stay_together(workspace):
    assert len(workspace.status()) == 1
    results = search(workspace)
    assert results.files() > 100
    shards = len(workspace._repositories.view(Scope()).targets)
    assert len(results.hits._segments) <= 2 * shards + 1, "one file in between is read separately"


def test_columns_of_nothing_are_texts(workspace):
    frame = search(workspace, "zzz nothing").to_df()
    assert frame.path.str.endswith(".py").tolist() == []


@pytest.mark.parametrize("kind", [tuple, list])
def test_sql_reads_columns(workspace, kind, monkeypatch):
    results = search(workspace)
    expected = len(kind(results.hits))
    monkeypatch.setattr(TextMatches, "hits", None)
    counted = workspace.sql("select count(*) from hits", hits=results.hits)
    assert counted.rows() == [(expected,)]
