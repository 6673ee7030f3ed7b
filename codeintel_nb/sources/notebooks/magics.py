"""Magics: cell magics set languages; line magics are not Python."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...scopes.languages import language_of
from .kernel_languages import kernel_language, known_language

# languages of cell magics; others keep the cell's language
_CELL_MAGICS = {
    "bash": "bash", "sh": "bash", "shell": "bash", "zsh": "bash", "system": "bash", "sx": "bash",
    "!": "bash", "script": "bash", "cmd": "batch", "powershell": "powershell", "pwsh": "powershell",
    "sql": "sql", "codesql": "sql", "bigquery": "sql", "sparksql": "sql", "spark_sql": "sql",
    "duckdb": "sql", "dql": "sql", "athena": "sql", "javascript": "javascript", "js": "javascript",
    "typescript": "typescript", "ts": "typescript", "html": "html", "svg": "xml", "xml": "xml",
    "latex": "tex", "tex": "tex", "tikz": "tex", "markdown": "markdown", "md": "markdown",
    "ruby": "ruby", "perl": "perl", "julia": "julia", "css": "css", "r": "r", "sparkr": "r",
    "python": "python", "python2": "python", "python3": "python", "pypy": "python", "py": "python",
    "pyspark": "python", "local": "python", "cython": "python", "cpp": "cpp", "cu": "cpp",
    "cuda": "cpp", "c": "c", "rust": "rust", "go": "go", "java": "java", "kotlin": "kotlin",
    "scala": "scala", "lua": "lua", "php": "php", "octave": "matlab", "matlab": "matlab",
    "fortran": "fortran", "yaml": "yaml", "json": "json", "configure": "json", "toml": "toml",
    "csharp": "csharp", "fsharp": "fsharp", "mermaid": "text", "dot": "text", "stan": "text",
    "vega": "json", "node": "javascript", "brython": "python", "groovy": "groovy", "awk": "awk",
    "sed": "text", "ai": "text", "kql": "text", "gremlin": "text", "oc": "text", "sparql": "text",
    "graph_notebook_config": "json", "text": "text", "clojure": "clojure", "haskell": "haskell",
}  # fmt: skip
_FILE_MAGICS = frozenset({"writefile", "file", "writetemplate", "overwrite"})
_DATABRICKS = {
    "sql": "sql", "python": "python", "r": "r", "scala": "scala", "md": "markdown",
    "md-sandbox": "markdown", "sh": "bash", "fs": "text",
}  # fmt: skip
_TOP = re.compile(rb"(?:[ \t]*(?:(?:#(?!!)|//|--)[^\n]*)?\r?\n)*")  # blank lines and comments
_CELL_MAGIC = re.compile(rb"[ \t]*%%([A-Za-z_!][\w-]*)[ \t]*([^\r\n]*)")
_SHARP_BANG = re.compile(rb"#!([\w.+#-]+)[^\r\n]*")  # .NET Interactive's
# Databricks'
_FIRST_WORD = re.compile(rb"[ \t]*%([A-Za-z][\w.-]*)(?:\([^\n)]*\))?(?=[ \t\r\n]|$)")
_SPARK_SQL = re.compile(r"(?:-c|--context)[ =]sql\b")


class CellCode(NamedTuple):
    """A cell's language, and its text with the cell magics blanked."""

    language: str
    code: bytes


def code_of(text: bytes, language: str, databricks: bool = False, dotnet: bool = False) -> CellCode:
    """Resolve the cell magics above a cell's code.

    ``%%bash`` counts below blank lines, comments and magics such as ``%%time``. So does ``%sql``
    in a Databricks notebook, and ``#!csharp`` in one of .NET Interactive.
    """
    code, at = text, 0
    while (b"%" in text or dotnet) and at < len(code):
        if top := _TOP.match(code, at):
            at = top.end()
        if dotnet and (mark := _SHARP_BANG.match(code, at)):
            stated, ends = dotnet_language(mark[1].decode("ascii", "replace")), False
        elif language != "matlab" and (mark := _CELL_MAGIC.match(code, at)):
            stated = _magic_language(
                mark[1].decode("ascii", "replace"), mark[2].decode("utf-8", "replace")
            )
            ends = stated is not None
        elif (
            databricks
            and (mark := _FIRST_WORD.match(code, at))
            and mark[1].decode().lower() in _DATABRICKS
        ):
            stated, ends = _DATABRICKS[mark[1].decode().lower()], True
        else:
            break
        code = code[: mark.start()] + b" " * (mark.end() - mark.start()) + code[mark.end() :]
        language = stated or language
        if ends:
            break
        at = mark.end()
    return CellCode(language, code)


