"""Terms for BM25: stems of identifiers and of their parts."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\dA-Za-z_]+")
_ENDING = re.compile("(?:ations?|ings?|ions?|ies|ers|es|ed|er|s|e|y)$")

FILLERS = frozenset(
    "a an and are as at be been by can code do does each find for from function get given happen "
    "happens has have how if implement implemented implementation implements in into is it its "
    "logic method may must no not of on or other same should so such that the their them then "
    "there these they this those to up used uses using was we what when where which while who "
    "whose why will with you your".split()
)


def parts_of(identifier: str) -> list[str]:
    """Split an identifier: ``parseHTTPResponse_v2`` -> parse, http, response, v, 2."""
    return [part.lower() for part in _PART.findall(identifier)]


def stem(word: str) -> str:
    """Strip one common ending, keeping at least three letters."""
    ending = _ENDING.search(word, 3)
    return word[: ending.start()] if ending else word


@lru_cache(200_000)
def terms_of(word: str) -> tuple[str, ...]:
    """Return a word's and its parts' stems; none for numbers."""
    if word.isdigit():
        return ()
    parts = parts_of(word)
    whole = stem(word.lower())
    return (whole, *map(stem, parts)) if len(parts) > 1 else (whole,)


MARKS = "$@%&!?="  # around a name in some languages: $ZodType, empty?


def names_of(name: str) -> set[str]:
    """Return the names that find a definition: its own, and its parts without marks."""
    return {name, *filter(None, (part.strip(MARKS) for part in name.split(".")))}


def hash_of(term: str) -> int:
    """Hash a term to 64 bits, the same on every machine."""
    return int.from_bytes(
        hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=8).digest(), "little"
    )
