"""Definitions in source text, from its syntax tree."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from .chunk import Symbol
from .docs import MOST_READ, Docs, text_of
from .grammars import LANGUAGES
from .lost_lines import with_lost_lines
from .names import OPERATOR_OF, cleaned_name, name_of, receiver_of
from .sql_symbols import with_statements

# of the thread's CPU time, for parsing one file: load on the machine must not change the index
LIMIT_S, LIMIT_S_PER_MB = 1.0, 2.0
SLICE_BYTES = 1 << 20  # read by the parser at once
TIMED_BYTES = 1 << 15  # smaller files are parsed without a time limit
MOST_KEYS = 1000  # definitions of kind text, keys of data; a file with more is data, not settings
_FUNCTION_VALUES = (
    "arrow_function",
    "function",
    "function_expression",
    "generator_function",
    "class",
)
_WRAPPERS = (
    "memo",
    "forwardRef",
    "observer",
    "lazy",
    "useCallback",
    "debounce",
    "throttle",
    "once",
    "memoize",
)
_ASSIGNED = re.compile(r"(.+?)(?:\.prototype)?\.([^.]+)")
_LEADING = ("comment", "attribute", "decorator", "annotation")


class Syntax(NamedTuple):
    """A parsed file: root, definitions in order, and hints for the chunker."""

    root: Any
    symbols: list[Symbol]
    inner: dict[int, Any]  # roots of embedded languages, by the id of the node with their text
    leading: dict[int, int]  # last row -> first row, of comments, decorators and the like


class _Found(NamedTuple):
    node: Any
    kind: str
    name: str


class GrammarNotLoaded(Exception):
    """A supported language's grammar that cannot be loaded here."""

    def __init__(self, language: str, reason: str) -> None:
        super().__init__(f"The grammar of {language} cannot be loaded: {reason}.")
        self.language = language


