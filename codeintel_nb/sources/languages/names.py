"""Names of definitions, from their syntax nodes."""

from __future__ import annotations

import re
from typing import Any

from .docs import text_of

_NAME_TYPES = (
    "identifier",
    "type_identifier",
    "field_identifier",
    "property_identifier",
    "private_property_identifier",
    "namespace_identifier",
    "string",
)
_DECLARED_TYPES = (
    *_NAME_TYPES, "qualified_identifier", "destructor_name", "operator_name", "operator_cast",
    "template_function", "primitive_type",
)  # fmt: skip
_EXPORTS = re.compile(r"^(?:(?:module\s*\.\s*)?exports|this|self|window|globalThis)\s*\.\s*")


def name_of(node: Any, content: bytes) -> str:
    """Return a node's name; empty if it has none."""
    target = (
        node.child_by_field_name("name")
        or node.child_by_field_name("left")
        or node.child_by_field_name("key")
        or node.child_by_field_name("property")
    )
    # Kotlin's fun String.toSku(): the grammar takes the name for a part of the type
    if target is not None and target.is_missing:
        target = next(
            (
                child.named_children[-1]
                for child in node.named_children
                if child.type == "user_type" and child.end_byte <= target.start_byte
            ),
            None,
        )
    if target is None and node.type == "impl_item":
        target = node.child_by_field_name("type")
    inner = node
    while (
        target is None
        and (inner := inner.child_by_field_name("declarator") or _declared(inner)) is not None
    ):
        if inner.type in _DECLARED_TYPES:
            target = inner
    if target is None:
        return ""
    if (
        target.type in ("template_type", "template_function")
        and (plain := target.child_by_field_name("name")) is not None
    ):
        target = plain
    text = text_of(target, content)
    if target.type in ("operator_name", "operator"):
        return (
            _operator(text)
            if node.type == "function_definition"
            else re.sub(r"\s+", "", text)[-120:]
        )
    if (
        node.type == "function_definition"
        and (type_node := node.child_by_field_name("type")) is not None
        and text_of(type_node, content).endswith("::operator")
    ):
        # RNG::operator unsigned(): taken for a type
        return f"{cleaned_name(text_of(type_node, content))} {cleaned_name(text)}"
    if target.type in ("operator_cast", "qualified_identifier") and (
        operator := _OPERATOR.search(text)
    ):
        return (
            cleaned_name(text[: operator.start()])
            + ("::" if operator.start() else "")
            + _operator(operator[1])
        )
    return cleaned_name(_EXPORTS.sub("", text) if node.type == "assignment_expression" else text)


OPERATOR_OF = re.compile(r"(.+)::(operator\b.*)")
_OPERATOR = re.compile(r"(?<!\w)(operator\b.*)", re.S)


def _operator(text: str) -> str:
    """Return an operator's name: ``operator()``, ``operator bool``."""
    symbol = re.match(r"operator\s*(\"\"\s*\w+|\(\s*\)|\[\s*\]|[^\w\s(]+)", text)
    if symbol:
        return "operator" + re.sub(r"\s+", "", symbol[1])
    return re.sub(r"\s+", " ", text.partition("(")[0]).strip()[:120]


def _without_arguments(text: str) -> str:
    """Return a name without its type arguments, nested ones too."""
    plain, depth = list[str](), 0
    for character in text:
        depth += character == "<"
        if depth == 0:
            plain.append(character)
        depth -= character == ">" and depth > 0
    return "".join(plain)


def cleaned_name(text: str, raw: bool = False) -> str:
    """Return a name without type parameters, arguments and quotes."""
    if text.isidentifier():
        return text[-120:] if not raw else text[:120]
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        text = text[1:-1]
    if raw:
        return re.sub(r"\s+", " ", text)[:120]
    if not re.search(r"\w", text):
        return text[-120:]  # an operator
    if "<" in text:
        text = _without_arguments(text.replace("<:", "{"))
    return re.sub(r"\s+", "", re.split(r"[({]", text, maxsplit=1)[0]).strip(":")[-120:]


def _declared(node: Any) -> Any:
    """Return the name or declarator in a pointer or reference declarator.

    The grammar gives it no field.
    """
    if node.type.endswith("_declarator"):
        return next(
            (
                child
                for child in node.named_children
                if child.type.endswith("declarator")
                or child.type in _NAME_TYPES
                or child.type == "qualified_identifier"
            ),
            None,
        )
    return None


def receiver_of(node: Any, content: bytes) -> str:
    """Return the receiver type of a Go method."""
    receiver = node.child_by_field_name("receiver")
    text = text_of(receiver, content) if receiver else ""
    match = re.search(r"(\w+)(?:\[[^\]]*\])?\s*\)\s*$", text)
    return match[1] if match else ""
