from codeintel_nb.sources.markdown import chunk_by_headings


def test_a_section_is_a_chunk_named_by_its_headings():
    text = b"intro\n# Shop\n\nsells\n## Pay ##\ncards\n# Other\nend\n"
    found = chunk_by_headings(text)
    assert [(c.start_line, c.end_line, c.symbol) for c in found] == [(1, 1, ""), (2, 4, "Shop"), (5, 6, "Shop > Pay"), (7, 8, "Other")]


def test_a_hash_in_a_code_block_is_no_heading():
    found = chunk_by_headings(b"# A\n```sh\n# not a heading\n```\n# B\n")
    assert [c.symbol for c in found] == ["A", "B"]


def test_a_long_section_is_split_at_blank_lines():
    paragraph = "words " * 20 + "\n" + "words " * 20 + "\n\n"
    found = chunk_by_headings(("# A\n" + paragraph * 20).encode())
    assert len(found) > 3
    assert all((c.start_line - 2) % 3 == 0 for c in found[1:])
