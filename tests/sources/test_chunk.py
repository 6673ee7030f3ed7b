"""Tiling law: the chunks of any file contain every line exactly once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.scopes.languages import language_of
from codeintel_nb.sources.chunk import MAX_CHUNK_CHARACTERS, text_of
from codeintel_nb.sources.document import chunk_failsafe, document_of, refusal
from codeintel_nb.sources.languages.table import LANGUAGES
from tests.strategies import SOURCE_TEXT

ENDINGS = {
    "python": "py",
    "javascript": "js",
    "typescript": "ts",
    "tsx": "tsx",
    "go": "go",
    "rust": "rs",
    "java": "java",
    "c": "c",
    "cpp": "cpp",
}
OTHERS = (
    "cs",
    "rb",
    "php",
    "kt",
    "scala",
    "swift",
    "sh",
    "lua",
    "ex",
    "hs",
    "sql",
    "r",
    "jl",
    "ml",
    "zig",
    "dart",
    "css",
    "scss",
    "html",
    "j2",
    "vue",
    "svelte",
    "yaml",
    "toml",
    "json",
)
assert {language_of(f"a.{ending}") for ending in (*ENDINGS.values(), *OTHERS)} == set(LANGUAGES)


def assert_tiles(document):
    lines = document.content.count(b"\n")
    assert document.content == b"" or document.content.endswith(b"\n")
    at = 1
    for chunk in document.chunks:
        assert chunk.start_line == at
        assert chunk.end_line >= chunk.start_line
        at = chunk.end_line + 1
    assert at == lines + 1
    for symbol in document.symbols:
        assert 1 <= symbol.start_line <= symbol.end_line <= lines


@given(SOURCE_TEXT, st.sampled_from([*ENDINGS.values(), *OTHERS, "md", "txt", "unknown"]))
def test_chunks_tile_any_text(text, ending):
    assert_tiles(document_of(f"a.{ending}", text.encode()))


@given(
    st.binary(max_size=400).filter(lambda data: b"\0" not in data),
    st.sampled_from(["py", "c", "md", "txt", "ipynb"]),
)
def test_chunks_tile_any_bytes(data, ending):
    assert_tiles(chunk_failsafe(f"a.{ending}", data))


cells = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw"]),
        "source": st.one_of(SOURCE_TEXT, st.lists(SOURCE_TEXT, max_size=3)),
    }
)


@given(st.lists(st.one_of(cells, st.none(), st.integers()), max_size=6))
def test_chunks_tile_any_notebook(found):
    notebook = {"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    assert_tiles(document_of("a.ipynb", json.dumps(notebook).encode()))


@pytest.mark.parametrize("ending", sorted(ENDINGS.values()))
def test_chunks_of_long_files_have_the_target_size(ending):
    function = {
        "py": "def f{0}(x):\n    y = x + {0}\n    return y\n\n",
        "go": "func F{0}(x int) int {{\n\treturn x + {0}\n}}\n\n",
        "rs": "fn f{0}(x: i32) -> i32 {{\n    x + {0}\n}}\n\n",
        "java": "class F{0} {{\n  int f(int x) {{ return x + {0}; }}\n}}\n\n",
    }.get(
        ending,
        "function f{0}(x) {{\n  return x + {0};\n}}\n\n"
        if ending in ("js", "ts", "tsx")
        else "int f{0}(int x) {{\n  return x + {0};\n}}\n\n",
    )
    text = "".join(function.format(i) for i in range(100))
    document = document_of(f"a.{ending}", text.encode())
    assert_tiles(document)
    lines = text.split("\n")
    sizes = [len("\n".join(lines[c.start_line - 1 : c.end_line])) for c in document.chunks]
    assert max(sizes) <= MAX_CHUNK_CHARACTERS
    assert sum(sizes) / len(sizes) > MAX_CHUNK_CHARACTERS / 2, "short neighbours are merged"
    assert len({s.name for s in document.symbols}) >= 100


def test_text_keeps_its_bytes_and_its_line_numbers():
    assert text_of(b"a\r\nb\rc\n") == b"a\r\nb\rc\n"
    assert text_of(b"caf\xe9\n") == b"caf\xe9\n"
    assert text_of(b"\xef\xbb\xbfa\n") == b"a\n"
    assert text_of("a\u00e9\n".encode("utf-16")) == "a\u00e9\n".encode()
    assert text_of("a\n".encode("utf-32")) == b"a\n"
    assert text_of(b"\x7fELF\0\0") is None


def test_refusal_reasons():
    assert refusal("a.bin", b"a\0b") == "binary"
    assert refusal("key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n") == "secret"
    assert refusal("a.py", b"x = 1") is None
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        key = "-----BEGIN RSA PRIVATE KEY-----\n".encode(encoding)
        assert refusal("key", key) == "secret", encoding


def test_deeply_nested_file_is_chunked():
    document = chunk_failsafe("a.py", b"(" * 3000 + b"\n" * 3000 + b")" * 3000 + b"\n")
    assert_tiles(document)
