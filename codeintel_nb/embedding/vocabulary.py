"""Words as numbers, so that each is looked up, split and tokenized once."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

MAX_WORDS = 1_000_000  # in a vocabulary; beyond that a new one begins


class Vocabulary(dict[str, int]):
    """Numbers of words, in the order of their first use; shared by threads."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.lock = threading.Lock()

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self.words)
        self.words.append(word)
        return number

    def numbers(self, words: Iterable[str]) -> Numbers:
        """Return the numbers of words; new ones get the next."""
        with self.lock:
            return np.fromiter(map(self.__getitem__, words), np.int64)

    def words_of(self, texts: Sequence[list[str]]) -> Words:
        """Return the numbered words of texts."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        numbers = self.numbers(chain.from_iterable(texts))
        return Words(self, numbers, np.repeat(np.arange(len(texts)), lengths), len(texts))


class Words(NamedTuple):
    """Numbered words of some texts, in any order."""

    vocabulary: Vocabulary
    numbers: Numbers
    owners: Numbers  # the text of each word
    texts: int

    def joined(self, other: Words) -> Words:
        """Return the words of both, text by text."""
        return self._replace(
            numbers=np.concatenate([self.numbers, other.numbers]),
            owners=np.concatenate([self.owners, other.owners]),
        )

    def only(self, texts: Numbers) -> Words:
        """Return the words of some texts, given in ascending order."""
        if len(texts) == self.texts:
            return self
        places = np.full(self.texts, -1)
        places[texts] = np.arange(len(texts))
        owners = places[self.owners]
        chosen = owners >= 0
        return self._replace(numbers=self.numbers[chosen], owners=owners[chosen], texts=len(texts))


class WordParts:
    """Ids of the parts of words, such as tokens: a list for each word added."""

    def __init__(self) -> None:
        self._ids = array("i")  # of all words, one word after the other
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, ids: Iterable[int]) -> None:
        self._ids.extend(ids)
        self._ends.append(len(self._ids))

    def ids_of(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Return the ids of words, one list after the other, and their lengths."""
        # these views must not outlive the call: an array with a view cannot grow
        ids, ends = np.frombuffer(self._ids, np.int32), np.frombuffer(self._ends, np.int64)
        lengths = ends[rows + 1] - ends[rows]
        total = int(lengths.sum())
        if total == 0:
            return np.zeros(0, np.int64), lengths
        behind = np.cumsum(lengths)
        skipped = np.repeat(ends[rows] - (behind - lengths), lengths)
        return ids[skipped + np.arange(total)].astype(np.int64), lengths
