"""Definitions in SQL scripts, from the heads of statements.

A grammar of standard SQL loses procedures, packages and everything after a statement it cannot
parse. Heads count at line starts, outside comments, strings and bodies.
Dialects: PostgreSQL, MySQL, SQLite, SQL Server, Oracle, Snowflake, BigQuery, DuckDB; dbt's macros.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Definition(NamedTuple):
    """A definition, in byte offsets and rows from 0."""

    kind: str
    name: str
    container: str
    begin: int
    end: int
    row: int
    last_row: int


_MODIFIERS = (
    r"(?:(?:global|local|temp|temporary|unlogged|constraint|materialized|editionable|"
    r"noneditionable|editioning|force|no\s+force|recursive|foreign|external|transient|virtual|"
    r"secure|persistent|private|public|dynamic|iceberg|hybrid|volatile|multiset|columnar|live|"
    r"streaming|snapshot|cached|memory|definer|invoker|remote|"
    r"dbcompat|aggregate(?=\s+function)|table(?=\s+function)|algorithm\s*=\s*\w+|"
    r"definer\s*=\s*\S+|sql\s+security\s+\w+)\s+)*"
)
_HOLE = r"(?:[$@]\{[^}\n]*\}|\$\([^)\n]*\))"  # substituted when the script runs
_PART = (
    r"(?:\"(?:[^\"]|\"\")+\"|\[[^\]\n]+\]|`[^`]+`|\{\{.*?\}\}"
    rf"|:?(?:{_HOLE}|[\w$#@&\x80-\xff])+)"
)
_NAME = rf"{_PART}(?:\s*\.+\s*{_PART})*"
_MEMBER_WORDS = r"(?:(?:member|static|constructor|map|order|overriding|final|not|instantiable)\s+)*"
_KINDS = {
    "table": "class", "view": "class", "type": "class", "type body": "class", "schema": "class",
    "package": "module", "package body": "module", "function": "function", "procedure": "function",
    "proc": "function", "trigger": "function", "aggregate": "function", "macro": "function",
    "event": "function", "task": "function", "rule": "function",
}  # fmt: skip
_HEAD = re.compile(
    r"(?:^|(?<=;))[ \t]*(?P<verb>(?:re)?create(?:\s+or\s+(?:replace|alter))?"
    rf"|alter(?=\s+(?:proc|procedure|function|trigger)\b))\s+{_MODIFIERS}"
    r"(?P<kind>table|materialized\s+view|view|function|procedure|proc|trigger|type\s+body|type|"
    r"schema|package\s+body|package|aggregate|macro|event(?!\s+session)|task)"
    rf"\s+(?:if\s+not\s+exists\s+)?(?:authorization\s+)?(?P<name>{_NAME})",
    re.I | re.M,
)
_LAST_PART = re.compile(rf"({_PART})\s*$")
_OPENING = re.compile(
    r"--[^\n]*|(?P<executed>/\*!\d*|\*/)|/\*|(?P<quote>(?:\be)?')|(?P<triple>\"\"\")"
    r"|\$(?P<tag>\w{0,60})\$|\"[^\"\n]*\"|`[^`\n]*`|\[[^\]\n]*\]",
    re.I,
)
# the rest of a string; one containing a line with CREATE must end plausibly, or it is no string
_STRING = re.compile(r"(?:[^'\n]|''|\n(?!create\s))*'|(?:[^']|'')*'(?!\w)", re.I)
_STRING_WITH_ESCAPES = re.compile(
    r"(?:[^'\\\n]|\\.|''|\n(?!create\s))*'|(?:[^'\\]|\\.|'')*'(?!\w)", re.I | re.S
)
MAX_UNCLOSED = 100  # dollar quotes without an end; further dollar quotes are ignored
_TOKEN = re.compile(
    r"\"[^\"\n]*\"|`[^`\n]*`|\[[^\]\n]*\]"
    r"|(?P<batch>^[ \t]*(?:go|/)[ \t]*(?:\d+[ \t]*)?\r?$)"
    r"|^[ \t]*delimiter[ \t]+(?P<delimiter>[^\s\w=,]{1,4})(?=[ \t\r]*$)"
    r"|(?P<mark>[;()])|(?P<word>\b(?:begin|end|case|is|as|declare)\b)"
    r"|(?P<head>^[ \t]*(?:(?:re)?create\s|alter\s+(?:proc|procedure|function|trigger)\s))"
    rf"|(?P<member>^[ \t]*{_MEMBER_WORDS}(?:procedure|function)\s)",
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
    r"(?:as|is)\b\s*(?!['$(]|\be'|begin\b|select\b|with\b|language\b|return\b|external\b|"
    r"replace\b|on\b)\S",
    re.I,
)
_MEMBER = re.compile(rf"[ \t]*{_MEMBER_WORDS}(?:procedure|function)\s+(?P<name>{_NAME})", re.I)
_MACRO = re.compile(
    r"\{%[-+]?\s*(?P<kind>macro|test|materialization|snapshot|data_test)\s+(?P<name>\w+).*?%\}",
    re.S,
)


def sql_definitions(text: str) -> list[Definition]:
    """Return a script's definitions in order, names unquoted and unqualified."""
    rows = _Rows(text)
    definitions = [*_statements(text, rows), *_macros(text, rows)]
    return sorted(definitions, key=lambda one: (one.begin, -one.end))


