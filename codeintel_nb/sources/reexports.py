"""Files that say little but what they import and export."""

from __future__ import annotations

import re

from .chunk import Document

MAX_BYTES = 20_000  # of such a file
LEAST_SHARE = 0.8  # of its lines, without comments and the name of its package

_IMPORT = re.compile(
    rb"\s*(?:from\s+\S+\s+import\b|import\b"
    rb"|export\s*(?:\*|\{|type\s*\{|default\s+\w+;?$|.*\sfrom\s)|\}\s*from\b"
    rb"|#\s*(?:include|import)\b|(?:pub(?:\([^)]*\))?\s+)?(?:use|mod)\b[^{]*[;{]"
    rb"|using\b|require\b|require_relative\b|(?:const|let|var)\s.*=\s*require\("
    rb"|module\.exports\s*=|__all__\b)"
)
_CONTINUED = re.compile(rb"[\s\w.,*'\"{}()\[\];:]*$")  # names within such a statement
_SKIPPED = re.compile(
    rb"\s*(?:$|//|#(?!\s*(?:include|import)\b)|/\*|\*|--|\"{3}|'{3}|package\b|module\b(?!\.))"
)


def is_reexport(document: Document) -> bool:
    """Whether most lines of a file import names, or export those of other files."""
    content = document.content
    if len(content) > MAX_BYTES or any(
        symbol.kind in ("function", "method") for symbol in document.symbols
    ):
        return False
    lines = imports = names = 0
    inside = False
    for line in content.split(b"\n"):
        if _SKIPPED.match(line):
            continue
        lines += 1
        if _IMPORT.match(line):
            imports += 1
            inside = line.rstrip()[-1:] in b"({[,"
        elif inside and _CONTINUED.match(line):
            names += 1
            inside = line.strip()[-1:] not in b")}];"
        else:
            inside = False
    return imports > 0 and imports + names >= LEAST_SHARE * lines
