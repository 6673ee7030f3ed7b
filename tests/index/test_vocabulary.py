import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.embedding.vocabulary import Vocabulary, WordParts

TEXTS = st.lists(st.lists(st.sampled_from(["read_file", "x1", "naïve", "get", "Cart"])), min_size=1)


@given(TEXTS, st.data())
def test_words_of_two_places_are_those_of_one_text(texts, data):
    embedder = default_embedder()
    chosen = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True).map(sorted))
    vocabulary = Vocabulary()
    paths = vocabulary.words_of([["src", f"n{i % 2}"] for i in range(len(texts))])
    words = vocabulary.words_of(texts).joined(paths).only(np.array(chosen, np.int64))
    plain = [" ".join([*texts[i], "src", f"n{i % 2}"]) for i in chosen]
    np.testing.assert_array_equal(embedder.embed_words(words), embedder.embed_code(plain))


def test_numbers_count_new_words_in_order():
    vocabulary = Vocabulary()
    assert vocabulary.numbers(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert vocabulary.numbers(["c", "a"]).tolist() == [2, 1]
    assert vocabulary.words == ["b", "a", "c"]


def test_parts_of_words_keep_their_order():
    parts = WordParts()
    for ids in ([7, 8], [], [9]):
        parts.append(ids)
    ids, lengths = parts.ids_of(np.array([2, 0, 1, 0]))
    assert (ids.tolist(), lengths.tolist()) == ([9, 7, 8, 7, 8], [1, 2, 0, 2])
    assert [part.tolist() for part in WordParts().ids_of(np.zeros(0, np.int64))] == [[], []]
