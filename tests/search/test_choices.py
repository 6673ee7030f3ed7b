"""Alternations of literals are found without re2, and match the same lines."""

from __future__ import annotations

import pytest

from codeintel_nb import Workspace
from codeintel_nb.search.text import reader
from codeintel_nb.search.text.literals import literal_choices
from tests.conftest import write_tree

PATTERNS = (
    ("todo|fixme", "insensitive"), ("todo|fixme", "sensitive"), ("(?i)todo|FIXME", "sensitive"),
    ("(get|set)_params", "sensitive"), ("[tT]odo", "sensitive"), ("task|skip", "insensitive"),
    ("ab|abc|b", "sensitive"), ("to(?:do|don't)", "smart"), ("x|todo", "insensitive"),
)  # fmt: skip
TEXT = (
    "# TODO later\n# FixMe todo\nget_params = set_params\n\nnothing\nTodo todo\n"
    "tas\u212a a\u212a \u017fkip SKIP\nabc\nb\nto don't\ntodon't ünïcode TODO\n"
)


@pytest.fixture
def workspace(tmp_path):
    """Index files with and without letters that fold to ASCII."""
    ascii_only = TEXT.replace("\u212a", "k").replace("\u017f", "s").replace("ünï", "uni")
    files = {f"{n}.txt": (TEXT if n % 3 else ascii_only) * (n + 1) for n in range(9)}
    files["last.txt"] = "no newline at the end: todo fixme"
    with Workspace.open(tmp_path / "home") as opened:
        opened.index(write_tree(tmp_path / "shop", files), name="shop")
        yield opened


def places(workspace, pattern, case):
    results = workspace.search_text(pattern, regex=True, case=case, limit=10_000)
    return results.total, [(hit.path, hit.start_line, hit.column, hit.snippet) for hit in results]


@pytest.mark.parametrize(("pattern", "case"), PATTERNS)
def test_same_lines_as_re2(workspace, monkeypatch, pattern, case):
    lines, by_choices = [], reader._lines_with_any

    def spied(*arguments):
        lines.append(by_choices(*arguments))
        return lines[-1]

    monkeypatch.setattr(reader, "_lines_with_any", spied)
    by_literals = places(workspace, pattern, case)
    # in text beyond ASCII, other letters match k and s
    assert any(lines) != literal_choices(pattern, True, case == "insensitive").has_folds
    monkeypatch.setattr(reader, "_lines_with_any", lambda *arguments: None)
    assert by_literals == places(workspace, pattern, case)
    assert by_literals[0] > 0


@pytest.mark.parametrize(
    ("pattern", "insensitive", "literals"),
    [
        ("todo|fixme", True, (b"todo", b"fixme")),
        ("TODO|todo", True, (b"todo",)),
        ("(get|set)_(a|b)", False, (b"get_a", b"get_b", b"set_a", b"set_b")),
        ("(?i)Ab", False, (b"ab",)),
        ("a+b", False, ()), (r"\btodo|x", False, ()), ("a|", False, ()), ("ä|b", False, ()),
        ("[a-z]x", False, ()), ("a|(?i:b)", False, ()), ("(a|b)(a|b)(a|b)(a|b)", False, ()),
        ("a\\n|b", False, ()), ("^a|b", False, ()),
    ],
)  # fmt: skip
def test_literals_of_a_pattern(pattern, insensitive, literals):
    assert literal_choices(pattern, True, insensitive).literals == literals
