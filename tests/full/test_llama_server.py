"""The embedding endpoint of llama.cpp, with a transformer: nothing of it is simulated."""

import subprocess
import sys

import numpy as np
import pytest

from codeintel_nb import Workspace
from codeintel_nb.embedding.endpoint.client import EndpointEmbedder
from codeintel_nb.embedding.endpoint.models import EndpointModel
from codeintel_nb.errors import EmbeddingError

from .minilm import CONTEXT, write_gguf

KEY = "sk-of-the-test"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    model = tmp_path_factory.mktemp("model") / "minilm.gguf"
    write_gguf(model)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.full.minilm", str(model), KEY],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        try:
            lines = iter(server.stdout.readline, "")
            yield next(line.strip() for line in lines if line.startswith("http")) + "/v1"
        finally:
            server.kill()


@pytest.fixture
def make(url):
    made = []

    def make(key=KEY, **fields):
        made.append(EndpointEmbedder(EndpointModel(url, "minilm", **fields), key=key))
        return made[-1]

    yield make
    for embedder in made:
        embedder.close()


@pytest.fixture
def embedder(make):
    return make()


def test_like_texts_have_close_vectors(embedder):
    texts = ["read a parquet file", "load a table from parquet", "a cat sleeps on the sofa"]
    one, like, other = embedder.embed_code(texts)
    assert embedder.dim == 384
    assert one @ like > 0.5 > one @ other
    query = embedder.embed_query("read a parquet file")[0]
    assert query @ one == pytest.approx(1.0, abs=1e-3)


def test_one_long_text_fails_no_batch(embedder):
    """The server refuses the whole batch with status 500."""
    texts = [f"def f{i}(): return {i}" for i in range(20)] + ["word " * 4 * CONTEXT, ""]
    vectors = embedder.embed_code(texts)
    assert embedder.truncated == 1
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = embedder.embed_code(texts[3:4])
    assert alone[0] @ vectors[3] == pytest.approx(1.0, abs=1e-3)


def test_wrong_key_and_dimensions_that_it_ignores(make):
    with pytest.raises(EmbeddingError, match="rejected the key"):
        make("wrong").embed_query("a")
    with pytest.raises(EmbeddingError, match="returned 384 dimensions instead of 128"):
        make(dimensions=128).embed_query("a")


def test_search_by_the_meaning_that_the_model_gives(tmp_path, url, monkeypatch):
    monkeypatch.setenv("LLAMA_KEY", KEY)
    home = tmp_path / "home"
    home.mkdir()
    (home / "embedders.toml").write_text(
        f'[minilm]\nurl = "{url}"\nmodel = "minilm"\nkey_variable = "LLAMA_KEY"\n'
    )
    tree = tmp_path / "zoo"
    tree.mkdir()
    (tree / "pets.py").write_text("def feed_kitten(bowl):\n    return bowl.fill('milk')\n")
    (tree / "cars.py").write_text("def refuel(tank):\n    return tank.fill('petrol')\n")
    (tree / "mail.py").write_text("def post(letter):\n    return letter.stamp('blue')\n")
    with Workspace.open(home) as workspace:
        workspace.index(tree, embed="minilm")
        for query, path in (("a young cat is hungry", "pets.py"), ("gasoline station", "cars.py")):
            assert workspace.semantic_search(query, mode="dense").hits[0].path == path
            hybrid = workspace.semantic_search(query)
            assert hybrid.hits[0].path == path
            assert not hybrid.coverage.by_words
