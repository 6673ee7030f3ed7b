"""Repositories embedded by an endpoint: consent, resumption, and searches without it."""

import io
import json
import sys

import msgspec
import numpy as np
import pytest

from codeintel_nb import Workspace
from codeintel_nb.cli import main
from codeintel_nb.embedding.endpoint.models import model_named
from codeintel_nb.errors import EmbeddingError
from codeintel_nb.index.update import partial_vectors
from codeintel_nb.index.update.compact import compact_in_child
from codeintel_nb.index.update.partial_vectors import PartialVectors, either, stored_vectors
from codeintel_nb.outlay import outlay_of
from codeintel_nb.scopes.scope import EVERYTHING, Scope
from codeintel_nb.sources.repository import embedded_by, worktree

from ..conftest import write_tree
from .endpoint import KEY, body, refusing_longer_than, served, status, vectors_of

QUESTION = "where is the price of a cart computed"


@pytest.fixture
def endpoint():
    with served() as endpoint:
        yield endpoint


@pytest.fixture
def workspace(tmp_path, endpoint):
    endpoint.describe(tmp_path / "own")
    with Workspace.open(tmp_path / "own") as workspace:
        yield workspace


@pytest.fixture
def elsewhere(endpoint, monkeypatch):
    """Return a function that describes the endpoint as one of another host, behind a proxy."""
    monkeypatch.setenv("HTTP_PROXY", endpoint.url.removesuffix("/v1"))

    def describe(home, host="models.example", **fields):
        endpoint.describe(home, **{**fields, "url": f"http://{host}/v1"})
        return host

    return describe


def stored(workspace, name="shop"):
    return workspace._repositories.stored(name)


def test_hits_are_those_of_the_model(workspace, tree, endpoint, shop):
    report = workspace.index(tree, name="shop", embed="mine")
    assert report.embedded == report.chunks == len(endpoint.texts) - 1  # and the probe
    dense = workspace.semantic_search(QUESTION, mode="dense")
    expected = shop.semantic_search(QUESTION, mode="dense")
    assert [(hit.path, hit.start_line) for hit in dense] == [
        (hit.path, hit.start_line) for hit in expected
    ], "its vectors are the table's, turned"
    hybrid = workspace.semantic_search(QUESTION)
    assert hybrid.hits[0].path == shop.semantic_search(QUESTION).hits[0].path
    assert not hybrid.coverage.by_words
    assert workspace.status()[0].embedder == "mine"


def test_update_sends_new_text_alone_and_nothing_asks_in_vain(workspace, tree, endpoint):
    workspace.index(tree, name="shop", embed="mine")
    endpoint.requests.clear()
    workspace.index(tree, name="shop")
    workspace.refresh("shop")
    assert not endpoint.requests
    (tree / "new.py").write_text("def a_new_function():\n    return 1\n")
    report = workspace.refresh("shop")
    assert report.embedded == 1
    assert endpoint.texts == ["new.py\ndef a_new_function():\n    return 1\n"]


def test_embedder_changes_on_request_alone(workspace, tree, endpoint):
    workspace.index(tree, name="shop")
    assert not endpoint.requests
    workspace.index(tree, name="shop", embed="mine")
    assert stored(workspace).repository.embedder == "mine"
    endpoint.requests.clear()
    workspace.index(tree, name="shop", embed="builtin")
    assert not endpoint.requests
    assert stored(workspace).repository.embedder == ""
    assert workspace.semantic_search(QUESTION)


def test_stopped_run_sends_nothing_twice(workspace, tree, endpoint, monkeypatch):
    for number in range(30):
        lines = [f"def name_{number}_{i}():\n    return {number * i}\n" for i in range(300)]
        (tree / f"many{number:02}.py").write_text("\n".join(lines))
    answered = []

    def falling_silent(texts):
        if len(answered) > 300:
            return status(401)(texts)
        answered.extend(texts)
        return None

    endpoint.always = falling_silent
    with pytest.raises(EmbeddingError, match="rejected the key"):
        workspace.index(tree, name="shop", embed="mine")
    folder, model_id = stored(workspace).folder, workspace._embedders.named("mine").id
    count = stored_vectors(folder, model_id)
    assert len(answered) - 33 <= count <= len(answered), "all but one batch, and the probe"
    assert outlay_of(stored(workspace), workspace.settings) is None  # of this machine
    endpoint.always = lambda texts: None
    endpoint.requests.clear()
    report = workspace.refresh("shop")
    assert report.embedded == report.chunks - count
    assert len(endpoint.texts) <= report.embedded + 1
    assert not (folder / partial_vectors.FILE).exists()
    assert workspace.semantic_search(QUESTION).hits


