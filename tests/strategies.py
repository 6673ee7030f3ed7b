"""Hypothesis strategies shared by several tests."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = st.text("abcAB._-1", min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)

_pieces = st.sampled_from(
    [
        "a",
        "b",
        "A",
        ".",
        "c",
        "1",
        "*",
        "**",
        "?",
        "[ab]",
        "[a-c]",
        "[!a]",
        "[[:digit:]]",
        "[^[:alpha:]]",
        "[a/b]",
    ]
)
_joined_pieces = (
    st.lists(_pieces, min_size=1, max_size=4)
    .map("".join)
    .filter(lambda name: name not in (".", ".."))
)
_names = st.one_of(_joined_pieces, st.just("**"), st.just("*"))
_plain_globs = st.tuples(
    st.sampled_from(["", "/"]),
    st.lists(_names, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "/"]),
).map("".join)
_braces = st.tuples(_plain_globs, _plain_globs).map(
    lambda pair: "{" + pair[0].strip("/") + "," + pair[1].strip("/") + "}"
)
GLOBS = st.one_of(_plain_globs, _braces, st.tuples(_names, _braces).map("/".join))

LANGUAGES = st.sampled_from(["python", "go", "rust", "c", "java", "text"])
KINDS = st.sampled_from(["function", "class", "method", "module", "cell", "markdown", "text"])
SCOPE_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "repos": st.lists(NAMES, max_size=3),
        "revisions": st.lists(NAMES, max_size=2),
        "include_globs": st.lists(GLOBS, max_size=3),
        "exclude_globs": st.lists(GLOBS, max_size=2),
        "languages": st.lists(LANGUAGES, max_size=3),
        "kinds": st.lists(KINDS, max_size=3),
    },
)
SOURCE_TEXT = st.text(
    st.sampled_from("ab \n\t(){}:;='\"#/*\\é\r def class return if x\n\n"), max_size=3000
)
