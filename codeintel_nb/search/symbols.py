"""Definitions by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Any, NamedTuple

import numpy as np

from ..index.shard.arrays import Array, Mask
from ..index.shard.id_lists import Ids
from ..index.shard.letters import DOT
from ..index.shard.shard import KINDS, Shard
from ..index.shard.symbol_texts import SymbolTexts
from ..index.shard.texts import Texts
from .cells import cell_line
from .hit import Hit
from .lazy_hits import columns_of
from .mask import ScopeMask
from .query import ALIKE, Bounds, SymbolQuery

# scores of a name: equal, equal but for its case, beginning with the query, containing it
EXACT, FOLDED, PREFIX, INSIDE = 1.0, 0.95, 0.8, 0.6
LEAST_ALIKE = 70  # minimum similarity, of 100
KEY = 0.9  # factor for a key of data: a query for a name means code
_TEXT = KINDS.index("text")
_DETAILED = frozenset({"signature", "snippet", "doc"})  # columns from the details


def in_scope(shard: Shard, mask: ScopeMask, kinds: Sequence[str]) -> Mask:
    """Return the definitions in scope, of these kinds if any."""
    definitions = (
        np.ones(shard.symbols, bool) if mask.files is None else mask.files[shard.symbol_file]
    )
    if mask.of_languages is not None:
        definitions = definitions & mask.of_languages[shard.symbol_chunk]
    if kinds:
        definitions = (
            definitions & np.array([kind in kinds for kind in KINDS], bool)[shard.symbol_kind]
        )
    return definitions


class FoundSymbol(NamedTuple):
    """Definition of a shard, and the score of its name."""

    score: float
    length: int  # of the name with its containers: the shorter of two equal scores is meant
    number: int


class FoundSymbols(NamedTuple):
    """Definitions of a shard, a row each."""

    scores: Array
    lengths: Ids
    numbers: Ids

    @classmethod
    def of(cls, rows: Sequence[tuple[float, int, int]]) -> FoundSymbols:
        """Return the definitions with a score above 0."""
        scores, lengths, numbers = zip(*rows, strict=True) if rows else ((), (), ())
        columns = np.array(scores, float), np.array(lengths, int), np.array(numbers, int)
        return cls(*(column[columns[0] > 0] for column in columns))

    @classmethod
    def joined(cls, parts: Sequence[FoundSymbols]) -> FoundSymbols:
        """Return the definitions of all parts."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def find_symbols(shard: Shard, held: Mask, query: SymbolQuery, bounds: Bounds) -> FoundSymbols:
    """Return definitions by part of their name, or by glob."""
    name = _dotted(query.name)
    matcher = _Glob(name) if query.is_glob else _Name(name)
    texts = shard.symbol_texts
    needle = matcher.needle.encode("utf-8", "replace")
    if needle in (b"", b".") or not len(texts):
        matches = _one_by_one(shard, np.flatnonzero(held), matcher, bounds)
    else:
        numbers, starts = _occurrences(texts, needle, held, bounds)
        matches = (
            matcher.scored(texts, numbers, starts)
            if isinstance(matcher, _Name)
            else _one_by_one(shard, numbers, matcher, bounds)
        )
        others = texts.folded[1]
        if len(others):  # not ASCII
            rest = _one_by_one(shard, others[held[others]], matcher, bounds)
            matches = FoundSymbols.joined([matches, rest])
    is_key = shard.symbol_kind[matches.numbers] == _TEXT
    return matches._replace(scores=np.where(is_key, KEY, 1.0) * matches.scores)


def find_alike(shard: Shard, held: Mask, query: SymbolQuery) -> FoundSymbols:
    """Return definitions in scope with names spelled much like the query's."""
    from rapidfuzz import fuzz, process

    target = _dotted(query.name).rpartition(".")[2].lower()
    may_be = shard.symbol_texts.letters.alike(target, LEAST_ALIKE / 100)
    chosen = np.flatnonzero(held & may_be)
    labels, numbers = shard.symbol_labels(chosen), chosen.tolist()
    names = [label.rpartition(".")[2].lower() for label in labels]
    alike = process.extract(target, names, scorer=fuzz.ratio, limit=None, score_cutoff=LEAST_ALIKE)
    return FoundSymbols.of(
        [(ALIKE * ratio / 100, len(name), numbers[i]) for name, ratio, i in alike]
    )


def _dotted(name: str) -> str:
    """Return a name as definitions are labelled, with dots between the containers."""
    return name.strip().replace("::", ".").replace("#", ".")


class _Name:
    """Matcher of a name, with or without its containers."""

    def __init__(self, name: str) -> None:
        self._exact, self.needle = name, name.lower()

    def score(self, label: str) -> float:
        folded = label.lower()
        if folded.endswith(self.needle) and (
            len(folded) == len(self.needle) or folded[-len(self.needle) - 1] == "."
        ):
            return EXACT if label.endswith(self._exact) else FOLDED
        at = folded.rfind(self.needle)
        # before the last dot, only a container has the name
        if at < 0 or ("." not in self.needle and at < folded.rfind(".")):
            return 0.0
        return PREFIX if at == 0 or folded[at - 1] == "." else INSIDE

    def scored(self, texts: Texts, numbers: Ids, starts: Ids) -> FoundSymbols:
        """Score ASCII labels as ``score`` does, from the last place of the name in each."""
        size = len(self.needle.encode("utf-8", "replace"))
        begins, ends = texts.spans(numbers)
        behind = starts + size
        leads = (starts == begins) | (texts.text_bytes[starts - 1] == DOT)
        scores = np.where(leads, PREFIX, INSIDE)
        if "." not in self.needle:
            scores[texts.next_dots(behind) < ends] = 0.0
        whole = np.flatnonzero(leads & (behind == ends))
        scores[whole] = FOLDED
        if self._exact.isascii():  # the Kelvin sign is a k in lower case
            exact = np.frombuffer(self._exact.encode(), np.uint8)
            letters = texts.text_bytes[starts[whole][:, None] + np.arange(size)]
            scores[whole[(letters == exact).all(axis=1)]] = EXACT
        matching = scores > 0
        return FoundSymbols(scores[matching], (ends - begins)[matching], numbers[matching])


