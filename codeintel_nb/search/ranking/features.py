"""Features of a query's files, each with its reason; a fitted weight tells what it is worth.

Every feature depends on the query, the pool and facts of the file alone, so the cut of the index
into shards changes none. Values by vectors are taken relative to the pool's, as another model's
cosines lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...embedding.words import parts_of, stem
from .intent import QueryIntent
from .pool import Floats, Pool
from .roles import ROLES, roles_asked

MIN_WORD = 3  # letters of a word that a part of a path may continue: lay, layout
MIN_PART = 4  # letters of a part that a word may continue: pre- says nothing of a preview
_ROLE_NAMES = frozenset({"__init__", "index", "mod", "lib", "main", "init", "package-info"})
MAX_COVERED = 0.55  # cap on the share of the query in one piece (measured)
NO_MATCH = (0.0, 0.0)  # of a name
_RANK_OFFSET = 10  # a rank r counts 1/(10 + r)


class Question(NamedTuple):
    """A query with what its collection says of it."""

    intent: QueryIntent
    has_vector: bool
    weights: dict[str, float]  # inverse document frequency of each term
    languages: dict[tuple[str, str], float]  # share of a repository's files in a language


class Described(NamedTuple):
    """A pool with the matches of the query's words in paths and names, computed once."""

    pool: Pool
    question: Question
    lexical: Floats  # best BM25 of each file
    dense: Floats  # best cosine of each file
    path: npt.NDArray[np.float64]  # files x (share of the query in the name, in the path)
    name: npt.NDArray[np.float64]  # files x (share of the query, Dice)
    match: Matcher
    roles_asked: int  # bits of the roles that do not count against a file


Compute = Callable[[Described], Floats]


class Feature(NamedTuple):
    """A value of each file of the pool, and the part of an explanation that it belongs to."""

    compute: Compute
    part: str


FEATURES: dict[str, Feature] = {}


def feature(part: str) -> Callable[[Compute], Compute]:
    """Register a function that returns one value for each file of the pool."""

    def register(compute: Compute) -> Compute:
        FEATURES[compute.__name__] = Feature(compute, part)
        return compute

    return register


def describe(pool: Pool, question: Question) -> Described:
    match = Matcher(question.intent.words, question.weights)
    of_path = {path: match.path(path) for path in {file.path for file in pool.files}}
    return Described(
        pool, question, pool.best(pool.lexical), pool.best(pool.dense, -1.0),
        np.array([of_path[file.path] for file in pool.files]).reshape(-1, 2),
        _best_names(pool, match), match, roles_asked(question.intent),
    )  # fmt: skip


def matrix_of(described: Described) -> npt.NDArray[np.float64]:
    """Return the files' features as columns, in the order of FEATURES."""
    return np.stack([one.compute(described) for one in FEATURES.values()], axis=1)


# by words


@feature("words")
def best_words(d: Described) -> Floats:
    """BM25 of the best piece: one passage that holds the rare words of the query."""
    return _scaled(d.lexical)


@feature("words")
def sum_words(d: Described) -> Floats:
    """BM25 of the three best pieces: a file that keeps to the topic."""
    return _scaled(d.pool.sum_of_best(d.pool.lexical, 3))


@feature("words")
def rank_words(d: Described) -> Floats:
    """Reciprocal rank by words: robust where scores bunch together."""
    return _reciprocal_ranks(d.lexical)


@feature("words")
def pieces_words(d: Described) -> Floats:
    """Count the pieces that share a word with the query."""
    counts = np.bincount(d.pool.file[d.pool.lexical > 0], minlength=len(d.pool.files))
    return np.log1p(counts.astype(np.float64))


@feature("words")
def covered_words(d: Described) -> Floats:
    """Share of the query, by weight, in one piece, capped at ``MAX_COVERED``."""
    return np.minimum(d.pool.best(d.pool.covered), MAX_COVERED)


# by vectors


@feature("meaning")
def gap_vectors(d: Described) -> Floats:
    """Cosine of the best piece below the best of all files."""
    return _vectors(d, d.dense - d.dense.max())


