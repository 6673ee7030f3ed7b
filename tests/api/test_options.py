import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.errors import SearchError
from codeintel_nb.operations.options import (
    OUT,
    describe,
    misspelt_options,
    options_of,
    parse_line,
    trailing_letters,
    unread_options,
)
from codeintel_nb.search.query import TextQuery

OPTIONS = (*options_of(TextQuery), OUT)


@pytest.mark.parametrize(
    ("line", "values", "rest"),
    [
        ("foo bar", {}, "foo bar"),
        ("  foo   bar ", {}, "foo   bar"),
        ("-w foo", {"word": True}, "foo"),
        ("foo -w", {"word": True}, "foo"),
        (
            "--limit 5 foo bar --lang py --lang go",
            {"limit": 5, "languages": ["py", "go"]},
            "foo bar",
        ),
        ("--lang=py,go foo", {"languages": ["py", "go"]}, "foo"),
        (
            "--include 'src/**' --include '{a,b}/*.py' foo",
            {"include_globs": ["src/**", "{a,b}/*.py"]},
            "foo",
        ),
        (r"--regex def\s+\w+{2} $x {y}", {"regex": True}, r"def\s+\w+{2} $x {y}"),
        ('"quoted text"', {}, "quoted text"),
        ("'it''s'", {}, "'it''s'"),
        ("don't stop", {}, "don't stop"),
        ('say "hello" twice', {}, 'say "hello" twice'),
        ("-- --limit 5", {}, "--limit 5"),
        ("-w -- -w", {"word": True}, "-w"),
        ("a -x b c", {}, "a -x b c"),
        ("x - y", {}, "x - y"),
        ("-> foo", {}, "-> foo"),
        ("-1 + 2", {}, "-1 + 2"),
        ("", {}, ""),
        ("foo --out hits", {"out": "hits"}, "foo"),
        ("foo -C1", {"context": 1}, "foo"),
        ("foo -n5 -w", {"limit": 5, "word": True}, "foo"),
        ("sed x -i=5", {}, "sed x -i=5"),
        ("foo -- -i", {}, "foo -- -i"),
        ("-w foo -- --limit 5", {"word": True}, "foo -- --limit 5"),
        ("a b1 -1", {}, "a b1 -1"),
        ("foo -x1", {}, "foo -x1"),
        ("-i foo", {"case": "insensitive"}, "foo"),
    ],
)
def test_options_are_parsed_at_both_ends_and_the_rest_is_kept_verbatim(line, values, rest):
    assert parse_line(line, OPTIONS, raw=True) == (values, rest)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--rgex foo", "Did you mean '--regex'?"),
        ("--limit many foo", "a whole number, not 'many'"),
        ("--limit", "needs a value"),
        ("--lnag=py foo", "Did you mean '--lang'?"),
        ("--regex=false foo", "--regex takes no value"),
        ("-w=1 foo", "-w takes no value"),
    ],
)
def test_invalid_option_error_names_the_problem(line, said):
    with pytest.raises(SearchError) as error:
        parse_line(line, OPTIONS, raw=True)
    assert said in str(error.value)


@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1).filter(
        lambda t: not t.startswith("-") and t[0] not in "\"'"
    )
)
def test_query_after_a_double_dash_is_taken_literally(query):
    assert parse_line(f"--limit 3 -- {query}", OPTIONS, raw=True) == ({"limit": 3}, query)


def test_help_lists_every_option():
    text = describe(OPTIONS)
    assert all((flag in text) != option.is_hidden for option in OPTIONS for flag in option.flags)
    assert "--include" in text
    assert "--revision" not in text


@pytest.mark.parametrize(
    ("line", "rest"),
    [('"def "', "def "), ("' x'", " x"), ('--limit 3 "def "', "def "), ("def ", "def")],
)
def test_quotes_preserve_spaces_at_the_ends(line, rest):
    assert parse_line(line, OPTIONS, raw=True)[1] == rest


