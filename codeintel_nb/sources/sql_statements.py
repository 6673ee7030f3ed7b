"""What SQL statements define, whatever the dialect: read from their heads, not from a tree.

A grammar of standard SQL loses procedures, packages and all that follows a statement it cannot
read. Heads are looked for at the beginning of lines, outside of comments, strings and bodies.
Dialects: PostgreSQL, MySQL, SQLite, SQL Server, Oracle, Snowflake, BigQuery, DuckDB; dbt's macros.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple


class Definition(NamedTuple):
    """A definition; bytes and rows of the file, rows count from 0."""

    kind: str
    name: str
    container: str
    begin: int
    end: int
    row: int
    last_row: int


_MODIFIERS = (
    r"(?:(?:global|local|temp|temporary|unlogged|constraint|materialized|editionable|noneditionable|"
    r"editioning|force|no\s+force|recursive|foreign|external|transient|virtual|secure|persistent|"
    r"private|public|dynamic|iceberg|hybrid|volatile|multiset|columnar|live|streaming|snapshot|"
    r"cached|memory|definer|invoker|remote|dbcompat|aggregate(?=\s+function)|table(?=\s+function)|"
    r"algorithm\s*=\s*\w+|definer\s*=\s*\S+|sql\s+security\s+\w+)\s+)*"
)
_HOLE = r"(?:[$@]\{[^}\n]*\}|\$\([^)\n]*\))"  # filled in by whoever runs the script
_PART = (
    r"(?:\"(?:[^\"]|\"\")+\"|\[[^\]\n]+\]|`[^`]+`|\{\{.*?\}\}"
    rf"|:?(?:{_HOLE}|[\w$#@&\x80-\xff])+)"
)
_NAME = rf"{_PART}(?:\s*\.+\s*{_PART})*"
_KINDS = {
    "table": "class", "view": "class", "type": "class", "type body": "class", "schema": "class",
    "package": "module", "package body": "module", "function": "function", "procedure": "function",
    "proc": "function", "trigger": "function", "aggregate": "function", "macro": "function",
    "event": "function", "task": "function", "rule": "function",
}  # fmt: skip
_HEAD = re.compile(
    rf"(?:^|(?<=;))[ \t]*(?P<verb>(?:re)?create(?:\s+or\s+(?:replace|alter))?|alter(?=\s+(?:proc|procedure|function|trigger)\b))\s+{_MODIFIERS}"
    r"(?P<kind>table|materialized\s+view|view|function|procedure|proc|trigger|type\s+body|type|schema|package\s+body|package|aggregate|macro|event(?!\s+session)|task)"
    rf"\s+(?:if\s+not\s+exists\s+)?(?:authorization\s+)?(?P<name>{_NAME})",
    re.I | re.M,
)
_LAST_PART = re.compile(rf"({_PART})\s*$")
_OPENING = re.compile(
    r"--[^\n]*|/\*|(?P<quote>(?:\be)?')|(?P<triple>\"\"\")|\$(?P<tag>\w{0,60})\$|\"[^\"\n]*\"|`[^`\n]*`|\[[^\]\n]*\]",
    re.I,
)
_STRING = re.compile(r"(?:[^'\n]|''|\n(?!create\s))*'", re.I)
_STRING_WITH_ESCAPES = re.compile(r"(?:[^'\\\n]|\\.|''|\n(?!create\s))*'", re.I | re.S)
MAX_MEMBER = 3_000  # characters of a package member that are looked through for its end
MAX_UNCLOSED = 100  # dollar quotes without an end, after which a script has none
_TOKEN = re.compile(
    r"\"[^\"\n]*\"|`[^`\n]*`|\[[^\]\n]*\]"
    r"|(?P<batch>^[ \t]*(?:go|/)[ \t]*(?:\d+[ \t]*)?\r?$)"
    r"|^[ \t]*delimiter[ \t]+(?P<delimiter>[^\s\w=,]{1,4})(?=[ \t\r]*$)"
    r"|(?P<mark>[;()])|(?P<word>\b(?:begin|end|case|is|as|declare)\b)"
    r"|(?P<head>^[ \t]*(?:(?:re)?create\s|alter\s+(?:proc|procedure|function|trigger)\s))",
    re.I | re.M,
)
_LINE = re.compile(
    r"^[ \t]*(?:(?:re)?create\s|alter\s|delimiter[ \t]+(?P<delimiter>[^\s\w=,]{1,4})(?=[ \t\r]*$))",
    re.I | re.M,
)
_BATCH = re.compile(r"^[ \t]*go[ \t]*\r?$", re.I | re.M)  # of SQL Server
_DELIMITER = re.compile(r"^[ \t]*delimiter[ \t]+[^\s\w=,]{1,4}[ \t\r]*$", re.I | re.M)  # of MySQL
_BLOCK_BEGIN = re.compile(
    r"begin\b(?!\s*(?:;|tran|transaction|work|deferred|immediate|exclusive))", re.I
)
_BLOCK_END = re.compile(r"end\b(?!\s+(?:if|loop|while|repeat|for)\b)", re.I)
_BODY_BEHIND = re.compile(
    r"(?:as|is)\b\s*(?!['$(]|\be'|begin\b|select\b|with\b|language\b|return\b|external\b|replace\b|on\b)\S",
    re.I,
)
_MEMBER = re.compile(
    rf"^[ \t]*(?:(?:member|static|constructor|map|order|overriding|final|not|instantiable)\s+)*(?:procedure|function)\s+(?P<name>{_NAME})",
    re.I | re.M,
)
_MACRO = re.compile(
    r"\{%[-+]?\s*(?P<kind>macro|test|materialization|snapshot|data_test)\s+(?P<name>\w+).*?%\}",
    re.S,
)


def sql_definitions(text: str) -> list[Definition]:
    """Return what a SQL script defines, in order. Names have no quotes, and no schema."""
    rows = _Rows(text)
    definitions = [*_statements(text, rows), *_macros(text, rows)]
    return sorted(definitions, key=lambda one: (one.begin, -one.end))


class _Rows:
    """Rows of places in a text."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def of(self, place: int) -> int:
        return bisect_left(self._ends, place)


