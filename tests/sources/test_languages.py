"""Definitions of every language: lines, kind, container and first line of documentation.

Files in ``languages/`` were written to cover every construct. Those in ``projects/`` are from
widely used programs, with their licences.
"""

from pathlib import Path

import pytest

from codeintel_nb.scopes.languages import LANGUAGES as NAMES
from codeintel_nb.sources.document import document_of
from codeintel_nb.sources.languages.table import LANGUAGES

HERE = Path(__file__).parent / "languages"
PROJECTS = Path(__file__).parent / "projects"


def expected_in(folder):
    parts = (
        part.splitlines() for part in (folder / "expected.txt").read_text().strip().split("\n\n")
    )
    return {
        head.partition(": ")[0]: (head.partition(": ")[2].partition(",")[0], definitions)
        for head, *definitions in parts
    }


EXPECTED = expected_in(HERE)
REAL = expected_in(PROJECTS)


def as_lines(symbols):
    return [
        f"    {s.start_line}-{s.end_line} {s.kind} "
        f"{f'{s.container} > ' if s.container else ''}{s.name}"
        f"{f'  # {s.doc.splitlines()[0]}' if s.doc else ''}"
        for s in symbols
    ]


@pytest.mark.parametrize(
    ("folder", "name"),
    [*((HERE, name) for name in sorted(EXPECTED)), *((PROJECTS, name) for name in sorted(REAL))],
    ids=lambda value: getattr(value, "name", value),
)
def test_all_definitions_of_a_file_are_found(folder, name):
    language, expected = (EXPECTED if folder is HERE else REAL)[name]
    document = document_of(name, (folder / name).read_bytes())
    assert document.language == language
    assert as_lines(document.symbols) == expected


def test_each_language_has_a_sample_and_a_project_file():
    """Check the samples; constructs of the first nine languages are in test_syntax.py."""
    assert {path.name for path in HERE.iterdir()} == {*EXPECTED, "expected.txt"}
    files = {
        path.relative_to(PROJECTS).as_posix() for path in PROJECTS.rglob("*") if path.is_file()
    }
    assert {name for name in files if not name.endswith(("LICENSE", "expected.txt"))} == set(REAL)
    assert {language for language, _ in REAL.values()} == set(LANGUAGES)
    first = {"python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp"}
    assert {language for language, _ in EXPECTED.values()} | first == set(LANGUAGES)
    assert set(LANGUAGES) <= set(NAMES)
    assert len(LANGUAGES) >= 25


# cut where elements and keys begin
MARKUP = ("html", "template", "vue", "svelte", "yaml", "toml", "json")


@pytest.mark.parametrize(
    "name", sorted(name for name, (language, _) in EXPECTED.items() if language not in MARKUP)
)
def test_documentation_stays_in_the_chunk_of_its_definition(name):
    """Check that no chunk boundary separates a definition from its documentation."""
    document = document_of(name, (HERE / name).read_bytes())
    lines = document.content.decode().split("\n")
    starts = {chunk.start_line for chunk in document.chunks}
    for symbol in document.symbols:
        if symbol.start_line in starts and symbol.doc:
            above = lines[symbol.start_line - 2]
            assert symbol.doc.splitlines()[-1] not in above, (
                f"{symbol.name} was cut off from its documentation"
            )


SAID = {
    "a.py": (
        "class Shop:\n"
        '    """Sells things.\n\n'
        "    All of them.\n"
        '    """\n\n'
        "    # counts\n"
        "    @cached\n"
        "    def count(self): ...\n",
        {"Shop": "Sells things.", "count": "counts"},
    ),
    "a.js": (
        "/**\n"
        " * Adds two numbers.\n"
        " * @returns the sum\n"
        " */\n"
        "function add(a, b) { return a + b; }\n\n"
        "let x = 1; // not of this\n"
        "function next() {}\n",
        {"add": "Adds two numbers.\n@returns the sum", "next": ""},
    ),
    "a.rs": ("/// Adds.\n#[inline]\nfn add() {}\n", {"add": "Adds."}),
    "a.go": (
        "// Add adds\n// two numbers.\nfunc Add() {}\n\n// about nothing\n\nfunc Next() {}\n",
        {"Add": "Add adds\ntwo numbers.", "Next": ""},
    ),
    "A.java": (
        "/** Sells. */\n"
        "@Service\n"
        "class Shop {\n"
        "  /* the price */\n"
        "  int price() { return 1; }\n"
        "}\n",
        {"Shop": "Sells.", "price": "the price"},
    ),
    "a.cpp": ("/* Adds. */\nint add() { return 1; }\n", {"add": "Adds."}),
}


@pytest.mark.parametrize("path", sorted(SAID))
def test_documentation_of_a_definition(path):
    text, expected = SAID[path]
    assert {
        symbol.name: symbol.doc for symbol in document_of(path, text.encode()).symbols
    } == expected


def test_script_in_a_page_can_be_in_another_language():
    page = (
        '<script lang="ts">\n'
        "interface Item { price: number }\n"
        "export function sell(what: Item): number { return what.price; }\n"
        "</script>\n"
    )
    assert [
        (s.name, s.kind, s.start_line) for s in document_of("a.vue", page.encode()).symbols
    ] == [("Item", "class", 2), ("sell", "function", 3)]


def test_a_long_script_in_a_page_is_cut_between_its_functions():
    functions = "".join(
        f"function step{i}() {{\n" + f"  work({i});\n" * 60 + "}\n" for i in range(6)
    )
    document = document_of(
        "a.html", f"<html>\n<body>\n<script>\n{functions}</script>\n</body>\n</html>\n".encode()
    )
    begins = {symbol.start_line for symbol in document.symbols}
    assert len(begins) == 6  # the first one is in a chunk with the lines before it
    assert begins - {4} <= {chunk.start_line for chunk in document.chunks}


def test_data_has_no_definitions():
    rows = "{" + ",\n".join(f'"key{i}": {i}' for i in range(3000)) + "}\n"
    assert document_of("a.json", rows.encode()).symbols == []