@pytest.mark.parametrize(
    ("line", "values", "rest"),
    [
        ("-iw x", {"case": "insensitive", "word": True}, "x"),
        ("-C3 x", {"context": 3}, "x"),
        ("-n5 -w x", {"limit": 5, "word": True}, "x"),
        ("-ien20 x", {"case": "insensitive", "regex": True, "limit": 20}, "x"),
        ("-w -C2 x y", {"word": True, "context": 2}, "x y"),
        ("rm -rf", {}, "rm -rf"),
        ("x -iw", {}, "x -iw"),
        ("tar -xzf a", {}, "tar -xzf a"),
    ],
)
def test_short_options_combine_as_in_ripgrep(line, values, rest):
    assert parse_line(line, OPTIONS, raw=True) == (values, rest)


@pytest.mark.parametrize("line", ["-A 3 x", "-v x", "-F x", "-U x"])
def test_unknown_short_option_gets_no_suggestion(line):
    with pytest.raises(SearchError) as error:
        parse_line(line, OPTIONS, raw=True)
    assert "Did you mean" not in str(error.value)
    assert "Known: --case-sensitive" in str(error.value)


@pytest.mark.parametrize(
    ("line", "query", "letters"),
    [
        ("rm -f", "rm", ["-f"]),
        ("git commit -c -w", "git commit", ["-c", "-w"]),
        ("-f rm", "rm", []),
        ("rm --files", "rm", []),
        ("-- rm -f", "rm -f", []),
        ("x -n 5", "x", []),
        ("sort -n1", "sort", ["-n1"]),
    ],
)
def test_trailing_short_options_that_may_be_query_text(line, query, letters):
    assert trailing_letters(line, query, OPTIONS) == letters


@pytest.mark.parametrize(
    ("line", "values", "rest"),
    [
        ("what's slow --include 'core/**'", {"include_globs": ["core/**"]}, "what's slow"),
        (
            "the user's slow list --limit 5 --exclude 'docs/**'",
            {"limit": 5, "exclude_globs": ["docs/**"]},
            "the user's slow list",
        ),
        ('5" disk --include "core/**"', {"include_globs": ["core/**"]}, '5" disk'),
        ("'tis slow --include 'core/**'", {"include_globs": ["core/**"]}, "'tis slow"),
        (
            "--include='a b/**' dogs' and cats' --limit 2",
            {"include_globs": ["a b/**"], "limit": 2},
            "dogs' and cats'",
        ),
        ('say "a --limit 3 b" --limit 4', {"limit": 4}, 'say "a --limit 3 b"'),
        ("x='a b' --limit 3", {"limit": 3}, "x='a b'"),
        ("don't and won't --include \"a'b/**\"", {"include_globs": ["a'b/**"]}, "don't and won't"),
        ('"unclosed --limit 3', {"limit": 3}, '"unclosed'),
    ],
)
def test_apostrophe_does_not_open_a_quote(line, values, rest):
    assert parse_line(line, OPTIONS, raw=True) == (values, rest)


@pytest.mark.parametrize(
    ("line", "unread"),
    [
        ("what --limit 5 is slow", ["--limit"]),
        ("a --include=x b", ["--include=x"]),
        ("slow --limit 5", []),
        ("-- what --limit 5 is", []),
        ('"what --limit 5 is"', []),
        ("a --nothing b", []),
        ("needle -iw", ["-iw"]),
        ("rm -rf", ["-rf"]),
        ("tar -xzf", []),
        ("a - -- -iw", ["-iw"]),
    ],
)
def test_option_inside_a_query_is_reported(line, unread):
    assert unread_options(line, parse_line(line, OPTIONS, raw=True).rest, OPTIONS) == unread


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("needle --limt 1", ["--limt"]),
        ("needle --lnag=python", ["--lnag"]),
        ("needle --ignorecase", ["--ignorecase"]),
        ("git commit --amend", []),
        ("-- needle --limt 1", []),
        ("needle --limit 1", []),
    ],
)
def test_misspelt_option_behind_a_query_is_reported(line, words):
    assert misspelt_options(line, parse_line(line, OPTIONS, raw=True).rest, OPTIONS) == words
