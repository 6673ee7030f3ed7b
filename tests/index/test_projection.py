"""The map: one layout for all shards, computed once, with similar chunks close together."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import IPython
import numpy as np
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.errors import MissingExtra, SearchError
from codeintel_nb.index.shard.codes import decode
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.search.code_map.clusters import clusters_of
from codeintel_nb.search.code_map.landmarks import LANDMARKS_FILE, read_landmarks, write_landmarks
from codeintel_nb.search.code_map.layout import Projection
from tests.conftest import write_tree


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """Yield a workspace with IPython's sources and their map."""
    workspace = Workspace.open(tmp_path_factory.mktemp("mapped"))
    workspace.index(Path(IPython.__file__).parent, "ipython")
    workspace.points()
    yield workspace
    workspace.close()


def folder_of(workspace):
    return workspace.settings.home / "v8" / "map"


def places(points):
    return np.stack([np.frombuffer(points.x, "<f4"), np.frombuffer(points.y, "<f4")], axis=1)


@pytest.mark.slow
def test_similar_chunks_are_close_together(mapped):
    (target,) = mapped._repositories.view(Scope()).targets
    vectors = decode(mapped._engine.shard_of(target).vectors.codes)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    at = places(mapped.points())
    assert len(at) == len(vectors)
    random = np.random.default_rng(0)
    chosen = random.choice(len(vectors), 300, replace=False)
    nearest = np.argsort(-(vectors[chosen] @ vectors.T), axis=1)[:, 1:6]
    near = np.linalg.norm(at[nearest] - at[chosen][:, None], axis=2).mean()
    any_two = np.linalg.norm(at[random.permutation(chosen)] - at[chosen], axis=1).mean()
    assert near < any_two / 3
    assert np.abs(at).max() <= 1.05


def test_chunk_has_the_same_position_in_every_scope(mapped):
    everything, some = mapped.points(), mapped.points(Scope(include_globs=("core/**",)))
    assert 0 < some.total < everything.total

    def lines(points):
        paths = (points.paths[i] for i in np.frombuffer(points.file, "<u4"))
        numbers = np.frombuffer(points.line, "<u4").tolist()
        return dict(zip(zip(paths, numbers, strict=True), places(points).tolist(), strict=True))

    all_lines = lines(everything)
    assert lines(some) == {
        key: place for key, place in all_lines.items() if key[0].startswith("core/")
    }


def test_point_limit_takes_an_even_sample(mapped):
    few = mapped.points(most=100)
    assert few.total == mapped.points().total
    assert len(places(few)) == 100
    assert len(few.paths) > 30


@pytest.mark.slow
def test_points_are_cached_and_damaged_files_are_recomputed(mapped):
    before = places(mapped.points())
    stamps = {path.name: path.stat().st_mtime_ns for path in folder_of(mapped).iterdir()}
    assert len(stamps) == 2
    assert (places(mapped.points()) == before).all()
    assert (again(mapped) == before).all()
    assert {path.name: path.stat().st_mtime_ns for path in folder_of(mapped).iterdir()} == stamps, (
        "read from the cache, not recomputed"
    )
    (points,) = folder_of(mapped).glob("*-*.bin")
    points.write_bytes(points.read_bytes()[:-3])
    assert np.allclose(again(mapped), before)
    (folder_of(mapped) / "landmarks.npz").write_bytes(b"PK nonsense")
    assert np.allclose(again(mapped), before, atol=1e-3), "the same layout is computed again"
    assert len(list(folder_of(mapped).iterdir())) == 2, "points of the old landmarks are deleted"


def again(workspace):
    """Return the points as read by a new workspace."""
    other = Workspace.open(workspace.settings.home)
    try:
        return places(other.points())
    finally:
        other.close()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_a_few_chunks_have_a_map(make_workspace, tmp_path, count):
    (tmp_path / "t").mkdir()
    for i in range(count):
        (tmp_path / "t" / f"m{i}.py").write_text(f"def function_{i}(a):\n    return a + {i}\n")
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    at = places(workspace.points())
    assert len(at) >= count
    assert np.isfinite(at).all()


@pytest.mark.slow
def test_growing_index_keeps_its_layout_until_it_outgrows_it(make_workspace, tmp_path):
    def write(begin, end):
        for i in range(begin, end):
            (tmp_path / "t" / f"m{i}.py").write_text(f"def function_{i}(a):\n    return a * {i}\n")

    (tmp_path / "t").mkdir()
    write(0, 30)
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    kept = folder_of(workspace) / "landmarks.npz"
    workspace.points()
    first = kept.read_bytes()
    write(30, 60)
    workspace.index(tmp_path / "t")
    workspace.points()
    assert kept.read_bytes() == first
    write(60, 300)
    workspace.index(tmp_path / "t")
    workspace.points()
    assert kept.read_bytes() != first


