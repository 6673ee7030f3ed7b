"""Recovery of definitions from syntax errors, by keywords at line starts."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from ..chunk import Symbol

MAX_BODY = 20_000  # bytes searched for the end of a body
_BRACES = re.compile(rb"[{}]|;[ \t]*$", re.M)
_NO_FUNCTIONS = frozenset(
    b"if for while switch return else do catch try case using new delete throw sizeof match"
    b" with until unless elif except foreach lock fixed synchronized defined when and or not"
    b" in is".split()
)


class LostLine(NamedTuple):
    """A recovered definition, in byte offsets and rows from 0."""

    kind: str
    name: str
    begin: int
    end: int
    row: int
    last_row: int


class LineRule(NamedTuple):
    """Pattern for a definition's first line; group 1 names it."""

    kind: str
    pattern: re.Pattern[bytes]
    anywhere: bool = False  # matches outside errors too, if the tree has any
    body: str = "braces"  # how the body ends: by braces, indent or line


def rule(
    kind: str, pattern: str, body: str = "braces", anywhere: bool = False, flags: int = 0
) -> LineRule:
    """Make a rule; leading blanks are allowed."""
    return LineRule(kind, re.compile(rb"^[ \t]*" + pattern.encode(), re.M | flags), anywhere, body)


_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|partial|open|override|"
    r"virtual|async|export|default|declare|readonly|unsafe|data|inner|inline|suspend|operator|"
    r"infix|tailrec|external|lateinit|fileprivate|mutating|required|convenience|indirect|case|"
    r"implicit|lazy|const|pub(?:\([^)\n]*\))?|extern(?:[ \t]+\"[^\"\n]*\")?)[ \t]+)*"
)
_TYPE = rule(
    "class",
    _MODIFIERS
    + r"(?:class|interface|enum|struct|trait|record|object|protocol|actor|union|mixin|extension|"
    r"annotation class|enum class|data class)[ \t]+([A-Za-z_$][\w$]*)",
)
_MEMBER = rule(
    "method",
    r"(?:(?:public|private|protected|internal|static|final|abstract|override|virtual|async|sealed|"
    r"synchronized)[ \t]+)+(?:[\w<>\[\],.?]+[ \t]+)?([A-Za-z_$][\w$]*)[ \t]*"
    r"\([^;{}\n]*(?:\)|$)",
)
RULES: dict[str, tuple[LineRule, ...]] = {
    "c": (
        rule("function", r"#[ \t]*define[ \t]+([A-Za-z_]\w*)\(", "line", anywhere=True),
        rule("class", r"(?:typedef[ \t]+)?(?:struct|union|enum)[ \t]+([A-Za-z_]\w*)[ \t\n]*\{"),
        rule("function", r"(?:[A-Za-z_]\w*[ \t*]+)+\**([A-Za-z_]\w*)[ \t]*\([^;{}()]*\)[ \t\n]*\{"),
    ),
    "cpp": (
        rule("function", r"#[ \t]*define[ \t]+([A-Za-z_]\w*)\(", "line", anywhere=True),
        rule("class", r"(?:template[ \t]*<[^;{}\n]*>[ \t\n]*)?(?:typedef[ \t]+)?"
             r"(?:class|struct|union|enum(?:[ \t]+class)?)[ \t]+([A-Za-z_]\w*)(?:<[^;{}]*>)?"
             r"(?:[ \t]+final)?[ \t\n]*(?:\{|:(?!:)[^;{}()]*\{)"),
        rule("function", r"(?:[A-Za-z_][\w:]*(?:<[^;{}()\n]*>)?[ \t*&]+)+"
             r"((?:[A-Za-z_]\w*::)*~?[A-Za-z_]\w*)[ \t]*\([^;{}()]*\)[ \t]*"
             r"(?:const[ \t]*|noexcept[ \t]*|override[ \t]*)*\n?[ \t]*\{"),
    ),
    "java": (_TYPE, _MEMBER),
    "csharp": (_TYPE, _MEMBER),
    "kotlin": (
        _TYPE,
        rule("function", _MODIFIERS
             + r"fun[ \t]+(?:<[^>\n]*>[ \t]*)?(?:[\w<>?]+\.)?`?([A-Za-z_]\w*)`?[ \t]*\("),
    ),
    "scala": (_TYPE, rule("function", _MODIFIERS + r"def[ \t]+([A-Za-z_]\w*)", "line")),
    "swift": (_TYPE, rule("function", _MODIFIERS + r"func[ \t]+(`[^`\n]+`|[A-Za-z_]\w*)")),
    "php": (_TYPE, rule("function", _MODIFIERS + r"function[ \t]+&?([A-Za-z_]\w*)[ \t]*\(")),
    "javascript": (
        _TYPE,
        rule("function", _MODIFIERS + r"function[ \t]*\*?[ \t]*([A-Za-z_$][\w$]*)[ \t]*[(<]"),
    ),
    "typescript": (
        _TYPE,
        rule("function", _MODIFIERS + r"function[ \t]*\*?[ \t]*([A-Za-z_$][\w$]*)[ \t]*[(<]"),
    ),
    "go": (
        rule("function", r"func[ \t]+(?:\([^)\n]*\)[ \t]*)?([A-Za-z_]\w*)[ \t]*[(\[]"),
        rule("class", r"type[ \t]+([A-Za-z_]\w*)[ \t]+(?:struct|interface)\b"),
    ),
    "rust": (
        _TYPE,
        rule("function", _MODIFIERS
             + r"(?:async[ \t]+|unsafe[ \t]+)*fn[ \t]+([A-Za-z_]\w*)[ \t]*[(<]"),
    ),
    "python": (
        rule("class", r"class[ \t]+([A-Za-z_]\w*)[ \t]*[(:\[]", "indent"),
        rule("function", r"(?:async[ \t]+)?def[ \t]+([A-Za-z_]\w*)[ \t]*[(\[]", "indent"),
    ),
    "ruby": (
        rule("class", r"(?:class|module)[ \t]+([A-Z][\w:]*)", "indent"),
        rule("function", r"def[ \t]+(?:self\.)?([A-Za-z_]\w*[?!=]?)", "indent"),
    ),
    "lua": (
        rule("function", r"(?:local[ \t]+)?function[ \t]+([A-Za-z_][\w.:]*)[ \t]*\(", "indent"),
    ),
    "bash": (
        rule("function", r"(?:function[ \t]+)?([A-Za-z_][\w-]*)[ \t]*\(\)[ \t\n]*\{"),
        rule("function", r"function[ \t]+([A-Za-z_][\w-]*)[ \t\n]*\{"),
    ),
    "julia": (
        rule("function", r"function[ \t]+([A-Za-z_][\w.!]*)[ \t]*[({]", "indent"),
        rule("class", r"(?:mutable[ \t]+)?struct[ \t]+([A-Za-z_]\w*)", "indent"),
    ),
    "r": (rule("function", r"([A-Za-z.][\w.]*)[ \t]*(?:<-|=)[ \t]*function[ \t]*\("),),
    "dart": (_TYPE,),
    "zig": (
        rule("function", _MODIFIERS + r"fn[ \t]+([A-Za-z_]\w*)[ \t]*\("),
        rule("class", _MODIFIERS + r"const[ \t]+([A-Za-z_]\w*)[ \t]*=[ \t]*"
             r"(?:packed[ \t]+|extern[ \t]+)?(?:struct|enum|union|opaque|error)\b"),
    ),
    "scss": (rule("function", r"@(?:mixin|function)[ \t]+([\w-]+)"),),
    "elixir": (
        rule("module", r"def(?:module|protocol)[ \t]+([A-Z][\w.]*)", "indent"),
        rule("function", r"def(?:p|macro|macrop|guard|guardp|delegate)?[ \t]+([a-z_]\w*[?!]?)",
             "indent"),
    ),
    "ocaml": (
        rule("class", r"type[ \t]+(?:nonrec[ \t]+)?(?:'\w+[ \t]+)?([a-z_]\w*)[ \t]*=", "line"),
    ),
}  # fmt: skip
RULES["tsx"] = RULES["typescript"]


