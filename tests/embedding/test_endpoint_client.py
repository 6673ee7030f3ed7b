"""Client of an embedding endpoint: every fault that a server showed, or documents."""

import os
import signal
import time
from contextlib import suppress
from email.utils import formatdate

import numpy as np
import pytest

from codeintel_nb.embedding.endpoint.client import EndpointEmbedder
from codeintel_nb.embedding.endpoint.models import EndpointModel
from codeintel_nb.errors import EmbeddingError, MissingExtra

from ..waiting import HANG_S
from .endpoint import KEY, body, refusing_longer_than, served, status, vectors_of

TEXTS = ["def f(x):\n    return x\n", "", "class Cart:\n    pass\n" * 3, "a", "import os"]


@pytest.fixture
def endpoint():
    with served() as endpoint:
        yield endpoint


@pytest.fixture
def waits():
    return []


@pytest.fixture
def make(endpoint, waits):
    made = []

    def make(key="", dim=0, **fields):
        model = EndpointModel(**{"url": endpoint.url, "model": "m", **fields})
        made.append(EndpointEmbedder(model, dim, key, sleep=waits.append))
        return made[-1]

    yield make
    for embedder in made:
        embedder.close()


def test_fork_shares_no_connection_with_its_parent(make):
    """On one connection, each could read the other's answer."""
    embedder = make()
    embedder.embed_query("one")
    client = embedder._connected()
    child = os.fork()
    if child == 0:
        signal.alarm(int(HANG_S))
        with suppress(BaseException):
            embedder.embed_query("two")
            os._exit(0 if embedder._connected() is not client else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert embedder._connected() is client


def test_vectors_come_in_the_order_of_the_texts(make, endpoint):
    embedder = make(batch=2)
    vectors = embedder.embed_code(TEXTS)
    expected = vectors_of([text or " " for text in TEXTS])
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert len(endpoint.requests) == 3
    assert embedder.dim == 256
    assert embedder.tokens == 7 * len(TEXTS)


def test_floats_and_base64_are_the_same(make, endpoint):
    vectors = make().embed_code(TEXTS)
    endpoint.always = lambda texts: (200, {}, body(vectors_of(texts), "float"))
    np.testing.assert_allclose(make().embed_code(TEXTS), vectors, atol=1e-6)


def test_requests_are_bounded(make, endpoint):
    make().embed_code(["x" * 5_000] * 20)
    assert max(sum(map(len, request["input"])) for request in endpoint.requests) <= 32_000
    endpoint.requests.clear()
    make().embed_code(["x"] * 70)
    assert [len(request["input"]) for request in endpoint.requests] == [32, 32, 6]


def test_parallel_requests_give_the_same_vectors(make):
    texts = [f"def name_{i}(): return {i}" for i in range(90)]
    np.testing.assert_array_equal(
        make(batch=4, parallel=4).embed_code(texts), make(batch=4).embed_code(texts)
    )


def test_prefixes(make, endpoint):
    embedder = make(query_prefix="query: ", code_prefix="passage: ")
    embedder.embed_query("carts")
    embedder.embed_code(["class Cart"])
    assert endpoint.texts == ["query: carts", "passage: class Cart"]


def test_refused_batch_is_halved_and_long_text_cut(make, endpoint):
    endpoint.always = refusing_longer_than(100)
    texts = ["def f(): pass", "word " * 200, "import os", "x = 1"]
    embedder = make()
    vectors = embedder.embed_code(texts)
    assert embedder.truncated == 1
    np.testing.assert_allclose(vectors[0], vectors_of(texts[:1])[0], atol=1e-6)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    taken = [text for request in endpoint.requests for text in request["input"]]
    assert all(len(text) > 50 for text in taken if text.startswith("word word"))


def test_text_beyond_max_tokens_is_cut_before_it_is_sent(make, endpoint):
    embedder = make(max_tokens=100)
    embedder.embed_code(["short", "word " * 400, "long " * 400])
    assert max(map(len, endpoint.texts)) == 290
    assert embedder.truncated == 2
    endpoint.always = refusing_longer_than(200)
    embedder.embed_code(["word " * 400])
    assert embedder.truncated == 3, "each text counts once"
    endpoint.always = lambda texts: None
    embedder.embed_query("a question " * 400)
    assert len(endpoint.texts[-1]) == 290


def test_rejected_query_does_not_make_the_endpoint_unavailable(make, endpoint):
    endpoint.faults = [status(400, "this query is not allowed")]
    embedder = make()
    with pytest.raises(EmbeddingError, match="rejected an input"):
        embedder.embed_query("one")
    assert embedder.embed_query("another").shape == (1, 256)


def test_refused_for_too_many_inputs(make, endpoint):
    """As TEI refuses more than its largest batch."""
    endpoint.always = lambda texts: (
        (422, {}, {"error": "batch size 32 > maximum allowed batch size 8"})
        if len(texts) > 8
        else None
    )
    embedder = make()
    assert embedder.embed_code([f"x{i}" for i in range(32)]).shape == (32, 256)
    assert embedder.truncated == 0


def test_refusal_of_a_single_short_text_is_an_error(make, endpoint):
    endpoint.always = status(400, "unknown parameter: encoding_format")
    with pytest.raises(EmbeddingError, match="rejected an input.*encoding_format"):
        make().embed_code(TEXTS)
    endpoint.always = refusing_longer_than(0)
    with pytest.raises(EmbeddingError, match="too large"):
        make().embed_code(["def f(): return 1"])


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("retry_after", "2", 2.0),
        ("retry_after_ms", "1500", 1.5),
        ("retry_after", "a date, 30 s from now", 30.0),
        ("retry_after", "Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("retry_after", "86400", 60.0),
        ("retry_after", "soon", None),
    ],
)
def test_busy_server_is_asked_again_when_it_says(make, endpoint, waits, header, value, seconds):
    if value.startswith("a date"):  # computed here: workers must agree on the tests' names
        value = formatdate(time.time() + 30, usegmt=True)
    endpoint.faults = [status(429, **{header: value})]
    assert make().embed_code(["a"]).shape == (1, 256)
    if seconds is None:
        assert 0 < waits[0] <= 0.5
    else:
        assert waits == [pytest.approx(seconds, abs=3)]


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503, 504])
def test_busy_for_ever(make, endpoint, waits, code):
    endpoint.always = status(code)
    with pytest.raises(EmbeddingError, match=f"after 7 attempts: HTTP {code}"):
        make().embed_code(["a"])
    assert len(waits) == 6
    assert sum(waits) < 32