@pytest.mark.slow
def test_map_works_without_a_writable_home(mapped, monkeypatch, tmp_path):
    from codeintel_nb.search.code_map import layout as projection

    (tmp_path / "file").write_text("where nothing can lie below")
    children, in_child = [], projection._in_child
    monkeypatch.setattr(
        projection, "_in_child", lambda *given: children.append(1) or in_child(*given)
    )
    (target,) = mapped._repositories.view(Scope()).targets
    shard = mapped._engine.shard_of(target)
    made = Projection(tmp_path / "file" / "map")
    for _ in range(3):
        made.prepare([shard])
        assert len(made.points(shard)) == shard.manifest.chunks
    assert children == [1], "the map is kept in memory"


def test_missing_extra_error_names_the_install_command(make_workspace, tree, monkeypatch):
    from codeintel_nb.search.code_map import layout as projection

    workspace = make_workspace()
    workspace.index(tree)
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'codeintel-nb\[map\]'"):
        workspace.points()


def test_an_empty_folder_has_an_empty_map(make_workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    workspace = make_workspace()
    workspace.index(tmp_path / "empty")
    assert (workspace.points().total, workspace.points().paths) == (0, [])


def test_map_without_repositories_raises(make_workspace):
    with pytest.raises(SearchError):
        make_workspace().points()


def test_deleted_shard_raises_file_not_found(mapped, tmp_path):
    """Check the error: callers reload the snapshot on it."""
    (target,) = mapped._repositories.view(Scope()).targets
    folder = tmp_path / "shard"
    shutil.copytree(mapped._shards.root / target.shard, folder)
    shard = Shard(folder)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError) as error:
        Projection(tmp_path / "map").prepare([shard])
    assert str(folder) in str(error.value.filename)


@pytest.mark.slow
def test_newer_landmarks_of_another_process_are_kept(mapped, tmp_path):
    """Check that a process with older landmarks places its shards among the newer ones."""
    (target,) = mapped._repositories.view(Scope()).targets
    shard = mapped._engine.shard_of(target)
    folder = tmp_path / "map"
    projection = Projection(folder)
    projection.prepare([shard])
    newer = projection._landmarks._replace(places=projection._landmarks.places[::-1].copy())
    write_landmarks(folder / LANDMARKS_FILE, newer)
    projection._lay_out([shard], lambda event: None, None)
    assert read_landmarks(folder / LANDMARKS_FILE).id == projection._landmarks.id == newer.id


@pytest.mark.slow
def test_two_processes_can_lay_out_a_map_at_once(make_workspace, tmp_path):
    """Check that each waits for the other, and that both get the positions of their shards."""
    function = "def function_{i}_{j}(argument):\n    return argument * {j} + {i}\n\n\n"
    workspace = make_workspace()
    for name in ("a", "b"):
        write_tree(
            tmp_path / name,
            {
                f"{name}{i}.py": "".join(function.format(i=i, j=j) for j in range(20))
                for i in range(20)
            },
        )
        workspace.index(tmp_path / name)
    shards = [
        workspace._engine.shard_of(target)
        for target in workspace._repositories.view(Scope()).targets
    ]
    projections = [Projection(tmp_path / "map") for _ in shards]
    with ThreadPoolExecutor(len(shards)) as pool:
        for _ in pool.map(
            lambda one: one[0].prepare([one[1]]), zip(projections, shards, strict=True)
        ):
            pass
    for projection, shard in zip(projections, shards, strict=True):
        assert projection.points(shard).shape == (shard.manifest.chunks, 2)


def test_shard_without_positions_raises_file_not_found(mapped):
    """Check the error: another process may publish a shard after the shards were listed."""
    (target,) = mapped._repositories.view(Scope()).targets
    with pytest.raises(FileNotFoundError):
        Projection(folder_of(mapped)).points(mapped._engine.shard_of(target))


def test_clusters_are_named_in_any_script():
    random = np.random.default_rng(0)
    places = np.concatenate([random.normal(at, 0.1, (60, 2)) for at in (0, 10)])
    texts = ["# Заказы клиента\nчтение()", "# 注文 一覧\ngröße()"]
    clusters = clusters_of(places.astype(np.float32), lambda number: texts[number // 60])
    assert {frozenset(cluster.name.split()) for cluster in clusters} == {
        frozenset(["заказы", "клиента", "чтение"]),
        frozenset(["注文", "一覧", "größe"]),
    }
