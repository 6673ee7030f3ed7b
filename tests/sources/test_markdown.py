import pytest

from codeintel_nb.sources.markdown import chunk_by_headings, headings_of
from tests.linear import assert_linear


def test_section_is_a_chunk_named_after_its_headings():
    text = b"intro\n# Shop\n\nsells\n## Pay ##\ncards\n# Other\nend\n"
    found = chunk_by_headings(text)
    assert [(c.start_line, c.end_line, c.symbol) for c in found] == [
        (1, 1, ""),
        (2, 4, "Shop"),
        (5, 6, "Shop > Pay"),
        (7, 8, "Other"),
    ]


def test_hash_in_a_code_block_is_not_a_heading():
    found = chunk_by_headings(b"# A\n```sh\n# not a heading\n```\n# B\n")
    assert [c.symbol for c in found] == ["A", "B"]


def test_a_long_section_is_split_at_blank_lines():
    paragraph = "words " * 20 + "\n" + "words " * 20 + "\n\n"
    found = chunk_by_headings(("# A\n" + paragraph * 20).encode())
    assert len(found) > 3
    assert all((c.start_line - 2) % 3 == 0 for c in found[1:])


def headings(text):
    return [
        (heading.row + 1, heading.level, heading.text) for heading in headings_of(text.split("\n"))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: a\n# a comment\n---\n\n# A\n", [(6, 1, "A")]),
        ("+++\n# a comment\n+++\n# A\n", [(4, 1, "A")]),
        ("---\ntitle: a\n...\n# A\n", [(4, 1, "A")]),
        ("---\n\n# A\n---\n", [(3, 1, "A")]),
        ("---\nnever closed\n# A\n", [(3, 1, "A")]),
        ("text\n---\n", [(1, 2, "text")]),
        ("<!--\n# no\n-->\n# A\n", [(4, 1, "A")]),
        ("<!-- # no -->\n# A\n", [(2, 1, "A")]),
        ("a <!-- b\n# A\n-->\n", [(2, 1, "A")]),
        ("```python\n# no\n```python\n# no\n```\n# A\n", [(6, 1, "A")]),
        ("````\n```\n# no\n```\n````\n# A\n", [(6, 1, "A")]),
        ("~~~ a `b`\n# no\n```\n# no\n~~~~\n# A\n", [(6, 1, "A")]),
        ("``` a`b\n# A\n", [(2, 1, "A")]),
        ("```\n# no, never closed\n", []),
        ("A\n===\nb\n---\n", [(1, 1, "A"), (3, 2, "b")]),
        ("one\ntwo\n===\n", [(1, 1, "one two")]),
        ("a\n\n===\n", []),
        ("- a\n---\n", []),
        ("- a\nlazy\n---\n", []),
        ("- a\n\nnew\n---\n", [(3, 2, "new")]),
        ("> a\n---\n", []),
        ("> a\nlazy\n===\n", []),
        ("    code\n---\n", []),
        ("a | b\n--- | ---\n", []),
        ("1. a\n---\n", []),
        ("***\n---\n", []),
        ("# A\n---\n", [(1, 1, "A")]),
        (
            "#\n# \n## B ##\n#no\n####### no\n   # C\n    # no\n# D \\#\n",
            [(1, 1, ""), (2, 1, ""), (3, 2, "B"), (6, 1, "C"), (8, 1, "D \\#")],
        ),
        ("# A {#sec-a .x}\n", [(1, 1, "A")]),
        ("<div>\n# no\n\n# A\n</div>\n", [(4, 1, "A")]),
        ("<script>\n# no\n\n# no\n</script>\n# A\n", [(6, 1, "A")]),
        ("$$\nx\n=\ny\n$$\n# A\n", [(6, 1, "A")]),
        ("$$ x $$\n# A\n", [(2, 1, "A")]),
        ("\\begin{align}\na\n---\n\\end{align}\n# A\n", [(5, 1, "A")]),
        ("A\r\n===\r\n# B\r\n", [(1, 1, "A"), (3, 1, "B")]),
        ("<!-- a\n# no\n", []),
        ("$$ is the process id\n\n# B\n", [(3, 1, "B")]),
        ("[a]: http://x\n---\n", []),
        ("<?php\n# no\n?>\n# A\n", [(4, 1, "A")]),
    ],
)
def test_headings_match_commonmark(text, expected):
    assert headings(text) == expected


def test_sections_are_named_after_atx_and_setext_headings():
    found = chunk_by_headings(
        b"---\n# draft\n---\nLoading rows\n===\n\ntext\n\n## Limits\n\nmore\n"
    )
    assert [(chunk.start_line, chunk.end_line, chunk.symbol) for chunk in found] == [
        (1, 3, ""),
        (4, 8, "Loading rows"),
        (9, 11, "Loading rows > Limits"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "<!--",
        "<div>",
        "```",
        "$$",
        "> a",
        "- a",
        "a",
        "<a b>",
        "#",
        "---",
        "\\begin{a}",
        "<script>",
    ],
)
def test_long_documents_take_linear_time(line):
    assert_linear(chunk_by_headings, f"{line}\n".encode() * 20_000)
