"""Embedders of text as unit vectors: contract and static table."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .vocabulary import MAX_WORDS, Vocabulary, WordParts, Words

Vectors = npt.NDArray[np.float32]

TABLE = Path(__file__).parent / "table"
Precise = npt.NDArray[np.float64]
_Float = TypeVar("_Float", np.float32, np.float64)
_WORD = re.compile(r"[A-Za-z0-9_]+")
_BATCH = 1024  # texts whose token rows are in memory at once


class Embedder(Protocol):
    """Model that turns text into unit vectors.

    ``id`` names the model and its version: vectors of different ids are not comparable. A remote
    one answers over a network: it may be slow, cost money, and raise EmbeddingError.
    """

    @property
    def id(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def is_remote(self) -> bool: ...
    @property
    def batch(self) -> int:
        """Return the number of texts to embed together."""
        ...

    def embed_code(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) unit rows of texts from ``embedder_input``."""
        ...

    def embed_query(self, text: str) -> Vectors:
        """Return the (1, dim) unit row of a query."""
        ...


class StaticEmbedder:
    """Table with one row per token.

    A text's vector is the normalized sum of its tokens' rows, each weighted by the square root of
    the token's count. Tokens never cross words, so words are tokenized once and cached.
    """

    is_remote, batch = False, 2048

    def __init__(self, folder: Path = TABLE) -> None:
        from tokenizers import Tokenizer

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.id: str = config["id"]
        self.dim: int = config["dim"]
        # a plain array: each slice of a np.memmap would cost more than its product
        self._table: npt.NDArray[np.int8] = np.asarray(np.load(folder / "table.npy", mmap_mode="r"))
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._lock = threading.Lock()  # a server's threads share the tokens
        self._vocabulary, self._tokens = Vocabulary(), WordParts()

    @property
    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary whose tokens are known; a new one if it is too large."""
        with self._lock:
            if len(self._vocabulary) > MAX_WORDS:
                self._vocabulary, self._tokens = Vocabulary(), WordParts()
            return self._vocabulary

    def embed_precisely(self, texts: Sequence[str]) -> Precise:
        """Return the rows of ``embed_code`` in double precision.

        In single precision, sums depend on the processor, and hosts must agree on scores.
        """
        return self._sums(self._words(texts), np.float64)

    def embed_code(self, texts: Sequence[str]) -> Vectors:
        batches = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
        vectors = [self.embed_words(self._words(batch)) for batch in batches]
        return np.concatenate(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def embed_query(self, text: str) -> Vectors:
        return self.embed_precisely([text]).astype(np.float32)

    def _words(self, texts: Sequence[str]) -> Words:
        return self.vocabulary.words_of([_WORD.findall(text) for text in texts])

    def embed_words(self, words: Words) -> Vectors:
        """Embed texts by their words: runs of letters, digits and underscores."""
        return self._sums(words, np.float32)

    def _sums(self, words: Words, kind: type[_Float]) -> npt.NDArray[_Float]:
        """Return each text's normalized sum of rows, in the precision ``kind``."""
        with self._lock:
            if words.vocabulary is not self._vocabulary:
                self._vocabulary, self._tokens = words.vocabulary, WordParts()
            self._learn()
            tokens, lengths = self._tokens.ids_of(words.numbers)
        if not len(tokens):
            return np.zeros((words.texts, self.dim), kind)
        keys = np.repeat(words.owners, lengths) * len(self._table) + tokens
        keys, counts = np.unique(keys, return_counts=True)
        rows = keys % len(self._table)
        weights = np.sqrt(counts, dtype=kind)
        ends = np.searchsorted(keys, np.arange(1, words.texts + 1) * len(self._table)).tolist()
        vectors = np.zeros((words.texts, self.dim), kind)
        begin = 0
        # one product per text is faster than np.add.reduceat over all rows
        for text, end in enumerate(ends):
            if end > begin:
                vectors[text] = weights[begin:end] @ self._table[rows[begin:end]].astype(kind)
            begin = end
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return vectors

    def _learn(self) -> None:
        """Tokenize the words that are new in the vocabulary."""
        new = self._vocabulary.words[len(self._tokens) :]
        for encoding in self._tokenizer.encode_batch_fast(new, add_special_tokens=False):
            self._tokens.append(encoding.ids)


@cache
def default_embedder() -> StaticEmbedder:
    """Return the shipped table, loaded once per process."""
    return StaticEmbedder()


def embedder_input(path: str, text: str) -> str:
    """Return a chunk's text to embed: its path and content.

    The path says much about the purpose of the code.
    """
    return f"{path}\n{text}"
