"""Reranking by definitions, paths, files with several hits, and tests.

The weights are those published by MinishLab's semble for its ranking, re-measured on annotated
queries. Each part is worth 0.01 to 0.04 of NDCG@10, and small changes of any weight change nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from ..embedding.words import FILLERS, parts_of, stem
from .hit import path_order

DEFINES = 3.0  # times the top score, for a definition of the queried symbol
DEFINES_IN_NAMED_FILE = 1.5  # times DEFINES, if the file is named after it
EMBEDDED = 0.5  # times DEFINES, for a name inside a sentence
OTHER_CASE = 0.5  # times DEFINES, if the case differs
PATH = 1.0  # times the top score, if the path contains every word of the query
# times the top score, if the name of the chunk's definition contains every word of the query
NAME = 0.15
# times the top score, for the best piece of the file with the highest sum of scores
FILE_SUM = 0.1
FURTHER_PIECE = 0.5  # each further piece of a file counts half of the one before

_SYMBOL = re.compile(
    r"(?:[A-Za-z_]\w*(?:(?:::|\\|->|\.|#)[A-Za-z_]\w*)+|_\w*|[A-Za-z]\w*[A-Z_]\w*|[A-Z]\w*)"
    r"[?!]?(?:\(\))?"
)
_EMBEDDED_NAME = re.compile(r"\b(?:[A-Z][a-z]\w*[A-Z]\w*|[a-z]\w*[A-Z]\w+|[A-Za-z]\w*_\w+)\b")
_TEST = re.compile(
    r"(^|/)(tests?|__tests__|specs?|testing|testdata|fixtures)/"
    r"|(^|/)(test_[^/]*\.(py|c|cc|cpp|lua)|conftest\.py)$"
    r"|[._-](test|spec)s?\.\w+$"
    r"|(Tests?|Spec|Suite)\.(java|kt|swift|cs|scala|php)$"
    r"|(^|/)test_?helpers?[^/]*\.\w+$",
)
_ASIDE = re.compile(
    r"(^|/)(_?compat|legacy|deprecated|_?examples?|docs?_src|benchmarks?|samples?|demos?)/"
)
_PENALTIES = (
    (_TEST, re.compile(r"test|spec|fixture|mock", re.I), 0.3),
    (_ASIDE, re.compile(r"compat|legacy|deprecat|example|bench|sample|demo", re.I), 0.3),
    (re.compile(r"(^|/)(__init__\.py|package-info\.java|mod\.rs|index\.[jt]sx?)$"), None, 0.5),
    (
        re.compile(
            r"\.(md|mdx|markdown|rst|adoc|txt|html?)$|(^|/)(LICENSE|NOTICE|CHANGELOG|AUTHORS)[^/]*$"
        ),
        re.compile(
            r"\b(docs?|documentation|readme|guide|tutorial|manual|changelog|licen[cs]e)\b", re.I
        ),
        0.6,
    ),
    (re.compile(r"\.d\.[mc]?ts$|\.pyi$"), re.compile(r"\btypes?\b|declaration|stub", re.I), 0.7),
)
GENERATED = 0.5  # factor for files marked as generated, or minified


class Candidate(NamedTuple):
    """Chunk found by an index, as a plain value."""

    shard: str
    chunk: int
    repo: str
    path: str
    start_line: int
    lexical: float  # BM25; 0 if it shares no term with the query
    dense: float  # cosine; -1 if it is not among the closest
    # names of the query defined by the chunk, and whether in the same case
    defines: tuple[tuple[str, bool], ...] = ()
    generated: bool = False
    label: str = ""  # definition or heading of the chunk

    @property
    def key(self) -> tuple[str, int]:
        return self.shard, self.chunk

    @property
    def order(self) -> tuple[tuple[str, list[str]], int]:
        """Return the tie-breaking key: path order, as for text hits."""
        return path_order(self.repo, self.path), self.start_line


class QueryIntent(NamedTuple):
    """Names and words of a query."""

    is_symbol: bool
    names: tuple[str, ...]  # symbols to look up by definition
    words: frozenset[str]  # stems of its significant words, matched with paths and names
    text: str


@lru_cache(256)
def parse_query(text: str) -> QueryIntent:
    plain = text.strip()
    is_symbol = _SYMBOL.fullmatch(plain) is not None
    if is_symbol:
        names = [re.split(r"::|\\|->|\.|#", plain.removesuffix("()"))[-1]]
    elif re.fullmatch(r"\w+", plain):
        names = [plain]  # one plain word may be a name too
    else:
        names = _EMBEDDED_NAME.findall(plain)
    words = {
        part
        for word in re.findall(r"\w+", plain)
        for part in parts_of(word)
        if len(part) > 2 and part not in FILLERS
    }
    return QueryIntent(is_symbol, tuple(dict.fromkeys(names)), frozenset(map(stem, words)), plain)


def rerank(
    candidates: list[Candidate],
    scores: dict[tuple[str, int], float],
    intent: QueryIntent,
    limit: int,
) -> list[tuple[Candidate, float]]:
    """Return the best candidates, highest first."""
    if not candidates:
        return []
    top = max(scores.values(), default=0.0) or 1.0
    boosted = {c.key: scores.get(c.key, 0.0) for c in candidates}
    _add_file_sums(candidates, boosted, top)
    for c in candidates:
        boosted[c.key] += top * _definition(c, intent)
        if not intent.is_symbol:
            boosted[c.key] += top * (
                PATH * _words_in_path(c.path, intent.words)
                + NAME * _words_in_name(c.label, intent.words)
            )
        boosted[c.key] *= penalty(c, intent)
    ranked = sorted(
        (c for c in candidates if boosted[c.key] > 0), key=lambda c: (-boosted[c.key], c.order)
    )
    pieces: dict[tuple[str, str], int] = defaultdict(int)
    damped = []
    for c in ranked:
        damped.append((c, boosted[c.key] * FURTHER_PIECE ** pieces[c.repo, c.path]))
        pieces[c.repo, c.path] += 1
    damped.sort(key=lambda pair: (-pair[1], pair[0].order))
    return damped[:limit]


def _add_file_sums(
    candidates: list[Candidate], scores: dict[tuple[str, int], float], top: float
) -> None:
    sums: dict[tuple[str, str], float] = defaultdict(float)
    best: dict[tuple[str, str], Candidate] = {}
    for c in candidates:
        file = c.repo, c.path
        sums[file] += scores[c.key]
        if file not in best or scores[c.key] > scores[best[file].key]:
            best[file] = c
    most = max(sums.values(), default=0.0)
    if most > 0:
        for file, c in best.items():
            scores[c.key] += top * FILE_SUM * sums[file] / most


def _definition(candidate: Candidate, intent: QueryIntent) -> float:
    boost = 0.0
    for name, same_case in candidate.defines:
        one = DEFINES * (1.0 if same_case else OTHER_CASE)
        if _file_is_named(candidate.path, name):
            one *= DEFINES_IN_NAMED_FILE
        boost = max(boost, one if intent.is_symbol else one * EMBEDDED)
    return boost


@lru_cache(4096)
def _file_is_named(path: str, name: str) -> bool:
    file = path.rpartition("/")[2].partition(".")[0].lower().replace("_", "").replace("-", "")
    target = name.lower().replace("_", "")
    return file == target or file.rstrip("s") == target or file == target.rstrip("s")


@lru_cache(8192)
def _path_stems(path: str) -> frozenset[str]:
    """Return the word stems of the file's and folder's names."""
    folder, _, name = path.rpartition("/")
    words = parts_of(name.rpartition(".")[0] or name) + parts_of(folder.rpartition("/")[2])
    return frozenset(map(stem, words))


def _words_in_path(path: str, words: frozenset[str]) -> float:
    """Return the share of words in a path, by prefix."""
    if not words:
        return 0.0
    stems = _path_stems(path)
    matches = sum(
        1
        for word in words
        if word in stems
        or any(
            min(len(word), len(s)) >= 3 and (word.startswith(s) or s.startswith(word))
            for s in stems
        )
    )
    return matches / len(words)


@lru_cache(8192)
def _name_stems(label: str) -> frozenset[str]:
    return frozenset(map(stem, parts_of(label.rpartition(".")[2])))


def _words_in_name(label: str, words: frozenset[str]) -> float:
    """Return the share of query words in a definition's name."""
    return len(words & _name_stems(label)) / len(words) if words and label else 0.0


@lru_cache(8192)
def _path_penalties(path: str) -> tuple[int, ...]:
    return tuple(i for i, (where, _, _) in enumerate(_PENALTIES) if where.search(path))


def penalty(candidate: Candidate, intent: QueryIntent) -> float:
    """Return the factor for a candidate's score.

    It is below 1 for re-exports and generated files; for tests, examples, legacy code, documents
    and declarations too, unless the query mentions them.
    """
    factor = GENERATED if candidate.generated else 1.0
    for i in _path_penalties(candidate.path):
        _, exemption, weight = _PENALTIES[i]
        if exemption is None or not exemption.search(intent.text):
            factor *= weight
    return factor