class _Rows:
    """A map from offsets to rows."""

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
    """Return a script with comments and the contents of strings blanked."""
    string = _STRING_WITH_ESCAPES if "\\'" in text else _STRING
    dollars = 0 if _DELIMITER.search(text) else MAX_UNCLOSED
    parts, at, start = list[str](), 0, 0
    while opening := _OPENING.search(text, at):
        begin, at = opening.span()
        if opening["executed"]:  # MySQL's /*!50001 ... */ is code
            behind = at
        elif opening["quote"]:
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
        parts += (text[start:begin], blank)
        start, at = at, behind
    return "".join((*parts, text[start:]))


def _statements(text: str, rows: _Rows) -> Iterator[Definition]:
    code = _without_text(text)
    at, delimiter = 0, ";"
    batches = _BATCH.search(code) is not None
    while at < len(code):
        # on another statement's line
        head = _HEAD.match(code, at) if code[at - 1 : at] == ";" else None
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
        name = plain_name(head["name"])
        if name.lower() == "identifier" and code[head.end() : head.end() + 1] == "(":
            name = ""  # Snowflake's IDENTIFIER(variable)
        body = _Body(code, begin, head.end(), kind, name)
        end, delimiter = body.read(delimiter, batches)
        at = max(end, head.end())
        if head["verb"][:1] in "aA" and not _HAS_BODY.search(code, head.end(), end):
            continue  # ALTER FUNCTION f OWNER TO joe
        if name:
            yield Definition(_KINDS[kind], name, "", begin, end, rows.of(begin), rows.of(end - 1))
            yield from (
                Definition("function", *member, rows.of(member.begin), rows.of(member.end - 1))
                for member in body.members
            )


_HAS_BODY = re.compile(r"\b(?:as|begin)\b", re.I)


class _Member(NamedTuple):
    """A routine within a package or another routine."""

    name: str
    container: str
    begin: int
    end: int


@dataclass(slots=True)
class _Routine:
    """An open routine."""

    name: str
    container: str
    begin: int
    is_head: bool = True  # before IS, AS or BEGIN
    is_declaring: bool = False  # between IS and BEGIN


