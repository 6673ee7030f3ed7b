"""Table of each language's definitions in its syntax tree.

A new language needs an entry here, and a fixture in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .c_macros import without_macros


class Language(NamedTuple):
    """Rules for finding definitions in a syntax tree.

    ``nodes`` maps node types with a name field to the kind of their definition: ``function``,
    ``class``, ``method``, ``module`` or ``container``. Functions of a module stay functions. A
    container is no definition itself, but gives its name to the definitions inside it. With ``?``
    a node counts only if a function is assigned, with ``!`` only if it has a body.

    ``query`` has patterns of tree-sitter's query language for less regular definitions: they
    capture the node by its kind, and its name as ``name``. ``docs`` has patterns that capture the
    documentation inside a definition, such as a docstring.
    """

    nodes: dict[str, str] = {}
    query: str = ""
    docs: str = ""
    # types of nodes that belong to the next node, besides comments, attributes and the like
    leading: tuple[str, ...] = ()
    grammar: str = ""  # the grammar's name, if not the language's
    # node types with text in another language, and its name; their lang attribute may override it
    inner: tuple[tuple[str, str], ...] = ()
    clauses: bool = False  # adjacent definitions with the same name are one
    raw_names: bool = False  # names may contain spaces and brackets
    # splits a name such as A::b into its container and its name there
    member: re.Pattern[str] | None = None
    # rewrites the text for the grammar, byte for byte at the same offsets
    prepare: Callable[[bytes], bytes] | None = None
    # finds the name in a definition's text, for trees with wrong names
    head: re.Pattern[str] | None = None


_COLONS = re.compile(r"(.+)::(.+)")
_DOTS = re.compile(r"(.+)[.:](.+)")
# the schema may be a variable, as in :schema.add_job and {{ schema }}.jobs
_CREATE = re.compile(
    r"(?i)create\s+(?:or\s+replace\s+)?"
    r"(?:(?:global|local|temp|temporary|unlogged|constraint|materialized)\s+)*"
    r"(?:table|view|function|trigger|type|schema)\s+(?:if\s+not\s+exists\s+)?"
    r"(?:(?:\{\{.*?\}\}|[^\s.(;]+)\.)*([^\s.(;]+)"
)
_PYTHON_DOCS = """
    (function_definition body: (block . (expression_statement (string (string_content) @doc))))
    (class_definition body: (block . (expression_statement (string (string_content) @doc))))
