"""Definitions and their comments in a file, parsed by tree-sitter."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .comments import Comment, Comments

TYPES = "class_declaration interface_declaration enum_declaration"
DEFINITIONS = {
    "javascript": "function_declaration generator_function_declaration method_definition "
    "class_declaration variable_declarator assignment_expression pair",
    "typescript": "function_declaration generator_function_declaration method_definition "
    "abstract_class_declaration function_signature method_signature "
    "abstract_method_signature type_alias_declaration "
    "variable_declarator assignment_expression pair " + TYPES,
    "go": "function_declaration method_declaration type_declaration",
    "rust": "function_item function_signature_item struct_item enum_item trait_item "
    "macro_definition type_item union_item",
    "java": "method_declaration constructor_declaration record_declaration "
    "annotation_type_declaration " + TYPES,
    "kotlin": "function_declaration class_declaration object_declaration",
    "scala": "function_definition function_declaration class_definition object_definition "
    "trait_definition",
    "csharp": "method_declaration constructor_declaration property_declaration struct_declaration "
    "record_declaration delegate_declaration " + TYPES,
    "c": "function_definition struct_specifier enum_specifier declaration type_definition",
    "cpp": "function_definition class_specifier struct_specifier declaration field_declaration "
    "alias_declaration",
    "php": "function_definition method_declaration trait_declaration " + TYPES,
    "ruby": "method singleton_method class module",
    "swift": "function_declaration init_declaration class_declaration protocol_declaration "
    "protocol_function_declaration",
    "lua": "function_declaration assignment_statement field",
    "bash": "function_definition",
    "zig": "function_declaration variable_declaration",
}
DEFINITIONS["tsx"] = DEFINITIONS["typescript"]
ONLY_WITH_FUNCTION = {
    "variable_declarator",
    "assignment_expression",
    "pair",
    "assignment_statement",
    "field",
}
CONTAINERS = re.compile(
    r"class|interface|trait|struct|object|module|protocol|enum|record|type_declaration"
)
COMMENTS = "comment line_comment block_comment multiline_comment"


class Definition(NamedTuple):
    """Named piece of code; rows count from 0, ``last`` is inclusive."""

    name: str  # with the names of its containers, dotted
    first: int
    last: int
    comment: Comment | None
    is_container: bool


_tools: dict[str, tuple[Any, Any]] = {}


def tools(language: str) -> tuple[Any, Any]:
    """Return a parser, and a query of definitions and comments."""
    if language not in _tools:
        from tree_sitter import Query
        from tree_sitter_language_pack import get_language, get_parser

        grammar = get_language(language)
        kinds = [
            k
            for k in DEFINITIONS[language].split()
            if grammar.id_for_node_kind(k, True) is not None
        ]
        comment_kinds = [
            k for k in COMMENTS.split() if grammar.id_for_node_kind(k, True) is not None
        ]
        text = (
            "\n".join(f"({k}) @d" for k in kinds)
            + "\n"
            + "\n".join(f"({k}) @c" for k in comment_kinds)
        )
        _tools[language] = get_parser(language), Query(grammar, text)
    return _tools[language]


NAMES = (
    "identifier",
    "type_identifier",
    "field_identifier",
    "property_identifier",
    "simple_identifier",
    "constant",
    "word",
    "name",
    "destructor_name",
    "operator_name",
    "qualified_identifier",
    "dot_index_expression",
    "method_index_expression",
    "member_expression",
    "scoped_identifier",
    "operator",
    "variable",
)


def name_of(node: Any, data: bytes) -> str:
    name_node = node.child_by_field_name("name")
    if name_node is None and node.type == "type_declaration":
        spec = next((c for c in node.named_children if c.type in ("type_spec", "type_alias")), None)
        name_node = spec.child_by_field_name("name") if spec else None
    if name_node is None and node.type in ("assignment_expression",):
        name_node = node.child_by_field_name("left")
    if name_node is None and node.type == "pair":
        name_node = node.child_by_field_name("key")
    if name_node is None:
        inner = node
        for _ in range(6):
            nearer = inner.child_by_field_name("declarator")
            if nearer is None:
                break
            inner = nearer
        if inner is not node:
            name_node = inner
        else:
            name_node = next((c for c in node.named_children if c.type in NAMES), None)
            if name_node is None and node.named_children:
                name_node = next(
                    (c for c in node.named_children[0].named_children if c.type in NAMES), None
                )
    if name_node is None:
        return "init" if node.type == "init_declaration" else ""
    text = data[name_node.start_byte : name_node.end_byte].decode("utf8", "replace")
    text = re.sub(r"\s+", "", text.split("(")[0])
    return text.replace(":", ".").replace("..", ".")[-80:]


def wanted(node: Any) -> bool:
    kind = node.type
    if kind in ONLY_WITH_FUNCTION:
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if value is None and node.named_child_count:
            value = node.named_children[-1]
            if value.type == "expression_list" and value.named_child_count:
                value = value.named_children[-1]
        return value is not None and ("function" in value.type or value.type == "class")
    if kind in ("struct_specifier", "enum_specifier", "class_specifier", "union_item"):
        return node.child_by_field_name("body") is not None
    if kind in ("declaration", "field_declaration"):
        inner = node.child_by_field_name("declarator")
        while inner is not None and inner.type in ("pointer_declarator", "reference_declarator"):
            inner = inner.child_by_field_name("declarator") or (
                inner.named_children[-1] if inner.named_child_count else None
            )
        return inner is not None and bool(inner.type == "function_declarator")
    if kind == "variable_declaration":
        return bool(node.end_point[0] > node.start_point[0])
    return True


def definitions_by_tree(language: str, text: str) -> tuple[list[Definition], Comments, list[str]]:
    """Return a file's definitions, comments and lines."""
    from tree_sitter import QueryCursor

    parser, query = tools(language)
    data = text.encode("utf8")
    lines = text.split("\n")
    captures = QueryCursor(query).captures(parser.parse(data).root_node)
    blocks = []
    for node in captures.get("c", []):
        end = node.end_point[0] - (
            node.end_point[1] == 0 and node.end_point[0] > node.start_point[0]
        )
        if not lines[node.start_point[0]].encode()[: node.start_point[1]].strip():
            blocks.append(
                Comment(
                    node.start_point[0],
                    end,
                    data[node.start_byte : node.end_byte].decode("utf8", "replace").rstrip(),
                )
            )
    comments = Comments(blocks, lines)
    out: list[Definition] = []
    stack: list[tuple[int, str, bool]] = []
    taken: set[int] = set()
    for node in sorted(captures.get("d", []), key=lambda n: (n.start_byte, -n.end_byte)):
        row = node.start_point[0]
        if row in taken or not wanted(node):
            continue
        taken.add(row)
        name = name_of(node, data)
        if not re.search(r"[A-Za-z]{2}", name):
            continue
        while stack and stack[-1][0] <= node.start_byte:
            stack.pop()
        full = ".".join([*[s[1] for s in stack if s[2]][-2:], name])
        container = bool(CONTAINERS.search(node.type)) and node.type != "object"
        stack.append((node.end_byte, name, container))
        comment, first = comments.above(lines, row)
        out.append(Definition(full, first, node.end_point[0], comment, container))
    return out, comments, lines