def plain_name(name: str) -> str:
    """Return the last part of a name, without quotes and brackets."""
    last = _LAST_PART.search(name)
    part = last[1] if last else name
    if part[:1] in '"[`':
        part = part[1:-1].replace('""', '"')
        part = part.rpartition(".")[2] if name[:1] == "`" else part  # `project.dataset.name`
    part = re.sub(_HOLE, "", part)
    return "" if part.startswith("{{") else part.lstrip(":")[:120]


def _without_text(text: str) -> str:
    """Return a script with comments and what strings hold as spaces; newlines stay."""
    string = _STRING_WITH_ESCAPES if "\\'" in text else _STRING
    dollars = 0 if _DELIMITER.search(text) else MAX_UNCLOSED
    parts, at, done = list[str](), 0, 0
    while opening := _OPENING.search(text, at):
        begin, at = opening.span()
        if opening["quote"]:
            closing = string.match(text, at)
            begin, at = at, (closing.end() - 1 if closing else at)
            behind = at + bool(closing)
        elif opening["tag"] is not None:
            end = text.find(opening[0], at) if dollars > 0 else -1
            dollars -= end < 0
            begin, at = at, (end if end >= 0 else at)
            behind = at + (len(opening[0]) if end >= 0 else 0)
        elif opening["triple"]:
            end = text.find('"""', at)
            begin, at = at, (end if end >= 0 else at)
            behind = at + 3 * (end >= 0)
        elif opening[0] == "/*":
            end = text.find("*/", at)
            behind = at = len(text) if end < 0 else end + 2
        elif opening[0].startswith("--"):
            behind = at
        else:
            continue
        blank = "\n".join(" " * len(line) for line in text[begin:at].split("\n"))
        parts += (text[done:begin], blank)
        done, at = at, behind
    return "".join((*parts, text[done:]))