"""
_ELEMENTS = """
    (element (start_tag
      (attribute (attribute_name) @a (quoted_attribute_value (attribute_value) @name)))
      (#eq? @a "id")) @class
    (element (start_tag (tag_name) @t) (text) @name (#match? @t "^[hH][1-6]$")) @text
"""
_SCRIPTS = (("script_element", "javascript"), ("style_element", "css"))
_RULES = "(rule_set (selectors) @name) @class (keyframes_statement (keyframes_name) @name) @class"

LANGUAGES: dict[str, Language] = {
    "python": Language(
        {"function_definition": "function", "class_definition": "class"}, docs=_PYTHON_DOCS,
    ),
    "javascript": Language({
        "function_declaration": "function", "generator_function_declaration": "function",
        "class_declaration": "class", "method_definition": "method",
        "variable_declarator": "function?", "assignment_expression": "function?",
        "pair": "function?", "field_definition": "function?",
    }),
    "typescript": Language({
        "function_declaration": "function", "generator_function_declaration": "function",
        "function_signature": "function", "class_declaration": "class",
        "abstract_class_declaration": "class", "interface_declaration": "class",
        "enum_declaration": "class", "type_alias_declaration": "class", "internal_module": "class",
        "method_definition": "method", "method_signature": "method",
        "abstract_method_signature": "method", "variable_declarator": "function?",
        "assignment_expression": "function?", "pair": "function?",
        "public_field_definition": "function?",
    }),
    "go": Language({
        "function_declaration": "function", "method_declaration": "method", "type_spec": "class",
        "type_alias": "class",
    }),
    "rust": Language({
        "function_item": "function", "function_signature_item": "function", "struct_item": "class",
        "enum_item": "class", "union_item": "class", "trait_item": "class", "type_item": "class",
        "associated_type": "class", "impl_item": "container", "mod_item": "class",
        "macro_definition": "function",
    }),
    "java": Language({
        "class_declaration": "class", "interface_declaration": "class", "enum_declaration": "class",
        "record_declaration": "class", "annotation_type_declaration": "class",
        "method_declaration": "method", "constructor_declaration": "method",
    }),
    "c": Language({
        "function_definition": "function", "struct_specifier": "class!",
        "enum_specifier": "class!", "union_specifier": "class!", "type_definition": "class",
        "preproc_function_def": "function",
    }, prepare=without_macros),
    "cpp": Language({
        "function_definition": "function", "struct_specifier": "class!",
        "enum_specifier": "class!", "union_specifier": "class!", "class_specifier": "class!",
        "type_definition": "class", "alias_declaration": "class",
        "namespace_definition": "container", "concept_definition": "class",
        "preproc_function_def": "function",
    }, member=_COLONS, prepare=without_macros),
    "csharp": Language({
        "class_declaration": "class", "interface_declaration": "class",
        "struct_declaration": "class", "record_declaration": "class", "enum_declaration": "class",
        "delegate_declaration": "class", "method_declaration": "method",
        "constructor_declaration": "method", "property_declaration": "method",
        "local_function_statement": "function", "destructor_declaration": "method",
        "namespace_declaration": "container",
    }),
    "ruby": Language(
        {"class": "class", "module": "class", "method": "function", "singleton_method": "function"},
        """
        (assignment left: (constant) @name right: (call receiver: (constant) @r
          (#any-of? @r "Struct" "Class" "Module" "Data"))) @class
        (call method: (identifier) @m arguments: (argument_list . (simple_symbol) @name)
          (#eq? @m "define_method")) @method
        (call method: (identifier) @m arguments: (argument_list (simple_symbol) @name @method)
          (#any-of? @m "attr_reader" "attr_writer" "attr_accessor"))
        """,
        member=_COLONS,
    ),
    "php": Language({
        "class_declaration": "class", "interface_declaration": "class",
        "trait_declaration": "class", "enum_declaration": "class", "method_declaration": "method",
        "function_definition": "function",
    }),
    "kotlin": Language(
        {
            "class_declaration": "class", "object_declaration": "class",
            "function_declaration": "function",
        },
        "(type_alias type: (identifier) @name) @class",
    ),
    "scala": Language({
        "class_definition": "class", "object_definition": "class", "trait_definition": "class",
        "enum_definition": "class", "package_object": "class", "type_definition": "class",
        "function_definition": "function", "function_declaration": "function",
    }),
    "swift": Language(
        {
            "protocol_declaration": "class", "typealias_declaration": "class",
            "function_declaration": "function", "protocol_function_declaration": "method",
        },
        """
        (class_declaration ["class" "struct" "enum" "actor"] name: (type_identifier) @name) @class
        (class_declaration "extension" name: (_) @name) @container
        (init_declaration "init" @name) @method
        (deinit_declaration "deinit" @name) @method
        (subscript_declaration "subscript" @name) @method
        """,
    ),
    "bash": Language({"function_definition": "function"}),
    "lua": Language(
        {"function_declaration": "function"},
        """
        (assignment_statement (variable_list . name: (_) @name)
          (expression_list . value: (function_definition))) @function
        (field name: (identifier) @name value: (function_definition)) @function
        (field name: (string) @name value: (function_definition)) @function
        """,
        member=_DOTS,
    ),
    "elixir": Language(
        query="""
        (call target: (identifier) @t (arguments . (alias) @name) (do_block)
          (#any-of? @t "defmodule" "defprotocol")) @module
        (call target: (identifier) @t (arguments . (alias) @name) (do_block)
          (#eq? @t "defimpl")) @container
        (call target: (identifier) @t (arguments . [
          (identifier) @name (call target: (identifier) @name)
          (binary_operator left: (identifier) @name)
          (binary_operator left: (call target: (identifier) @name))
        ]) (#any-of? @t
          "def" "defp" "defmacro" "defmacrop" "defguard" "defguardp" "defdelegate" "defn" "defnp"
        )) @function
        """,
        leading=("unary_operator",), clauses=True,
    ),
    "haskell": Language(
        {
            "data_type": "class", "newtype": "class", "type_synomym": "class", "class": "class",
            "type_family": "class", "instance": "container", "function": "function",
            "signature": "function",
        },
        """
        (_ [declaration: (bind name: (_) @name) @function])
        (declarations (bind name: (_) @name) @function)
        """,
        leading=("haddock", "pragma"), clauses=True,
    ),
    "sql": Language(query="""
        (create_table (object_reference name: (identifier) @name)) @class
        (create_view (object_reference name: (identifier) @name)) @class
        (create_materialized_view (object_reference name: (identifier) @name)) @class
        (create_type (object_reference name: (identifier) @name)) @class
        (create_schema (identifier) @name) @class
        (create_function (object_reference name: (identifier) @name)) @function
        (create_trigger (keyword_trigger) . (object_reference name: (identifier) @name)) @function
    """, head=_CREATE),
    "r": Language(query="""
        (binary_operator lhs: [(identifier) (string)] @name rhs: (function_definition)) @function
        (binary_operator
          lhs: (function_definition) operator: "->" rhs: (identifier) @name) @function
        (call function: (identifier) @c (#eq? @c "assign") arguments: (arguments
          . (argument value: (string (string_content) @name))
          (argument value: (function_definition)))) @function
        (binary_operator lhs: (identifier) @name
          rhs: (call function: [(identifier) @f (namespace_operator rhs: (identifier) @f)])
          (#any-of? @f "R6Class" "setRefClass" "ggproto")) @class
        (call function: [(identifier) @f (namespace_operator rhs: (identifier) @f)]
          (#any-of? @f "R6Class" "setRefClass")
          arguments: (arguments (argument value: (call
            function: (identifier) @l (#eq? @l "list")
            arguments: (arguments
              (argument name: (identifier) @name value: (function_definition)) @method)))))
        (call function: [(identifier) @f (namespace_operator rhs: (identifier) @f)]
          (#eq? @f "ggproto")
          arguments: (arguments
            (argument name: (identifier) @name value: (function_definition)) @method))
        (call function: [(identifier) @f (namespace_operator rhs: (identifier) @f)]
          arguments: (arguments . (argument value: (string (string_content) @name)))
          (#any-of? @f "setClass" "setClassUnion")) @class
        (call function: [(identifier) @f (namespace_operator rhs: (identifier) @f)]
          arguments: (arguments . (argument value: (string (string_content) @name)))
          (#any-of? @f "setGeneric" "setMethod" "setValidity" "setReplaceMethod")) @function
    """),
    "julia": Language(
        {"module_definition": "module"},
        """
        (struct_definition (type_head (_) @name)) @class
        (abstract_definition (type_head (_) @name)) @class
        (primitive_definition (type_head (_) @name)) @class
        (function_definition (signature [
          (call_expression . (_) @name) (_ (call_expression . (_) @name))
          (_ (_ (call_expression . (_) @name)))
        ])) @function
        (function_definition (signature (identifier) @name)) @function
        (macro_definition (signature (call_expression . (_) @name))) @function
        (assignment . [
          (call_expression . (_) @name) (where_expression . (call_expression . (_) @name))
          (typed_expression . (call_expression . (_) @name))
        ]) @function
        (assignment . (identifier) @name (arrow_function_expression)) @function
        """,
        leading=("string_literal",), member=_DOTS,
    ),
    "ocaml": Language(query="""
        (let_binding pattern: [(value_name) (parenthesized_operator)] @name (parameter)) @function
        (let_binding pattern: (parenthesized_operator) @name !body) @function
        (let_binding pattern: (parenthesized_operator) @name body: (_)) @function
        (let_binding
          pattern: (value_name) @name body: [(fun_expression) (function_expression)]) @function
        (value_specification [(value_name) (parenthesized_operator)] @name) @function
        (class_type_binding (class_type_name) @name) @class
        (external (value_name) @name) @function
        (module_binding (module_name) @name) @module
        (module_type_definition (module_type_name) @name) @class
        (type_binding name: (_) @name) @class
        (exception_definition (constructor_declaration (constructor_name) @name)) @class
        (class_binding (class_name) @name) @class
        (method_definition (method_name) @name) @method
    """),
    "zig": Language(
        {"function_declaration": "function"},
        """
        (variable_declaration (identifier) @name [
          (struct_declaration) (enum_declaration) (union_declaration) (opaque_declaration)
          (error_set_declaration) (binary_expression (error_set_declaration))
        ]) @class
        (test_declaration (string (string_content) @name)) @function
        """,
    ),
    "dart": Language(
        {
            "class_definition": "class", "enum_declaration": "class",
            "extension_declaration": "class", "function_signature": "function",
            "getter_signature": "function", "setter_signature": "function",
        },
        """
        (mixin_declaration . (mixin) . (identifier) @name) @class
        (type_alias . (type_identifier) @name) @class
        (constructor_signature (identifier) @name) @method
        (constant_constructor_signature (identifier) @name) @method
        (factory_constructor_signature (identifier) @name) @method
        """,
    ),
    "css": Language(query=_RULES, raw_names=True),
    "scss": Language(
        query=_RULES
        + "(function_statement (name) @name) @function (mixin_statement (name) @name) @function"
        " (placeholder (name) @name) @class",
        raw_names=True,
    ),
    "html": Language(query=_ELEMENTS, inner=_SCRIPTS, raw_names=True),
    "template": Language(query=_ELEMENTS, inner=_SCRIPTS, raw_names=True, grammar="html"),
    "vue": Language(query=_ELEMENTS, inner=_SCRIPTS, raw_names=True),
    "svelte": Language(query=_ELEMENTS, inner=_SCRIPTS, raw_names=True),
    "yaml": Language(
        query="""
        (document (block_node (block_mapping (block_mapping_pair key: (_) @name) @text)))
        (document (block_node (block_mapping (block_mapping_pair
          value: (block_node (block_mapping (block_mapping_pair key: (_) @name) @text))))))
        """,
        raw_names=True,
    ),
    "toml": Language(
        query="""
        (table . [(bare_key) (dotted_key) (quoted_key)] @name) @text
        (table_array_element . [(bare_key) (dotted_key) (quoted_key)] @name) @text
        (document (pair . [(bare_key) (dotted_key) (quoted_key)] @name) @text)
        """,
        raw_names=True,
    ),
    "json": Language(
        query="""
        (document (object (pair key: (string) @name) @text))
        (document (object (pair value: (object (pair key: (string) @name) @text))))
        """,
        raw_names=True,
    ),
}  # fmt: skip
LANGUAGES["tsx"] = LANGUAGES["typescript"]