def test_partial_vectors_survive_a_torn_write(tmp_path):
    class Model:
        id, dim, is_remote = "endpoint-a", 4, True

    digests, codes = np.array([5, 3, 9], np.uint64), np.arange(12, dtype=np.uint8).reshape(3, 4)
    first = PartialVectors(tmp_path, Model())
    assert first.known() is None
    first.append(digests[:2], codes[:2])
    first.append(digests[2:], codes[2:])
    path = tmp_path / partial_vectors.FILE
    path.write_bytes(path.read_bytes()[:-5])
    again = PartialVectors(tmp_path, Model())
    assert len(again) == 2
    matches, values = again.known()(np.array([9, 3, 5], np.uint64))
    assert matches.tolist() == [False, True, True]
    assert values.tolist() == codes[[1, 0]].tolist()
    again.append(digests[2:], codes[2:])
    assert len(PartialVectors(tmp_path, Model())) == 3
    Model.dim = 8
    assert len(PartialVectors(tmp_path, Model())) == 0
    Model.id, Model.dim = "endpoint-b", 4
    assert len(PartialVectors(tmp_path, Model())) == 0
    path.write_bytes(b"nonsense")
    assert stored_vectors(tmp_path, "endpoint-a") == 0


def test_lookup_in_either_place():
    def knows(*own):
        def lookup(target):
            matches = np.isin(target, own)
            return matches, target[matches].astype(np.uint8)[:, None]

        return lookup

    matches, codes = either(knows(1, 2), knows(3))(np.array([3, 4, 2, 1, 3], np.uint64))
    assert matches.tolist() == [True, False, True, True, True]
    assert codes[:, 0].tolist() == [3, 2, 1, 3]
    assert either(None, None) is None


# consent


def command(workspace, tree, *options):
    home = str(workspace.settings.home)
    return main(["index", str(tree), "--name", "shop", "--home", home, *options])


def test_code_goes_to_no_host_that_is_not_allowed(workspace, tree, endpoint, elsewhere):
    host = elsewhere(workspace.settings.home)
    with pytest.raises(
        EmbeddingError, match=f"would send its code to {host}, which you have not allowed"
    ):
        workspace.index(tree, name="shop", embed="mine")
    assert not endpoint.requests
    assert not workspace.repositories(), "a refused run leaves nothing behind"


def test_estimate_says_what_would_be_sent(workspace, tree, endpoint, elsewhere):
    host = elsewhere(workspace.settings.home, price=2.5)
    picture = {"data": {"image/png": "A" * 500_000}, "metadata": {}, "output_type": "display_data"}
    cell = {
        "cell_type": "code", "source": "x = 1", "outputs": [picture], "metadata": {},
        "execution_count": 1,
    }  # fmt: skip
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tree / "book.ipynb").write_text(json.dumps(book))
    outlay = workspace.indexer.outlay(embedded_by(worktree(tree, "shop"), "mine"))
    actual = workspace.index(tree, name="other").chunks
    assert outlay.host == host
    assert actual / 4 < outlay.chunks < 2 * actual, "pictures of a notebook do not count"
    assert outlay.cost == pytest.approx(outlay.tokens * 2.5 / 1e6)
    assert f"to {host}, unencrypted" in outlay.describe()
    assert "At 2.5 per million tokens" in outlay.describe()
    assert workspace.indexer.outlay(worktree(tree, "shop")) is None
    assert not endpoint.requests


