"""Definitions by name: the columns of a shard say where, its catalog says what they look like."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import translate
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShardError
from ..index.catalog import read_table
from ..index.shard import KINDS, Mask, Shard
from .hit import Hit
from .mask import ScopeMask
from .query import ALIKE, Bounds, SymbolQuery

EXACT, FOLDED, PREFIX, INSIDE = (
    1.0,
    0.95,
    0.8,
    0.6,
)  # scores of a name that is the one asked for, but for its case, begins with it, holds it
LEAST_ALIKE = 70  # of 100
KEY = 0.9  # share of its score that a key of data keeps: who asks for a name means code
_TEXT = KINDS.index("text")


def in_scope(shard: Shard, mask: ScopeMask, kinds: Sequence[str]) -> Mask:
    """Which definitions of a shard count: those in files in scope, of these kinds, if any are given."""
    held = np.ones(shard.symbols, bool) if mask.files is None else mask.files[shard.symbol_file]
    if mask.of_languages is not None:
        held = held & mask.of_languages[shard.symbol_chunk]
    if kinds:
        held = held & np.array([kind in kinds for kind in KINDS], bool)[shard.symbol_kind]
    return held


class FoundSymbol(NamedTuple):
    """A definition of a shard, and how well its name fits."""

    score: float
    length: int  # of the name with its containers: of two that fit alike the shorter one is meant
    number: int


def find_symbols(shard: Shard, held: Mask, query: SymbolQuery, bounds: Bounds) -> list[FoundSymbol]:
    """The definitions in scope whose name is, begins with or holds the one asked for, or fits its glob."""
    name = query.name.replace("::", ".").replace("#", ".")
    wanted = _Glob(name) if query.is_glob else _Name(name)
    found = list[FoundSymbol]()
    for number in _that_hold(shard, wanted.needle, held):
        label = shard.symbol_label(number)
        if score := wanted.score(label) * (KEY if shard.symbol_kind[number] == _TEXT else 1):
            found.append(FoundSymbol(score, len(label), number))
        if len(found) % 1024 == 1023 and bounds.reached():
            break
    return found


def find_alike(shard: Shard, held: Mask, query: SymbolQuery) -> list[FoundSymbol]:
    """The definitions in scope whose names are spelled much like the one asked for."""
    from rapidfuzz import fuzz, process

    numbers = np.flatnonzero(held).tolist()
    names = [shard.symbol_label(number).rpartition(".")[2].lower() for number in numbers]
    wanted = query.name.rpartition(".")[2].lower()
    alike = process.extract(wanted, names, scorer=fuzz.ratio, limit=None, score_cutoff=LEAST_ALIKE)
    return [FoundSymbol(ALIKE * ratio / 100, len(name), numbers[i]) for name, ratio, i in alike]


class _Name:
    """A name, perhaps with what contains it."""

    def __init__(self, name: str) -> None:
        self._exact, self.needle = name, name.lower()

    def score(self, label: str) -> float:
        folded = label.lower()
        if folded.endswith(self.needle) and (
            len(folded) == len(self.needle) or folded[-len(self.needle) - 1] == "."
        ):
            return EXACT if label.endswith(self._exact) else FOLDED
        at = folded.rfind(self.needle)
        if at < 0 or (
            "." not in self.needle and at < folded.rfind(".")
        ):  # it is the container that is called so
            return 0.0
        return PREFIX if at == 0 or folded[at - 1] == "." else INSIDE


class _Glob:
    """``read_*``, or ``DataFrame.to_*``: a name, and as much of what contains it as the glob says."""

    def __init__(self, glob: str) -> None:
        self._pattern = re.compile(rf"(?:.*\.)?{translate(glob)}", re.I)
        self.needle = max(re.split(r"[*?]|\[[^\]]*\]?", glob), key=len).lower()

    def score(self, label: str) -> float:
        return EXACT if self._pattern.fullmatch(label) else 0.0


def _that_hold(shard: Shard, needle: str, held: Mask) -> list[int]:
    """The definitions that count and whose labels hold a text in whatever case, or begin in it."""
    import re2

    texts, ends = shard.symbol_texts
    if not needle or needle == "." or not len(ends):
        return np.flatnonzero(held).tolist()
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.never_capture = False, False, True
    pattern = re2.compile(re2.escape(needle), options)
    met = np.fromiter((match.start() for match in pattern.finditer(texts.tobytes())), np.int64)
    numbers = np.unique(np.searchsorted(ends, met, "right"))
    return numbers[held[numbers]].tolist()  # type: ignore[no-any-return]


@cache
def _reader(process: int) -> Any:
    """Return the database of a process for reading catalogs: opening one takes longer than reading a few rows.

    A forked child opens its own: the parent's worker threads do not exist there.
    """
    import duckdb

    return duckdb.connect(config={"threads": "1", "temp_directory": ""})


def symbol_hits(shard: Shard, repo: str, found: Sequence[FoundSymbol]) -> list[Hit]:
    """Hits of definitions, with what the shard's catalog knows of them; FileNotFoundError where it was swept away."""
    import duckdb

    if not found:
        return []
    files = sorted({int(shard.symbol_file[one.number]) for one in found})
    source = read_table(shard.folder / "symbols.parquet")
    try:
        with _reader(os.getpid()).cursor() as connection:
            rows: list[Any] = connection.execute(
                f"select file_id, start_line, end_line, name, container, signature, doc from {source} where file_id >= {files[0]} and file_id <= {files[-1]} and file_id in ({', '.join(map(str, files))})"
            ).fetchall()
    except duckdb.Error as error:
        if not (shard.folder / "symbols.parquet").exists():
            raise FileNotFoundError(
                shard.folder
            ) from error  # replaced meanwhile: the caller retries
        raise ShardError(
            f"The definitions of shard {shard.id} cannot be read: {str(error).splitlines()[0]} Run: codeintel doctor"
        ) from error
    known = {(row[0], row[1], f"{row[4]}.{row[3]}".strip(".")): row for row in rows}
    hits = []
    for one in found:
        file = int(shard.symbol_file[one.number])
        label = shard.symbol_label(one.number)
        start_line = int(shard.symbol_line[one.number])
        row = known.get((file, start_line, label))
        _, _, end_line, _, _, signature, doc = row or (0, 0, start_line, "", "", "", "")
        chunk = shard.chunk_at(file, start_line)
        cell = int(shard.chunk_cell[chunk])
        hits.append(
            Hit(
                repo=repo, path=shard.paths[file], start_line=start_line, end_line=end_line, score=round(one.score, 4), snippet=signature, snippet_line=start_line,
                language=shard.languages[int(shard.chunk_language[chunk])], kind=KINDS[int(shard.symbol_kind[one.number])], symbol=label, cell=None if cell < 0 else cell,
                revision=shard.revision(file), signature=signature, doc=doc,
            )
        )  # fmt: skip
    return hits