def with_lost_lines(
    symbols: list[Symbol], content: bytes, language: str, root: Any, errors: list[Any]
) -> list[Symbol]:
    """Return definitions in order, with those recovered from syntax errors."""
    starts = {(symbol.start_line - 1, symbol.name) for symbol in symbols}
    lost = list[Symbol]()
    for line in lost_lines(content, language, root, errors, starts):
        container, name = "", line.name
        if "::" in name:
            container, _, name = name.rpartition("::")
        kind = line.kind
        around = _around(symbols, line)
        if around is not None and not container:
            container = f"{around.container}.{around.name}".strip(".")
            kind = "method" if kind == "function" and around.kind == "class" else kind
        kind = "method" if "::" in line.name and kind == "function" else kind
        head = (
            content[line.begin : min(line.end, line.begin + 600)]
            .split(b"{")[0]
            .decode("utf-8", "replace")
        )
        signature = re.sub(r"\s+", " ", head).strip()[:200]
        lost.append(
            Symbol(
                name, kind, container.replace("::", "."), signature, line.row + 1, line.last_row + 1
            )
        )
    return (
        sorted([*symbols, *lost], key=lambda symbol: (symbol.start_line, -symbol.end_line))
        if lost
        else symbols
    )


def _around(symbols: list[Symbol], line: LostLine) -> Symbol | None:
    """Return the innermost class or module around a recovered definition."""
    inside = [
        one
        for one in symbols
        if one.kind in ("class", "module")
        and one.start_line <= line.row
        and one.end_line > line.last_row + 1
    ]
    return inside[-1] if inside else None


