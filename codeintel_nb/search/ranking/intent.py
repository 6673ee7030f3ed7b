"""Names and words of a query, and what it asks for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ...embedding.words import FILLERS, parts_of, stem

_SEPARATOR = re.compile(r"::|\\|->|\.|#")
_SYMBOL = re.compile(
    r"(?:[A-Za-z_]\w*(?:(?:::|\\|->|\.|#)[A-Za-z_]\w*)+|_\w*|[A-Za-z]\w*[A-Z_]\w*|[A-Z]\w*)"
    r"[?!]?(?:\(\))?"
)
_WHOLE = r"(?:repo|repository|project|package|library|code ?base)"
_OVERVIEW = re.compile(
    rf"(?:(?:what|describe|explain|summari[sz]e|overview|introduction|purpose)\b.*"
    rf"\b(?:this|the|whole) {_WHOLE}(?: (?:all )?(?:about|do|for|used for))?"
    rf"|{_WHOLE} (?:overview|introduction|description|purpose))\W*",
    re.I,
)
_HOW_TO = re.compile(
    r"\W*(?:how (?:do|can|could|would|should) (?:I|you|we|one)\b|how to\b|show me how\b"
    r"|(?:an? )?(?:code )?(?:examples?|snippets?) (?:of|for|that)\b)",
    re.I,
)
_NOTEBOOK = re.compile(
    # not: which notebook formats, which notebook server
    r"\W*(?:in )?(?:which|what) notebooks?\b(?! (?:cells?|class(?:es)?|extensions?|files?|formats?"
    r"|kernels?|magics?|managers?|metadata|outputs?|readers?|servers?|types?|versions?|widgets?)\b)"
    r"|\W*(?:find )?(?:(?:the|an?|any) )?notebooks? (?:that|which|about|on|with|where|for)\b",
    re.I,
)
_EMBEDDED_NAME = re.compile(r"\b(?:[A-Z][a-z]\w*[A-Z]\w*|[a-z]\w*[A-Z]\w+|[A-Za-z]\w*_\w+)\b")


class QueryIntent(NamedTuple):
    """Names and words of a query."""

    is_symbol: bool
    names: tuple[str, ...]  # symbols to look up by definition
    words: tuple[str, ...]  # stems of its significant words, matched with paths and names
    text: str
    is_overview: bool = False  # it asks what the repository is about
    spelled: tuple[str, ...] = ()  # the query's spelling of each of ``words``
    container: str = ""  # what a qualified name has before its last part, in lower case
    wants_code: bool = False  # it asks how to do something
    wants_notebook: bool = False  # it asks for a notebook


@lru_cache(256)
def parse_query(text: str) -> QueryIntent:
    plain = text.strip()
    container = ""
    is_symbol = _SYMBOL.fullmatch(plain) is not None
    if is_symbol:
        *containers, name = _SEPARATOR.split(plain.removesuffix("()"))
        names, container = [name], containers[-1].lower() if containers else ""
    elif re.fullmatch(r"\w+", plain):
        names = [plain]  # one plain word may be a name too
    else:
        names = _EMBEDDED_NAME.findall(plain)
    words = {
        stem(part): word
        for word in re.findall(r"\w+", plain)
        for part in parts_of(word)
        if len(part) > 2 and part not in FILLERS
    }
    return QueryIntent(
        is_symbol=is_symbol,
        names=tuple(dict.fromkeys(names)),
        words=tuple(sorted(words)),
        spelled=tuple(word for _, word in sorted(words.items())),
        text=plain,
        is_overview=_OVERVIEW.fullmatch(plain) is not None,
        container=container,
        wants_code=_HOW_TO.match(plain) is not None,
        wants_notebook=_NOTEBOOK.match(plain) is not None,
    )