@feature("meaning")
def whole_file(d: Described) -> Floats:
    """Cosine with the mean of the whole file, standardized: what the file is about."""
    return _vectors(d, _standardized(d.pool.mean_cosines))


@feature("meaning")
def rank_vectors(d: Described) -> Floats:
    """Reciprocal rank by vectors."""
    return _vectors(d, _reciprocal_ranks(d.dense + 1))


# by names


@feature("path")
def words_in_path(d: Described) -> Floats:
    """Share of the query, by weight, in the whole path."""
    return d.path[:, 1]


@feature("name")
def words_in_name(d: Described) -> Floats:
    """Share of the query, by weight, in the best name of a definition."""
    return d.name[:, 0]


@feature("name")
def name_alike(d: Described) -> Floats:
    """Dice coefficient, by weight, of the query with the best name of a definition."""
    return d.name[:, 1]


@feature("definition")
def definition(d: Described) -> Floats:
    """Strength of the file's best definition of a name in the query."""
    strengths = np.zeros(len(d.pool.places))
    for chunk, one in d.pool.defines.items():
        strengths[chunk] = one.strength
    return d.pool.best(strengths)


@feature("definition")
def definition_of_symbol(d: Described) -> Floats:
    """Prefer any definition if the query is one name: then little else counts."""
    return definition(d) * d.question.intent.is_symbol


# by what the file is


@feature("file")
def generated(d: Described) -> Floats:
    """Mark files made by a program: their source is the answer."""
    return np.array([file.is_generated for file in d.pool.files], np.float64)


@feature("file")
def reexport(d: Described) -> Floats:
    """Mark files with little but imports and exports: the names are there, the answer is not."""
    return np.array([file.is_reexport for file in d.pool.files], np.float64)


@feature("file")
def chunks(d: Described) -> Floats:
    """Count the chunks: a long file has more chances to match by accident."""
    return np.log1p(np.array([file.chunks for file in d.pool.files], np.float64))


@feature("file")
def lines(d: Described) -> Floats:
    """Count the lines: BM25 favours short files for their shortness."""
    return np.log1p(np.array([file.lines for file in d.pool.files], np.float64))


@feature("file")
def definitions(d: Described) -> Floats:
    """Count the definitions: where much is defined, more is answered."""
    return np.log1p(np.array([file.symbols for file in d.pool.files], np.float64))


@feature("file")
def depth(d: Described) -> Floats:
    """Count the folders above the file, beyond the fewest of the pool: what matters is on top."""
    depths = np.array([file.path.count("/") for file in d.pool.files], np.float64)
    return np.asarray(depths - depths.min())


@feature("file")
def language(d: Described) -> Floats:
    """Return the language's share of the repository's files: the main language answers."""
    shares = d.question.languages
    return np.array([shares.get((file.repo, file.language), 0.0) for file in d.pool.files])


def _role(bit: int) -> Compute:
    def compute(d: Described) -> Floats:
        bits = ~d.roles_asked & 1 << bit
        return np.array([bool(file.roles & bits) for file in d.pool.files], np.float64)

    compute.__name__ = f"is_{ROLES[bit].name}"
    compute.__doc__ = f"Whether the path says {ROLES[bit].name}, and the query does not."
    return compute


for number, role in enumerate(ROLES):
    feature(role.name)(_role(number))


# values


def _scaled(values: Floats) -> Floats:
    most = float(values.max(initial=0.0))
    return values / most if most > 0 else values


def _standardized(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / max(1e-6, float(values.std())))


def _reciprocal_ranks(values: Floats) -> Floats:
    """Return 1/(10 + rank), equal for equal values; 0 for values of 0."""
    ranks = 1 + np.searchsorted(np.sort(-values), -values, "left")
    reciprocal: Floats = np.where(values > 0, 1 / (_RANK_OFFSET + ranks), 0.0)
    return reciprocal


def _vectors(d: Described, values: Floats) -> Floats:
    return values if d.question.has_vector else np.zeros(len(values))


# words


