"""Embedders of text as unit vectors: contract and static table."""

from __future__ import annotations

import json
import re
import threading
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

TABLE = Path(__file__).parent / "table"
_WORD = re.compile(r"[A-Za-z0-9_]+")
_MAX_WORDS = 1_000_000  # in the word cache; beyond that it is cleared
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
        self._table: npt.NDArray[np.int8] = np.load(folder / "table.npy", mmap_mode="r")
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._lock = threading.Lock()  # a server's threads share the word cache
        self._forget()

    def embed_code(self, texts: Sequence[str]) -> Vectors:
        return self.embed_words([_WORD.findall(text) for text in texts])

    def embed_words(self, words: Sequence[list[str]]) -> Vectors:
        """Embed code already split into words.

        Words are runs of letters, digits and underscores.
        """
        batches = [self._embed(words[i : i + _BATCH]) for i in range(0, len(words), _BATCH)]
        return np.concatenate(batches) if batches else np.zeros((0, self.dim), np.float32)

    def embed_query(self, text: str) -> Vectors:
        return self._embed([_WORD.findall(text)])

    def _forget(self) -> None:
        self._ids: dict[str, int] = {}
        self._tokens = array("i")  # token ids of all words, one word after the other
        self._ends = array("q", [0])

    def _embed(self, words: Sequence[list[str]]) -> Vectors:
        with self._lock:
            self._learn({word for text_words in words for word in text_words})
            ids = self._ids
            flat = np.fromiter(map(ids.__getitem__, chain.from_iterable(words)), np.int64)
            tokens, lengths = gathered(self._tokens, self._ends, flat)
        if not len(tokens):
            return np.zeros((len(words), self.dim), np.float32)
        text_of_word = np.repeat(np.arange(len(words)), [len(text_words) for text_words in words])
        keys = np.repeat(text_of_word, lengths) * len(self._table) + tokens
        keys, counts = np.unique(keys, return_counts=True)
        rows = keys % len(self._table)
        weights = np.sqrt(counts, dtype=np.float32)
        ends = np.searchsorted(keys, np.arange(1, len(words) + 1) * len(self._table)).tolist()
        vectors = np.zeros((len(words), self.dim), np.float32)
        begin = 0
        # one product per text is faster than np.add.reduceat over all rows
        for text, end in enumerate(ends):
            if end > begin:
                vectors[text] = weights[begin:end] @ self._table[rows[begin:end]].astype(np.float32)
            begin = end
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return vectors

    def _learn(self, words: set[str]) -> None:
        if len(self._ids) + len(words) > _MAX_WORDS:
            self._forget()
        new = [word for word in words if word not in self._ids]
        for word, encoding in zip(
            new, self._tokenizer.encode_batch_fast(new, add_special_tokens=False), strict=True
        ):
            self._ids[word] = len(self._ids)
            self._tokens.extend(encoding.ids)
            self._ends.append(len(self._tokens))


def gathered(
    values: array[int], ends: array[int], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows of a ragged table, concatenated, and their lengths."""
    # these views must not outlive the call: an array with a view cannot grow
    flat, bounds = np.frombuffer(values, np.int32), np.frombuffer(ends, np.int64)
    lengths = bounds[rows + 1] - bounds[rows]
    total = int(lengths.sum())
    if total == 0:
        return np.zeros(0, np.int64), lengths
    skipped = np.repeat(bounds[rows] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return flat[skipped + np.arange(total)].astype(np.int64), lengths


@cache
def default_embedder() -> StaticEmbedder:
    """Return the shipped table, loaded once per process."""
    return StaticEmbedder()


def embedder_input(path: str, text: str) -> str:
    """Return a chunk's text to embed: its path and content.

    The path says much about the purpose of the code.
    """
    return f"{path}\n{text}"