class _Glob:
    """Matcher of globs for names, qualified or not: ``DataFrame.to_*``."""

    def __init__(self, glob: str) -> None:
        self._pattern = re.compile(rf"(?:.*\.)?{translate(glob)}", re.I)
        self.needle = max(re.split(r"[*?]|\[[^\]]*\]?", glob), key=len).lower()

    def score(self, label: str) -> float:
        return EXACT if self._pattern.fullmatch(label) else 0.0


def _one_by_one(shard: Shard, numbers: Ids, matcher: _Name | _Glob, bounds: Bounds) -> FoundSymbols:
    """Return the matching definitions among these."""
    rows = list[tuple[float, int, int]]()
    labels = shard.symbol_labels(numbers)
    for number, label in zip(numbers.tolist(), labels, strict=True):
        rows.append((matcher.score(label), len(label), number))
        if len(rows) % 1024 == 0 and bounds.reached():
            break
    return FoundSymbols.of(rows)


def _occurrences(texts: Texts, needle: bytes, mask: Mask, bounds: Bounds) -> tuple[Ids, Ids]:
    """Return the ASCII labels in the mask that contain ``needle``, and its last place in each.

    Labels are searched as one text; a match that runs into the next label does not count.
    """
    blob, others = texts.folded
    starts, find = list[int](), blob.find
    start = find(needle)
    while start >= 0:
        starts.append(start)
        if len(starts) % 4096 == 0 and bounds.reached():
            break
        start = find(needle, start + 1)
    places = np.array(starts, np.int64)
    numbers = texts.at(places)
    inside = mask[numbers] & (places + len(needle) <= texts.spans(numbers)[1])
    if len(others):
        inside[np.isin(numbers, others)] = False
    places, numbers = places[inside], numbers[inside]
    is_last = np.ones(len(numbers), bool)
    is_last[:-1] = numbers[1:] != numbers[:-1]
    return numbers[is_last], places[is_last]


def symbol_hits(
    shard: Shard, repo: str, matches: Sequence[FoundSymbol], with_details: bool = True
) -> list[Hit]:
    """Return the hits of definitions, with or without signatures and documentation.

    Raises
    ------
    FileNotFoundError : the shard was deleted.
    """
    if not matches:
        return []
    numbers = [one.number for one in matches]
    texts = SymbolTexts(shard, numbers)
    nothing = [""] * len(numbers)
    signatures, docs = (texts.signatures, texts.docs) if with_details else (nothing, nothing)
    hits = []
    for one, signature, doc in zip(matches, signatures, docs, strict=True):
        file = int(shard.symbol_file[one.number])
        start_line = int(shard.symbol_line[one.number])
        chunk = shard.chunk_at(file, start_line)
        cell = int(shard.chunk_cell[chunk])
        hits.append(
            Hit(
                repo=repo, path=shard.paths[file], start_line=start_line,
                end_line=int(shard.symbol_end_line[one.number]),
                score=round(one.score, 4), snippet=signature, snippet_line=start_line,
                language=shard.languages[int(shard.chunk_language[chunk])],
                kind=KINDS[int(shard.symbol_kind[one.number])],
                symbol=shard.symbol_label(one.number),
                cell=None if cell < 0 else cell, revision=shard.revision(file),
                signature=signature, doc=doc, cell_line=cell_line(shard, chunk, start_line),
            )
        )  # fmt: skip
    return hits


class SymbolMatches:
    """Matches of all shards, the best first, as lazy hits."""

    def __init__(self, matches: Sequence[tuple[str, Shard, FoundSymbol]]) -> None:
        self._matches = matches

    def __len__(self) -> int:
        return len(self._matches)

    def repos(self) -> set[str]:
        return {repo for repo, _, _ in self._matches}

    def hits(self, begin: int, end: int, with_details: bool = True) -> list[Hit]:
        """Build a range of hits, shard by shard."""
        hits = list[Hit | None]([None] * (end - begin))
        of_shard = dict[tuple[str, Shard], list[int]]()
        for at, (repo, shard, _) in enumerate(self._matches[begin:end]):
            of_shard.setdefault((repo, shard), []).append(at)
        for (repo, shard), places in of_shard.items():
            ones = [self._matches[begin + at][2] for at in places]
            for at, hit in zip(places, symbol_hits(shard, repo, ones, with_details), strict=True):
                hits[at] = hit
        return [hit for hit in hits if hit is not None]

    def columns(self, names: Sequence[str], begin: int, end: int) -> list[list[Any]]:
        """Return columns of a range; details are read only for columns that have them."""
        return columns_of(self.hits(begin, end, not _DETAILED.isdisjoint(names)), names)
