"""Grammars and the one table that says what a definition looks like in each language."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from .chunk import Symbol

# definition node types by kind; a `container` gives its name to what it holds
DEFINITIONS: dict[str, dict[str, str]] = {
    "python": {"function_definition": "function", "class_definition": "class"},
    "javascript": {
        "function_declaration": "function", "generator_function_declaration": "function", "class_declaration": "class",
        "method_definition": "method", "variable_declarator": "function?", "assignment_expression": "function?", "pair": "function?",
        "field_definition": "function?",
    },
    "typescript": {
        "function_declaration": "function", "generator_function_declaration": "function", "function_signature": "function",
        "class_declaration": "class", "abstract_class_declaration": "class", "interface_declaration": "class", "enum_declaration": "class",
        "type_alias_declaration": "class", "internal_module": "class", "method_definition": "method", "method_signature": "method",
        "abstract_method_signature": "method", "variable_declarator": "function?", "assignment_expression": "function?", "pair": "function?",
        "public_field_definition": "function?",
    },
    "go": {"function_declaration": "function", "method_declaration": "method", "type_spec": "class", "type_alias": "class"},
    "rust": {
        "function_item": "function", "function_signature_item": "function", "struct_item": "class", "enum_item": "class", "union_item": "class",
        "trait_item": "class", "type_item": "class", "impl_item": "container", "mod_item": "class", "macro_definition": "function",
    },
    "java": {
        "class_declaration": "class", "interface_declaration": "class", "enum_declaration": "class", "record_declaration": "class",
        "annotation_type_declaration": "class", "method_declaration": "method", "constructor_declaration": "method",
    },
    "c": {
        "function_definition": "function", "struct_specifier": "class!", "enum_specifier": "class!", "union_specifier": "class!",
        "type_definition": "class", "preproc_function_def": "function",
    },
    "cpp": {
        "function_definition": "function", "struct_specifier": "class!", "enum_specifier": "class!", "union_specifier": "class!",
        "class_specifier": "class!", "type_definition": "class", "alias_declaration": "class", "namespace_definition": "container",
        "concept_definition": "class", "preproc_function_def": "function",
    },
}  # fmt: skip
DEFINITIONS["tsx"] = DEFINITIONS["typescript"]
GRAMMARS = {"python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp"}

_NAME_TYPES = ("identifier", "type_identifier", "field_identifier", "property_identifier", "private_property_identifier", "namespace_identifier", "string")
_FUNCTION_VALUES = ("arrow_function", "function", "function_expression", "generator_function", "class")


class Syntax(NamedTuple):
    """A parsed file: the tree's root, and its definitions in order."""

    root: Any
    symbols: list[Symbol]


@cache
def grammar(language: str) -> Any:
    """The tree-sitter grammar of a language; the one place that loads any."""
    from semble_grammars import get_language

    return get_language(language)


@cache
def _tools(language: str) -> tuple[Any, Any]:
    from tree_sitter import Parser, Query

    kinds = DEFINITIONS[language]
    return Parser(grammar(language)), Query(grammar(language), "\n".join(f"({node_type}) @d" for node_type in kinds))


def parse(content: bytes, language: str) -> Syntax | None:
    """The syntax of a file; None for a language without a grammar here."""
    if language not in GRAMMARS:
        return None
    from tree_sitter import QueryCursor

    parser, query = _tools(language)
    root = parser.parse(content).root_node
    nodes = QueryCursor(query).captures(root).get("d", [])
    nodes.sort(key=lambda node: (node.start_byte, -node.end_byte))
    return Syntax(root, list(_symbols(nodes, content, DEFINITIONS[language], language)))


def _symbols(nodes: list[Any], content: bytes, kinds: dict[str, str], language: str) -> Any:
    holders: list[tuple[int, str, str]] = []  # end byte, name, kind of what is open here
    for node in nodes:
        kind = kinds[node.type]
        if kind.endswith("?") and not _holds_function(node):
            continue
        if kind.endswith("!") and node.child_by_field_name("body") is None:
            continue  # a mention of a type, not its definition
        kind = kind.rstrip("!?")
        name = _name(node, content)
        while holders and holders[-1][0] <= node.start_byte:
            holders.pop()
        if not name:
            continue
        container = ".".join(holder[1] for holder in holders)
        if language == "go" and node.type == "method_declaration":
            container = _receiver(node, content)
        elif "::" in name:  # a member defined outside of its class
            outer, _, name = name.rpartition("::")
            container, kind = f"{container}.{outer}".strip(".").replace("::", "."), "method" if kind == "function" else kind
        elif kind == "function" and holders and holders[-1][2] in ("class", "impl"):
            kind = "method"
        first = node.start_point[0]
        if kind == "container":
            holders.append((node.end_byte, name, "impl" if node.type == "impl_item" else "namespace"))
            continue
        holders.append((node.end_byte, name, kind))
        last = node.end_point[0] - (node.end_point[1] == 0 and node.end_point[0] > first)  # a macro ends behind its newline
        yield Symbol(name, kind, container, _signature(node, content), first + 1, last + 1)


def _holds_function(node: Any) -> bool:
    value = node.child_by_field_name("value") or node.child_by_field_name("right")
    return value is not None and value.type in _FUNCTION_VALUES


def _name(node: Any, content: bytes) -> str:
    found = node.child_by_field_name("name") or node.child_by_field_name("left") or node.child_by_field_name("key") or node.child_by_field_name("property")
    if found is None and node.type == "impl_item":
        found = node.child_by_field_name("type")
    inner = node
    while found is None and (inner := inner.child_by_field_name("declarator") or _declared(inner)) is not None:
        if inner.type in _NAME_TYPES or inner.type in ("qualified_identifier", "destructor_name", "operator_name", "operator_cast"):
            found = inner
    if found is None:
        return ""
    text = content[found.start_byte : found.end_byte].decode("utf-8", "replace")
    text = re.sub(r"<[^<>]*>|\s+", "", text.split("(")[0] if found.type != "operator_name" else text).strip("\"'`")
    return text.rpartition(".")[2][-120:] if node.type == "assignment_expression" else text[-120:]


def _declared(node: Any) -> Any:
    """What a pointer or reference declarator declares: their grammar gives it no field."""
    if node.type.endswith("_declarator"):
        return next((child for child in node.named_children if child.type.endswith("declarator") or child.type in _NAME_TYPES or child.type == "qualified_identifier"), None)
    return None


def _receiver(node: Any, content: bytes) -> str:
    receiver = node.child_by_field_name("receiver")
    text = content[receiver.start_byte : receiver.end_byte].decode("utf-8", "replace") if receiver else ""
    match = re.search(r"(\w+)(?:\[[^\]]*\])?\s*\)\s*$", text)
    return match[1] if match else ""


def _signature(node: Any, content: bytes) -> str:
    """From the definition's start to its body, on one line."""
    body = node.child_by_field_name("body") or node.child_by_field_name("value") or node.child_by_field_name("right")
    end = body.start_byte if body is not None and body.start_byte > node.start_byte else node.end_byte
    text = content[node.start_byte : min(end, node.start_byte + 600)].decode("utf-8", "replace")
    return re.sub(r"\s+", " ", text).strip().rstrip("{:=").strip()[:200]
