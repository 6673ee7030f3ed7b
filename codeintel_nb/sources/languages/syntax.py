"""Definitions in source text, from its syntax tree."""

from __future__ import annotations

import re
import time
from functools import cache
from typing import Any, NamedTuple

from ..chunk import Symbol
from .definitions import Definition, symbols_of
from .docs import MAX_READ, Docs, text_of
from .lost_lines import with_lost_lines
from .names import cleaned_name, name_of
from .sql_symbols import with_statements
from .table import LANGUAGES
from .templates import template_symbols

# of the thread's CPU time, for parsing one file: load on the machine must not change the index
LIMIT_S, LIMIT_S_PER_MB = 1.0, 2.0
SLICE_BYTES = 1 << 20  # read by the parser at once
TIMED_BYTES = 1 << 15  # smaller files are parsed without a time limit
MAX_KEYS = 1000  # definitions of kind text, keys of data; a file with more is data, not settings
_LEADING = ("comment", "attribute", "decorator", "annotation")


class Syntax(NamedTuple):
    """A parsed file: root, ordered definitions and hints for chunking."""

    root: Any
    symbols: list[Symbol]
    inner: dict[int, Any]  # roots of embedded languages, by the id of the node with their text
    leading: dict[int, int]  # last row -> first row, of comments, decorators and the like


class GrammarNotLoaded(Exception):
    """A supported language's grammar that cannot be loaded here."""

    def __init__(self, language: str, reason: str) -> None:
        super().__init__(f"The grammar of {language} cannot be loaded: {reason}.")
        self.language = language


class ParseTimeout(Exception):
    """Parse over the time limit: deep nesting slows some grammars."""


def grammar(language: str) -> Any:
    """Return a language's tree-sitter grammar; the only place to load any.

    Raises
    ------
    GrammarNotLoaded : its library cannot be unpacked or loaded. This process does not retry.
    """
    result = _grammar(LANGUAGES[language].grammar or language)
    if isinstance(result, str):
        raise GrammarNotLoaded(language, result)
    return result


@cache
def _grammar(name: str) -> Any:
    """Return a grammar, or the reason for its absence."""
    from semble_grammars import GrammarLoadError, UnsupportedPlatformError, get_language

    try:
        return get_language(name)
    except (GrammarLoadError, UnsupportedPlatformError, OSError, RuntimeError) as error:
        return f"{error} ({error.__cause__})" if error.__cause__ is not None else str(error)


@cache
def _tools(language: str) -> tuple[Any, Any, Any]:
    """Return the parser, the node query and any language query."""
    from tree_sitter import Parser, Query

    how, tree = LANGUAGES[language], grammar(language)
    kinds = {
        tree.node_kind_for_id(i)
        for i in range(tree.node_kind_count)
        if tree.node_kind_is_named(i) and tree.node_kind_is_visible(i)
    }
    plain = [f"({node_type}) @d" for node_type in how.nodes] + [
        f"({node_type}) @leading" for node_type in sorted(kinds) if leads(node_type, language)
    ]
    inner = [
        f"({node_type} (raw_text) @{other}) @host"
        for node_type, other in how.inner
        if node_type in kinds
    ]
    plain.append("(ERROR) @error")
    return (
        Parser(tree),
        Query(tree, "\n".join([*plain, how.docs])),
        Query(tree, "\n".join([how.query, *inner])) if how.query else None,
    )


@cache
def leads(node_type: str, language: str) -> bool:
    """Whether nodes of this type belong to the next node."""
    how = LANGUAGES[language]
    # an attribute of an element does not lead it
    marks = _LEADING[:1] if how.raw_names else _LEADING
    return any(mark in node_type for mark in marks) or node_type in how.leading


def parse(content: bytes, language: str) -> Syntax | None:
    """Return a file's syntax; None for a language without a grammar."""
    if language not in LANGUAGES:
        return None
    parser, _, _ = _tools(language)
    prepare = LANGUAGES[language].prepare
    return _read(content, language, _tree(parser, prepare(content) if prepare else content))


def has_errors(content: bytes, language: str) -> bool:
    """Whether a text has syntax errors."""
    parser, _, _ = _tools(language)
    return bool(_tree(parser, content).has_error)


