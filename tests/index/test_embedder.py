import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.embedding import embedder as module
from codeintel_nb.embedding.embedder import StaticEmbedder, default_embedder

WORDS = st.sampled_from(
    [
        "parseHTTPResponse",
        "read_file",
        "x1",
        "naïve",
        "ÄÖ",
        "2nd",
        "__init__",
        "if",
        "(",
        "\n",
        "αβγ",
        "camelCase2Snake",
    ]
)
TEXTS = st.lists(WORDS, max_size=30).map(" ".join)


def slow_embedding(text):
    """Embed by definition: token by token over the whole text."""
    embedder = default_embedder()
    ids = embedder._tokenizer.encode(text, add_special_tokens=False).ids
    vector = np.zeros(embedder.dim)
    for token in set(ids):
        vector += np.sqrt(ids.count(token)) * embedder._table[token].astype(float)
    return vector / max(np.linalg.norm(vector), 1e-9)


@given(st.lists(TEXTS, max_size=5))
def test_word_by_word_embedding_equals_whole_text_embedding(texts):
    vectors = default_embedder().embed_code(texts)
    assert vectors.shape == (len(texts), 256)
    assert vectors.dtype == np.float32
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector, slow_embedding(text), atol=1e-5)


def test_rows_are_unit_vectors_or_zero():
    vectors = default_embedder().embed_code(["def read_file(path): ...", "", "...", "文件"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 0, 0], atol=1e-5)


def test_a_query_is_embedded_like_code():
    np.testing.assert_allclose(
        default_embedder().embed_query("read a file"),
        default_embedder().embed_code(["read a file"]),
        atol=1e-7,
    )
    precise = default_embedder().embed_precisely(["read a file"])
    np.testing.assert_array_equal(
        default_embedder().embed_query("read a file"), precise.astype(np.float32)
    )


def test_clearing_the_word_cache_changes_no_vector(monkeypatch):
    embedder = StaticEmbedder()
    before = embedder.embed_code(["read the file", "write it"])
    monkeypatch.setattr(module, "MAX_WORDS", 3)
    embedder.embed_code(["other words altogether come here"])
    np.testing.assert_array_equal(embedder.embed_code(["read the file", "write it"]), before)


def test_relevant_code_is_closer_to_the_query():
    query = default_embedder().embed_query("where are retries of a failed request counted")[0]
    right, wrong = default_embedder().embed_code(
        [
            "http/retry.py\ndef increment(self, error):\n    self.attempts += 1",
            "color.py\ndef hex_to_rgb(value):\n    return int(value, 16)",
        ]
    )
    assert right @ query > wrong @ query
