"""Symbols of definitions: names, containers, kinds and signatures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..chunk import Symbol
from .docs import Docs, text_of
from .names import OPERATOR_OF, receiver_of
from .table import LANGUAGES

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
_PROTOTYPE = ".prototype"
_NAMELESS = ("module.exports", "exports")
_ASSIGNED = re.compile(r"(.+?)(?:\.prototype)?\.([^.]+)")


class Definition(NamedTuple):
    """Node defining a name.

    A kind may end in ``?`` or ``!``, for a condition.
    """

    node: Any
    kind: str
    name: str


class _Enclosing(NamedTuple):
    """Open definition, around those that follow."""

    end_byte: int
    name: str
    kind: str


def symbols_of(
    definitions: list[Definition], content: bytes, language: str, docs: Docs
) -> Iterator[Symbol]:
    """Yield definitions' symbols in source order, each with its container."""
    symbols = _each(definitions, content, language, docs)
    return _joined_clauses(symbols) if LANGUAGES[language].clauses else symbols


def _each(
    definitions: list[Definition], content: bytes, language: str, docs: Docs
) -> Iterator[Symbol]:
    enclosing = list[_Enclosing]()
    for definition in definitions:
        node, name = definition.node, definition.name
        while enclosing and enclosing[-1].end_byte <= node.start_byte:
            enclosing.pop()
        kind = _kind_of(definition, content)
        if not kind or not name:
            continue
        if kind == "class" and name.endswith(_PROTOTYPE):
            kind, name = "container", name.removesuffix(_PROTOTYPE)
            definition = definition._replace(name=name)
        around = ".".join(outer.name for outer in enclosing)
        container, name, kind = _placed(definition, kind, around, enclosing, content, language)
        if not kind:
            continue
        end, last = _end(node)
        inside_name = (
            name
            if container == around or language == "go"
            else f"{container}.{name}".removeprefix(around).lstrip(".")
        )
        if kind == "container":
            is_namespace = node.type in ("namespace_definition", "namespace_declaration")
            enclosing.append(_Enclosing(end, inside_name, "namespace" if is_namespace else "impl"))
            continue
        enclosing.append(_Enclosing(end, inside_name, kind))
        first_line, signature = node.start_point[0] + 1, _signature(node, content, language)
        yield Symbol(name, kind, container, signature, first_line, last + 1, docs.of(node))


def _kind_of(definition: Definition, content: bytes) -> str:
    """Return the kind, empty if the node defines nothing."""
    node, kind, name = definition
    if kind.endswith("?"):
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if not _is_function(value, content):
            is_class = name not in _NAMELESS and _is_singleton(node, value, content)
            return "class" if is_class else ""
    if kind.endswith("!") and node.child_by_field_name("body") is None:
        return ""  # a mention of a type, not its definition
    return kind.rstrip("!?")


def _placed(
    definition: Definition,
    kind: str,
    around: str,
    enclosing: list[_Enclosing],
    content: bytes,
    language: str,
) -> tuple[str, str, str]:
    """Return the container, name and kind (empty for block macros)."""
    node, _, name = definition
    outer_kind = enclosing[-1].kind if enclosing else ""
    if language == "go" and node.type == "method_declaration":
        return receiver_of(node, content), name, kind
    member = _ASSIGNED if node.type == "assignment_expression" else LANGUAGES[language].member
    if member and (inside := OPERATOR_OF.fullmatch(name) or member.fullmatch(name)):
        # a member defined outside its container
        container = f"{around}.{inside[1]}".strip(".").replace("::", ".")
        return container, inside[2], "method" if kind == "function" else kind
    if kind == "function" and outer_kind in ("class", "impl"):
        return around, name, "method"
    if (
        language in ("c", "cpp")
        and kind == "function"
        and outer_kind in ("function", "method")
        and node.type == "function_definition"
    ):
        return around, name, ""  # neither language has nested functions
    return around, name, kind


def _joined_clauses(symbols: Iterable[Symbol]) -> Iterator[Symbol]:
    """Join the clauses of a definition that follow each other."""
    pending: Symbol | None = None
    for symbol in symbols:
        if (
            pending is not None
            and (pending.name, pending.kind, pending.container)
            == (symbol.name, symbol.kind, symbol.container)
            and symbol.start_line > pending.end_line
        ):
            pending = pending._replace(end_line=symbol.end_line)
            continue
        if pending is not None:
            yield pending
        pending = symbol
    if pending is not None:
        yield pending


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
    """Whether a value is a function, even wrapped in ``memo(...)``."""
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


_STATEMENTS = ("lexical_declaration", "variable_declaration", "expression_statement")
_ANNOTATED = ("as_expression", "satisfies_expression", "parenthesized_expression")


def _is_singleton(node: Any, value: Any, content: bytes) -> bool:
    """Whether a module-level variable is an object literal with methods.

    It counts as a class with one instance, as in universal-ctags.
    """
    statement = node.parent
    if statement is None or statement.type not in _STATEMENTS or statement.parent is None:
        return False
    if statement.parent.type not in ("program", "export_statement"):
        return False
    while value is not None and value.type in _ANNOTATED:
        value = value.named_children[0] if value.named_children else None
    if value is not None and value.type == "call_expression":  # Object.freeze({...})
        callee, arguments = (value.child_by_field_name(of) for of in ("function", "arguments"))
        is_frozen = text_of(callee, content) == "Object.freeze"
        value = arguments.named_children[0] if is_frozen and arguments.named_children else None
    return (
        value is not None
        and value.type == "object"
        and any(
            member.type == "method_definition"
            or _is_function(member.child_by_field_name("value"), content)
            for member in value.named_children
        )
    )


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
    return " ".join(text.split()).rstrip("{:=|").strip()[:200]