def _tree(parser: Any, content: bytes) -> Any:
    """Return the tree's root; raise ParseTimeout over the time limit."""
    if len(content) < TIMED_BYTES:
        return parser.parse(content).root_node
    ends = time.thread_time() + LIMIT_S + LIMIT_S_PER_MB * len(content) / 1_000_000
    try:
        tree = parser.parse(
            lambda at, _: content[at : at + SLICE_BYTES],
            progress_callback=lambda *_: time.thread_time() > ends,
        )
    except ValueError:
        parser.reset()
        raise ParseTimeout from None
    return tree.root_node


def _read(content: bytes, language: str, root: Any) -> Syntax:
    from tree_sitter import QueryCursor

    how = LANGUAGES[language]
    _, plain, special = _tools(language)
    captured = _captured(plain, root)
    definitions = [
        Definition(node, how.nodes[node.type], name_of(node, content))
        for node in captured.get("d", [])
    ]
    inner: dict[int, Any] = {}
    symbols = list[Symbol]()
    if special is not None:
        by_node: dict[int, Definition] = {}
        for _, match in QueryCursor(special).matches(root):
            kind = next(
                (
                    kind
                    for kind in match
                    if kind in ("function", "class", "method", "module", "container", "text")
                ),
                None,
            )
            if kind is not None:
                node = match[kind][0]
                # of several names the last: Dart's Catalog.empty
                if (existing := by_node.get(node.id)) is None or existing.kind == kind:
                    name = how.head.match(text_of(node, content, MAX_READ)) if how.head else None
                    text = name[1] if name else text_of(match["name"][0], content)
                    by_node[node.id] = Definition(
                        node,
                        kind,
                        cleaned_name(
                            text, how.raw_names or match["name"][0].type == "string_content"
                        ),
                    )
            elif "host" in match:
                (other,) = (name for name in match if name in LANGUAGES)
                raw_text = match[other][0]
                inside = _read(
                    content,
                    *_part(content, raw_text, _said_language(match["host"][0], content) or other),
                )
                inner[raw_text.id] = inside.root
                symbols += inside.symbols
        definitions += by_node.values()
    if sum(one.kind == "text" for one in definitions) > MAX_KEYS:
        definitions = [one for one in definitions if one.kind != "text"]
    definitions.sort(key=lambda one: (one.node.start_byte, -one.node.end_byte))
    docs = Docs(content, captured.get("leading", []), captured.get("doc", []))
    symbols += symbols_of(definitions, content, language, docs)
    if language == "sql":
        symbols = with_statements(symbols, content)
    if root.has_error:
        symbols = with_lost_lines(symbols, content, language, root, captured.get("error", []))
    if language == "template":
        symbols += template_symbols(content)
    if symbols and (inner or language == "template"):
        symbols.sort(key=lambda symbol: (symbol.start_line, -symbol.end_line))
    return Syntax(root, symbols, inner, docs.rows)


def _captured(query: Any, root: Any) -> dict[str, list[Any]]:
    """Return a query's nodes by name, in their order: the parser's differs from run to run."""
    from tree_sitter import QueryCursor

    captures = QueryCursor(query).captures(root)
    return {name: sorted(nodes, key=_place) for name, nodes in captures.items()}


def _place(node: Any) -> tuple[int, int, int]:
    return node.start_byte, -node.end_byte, node.kind_id


def _part(content: bytes, node: Any, language: str) -> tuple[str, Any]:
    """Return an embedded part's language, and root at file positions."""
    from tree_sitter import Parser, Range

    parser = Parser(grammar(language))
    parser.included_ranges = [
        Range(node.start_point, node.end_point, node.start_byte, node.end_byte)
    ]
    return language, _tree(parser, content)


def _said_language(host: Any, content: bytes) -> str:
    head = text_of(host.children[0], content)
    attribute = re.search(r"\b(?:lang|type)\s*=\s*[\"']?(?:text/|application/)?(\w+)", head)
    name = (
        {
            "ts": "typescript",
            "js": "javascript",
            "babel": "javascript",
            "module": "javascript",
            "sass": "scss",
        }.get(attribute[1], attribute[1])
        if attribute
        else ""
    )
    return name if name in ("typescript", "tsx", "javascript", "json", "css", "scss") else ""