def _base_name(path: str) -> tuple[str, str]:
    """Return the file's name without its ending, and the folders above it.

    A file named after its role alone, such as ``index.js``, has its folder's name.
    """
    folder, _, name = path.rpartition("/")
    base = name.rpartition(".")[0] or name
    if base in _ROLE_NAMES and folder:
        folder, _, base = folder.rpartition("/")
    return base, folder


@lru_cache(65_536)
def _path_stems(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the stems of the file's name, and of the folders above it."""
    base, folder = _base_name(path)
    return tuple(map(stem, parts_of(base))), tuple(map(stem, parts_of(folder)))


@lru_cache(65_536)
def _name_stems(label: str) -> frozenset[str]:
    return frozenset(map(stem, parts_of(label.rpartition(".")[2])))


class Matcher:
    """Matcher of the query's words with stems; each distinct stem is compared once."""

    def __init__(self, words: tuple[str, ...], weights: dict[str, float]) -> None:
        self._words = words
        rarest = max(weights.values(), default=1.0)
        own = [weights.get(word, rarest) for word in words]
        mean = sum(own) / len(own) if own else 1.0
        self._weights = [weight / (mean or 1.0) for weight in own]  # 1 on average
        self._total = sum(self._weights) or 1.0
        self._near = dict[str, int]()
        self._weight_of = dict[int, float]()
        self._equal = {word: 1 << bit for bit, word in enumerate(self._words)}
        # a word near a part shares its first MIN_WORD letters, or is equal to it
        self._by_prefix = dict[str, list[tuple[int, str]]]()
        for bit, word in enumerate(words):
            self._by_prefix.setdefault(word[:MIN_WORD], []).append((1 << bit, word))

    def path(self, path: str) -> tuple[float, float]:
        """Return the share of the query, by weight, in a file's name and in its path."""
        name, folders = _path_stems(path)
        bits = above = 0
        for part in name:
            bits |= self._bits(part)
        for part in folders:
            above |= self._bits(part)
        return (self._weight(bits) / self._total, self._weight(bits | above) / self._total)

    def bits_of(self, path: str) -> int:
        """Return a bit for each of the query's words in a path."""
        name, folders = _path_stems(path)
        bits = 0
        for part in (*name, *folders):
            bits |= self._bits(part)
        return bits

    def name(self, label: str) -> tuple[float, float]:
        stems = _name_stems(label)
        if stems.isdisjoint(self._equal):
            return NO_MATCH
        bits = others = 0
        for part in stems:
            equal = self._equal.get(part, 0)
            bits |= equal
            others += equal == 0
        weight = self._weight(bits)
        return (weight / self._total, 2 * weight / (self._total + weight + others))

    def _bits(self, part: str) -> int:
        bits = self._near.get(part)
        if bits is None:
            words = self._by_prefix.get(part[:MIN_WORD], ())
            bits = self._near[part] = sum(bit for bit, word in words if _is_near(word, part))
        return bits

    def _weight(self, bits: int) -> float:
        """Return the weight of words, where an average one has 1."""
        total = self._weight_of.get(bits)
        if total is None:
            own = (weight for bit, weight in enumerate(self._weights) if bits >> bit & 1)
            total = self._weight_of[bits] = sum(own)
        return total


def _is_near(word: str, part: str) -> bool:
    """Whether a word of the query and a part of a path are equal, or one continues the other."""
    return (
        word == part
        or (len(word) >= MIN_WORD and part.startswith(word))
        or (len(part) >= MIN_PART and word.startswith(part))
    )


def _best_names(pool: Pool, match: Matcher) -> npt.NDArray[np.float64]:
    """Return the best match of each file's names."""
    matches = {
        name: shares
        for name in {name for names in pool.names for name in names}
        if (shares := match.name(name)) != NO_MATCH
    }
    owners, values = list[int](), list[tuple[float, float]]()
    for file, names in zip(pool.file.tolist(), pool.names, strict=True):
        for name in names:
            if name in matches:
                owners.append(file)
                values.append(matches[name])
    best = np.zeros((len(pool.files), 2))
    np.maximum.at(best, owners, np.array(values).reshape(-1, 2))
    return best
