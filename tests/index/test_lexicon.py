import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.embedding.vocabulary import Vocabulary
from codeintel_nb.embedding.words import WORD, hash_of, parts_of, stem, terms_of
from codeintel_nb.index.shard import lexicon as module
from codeintel_nb.index.shard.lexicon import K1, STEPS, B, Lexicon, LexiconBuilder

TEXTS = st.lists(
    st.lists(
        st.sampled_from(
            ["readFile", "read_files", "reading", "HTTPServer", "x", "42", "naïve", "日本語", "a1"]
        ),
        max_size=20,
    ).map(" ".join),
    max_size=12,
)


def bag(text):
    return Counter(term for word in WORD.findall(text) for term in terms_of(word))


def words_of(texts, vocabulary=None):
    return (vocabulary or Vocabulary()).words_of([WORD.findall(text) for text in texts])


def stored(count):
    """Return the step with the BM25 weight closest to that of ``count``."""
    return min(STEPS.tolist(), key=lambda step: abs(step / (step + K1) - count / (count + K1)))


def test_small_counts_are_exact_and_large_ones_approximate():
    assert [stored(count) for count in range(1, 11)] == list(range(1, 11))
    assert all(
        abs(stored(count) / (stored(count) + K1) - count / (count + K1)) < 0.012
        for count in range(1, 256)
    )


@given(TEXTS, st.integers(1, 5))
def test_postings_equal_plain_term_counts(tmp_path_factory, texts, batch):
    path = tmp_path_factory.mktemp("lexicon") / "l.bin"
    builder, vocabulary = LexiconBuilder(), Vocabulary()
    vocabulary.numbers(["elsewhere", "reading"])  # words of another shard
    for i in range(0, len(texts), batch):
        builder.add(words_of(texts[i : i + batch], vocabulary))
    builder.write(path)
    lexicon = Lexicon(path)
    bags = [bag(text) for text in texts]
    assert lexicon.lengths.tolist() == [sum(counts.values()) for counts in bags]
    for term in {term for counts in bags for term in counts} | {"absent"}:
        chunks, counts = lexicon.postings(term)
        assert list(zip(chunks.tolist(), counts.tolist(), strict=True)) == [
            (i, stored(b[term])) for i, b in enumerate(bags) if b[term]
        ]


def test_rank_directory_finds_repeated_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_RANKED", 24)
    rng = np.random.default_rng(5)
    texts = [" ".join(f"w{int(word)}q" for word in rng.zipf(1.4, 30) % 60) for _ in range(400)]
    builder = LexiconBuilder()
    builder.add(words_of(texts))
    builder.write(tmp_path / "l.bin")
    lexicon = Lexicon(tmp_path / "l.bin")
    bags = [bag(text) for text in texts]
    for term in {term for counts in bags for term in counts}:
        chunks, counts = lexicon.postings(term)
        assert list(zip(chunks.tolist(), counts.tolist(), strict=True)) == [
            (i, stored(b[term])) for i, b in enumerate(bags) if b[term]
        ]


@given(TEXTS.filter(bool), st.data())
def test_scores_are_bm25_inside_the_mask(tmp_path_factory, texts, data):
    path = tmp_path_factory.mktemp("lexicon") / "l.bin"
    builder = LexiconBuilder()
    builder.add(words_of(texts))
    builder.write(path)
    lexicon = Lexicon(path)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    bags = [bag(text) for text in texts]
    mean = max(1.0, lexicon.total_length / len(texts))
    weights = dict.fromkeys(("read", "fil", "readfil", "httpserv"), 1.5)
    scores = lexicon.scores(weights, mean, mask).scores
    for i, counts in enumerate(bags):
        length = sum(counts.values())
        expected = sum(
            w * stored(counts[t]) / (K1 * (1 - B + B * length / mean) + stored(counts[t]))
            for t, w in weights.items()
            if counts[t]
        )
        assert math.isclose(scores[i], expected if mask[i] else 0, rel_tol=1e-4, abs_tol=1e-6)


def test_another_vocabulary_loses_no_posting(tmp_path):
    builder = LexiconBuilder()
    for text in ("read the file", "the other file", "read again"):
        builder.add(words_of([text]))  # a vocabulary of its own each
    builder.write(tmp_path / "l.bin")
    assert Lexicon(tmp_path / "l.bin").postings("read")[0].tolist() == [0, 2]


def test_identifiers_are_split_and_stemmed():
    assert parts_of("parseHTTPResponse_v2") == ["parse", "http", "response", "v", "2"]
    assert terms_of("readFiles") == ("readfil", "read", "fil")
    assert terms_of("2024") == ()
    assert stem("connections") == stem("connection") == "connect"
    assert stem("as") == "as"
    assert hash_of("read") == hash_of("read") != hash_of("write")