def dotnet_language(name: str) -> str | None:
    """Return a .NET Interactive kernel's language: SQL for ``sql-NAME``."""
    name = name.partition("-")[0] if name.startswith(("sql-", "kql-")) else name
    return known_language(name) or kernel_language(name)


def _magic_language(name: str, arguments: str) -> str | None:
    """Return a cell magic's language; None to keep the cell's."""
    if name.lower() in _FILE_MAGICS:
        paths = [word.strip("'\"") for word in arguments.split() if not word.startswith("-")]
        return language_of(paths[-1]) if paths else None
    if name == "script":
        words = [word for word in arguments.split() if not word.startswith("-")]
        return language_of("script", f"#!{words[0]}\n".encode()) if words else "bash"
    if name == "spark" and _SPARK_SQL.search(arguments):
        return "sql"
    return _CELL_MAGICS.get(name) or _CELL_MAGICS.get(name.lower())


_TOKEN = re.compile(
    rb"\"\"\"|'''"  # opens a long string
    rb"|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"  # a string
    rb"|#[^\n]*|\\\r?\n|[\[({]|[\])}]|\n",
    re.S,
)
_LONG_END = {mark: re.compile(rb"(?:\\.|[^\\])*?" + mark, re.S) for mark in (b'"""', b"'''")}
_LINE_MAGIC = re.compile(
    rb"[ \t]*([%!?])|[ \t]*[\w.,()\[\] \t]+?(?<![=!<>%])=[ \t]*([!%])(?!=)"
    rb"|[ \t]*[%\w.*]+(?:\[[^\]\n]*\])*(\?{1,2})[ \t\r]*$",
    re.M,
)
_REST = re.compile(rb"(?:[^\n]*\\\r?\n)*[^\n]*")  # of a line continued by backslashes


def has_line_magics(code: bytes) -> bool:
    """Whether a cell may contain line magics."""
    return _ANY_MAGIC.search(code) is not None


_ANY_MAGIC = re.compile(rb"^[ \t]*[%!?]|=[ \t]*[!%]|\?[ \t\r]*$", re.M)


def without_line_magics(code: bytes) -> bytes:
    """Replace line magics by Python of the same length.

    ``%time f()``, ``!ls``, ``x = !ls`` and ``f?`` count only at the start of a logical line: not
    in brackets or strings, nor after a backslash.
    """
    out, at = bytearray(code), 0
    depth, starts = 0, True
    while at < len(code):
        if starts and (magic := _LINE_MAGIC.match(code, at)):
            begin = magic.start(magic.lastindex or 1)
            rest = _REST.match(code, begin)
            end = rest.end() if rest else begin
            if magic.lastindex == 3:
                begin = magic.end() - len(magic[0].lstrip())
            _blank(out, begin, end)
            at, starts = end, False
            continue
        token = _TOKEN.search(code, at)
        if token is None:
            break
        text, at, starts = token[0], token.end(), False
        if text in _LONG_END:
            closing = _LONG_END[text].match(code, at)
            at = closing.end() if closing else len(code)
        elif text in (b"(", b"[", b"{"):
            depth += 1
        elif text in (b")", b"]", b"}"):
            depth = max(0, depth - 1)
        elif text == b"\n":
            starts = depth == 0
    return bytes(out)


def _blank(code: bytearray, begin: int, end: int) -> None:
    """Overwrite a span with ``0`` and spaces, keeping newlines."""
    code[begin:end] = re.sub(rb"[^\n]", b" ", code[begin:end])
    code[begin : begin + 1] = b"0"


def quoted_rows(code: bytes) -> frozenset[int]:
    """Return the rows starting inside a triple-quoted string."""
    if b'"""' not in code and b"'''" not in code:
        return frozenset()
    rows, at, row, counted = set[int](), 0, 0, 0
    while token := _TOKEN.search(code, at):
        at = token.end()
        if token[0] in _LONG_END:
            row += code.count(b"\n", counted, at)
            closing = _LONG_END[token[0]].match(code, at)
            end = closing.end() if closing else len(code)
            lines = code.count(b"\n", at, end)
            rows.update(range(row + 1, row + lines + 1))
            row, counted, at = row + lines, end, end
    return frozenset(rows)