class ParseTimeout(Exception):
    """A file over the time limit: thousands of nested nodes slow some grammars."""


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
    """Return parser, query for plain and leading nodes, and other query or None."""
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
    captured = QueryCursor(plain).captures(root)
    definitions = [
        _Found(node, how.nodes[node.type], name_of(node, content)) for node in captured.get("d", [])
    ]
    inner: dict[int, Any] = {}
    symbols = list[Symbol]()
    if special is not None:
        by_node: dict[int, _Found] = {}
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
                    name = how.head.match(text_of(node, content, MOST_READ)) if how.head else None
                    text = name[1] if name else text_of(match["name"][0], content)
                    by_node[node.id] = _Found(
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
    if sum(one.kind == "text" for one in definitions) > MOST_KEYS:
        definitions = [one for one in definitions if one.kind != "text"]
    definitions.sort(key=lambda one: (one.node.start_byte, -one.node.end_byte))
    docs = Docs(content, captured.get("leading", []), captured.get("doc", []))
    symbols += _symbols(definitions, content, language, docs)
    if language == "sql":
        symbols = with_statements(symbols, content)
    if root.has_error:
        symbols = with_lost_lines(symbols, content, language, root, captured.get("error", []))
    if language == "template":
        symbols += _template_symbols(content)
    if symbols and (inner or language == "template"):
        symbols.sort(key=lambda symbol: (symbol.start_line, -symbol.end_line))
    return Syntax(root, symbols, inner, docs.rows)


def _part(content: bytes, node: Any, language: str) -> tuple[str, Any]:
    """Return an embedded part's language and root, at positions in the whole file."""
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


def _symbols(
    definitions: list[_Found], content: bytes, language: str, docs: Docs
) -> Iterator[Symbol]:
    how = LANGUAGES[language]
    holders: list[tuple[int, str, str]] = []  # end byte, name, kind of the open definitions
    before: Symbol | None = None  # pending: another clause of it may follow
    for node, kind, name in definitions:
        if kind.endswith("?") and not _is_function(
            node.child_by_field_name("value") or node.child_by_field_name("right"), content
        ):
            continue
        if kind.endswith("!") and node.child_by_field_name("body") is None:
            continue  # a mention of a type, not its definition
        kind = kind.rstrip("!?")
        while holders and holders[-1][0] <= node.start_byte:
            holders.pop()
        if not name:
            continue
        around = container = ".".join(holder[1] for holder in holders)
        if language == "go" and node.type == "method_declaration":
            container = receiver_of(node, content)
        elif (member := _ASSIGNED if node.type == "assignment_expression" else how.member) and (
            inside := OPERATOR_OF.fullmatch(name) or member.fullmatch(name)
        ):  # a member defined outside its container
            container, name = f"{container}.{inside[1]}".strip(".").replace("::", "."), inside[2]
            kind = "method" if kind == "function" else kind
        elif kind == "function" and holders and holders[-1][2] in ("class", "impl"):
            kind = "method"
        elif (
            language in ("c", "cpp")
            and kind == "function"
            and holders
            and holders[-1][2] in ("function", "method")
            and node.type == "function_definition"
        ):
            continue  # a macro with a block: neither language has nested functions
        end, last = _end(node)
        inside_name = (
            name
            if container == around or language == "go"
            else f"{container}.{name}".removeprefix(around).lstrip(".")
        )
        if kind == "container":
            holders.append(
                (
                    end,
                    inside_name,
                    "namespace"
                    if node.type in ("namespace_definition", "namespace_declaration")
                    else "impl",
                )
            )
            continue
        holders.append((end, inside_name, kind))
        first = node.start_point[0]
        symbol = Symbol(
            name,
            kind,
            container,
            _signature(node, content, language),
            first + 1,
            last + 1,
            docs.of(node),
        )
        if not how.clauses:
            yield symbol
        elif (
            before is not None
            and (before.name, before.kind, before.container) == (name, kind, container)
            and symbol.start_line > before.end_line
        ):
            before = before._replace(end_line=symbol.end_line)
        else:
            if before is not None:
                yield before
            before = symbol
    if before is not None:
        yield before


def _end(node: Any) -> tuple[int, int]:
    """Return the end byte and last row of a definition.

    In Dart the body is a sibling of its head.
    """
    last = node
    while (
        node.type.endswith("_signature")
        and last.parent is not None
        and last.parent.type == "method_signature"
    ):
        last = last.parent
    if (
        last.type.endswith("_signature")
        and (behind := last.next_named_sibling) is not None
        and behind.type == "function_body"
    ):
        last = behind
    row = last.end_point[0]
    # a macro ends behind its newline
    return last.end_byte, row - (last.end_point[1] == 0 and row > node.start_point[0])


def _is_function(value: Any, content: bytes) -> bool:
    """Whether a value is a function, even wrapped: ``memo(forwardRef((props, ref) => ...))``."""
    if value is None or value.type in _FUNCTION_VALUES:
        return value is not None
    called, arguments = (
        value.child_by_field_name("function"),
        value.child_by_field_name("arguments"),
    )
    if (
        value.type != "call_expression"
        or arguments is None
        or text_of(called, content).rpartition(".")[2] not in _WRAPPERS
    ):
        return False
    return bool(arguments.named_children) and _is_function(arguments.named_children[0], content)


_BODIES = ("block", "do_block", "declaration_list")
_BODY_FIELDS = ("body", "value", "right", "rhs", "declarations", "match")
_OPENED = ("zig", "css", "scss", "swift")  # a body without a node begins with a brace


def _signature(node: Any, content: bytes, language: str) -> str:
    """Return a definition's text before its body, on one line."""
    body = next(
        (
            field_node
            for field in _BODY_FIELDS
            if (field_node := node.child_by_field_name(field)) is not None
        ),
        None,
    )
    if body is None:
        body = next(
            (
                child
                for child in node.named_children
                if child.type.endswith("_body") or child.type in _BODIES
            ),
            None,
        )
    elif (inner := body.child_by_field_name("body")) is not None:
        body = inner  # of the assigned function
    # OCaml's let
    begin = (
        node.parent.start_byte
        if node.type.endswith("_binding") and node.parent is not None
        else node.start_byte
    )
    end = (
        body.start_byte if body is not None and body.start_byte > node.start_byte else node.end_byte
    )
    for child in node.named_children:
        if node.start_byte < child.start_byte < end and "comment" in child.type:
            end = child.start_byte
    text = content[begin : min(end, begin + 600)].decode("utf-8", "replace")
    if body is None and language in _OPENED:
        text = text.partition("{")[0]
    elif LANGUAGES[language].inner:
        text = text.partition("\n")[0]
    return re.sub(r"\s+", " ", text).strip().rstrip("{:=|").strip()[:200]


_TEMPLATE = re.compile(
    r"\{%[-+]?\s*(?:(end)?(macro|block|component|partial))(?:\s+([\w.-]+))?[^%]*%\}"
)


def _template_symbols(content: bytes) -> Iterator[Symbol]:
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