@pytest.mark.parametrize(
    ("code", "message"),
    [(401, "rejected the key"), (403, "rejected the key"), (404, "no such model or path")],
)
def test_no_second_try_where_it_would_not_help(make, endpoint, waits, code, message):
    endpoint.always = status(code, f"Incorrect API key provided: {KEY}")
    with pytest.raises(EmbeddingError, match=message) as raised:
        make(KEY).embed_code(["a"])
    assert len(endpoint.requests) == 1
    assert not waits
    assert KEY not in str(raised.value)


def test_key_is_sent_and_never_shown(make, endpoint):
    endpoint.always = status(400, f"your key {KEY} has no quota")
    with pytest.raises(EmbeddingError) as raised:
        make(KEY).embed_code(["a"])
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert KEY not in str(raised.value)
    assert "***" in str(raised.value)


def test_redirect_is_not_followed(make, endpoint):
    """Code goes to no other host than the one that was allowed."""
    endpoint.always = status(307, location="http://elsewhere.example/v1/embeddings")
    with pytest.raises(EmbeddingError, match=r"HTTP 307: http://elsewhere\.example"):
        make().embed_code(["a"])
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Sign in</html>",
        {},
        [],
        None,
        {"data": None},
        {"data": [{"index": 0}]},
        {"data": [{"index": 0, "embedding": None}]},
        {"data": [{"index": 0, "embedding": [[1.0]]}]},
        {"data": [{"index": 0, "embedding": "not base64!"}]},
        {"data": [{"index": 0, "embedding": "AAA="}]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": "0", "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [float("nan")]}]},
        {"data": [{"index": 0, "embedding": [float("inf")]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": []},
    ],
)
def test_unusable_answer(make, endpoint, answer):
    endpoint.always = lambda texts: (200, {}, answer)
    with pytest.raises(EmbeddingError, match="returned no usable embeddings.*Check url and model"):
        make().embed_code(["a"])


def test_vectors_of_different_lengths(make, endpoint):
    rows = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]
    endpoint.always = lambda texts: (200, {}, {"data": rows})
    with pytest.raises(EmbeddingError, match="differ in length"):
        make().embed_code(["a", "b"])