def lost_lines(
    content: bytes,
    language: str,
    root: Any,
    errors: Sequence[Any],
    starts: Collection[tuple[int, str]],
) -> Iterator[LostLine]:
    """Yield definitions inside syntax errors.

    ``starts`` gives the rows and names of definitions already in the tree.
    """
    spans = _merged(errors)
    line_starts = [0, *(match.end() for match in re.finditer(rb"\n", content))]
    taken = set(starts)
    for one in RULES.get(language, ()):
        for match in _matches(one, content, spans):
            at = match.start(1)
            name = match[1].decode("utf-8", "replace").strip("`")
            row, name_row = (
                bisect_right(line_starts, place) - 1 for place in (_first(content, match), at)
            )
            if (
                name in _NO_FUNCTIONS_TEXT
                or any((near, name) in taken for near in range(row - 1, name_row + 2))
                or _is_in_text(root, at)
            ):
                continue
            taken.add((name_row, name))
            end = _end(content, match, one.body)
            yield LostLine(
                one.kind,
                name,
                _first(content, match),
                end,
                row,
                bisect_right(line_starts, max(match.end() - 1, end - 1)) - 1,
            )


def _matches(
    one: LineRule, content: bytes, spans: Sequence[tuple[int, int]]
) -> Iterator[re.Match[bytes]]:
    """Yield a rule's matches, in errors or the whole file."""
    for begin, end in [(0, len(content))] if one.anywhere else spans:
        start = content.rfind(b"\n", 0, begin) + 1
        for match in one.pattern.finditer(content, start, end):
            if match.start(1) >= begin:
                yield match


_NO_FUNCTIONS_TEXT = frozenset(word.decode() for word in _NO_FUNCTIONS)


def _first(content: bytes, match: re.Match[bytes]) -> int:
    """Return the offset of a match's first non-blank character."""
    return match.start() + len(match[0]) - len(match[0].lstrip())


def _merged(errors: Sequence[Any]) -> list[tuple[int, int]]:
    spans = list[tuple[int, int]]()
    for begin, end in sorted((node.start_byte, node.end_byte) for node in errors):
        if spans and begin <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((begin, end))
    return spans


def _is_in_text(root: Any, at: int) -> bool:
    """Whether an offset is in a comment or a string."""
    node = root.descendant_for_byte_range(at, at + 1)
    for _ in range(3):
        if node is None:
            return False
        if "comment" in node.type or "string" in node.type:
            return True
        node = node.parent
    return False


def _end(content: bytes, match: re.Match[bytes], body: str) -> int:
    """Return a definition's end, by its braces or indentation."""
    line_end = content.find(b"\n", match.end() - 1)
    line_end = len(content) if line_end < 0 else line_end
    if body == "braces":
        depth = 0
        for mark in _BRACES.finditer(content, match.start(1), match.start(1) + MAX_BODY):
            if mark[0] == b"{":
                depth += 1
            elif mark[0] == b"}":
                depth -= 1
                if depth <= 0:
                    return mark.end()
            elif depth == 0:
                return mark.end()
    elif body == "indent":
        indent = re.match(rb"[ \t]*", match[0])
        size = len(indent[0]) if indent else 0
        end = re.compile(rb"^[ \t]{0,%d}(?=[^\s#)\]}])(?!end\b)" % size, re.M).search(
            content, line_end, line_end + MAX_BODY
        )
        if end:
            return len(content[: end.start()].rstrip()) + 1
    elif content[line_end - 1 : line_end] == b"\\":
        while content[line_end - 1 : line_end] == b"\\" and line_end < len(content):
            line_end = content.find(b"\n", line_end + 1)
            if line_end < 0:
                return len(content)
    return line_end
