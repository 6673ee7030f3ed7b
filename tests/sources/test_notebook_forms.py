"""Notebooks of every public form, compared with the cells and languages of their own tools.

Each line of ``notebook_forms/FORM.jsonl`` is a notebook: its text, its cells (kind, language, first
and last nonblank line), its definitions, and the tool or documentation its values are from.
"""

import json
from pathlib import Path

import pytest

from codeintel_nb.scopes.languages import language_of
from codeintel_nb.sources.chunk import text_of
from codeintel_nb.sources.document import document_of, plain_document
from codeintel_nb.sources.notebooks.json_forms import notebook_of
from codeintel_nb.sources.notebooks.literate import document_cells
from codeintel_nb.sources.notebooks.scripts import script_cells
from tests.sources.test_chunk import assert_tiles

FORMS = Path(__file__).parent / "notebook_forms"


def cases():
    for path in sorted(FORMS.glob("*.jsonl")):
        with path.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                case = json.loads(line)
                yield pytest.param(case, id=f"{path.stem}-{case['name']}")


CASES = list(cases())


def cells_of(path, data):
    """Return the nonempty cells of a file."""
    content = text_of(data)
    content += b"" if content.endswith(b"\n") else b"\n"
    language = language_of(path, content)
    if language == "notebook":
        cells = notebook_of(path, content).cells
    else:
        cells = (
            document_cells(path, content)
            if language == "markdown"
            else script_cells(content, language)
        )
    return [cell for cell in cells if cell.kind and cell.number is not None]


def bare(line):
    """Return a line without the characters that comment out a magic in scripts."""
    return line.strip().lstrip("#/% ")


@pytest.mark.parametrize("case", CASES)
def test_cells_match_those_of_the_tool(case):
    cells = cells_of(case["path"], case["text"].encode("utf-8", "surrogatepass"))
    assert [[cell.kind, cell.language] for cell in cells] == [
        [kind, language] for kind, language, *_ in case["cells"]
    ]
    for cell, (*_, first, last) in zip(cells, case["cells"], strict=True):
        lines = [
            bare(line) for line in (cell.code + cell.text).decode("utf-8", "replace").split("\n")
        ]
        assert bare(first) in lines
        assert bare(last) in lines


@pytest.mark.parametrize("case", CASES)
def test_definitions_match_the_expected_ones(case):
    document = document_of(case["path"], case["text"].encode("utf-8", "surrogatepass"))
    names = [f"{symbol.container}.{symbol.name}".strip(".") for symbol in document.symbols]
    assert names == case["definitions"]
    assert_tiles(document)


@pytest.mark.parametrize("case", CASES)
def test_cells_are_the_same_without_parsing(case):
    data = case["text"].encode("utf-8", "surrogatepass")
    document, plain = document_of(case["path"], data), plain_document(case["path"], data)
    assert plain.content == document.content
    cells = {chunk.cell: (chunk.start_line, chunk.language) for chunk in reversed(document.chunks)}
    assert {
        chunk.cell: (chunk.start_line, chunk.language) for chunk in reversed(plain.chunks)
    } == cells


def test_each_form_has_twenty_notebooks():
    assert len(list(FORMS.glob("*.jsonl"))) == 22
    for path in FORMS.glob("*.jsonl"):
        assert path.read_bytes().count(b"\n") >= 20, path.name