def test_consent_is_asked_once_for_each_host(
    workspace, tree, endpoint, elsewhere, monkeypatch, capsys
):
    home = workspace.settings.home
    elsewhere(home)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert command(workspace, tree, "--embed", "mine") == 2
    assert "To consent, add --yes." in capsys.readouterr().err
    terminal = io.StringIO("\ny\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    assert command(workspace, tree, "--embed", "mine") == 2
    error = capsys.readouterr().err
    assert "Continue? [y/N]" in error
    assert "Nothing was sent." in error
    assert not endpoint.requests
    assert command(workspace, tree, "--embed", "mine") == 0
    assert endpoint.requests
    assert stored(workspace).repository.allowed_host == "models.example"
    (tree / "new.py").write_text("def a_new_function():\n    return 1\n")
    assert workspace.refresh("shop").embedded == 1, "its changes need no further question"
    assert command(workspace, tree, "--embed", "mine") == 0
    elsewhere(home, "other.example")
    (tree / "newer.py").write_text("def a_newer_function():\n    return 1\n")
    endpoint.requests.clear()
    with pytest.raises(EmbeddingError, match=r"would send its code to other\.example"):
        workspace.refresh("shop")
    assert not endpoint.requests
    capsys.readouterr()
    assert command(workspace, tree, "--embed", "mine", "--yes") == 0
    assert " to other.example" in capsys.readouterr().err
    assert endpoint.texts == ["newer.py\ndef a_newer_function():\n    return 1\n"]


def test_key_is_nowhere_on_disk(workspace, tree, endpoint, monkeypatch, capsys):
    monkeypatch.setenv("SOME_KEY", KEY)
    endpoint.describe(workspace.settings.home, key_variable="SOME_KEY")
    endpoint.faults = [status(400, f"bad key {KEY}")]
    assert command(workspace, tree, "--embed", "mine") == 2
    assert "***" in capsys.readouterr().err
    assert command(workspace, tree, "--json") == 0
    assert set(endpoint.keys) == {f"Bearer {KEY}"}
    assert KEY not in "".join(capsys.readouterr())
    files = [path for path in workspace.settings.home.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


# faults


def test_cut_chunks_are_counted(workspace, tree, endpoint, capsys):
    endpoint.always = refusing_longer_than(300)
    (tree / "long.py").write_text("\n".join(f"name_{i} = {i}" for i in range(40)) + "\n")
    assert command(workspace, tree, "--embed", "mine") == 0
    assert "truncated to the model's maximum length" in capsys.readouterr().out


def test_vectors_that_do_not_fit_into_bytes(workspace, tree, endpoint):
    def lopsided(texts):
        vectors = np.full((len(texts), 256), 0.001)
        vectors[:, 0] = 1.0
        return 200, {}, body(vectors)

    endpoint.always = lopsided
    with pytest.raises(EmbeddingError, match=r"0\.4% of this model's vector components exceed"):
        workspace.index(tree, name="shop", embed="mine")


def test_words_alone_while_the_endpoint_is_away(workspace, tree, endpoint):
    workspace.index(tree, name="shop", embed="mine")
    expected = workspace.semantic_search(QUESTION, mode="lexical")
    endpoint.always = status(503)
    results = workspace.semantic_search(QUESTION)
    assert results.hits
    assert {hit.path for hit in results} == {hit.path for hit in expected}
    assert "is unavailable: HTTP 503" in results.coverage.by_words["shop"]
    assert "shop by words only: The embedding endpoint" in repr(results)
    with pytest.raises(EmbeddingError, match="To search by words, use --mode lexical"):
        workspace.semantic_search(QUESTION, mode="dense")


def test_entry_that_is_gone(workspace, tree, endpoint):
    workspace.index(tree, name="shop", embed="mine")
    (workspace.settings.home / "embedders.toml").unlink()
    results = workspace.semantic_search(QUESTION)
    assert results.hits
    assert "codeintel index PATH --rebuild" in results.coverage.by_words["shop"]
    with pytest.raises(EmbeddingError, match="has no entry 'mine'"):
        workspace.refresh("shop")
    assert workspace.index(tree, name="shop", embed="builtin").chunks
    assert not workspace.semantic_search(QUESTION).coverage.by_words


def test_model_of_another_length_needs_a_rebuild(workspace, tree, endpoint):
    workspace.index(tree, name="shop", embed="mine")
    endpoint.always = lambda texts: (200, {}, body(vectors_of(texts)[:, :128]))
    (tree / "new.py").write_text("def a_new_function():\n    return 1\n")
    with pytest.raises(EmbeddingError, match="128 dimensions, but the index has 256.*--rebuild"):
        workspace.refresh("shop")
    report = workspace.refresh("shop", rebuild=True)
    assert report.embedded == report.chunks
    assert workspace.semantic_search(QUESTION, mode="dense").hits


def test_repositories_with_vectors_of_two_lengths(workspace, tree, endpoint, tmp_path):
    workspace.index(tree, name="long", embed="mine")
    endpoint.always = lambda texts: (200, {}, body(vectors_of(texts)[:, :128]))
    workspace.index(tree, name="short", embed="mine")
    found = workspace.semantic_search(QUESTION)
    assert {hit.repo for hit in found} == {"long", "short"}
    assert found.coverage.by_words.keys() == {"long"}
    assert "returned 128 dimensions" in found.coverage.by_words["long"]
    endpoint.requests.clear()
    for _ in range(3):
        assert workspace.semantic_search(QUESTION, Scope(repos=("short",)), mode="dense").hits
    assert not endpoint.requests, "the query's vector is cached"


def test_batches_are_full(workspace, tmp_path, endpoint):
    files = {
        f"a{n:03}.py": "".join(f"def f{i}():\n    pass\n\n" * 9 for i in range(3))
        for n in range(99)
    }
    report = workspace.index(write_tree(tmp_path / "many", files), embed="mine")
    sizes = [len(one["input"]) for one in endpoint.requests if len(one["input"]) > 1]
    model = model_named(workspace.settings.home, "mine")
    assert sum(size < model.batch for size in sizes) <= 1
    assert sum(sizes) >= report.chunks - 1


def test_doctor_asks_each_endpoint(workspace, endpoint):
    from codeintel_nb.diagnostics.endpoints import endpoint_checks

    home = workspace.settings.home
    ((name, check),) = endpoint_checks(home)
    assert (name, check()) == (
        "embedder mine",
        f"turned-table at {endpoint.url.split('/')[2]} returns 256 dimensions",
    )
    endpoint.always = status(401)
    with pytest.raises(EmbeddingError, match="rejected the key"):
        endpoint_checks(home)[0][1]()
    (home / "embedders.toml").write_text("[")
    with pytest.raises(EmbeddingError, match="not valid TOML"):
        endpoint_checks(home)[0][1]()


# repositories with different embedders


@pytest.fixture
def mixed(workspace, tree, tmp_path):
    """Index the shop by an endpoint, and the same files and others by the table."""
    workspace.index(tree, name="shop", embed="mine")
    other = tmp_path / "other"
    other.mkdir()
    for number in range(8):
        (other / f"module{number}.py").write_text(
            f"def weigh_parcel_{number}(parcel):\n    return parcel.grams * {number}\n"
        )
    workspace.index(other, name="post")
    return workspace


def test_each_repository_answers_by_its_own_embedder(mixed):
    assert mixed.semantic_search(QUESTION, limit=3).hits[0].repo == "shop"
    assert mixed.semantic_search("how heavy is a parcel").hits[0].repo == "post"
    for mode in ("hybrid", "dense"):
        results = mixed.semantic_search("compute the total of something", mode=mode, limit=20)
        assert {hit.repo for hit in results} == {"shop", "post"}
        assert not results.coverage.by_words
        scores = [hit.score for hit in results]
        assert scores == sorted(scores, reverse=True)


def test_one_endpoint_that_is_away_stops_no_other(mixed, endpoint):
    endpoint.always = status(503)
    dense = mixed.semantic_search("the weight of a parcel", mode="dense")
    assert {hit.repo for hit in dense} == {"post"}
    assert [*dense.coverage.by_words] == ["shop"]
    hybrid = mixed.semantic_search(QUESTION)
    assert hybrid.hits[0].repo == "shop", "by words"


def test_explanations_and_places_with_several_embedders(mixed):
    results = mixed.semantic_search(QUESTION, why=True)
    for hit in results:
        assert hit.score == pytest.approx(sum(part.value for part in hit.why.parts), abs=1e-6)
    missing = mixed.semantic_search(QUESTION, why_not="post/module3.py:1").why_not
    assert "module3.py:1 is " in missing


@pytest.mark.slow
def test_cut_into_shards_changes_no_hit_with_an_endpoint(tmp_path, endpoint):
    endpoint.describe(tmp_path / "one")
    endpoint.describe(tmp_path / "many")
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(60):
        (tree / f"m{number:02}.py").write_text(
            f"def weigh_{number}(cart):\n    return cart.price * {number}\n" * 3
        )
    with Workspace.open(tmp_path / "one") as one, Workspace.open(tmp_path / "many") as many:
        many.settings = msgspec.structs.replace(many.settings, shard_bytes=600)
        many.indexer._settings = many.settings
        one.index(tree, name="it", embed="mine")
        many.index(tree, name="it", embed="mine")
        assert len(many._repositories.view(EVERYTHING).targets) > 5
        for query in ("price of a cart", "weigh seventeen", "unrelated words of any kind"):
            for mode in ("hybrid", "dense"):
                a, b = (
                    one.semantic_search(query, mode=mode, limit=40),
                    many.semantic_search(query, mode=mode, limit=40),
                )
                assert [(h.path, h.start_line, h.score) for h in a] == [
                    (h.path, h.start_line, h.score) for h in b
                ]


@pytest.mark.slow
def test_map_has_a_part_for_each_embedder(mixed):
    points = mixed.points()
    x = np.frombuffer(points.x, "<f4")
    owners = np.frombuffer(points.file, "<u4")
    by_repo = {
        repo: x[np.isin(owners, [i for i, own in enumerate(points.repos) if own == repo])]
        for repo in ("post", "shop")
    }
    assert by_repo["post"].max() < by_repo["shop"].min(), "the table's on the left"
    assert -1 <= x.min() < x.max() <= 1


@pytest.mark.slow
def test_compaction_asks_no_endpoint(workspace, tree, endpoint):
    workspace.index(tree, name="shop", embed="mine")
    for number in range(10):
        (tree / f"new{number}.py").write_text(f"def new_{number}():\n    return {number}\n")
        workspace.refresh("shop")
    endpoint.requests.clear()
    endpoint.always = status(503)
    one = stored(workspace)
    compact_in_child(workspace.settings, one.repository)
    assert not endpoint.requests
    assert len(workspace._repositories.snapshot(one).shards) < 9