def _statements(text: str, rows: _Rows) -> Iterator[Definition]:
    code = _without_text(text)
    at, delimiter = 0, ";"
    batches = _BATCH.search(code) is not None
    while at < len(code):
        head = _HEAD.match(code, at) if code[at - 1 : at] == ";" else None  # on the line of another
        if head is None:
            line = _LINE.search(code, at)
            if line is None:
                return
            at = max(line.end(), at + 1)
            delimiter = line["delimiter"] or delimiter
            head = None if line["delimiter"] else _HEAD.match(code, line.start())
        if head is None:
            continue
        begin = head.start("verb")
        kind = " ".join(head["kind"].lower().split()).removeprefix("materialized ")
        end, delimiter = _end(code, head.end(), kind, delimiter, batches)
        at = max(end, head.end())
        name = plain_name(head["name"])
        if name.lower() == "identifier" and code[head.end() : head.end() + 1] == "(":
            name = ""  # Snowflake's, of a variable
        if not name or (
            head["verb"][:1] in "aA"
            and not re.search(r"\b(?:as|begin)\b", code[head.end() : end], re.I)
        ):
            continue
        yield Definition(
            _KINDS[kind], name, "", begin, end, rows.of(begin), rows.of(max(begin, end - 1))
        )
        if kind in ("package", "package body", "type body"):
            for member in _MEMBER.finditer(code, head.end(), end):
                place = member.start() + len(member[0]) - len(member[0].lstrip())
                limit = min(end, member.end() + MAX_MEMBER)
                stop = _end(code[:limit], member.end(), "procedure", ";")[0]
                yield Definition(
                    "function",
                    plain_name(member["name"]),
                    name,
                    place,
                    stop,
                    rows.of(place),
                    rows.of(stop - 1),
                )


def _end(text: str, at: int, kind: str, delimiter: str, batches: bool = False) -> tuple[int, str]:
    """Return where a statement ends, and the delimiter that is in force there."""
    if delimiter != ";":
        ends = [
            place
            for place in (
                text.find(delimiter, at),
                text.find("\nDELIMITER", at),
                text.find("\ndelimiter", at),
            )
            if place >= 0
        ]
        return min(ends, default=len(text)), delimiter
    routine = _KINDS[kind] in ("function", "module") and kind not in (
        "macro", "aggregate", "rule", "task",
    )  # fmt: skip
    package = _KINDS[kind] == "module" or kind == "type body"
    blocks = parentheses = 0
    open_body = package
    while token := _TOKEN.search(text, at):
        at = max(token.end(), at + 1)
        mark, word = token["mark"], token["word"]
        if token["batch"]:
            return token.start(), delimiter
        if token["delimiter"]:
            return token.start(), token["delimiter"]
        if token["head"]:
            if (
                not blocks
                and not (open_body and batches and routine and not package)
                and _HEAD.match(text, token.start())
            ):
                return token.start(), delimiter
        elif mark in ("(", ")"):
            parentheses = max(0, parentheses + (1 if mark == "(" else -1))
        elif mark and mark == delimiter:
            if not blocks and not open_body:
                return token.end(), delimiter
        elif word and routine and not parentheses:
            lower = word.lower()
            if lower == "begin":
                blocks += _BLOCK_BEGIN.match(text, token.start()) is not None
                open_body = package
            elif lower == "case":
                blocks += bool(blocks) and not re.search(
                    r"end\s+$", text[max(0, token.start() - 8) : token.start()], re.I
                )
            elif lower == "end" and _BLOCK_END.match(text, token.start()):
                blocks = max(0, blocks - 1)
            elif lower in ("is", "as") and not blocks:
                is_procedure = kind in ("procedure", "proc", "trigger")
                open_body = (batches and is_procedure) or _has_block(text, token.start())
    return len(text), delimiter


def _has_block(text: str, at: int) -> bool:
    """Whether declarations stand behind AS or IS: a block follows before another statement."""
    if not _BODY_BEHIND.match(text, at):
        return False
    following = _BLOCK_OR_HEAD.search(text, at)
    return following is not None and following["begin"] is not None


_BLOCK_OR_HEAD = re.compile(
    r"(?P<begin>\bbegin\b)|^[ \t]*(?:create|alter)\s|^[ \t]*(?:go|/)[ \t]*\r?$", re.I | re.M
)


def _macros(text: str, rows: _Rows) -> Iterator[Definition]:
    """Yield dbt's macros, tests, snapshots and materializations."""
    if "{%" not in text:
        return
    for match in _MACRO.finditer(text):
        ends = re.compile(rf"\{{%[-+]?\s*end{match['kind']}\s*[-+]?%\}}").search(text, match.end())
        end = ends.end() if ends else match.end()
        yield Definition(
            "class" if match["kind"] == "snapshot" else "function",
            match["name"],
            "",
            match.start(),
            end,
            rows.of(match.start()),
            rows.of(end - 1),
        )