def test_vector_of_zeros_stays(make, endpoint):
    endpoint.always = lambda texts: (200, {}, body(np.zeros((len(texts), 8), np.float32)))
    assert not make().embed_code(["a"]).any()


def test_dimensions_ignored_by_the_server(make, endpoint):
    with pytest.raises(EmbeddingError, match="256 dimensions instead of 64.*matryoshka = true"):
        make(dimensions=64).embed_code(["a"])
    assert endpoint.requests[0]["dimensions"] == 64
    vectors = make(dimensions=64, matryoshka=True).embed_code(["class Cart"])
    expected = vectors_of(["class Cart"])[0, :64]
    np.testing.assert_allclose(vectors[0], expected / np.linalg.norm(expected), atol=1e-6)
    with pytest.raises(EmbeddingError, match="256 dimensions instead of 512"):
        make(dimensions=512, matryoshka=True).embed_code(["a"])


def test_model_that_changed(make, endpoint):
    with pytest.raises(EmbeddingError, match="256 dimensions, but the index has 384.*--rebuild"):
        make(dim=384).embed_code(["a"])
    embedder = make()
    embedder.embed_code(["a"])
    endpoint.always = lambda texts: (200, {}, body(np.ones((len(texts), 8), np.float32)))
    with pytest.raises(EmbeddingError, match="8 dimensions, but the index has 256"):
        embedder.embed_query("b")


def test_no_proxy_gets_what_stays_on_this_machine(make, endpoint, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert make().embed_code(["a"]).shape == (1, 256)


def test_nobody_listens(waits):
    model = EndpointModel("http://127.0.0.1:1/v1", "m")
    embedder = EndpointEmbedder(model, sleep=waits.append)
    with pytest.raises(EmbeddingError, match=r"127\.0\.0\.1:1 is unavailable after 7 attempts"):
        embedder.embed_code(["a"])
    embedder.close()


def test_query_is_asked_once_and_remembered(make, endpoint, waits):
    embedder = make()
    first = embedder.embed_query("where are carts")
    np.testing.assert_array_equal(embedder.embed_query("where are carts"), first)
    assert len(endpoint.requests) == 1
    endpoint.always = status(503)
    for _ in range(3):
        with pytest.raises(EmbeddingError, match="is unavailable: HTTP 503"):
            embedder.embed_query("another")
    assert (len(endpoint.requests), waits) == (2, []), "no search waits for a server that is away"
    np.testing.assert_array_equal(embedder.embed_query("where are carts"), first)


def test_silent_server_holds_up_no_query(monkeypatch):
    import socket

    from codeintel_nb.embedding.endpoint import client

    monkeypatch.setattr(client, "QUERY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        model = EndpointModel(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "m")
        embedder = EndpointEmbedder(model)
        with pytest.raises(EmbeddingError, match="no response within"):
            embedder.embed_query("carts")
        embedder.close()


def test_without_the_extra(make, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"codeintel-nb\[endpoint\]"):
        make().embed_code(["a"])
