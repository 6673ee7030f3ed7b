"""(query, code) pairs of one source file.

doc      first sentence of a doc comment -> the definition below it
name     words of the name of an undocumented function -> its body
comment  a comment line inside a function -> the lines below it
file     a file's header comment -> path and first lines of its definitions
path     words of a file's path -> first lines of its definitions
"""

from __future__ import annotations

import ast
import re
import textwrap
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from .comments import LEGAL, Comments, first_sentence, is_query, parts_of, plain
from .definitions import Definition, definitions_by_tree
from .definitions_by_line import definitions_of_elixir, definitions_of_haskell

Found = tuple[str, str, str, str]  # kind, query, place (path and name), code


class Pair(NamedTuple):
    package: str
    kind: str
    query: str
    place: str
    code: str
    language: str


def pairs_of_file(path: str, language: str, text: str) -> Iterator[Found]:
    """Yield every pair of a file other than Python."""
    by_line = {"elixir": definitions_of_elixir, "haskell": definitions_of_haskell}.get(language)
    definitions, comments, lines = by_line(text) if by_line else definitions_by_tree(language, text)
    inside: list[tuple[int, int, str]] = []
    for definition in definitions:
        yield from _pairs_of_definition(path, definition, lines)
        if definition.comment is not None:
            comments.used.add(definition.comment.first)
        if not definition.is_container and definition.last - definition.first >= 7:
            inside.append((definition.first, definition.last, definition.name))
    yield from _pairs_inside(path, comments, inside, lines)
    outline = [
        lines[d.first].strip()[:160]
        for d in definitions
        if not d.name.split(".")[-1].startswith("_")
    ]
    if len(outline) >= 3:
        listed = "\n".join(outline[:40])
        if header := _header(language, lines, comments, definitions):
            yield "file", header[:300], path, listed
        words = parts_of(re.sub(r"\.\w+$", "", "/".join(path.split("/")[-2:])))
        if len(words) >= 2:
            yield "path", " ".join(words[-6:]), "", listed


def _pairs_of_definition(path: str, definition: Definition, lines: list[str]) -> Iterator[Found]:
    full, first, last, comment, container = definition
    own_name = full.rsplit(".", 1)[-1]
    query = first_sentence(plain(comment.text)) if comment is not None else ""
    # Go's comments begin with the name
    if query.split(" ")[0] == own_name and query.count(" ") >= 3:
        query = query.split(" ", 1)[1]
    if query and is_query(query):
        yield "doc", query[:300], f"{path} {full}", "\n".join(lines[first : last + 1])[:4000]
    elif not container and 4 <= last - first + 1 <= 120:
        words = parts_of(own_name)
        if len(words) >= 3:
            yield "name", " ".join(words), path, "\n".join(lines[first + 1 : last + 1])[:4000]


def _pairs_inside(
    path: str, comments: Comments, inside: list[tuple[int, int, str]], lines: list[str]
) -> Iterator[Found]:
    starts = [first for first, _, _ in inside]
    for group in comments.groups:
        if group.first in comments.used or not inside:
            continue
        at = bisect_right(starts, group.first) - 1
        if at < 0 or inside[at][1] <= group.last + 1:
            continue
        query = first_sentence(plain(group.text))
        if is_query(query, 4):
            end = min(group.last + 17, inside[at][1] + 1)
            yield (
                "comment",
                query[:200],
                f"{path} {inside[at][2]}",
                "\n".join(lines[group.last + 1 : end]),
            )


def _header(
    language: str, lines: list[str], comments: Comments, definitions: list[Definition]
) -> str:
    """Return the first sentence of a file's header comment, licences apart."""
    limit = min([d.first for d in definitions] + [60])
    attached = {d.comment for d in definitions}
    for group in comments.groups[:4]:
        if group.first >= limit and not (
            language == "rust" and lines[group.first].startswith("//!")
        ):
            break
        text = plain(group.text)
        if group in attached or (LEGAL.search(text) and len(text) > 60):
            continue
        sentence = first_sentence(text)
        if is_query(sentence, 4):
            return sentence
    return ""


def python_pairs(path: str, text: str) -> Iterator[Found]:
    """Yield docstring and name pairs of a Python file."""
    for name, code, docstring, body_lines in functions(text):
        if not 2 <= body_lines <= 120:
            continue
        query = docstring_sentence(docstring)
        if len(re.findall(r"[A-Za-z]{2,}", query)) >= 3 and query.isascii():
            yield "doc", query[:300], f"{path} {name}", code[:4000]
        elif body_lines >= 4 and not name.rsplit(".", 1)[-1].startswith("__"):
            parts = parts_of(name)
            if len(parts) >= 3:
                yield "name", " ".join(parts), path, code.split("\n", 1)[-1][:4000]


def docstring_sentence(docstring: str) -> str:
    paragraph = re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0]
    paragraph = re.sub(r"\s+", " ", paragraph)
    paragraph = re.sub(r":[\w:+-]+:`[~!]?([^`<]+?)(\s*<[^`]*>)?`", r"\1", paragraph).replace(
        "`", ""
    )
    sentence: str = re.split(r"(?<=[a-z0-9)\]'\"])[.!?](\s|$)", paragraph, maxsplit=1)[0]
    return sentence.strip().rstrip(".:")


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(text: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield each function's (qualified name, code, docstring, body lines).

    The code contains no docstrings.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = text.splitlines()
    for name, node in _walk(tree.body, ""):
        docstring = _docstring(node)
        rest = node.body[1:] if docstring is not None else node.body
        gone = _docstring_lines(node)
        if not rest or gone is None:
            continue
        start = min([node.lineno] + [d.lineno for d in node.decorator_list])
        end = node.end_lineno or node.lineno
        code = textwrap.dedent(
            "\n".join(lines[i - 1] for i in range(start, end + 1) if i not in gone)
        ).strip("\n")
        yield name, code, ast.get_docstring(node) or "", end - rest[0].lineno + 1


def _walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, _Function]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _walk(node.body, prefix + node.name + ".")
        elif isinstance(node, _Function):
            yield prefix + node.name, node
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "finalbody"):
                yield from _walk(getattr(node, part, []), prefix)


def _docstring(node: _Function | ast.ClassDef) -> ast.Expr | None:
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return first
    return None


def _docstring_lines(node: _Function) -> set[int] | None:
    """Return a function's docstring lines; None if code shares one."""
    gone: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            docstring = _docstring(inner)
            if docstring is None:
                continue
            end = docstring.end_lineno or docstring.lineno
            if inner.lineno == docstring.lineno or (
                len(inner.body) > 1 and inner.body[1].lineno <= end
            ):
                return None
            gone.update(range(docstring.lineno, end + 1))
    return gone
