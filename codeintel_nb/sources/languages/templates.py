"""Definitions in templates of Jinja, Django and Twig."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..chunk import Symbol

_TEMPLATE = re.compile(
    r"\{%[-+]?\s*(?:(end)?(macro|block|component|partial))(?:\s+([\w.-]+))?[^%]*%\}"
)


def template_symbols(content: bytes) -> Iterator[Symbol]:
    """Yield a template's macros and blocks, missing from its HTML tree."""
    open_ones: list[tuple[str, str, int, str]] = []  # kind, name, line, signature
    for row, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        for match in _TEMPLATE.finditer(line):
            ends, kind, name = match.groups()
            if not ends and name:
                open_ones.append(
                    (kind, name, row, re.sub(r"^\{%[-+]?\s*|\s*[-+]?%\}$", "", match[0])[:200])
                )
            elif ends and open_ones and open_ones[-1][0] == kind:
                kind, name, first, signature = open_ones.pop()
                yield Symbol(
                    name,
                    "function" if kind == "macro" else "class",
                    ".".join(outer[1] for outer in open_ones),
                    signature,
                    first,
                    row,
                )