class _Body:
    """Reader of a statement's body, from head to end."""

    def __init__(self, code: str, begin: int, at: int, kind: str, name: str) -> None:
        self.members: list[_Member] = []
        self._code, self._at, self._kind = code, at, kind
        self._holds_routines = kind in ("package", "package body", "type body")
        self._is_compound = kind == "trigger" and _COMPOUND.search(code, at, at + 600) is not None
        self._is_routine = self._holds_routines or kind in _ROUTINES
        self._open = [_Routine(name, "", begin)]
        self._blocks = 0  # BEGIN without END
        self._is_over = False  # past the statement's own END

    def read(self, delimiter: str, batches: bool) -> tuple[int, str]:
        """Return the statement's end, and the delimiter in force there.

        ``batches``: GO separates statements.
        """
        if delimiter != ";":
            return self._find(delimiter), delimiter
        parentheses = 0
        while token := _TOKEN.search(self._code, self._at):
            self._at = max(token.end(), self._at + 1)
            if token["batch"]:
                return self._ended(token.start()), delimiter
            if token["delimiter"]:
                return self._ended(token.start()), token["delimiter"]
            if token["head"]:
                if (
                    not self._blocks
                    and not self._goes_on()
                    and _HEAD.match(self._code, token.start())
                ):
                    return self._ended(token.start()), delimiter
            elif token["mark"] == ";":
                if not self._blocks and self._is_last(token.end()):
                    return self._ended(token.end()), delimiter
            elif token["mark"]:
                parentheses = max(0, parentheses + (1 if token["mark"] == "(" else -1))
            elif token["member"] and self._is_routine and not self._blocks:
                self._enter(token.start())
            elif token["word"] and self._is_routine and not parentheses:
                self._take(token["word"].lower(), token.start(), batches)
        return self._ended(len(self._code)), delimiter

    def _find(self, delimiter: str) -> int:
        """Return the offset of a custom delimiter, or its change."""
        following = _DELIMITER.search(self._code, self._at)
        limit = following.start() if following else len(self._code)
        place = self._code.find(delimiter, self._at, limit)
        return place if place >= 0 else limit

    def _goes_on(self) -> bool:
        return self._open[-1].is_declaring and not self._holds_routines

    def _is_last(self, end: int) -> bool:
        """Whether a semicolon outside blocks ends the statement itself."""
        routine = self._open[-1]
        if routine.is_declaring:
            return False
        if len(self._open) > 1:
            self._leave(end)
            return False
        return self._is_over or not (self._holds_routines or self._is_compound)

    def _enter(self, begin: int) -> None:
        match = _MEMBER.match(self._code, begin)
        if match is None or not (self._holds_routines or self._open[-1].is_declaring):
            return
        name = plain_name(match["name"])
        container = ".".join(routine.name for routine in self._open)
        place = begin + len(match[0]) - len(match[0].lstrip())
        self._open.append(_Routine(name, container, place))
        self._at = match.end()

    def _leave(self, end: int) -> None:
        routine = self._open.pop()
        self.members.append(_Member(routine.name, routine.container, routine.begin, end))

    def _ended(self, end: int) -> int:
        while len(self._open) > 1:
            self._leave(end)
        self.members.sort(key=lambda member: (member.begin, -member.end))
        return max(end, self._open[0].begin + 1)

    def _take(self, word: str, at: int, batches: bool) -> None:
        routine = self._open[-1]
        if word == "begin":
            if _BLOCK_BEGIN.match(self._code, at):
                self._blocks += 1
                routine.is_declaring = routine.is_declaring and batches
                routine.is_head = False
        elif word == "case":
            if self._blocks and not _END_BEFORE.search(self._code, max(0, at - 8), at):
                self._blocks += 1
        elif word == "end" and _BLOCK_END.match(self._code, at):
            self._is_over = len(self._open) == 1 and (
                not self._blocks or (self._holds_routines and self._blocks == 1)
            )
            self._blocks = max(0, self._blocks - 1)
        elif word in ("is", "as") and not self._blocks and routine.is_head:
            by_batch = batches and self._kind in ("procedure", "proc", "trigger")
            routine.is_head = False
            routine.is_declaring = by_batch or _has_block(self._code, at)


_ROUTINES = frozenset({"function", "procedure", "proc", "trigger", "event"})
_COMPOUND = re.compile(r"\bcompound\s+trigger\b", re.I)
_END_BEFORE = re.compile(r"end\s+$", re.I)


def _has_block(text: str, at: int) -> bool:
    """Whether AS or IS opens a declaration section."""
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
