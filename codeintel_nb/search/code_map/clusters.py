"""Clusters of a map's points, named by their telling words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...embedding.words import FILLERS
from .points import Cluster

MAX_CLUSTERS = 18
MIN_POINTS = 30  # of a cluster
SAMPLED = 20_000  # points that find the clusters
READ = 120  # chunks of a cluster whose words are counted
NAME_WORDS = 3
# parts of names count as words; [^\WA-Z\d_] is a letter of any script, but not A to Z
_WORD = re.compile(r"[A-Z]+(?![^\WA-Z\d_])|[A-Z]?[^\WA-Z\d_]+")


def clusters_of(
    places: npt.NDArray[np.float32], text_of: Callable[[int], str]
) -> tuple[Cluster, ...]:
    """Return the clusters of points, (n, 2); ``text_of`` returns the text of one.

    Words are weighed by how much commoner they are in the cluster than in all (class-based TF-IDF).
    Empty without SciPy.
    """
    try:
        from scipy.cluster.vq import kmeans2
    except ImportError:
        return ()
    count = min(MAX_CLUSTERS, len(np.unique(places, axis=0)) // MIN_POINTS)
    if count < 2:
        return ()
    random = np.random.default_rng(0)
    chosen = np.sort(random.choice(len(places), min(SAMPLED, len(places)), replace=False))
    centres, _ = kmeans2(places[chosen].astype(np.float64), count, minit="++", seed=0)
    squares = ((places[chosen, None, :] - centres[None]) ** 2).sum(axis=2)
    own = squares.argmin(axis=1)
    words = [_words(text_of, chosen[own == number], random) for number in range(count)]
    together = sum(words, Counter[str]())
    clusters = []
    for number in range(count):
        members = np.flatnonzero(own == number)
        if len(members) < MIN_POINTS / 2 or not words[number]:
            continue
        # the label stands on a point, not in a gap between two parts
        middle = members[squares[members, number].argmin()]
        x, y = places[chosen[middle]].tolist()
        size = round(len(members) * len(places) / len(chosen))
        clusters.append(Cluster(x, y, size, _name(words[number], together)))
    return tuple(sorted(clusters, key=lambda cluster: -cluster.points))


def _words(
    text_of: Callable[[int], str], members: npt.NDArray[np.int64], random: Any
) -> Counter[str]:
    """Count in how many of the chunks each word occurs."""
    sample = random.choice(members, min(READ, len(members)), replace=False)
    counts = Counter[str]()
    for number in sample.tolist():
        words = {word.lower() for word in _WORD.findall(text_of(number))}
        words -= FILLERS
        counts.update(word for word in words if len(word) > 2 or not word.isascii())
    return counts


def _name(own: Counter[str], together: Counter[str]) -> str:
    """Return the words that tell a cluster from the others."""
    mean = together.total() / max(1, len(together))
    weights: Sequence[tuple[float, str]] = [
        (count * math.log(1 + mean * (own[word] / together[word]) ** 2), word)
        for word, count in own.items()
        if count > 1
    ]
    return " ".join(word for _, word in sorted(weights, reverse=True)[:NAME_WORDS])
