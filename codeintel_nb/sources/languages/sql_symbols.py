"""SQL symbols, merged from statement heads and the syntax tree."""

from __future__ import annotations

import re

from ..chunk import Symbol
from .docs import comment_above
from .sql_statements import sql_definitions


def with_statements(symbols: list[Symbol], content: bytes) -> list[Symbol]:
    """Merge the definitions of statements into those of the tree."""
    text = content.decode("latin-1")
    by_row = {symbol.start_line - 1: symbol for symbol in symbols}
    merged = list[Symbol]()
    covered = set[int]()
    for one in sql_definitions(text):
        existing = by_row.get(one.row)
        head = re.sub(r"\s+", " ", _utf8(text[one.begin : min(one.end, one.begin + 600)])).strip()
        head = (_ROUTINE_BODY.split(head, maxsplit=1)[0] if one.kind == "function" else head)[
            :200
        ].rstrip("; ")
        name, container = _utf8(one.name), _utf8(one.container)
        end_line = max(one.last_row + 1, one.row + 1)
        if existing is not None:
            merged.append(
                existing._replace(name=name, kind=one.kind, container=container, end_line=end_line)
            )
        else:
            merged.append(
                Symbol(
                    name,
                    one.kind,
                    container,
                    head,
                    one.row + 1,
                    end_line,
                    _utf8(comment_above(text, text.rfind("\n", 0, one.begin) + 1)),
                )
            )
        covered.update(range(one.row, end_line))
    merged += [
        symbol
        for symbol in symbols
        if symbol.start_line - 1 not in covered
        and not _OPERATOR_CLASS.match(symbol.signature)
        and "{" not in symbol.name
        and symbol.name.lower() != "identifier"
    ]
    return sorted(merged, key=lambda symbol: (symbol.start_line, -symbol.end_line))


_ROUTINE_BODY = re.compile(r"(?i)\s+(?:as|is)\s*(?=\$|'|begin\b|declare\b|$)|\bbegin\b|;")
_OPERATOR_CLASS = re.compile(r"(?i)create\s+operator\b")  # names a type that it does not define


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace")
