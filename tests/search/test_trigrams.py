"""Trigrams required by a pattern: every match contains them."""

import re

import numpy as np
import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from codeintel_nb.index.shard.id_lists import BITS, ELIAS_FANO, IDS
from codeintel_nb.index.shard.postings import (
    BLOCK,
    Postings,
    PostingsBuilder,
    code_of,
    fold,
    joint_of,
    text_of,
)
from codeintel_nb.search.text.literals import required_literal
from codeintel_nb.search.text.trigrams import (
    NOTHING,
    candidate_blocks,
    may_match,
    trigram_query,
)

_atoms = st.sampled_from(
    [
        "a",
        "ab_sk",
        "b",
        "k",
        "S",
        "s",
        "_",
        "1",
        r"\.",
        r"\w",
        r"\d",
        r"\s",
        ".",
        "[ab]",
        "[a-c]",
        "[^a]",
        "[kK_]",
        "é",
        "(?:ab)",
        "abc",
        "sks",
        "(?i:ka)",
        r"\b",
        "^",
        "$",
    ]
)
_repeats = st.sampled_from(["", "", "", "", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "+?"])
_runs = st.lists(st.tuples(_atoms, _repeats).map("".join), min_size=1, max_size=6).map("".join)
PATTERNS = st.one_of(
    _runs,
    st.lists(_runs, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
    st.tuples(_runs, _runs, _runs).map(lambda p: f"{p[0]}({p[1]}|{p[2]})"),
)
_words = st.lists(
    st.one_of(
        st.text(st.sampled_from("abckKsS_1. é\u212a\u017f"), max_size=25),
        st.sampled_from(["ab_sk", "aB_\u017fK", "_sk_a1", "b_s\u212a"]),
    ),
    max_size=4,
).map("".join)
TEXTS = st.lists(_words, min_size=1, max_size=8).map("\n".join)


def postings_of(content, folder):
    builder = PostingsBuilder()
    lines = content.splitlines(keepends=True)
    for i in range(0, len(lines), 100):
        builder.add(b"".join(lines[i : i + 100]))
    builder.write(folder / "postings.bin")
    return Postings(folder / "postings.bin")


def compiled_by_re2(pattern, insensitive):
    options = re2.Options()
    options.log_errors, options.never_nl, options.case_sensitive = False, True, not insensitive
    try:
        return re2.compile(f"(?m){pattern}", options)
    except re2.error:
        assume(False)


@given(PATTERNS, TEXTS, st.booleans())
def test_block_with_a_match_is_a_candidate(tmp_path, pattern, text, insensitive):
    compiled = compiled_by_re2(pattern, insensitive)
    content = (text + "\n").encode()
    matches = compiled.search(content) is not None
    found = candidate_blocks(
        trigram_query(pattern, True, insensitive), postings_of(content, tmp_path)
    )
    assert found is None or not matches or found.tolist() == [0]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(?i)sks", "\u017f\u212as"), ("(?i)ab_sk", "AB_\u017f\u212a"),
        ("(?i)k_sks_s", "..\u212a_\u017fks_\u017f"), ("(?i)sk_ks", "\u017f\u212a_\u212a\u017f"),
        ("(?i:s)\u017fab", "\u017f\u017fab"), ("\u017fab", "\u017fab"),
        ("(?i:k)\u212a_\u212a", "\u212a\u212a_\u212a"), ("(?i)kéks", "\u212aÉ\u212a\u017f"),
        ("K(?i:s)bc", "K\u017fbc"),
    ],
)  # fmt: skip
def test_characters_that_case_fold_to_letters(tmp_path, pattern, text):
    """Find one and several of them, also next to each other."""
    compiled = compiled_by_re2(pattern, False)
    content = f"first\n{text}\n".encode()
    assert compiled.search(content) is not None
    need = trigram_query(pattern, True, False)
    found = candidate_blocks(need, postings_of(content, tmp_path))
    assert found is None or found.tolist() == [0]
    assert may_match(need, content)


@given(st.text(st.sampled_from("abkKsS_é.\u212a"), min_size=1, max_size=9), TEXTS, st.booleans())
def test_block_with_the_literal_is_a_candidate(tmp_path, literal, text, insensitive):
    content = (text + "\n").encode()
    there = re.search(re.escape(literal), text, re.I if insensitive else 0) is not None
    found = candidate_blocks(
        trigram_query(literal, False, insensitive), postings_of(content, tmp_path)
    )
    assert found is None or not there or found.tolist() == [0]


@pytest.mark.parametrize(
    ("pattern", "trigrams"),
    [
        (r"def\s+test_\w+\(self", {"def", "tes", "est", "st_", "(se", "sel", "elf"}),
        (r"\bget_params\b", {"get", "et_", "t_p", "_pa", "par", "ara", "ram", "ams", "et_pa"}),
        ("a_set_x_y_", {"a_s", "_se", "set", "et_", "t_x", "_x_", "x_y", "_y_", "et_x_", "_x_y_"}),
        ("__init__", {"__i", "_in", "ini", "nit", "it_", "t__"}),
        ("[Hh]ello", {"hel", "ell", "llo"}),
        ("x{3}yz", {"xxx", "xxy", "xyz"}),
        ("(abc)+def", {"abc", "def"}),
        ("a.*b", set()),
        ("abc|", set()),
    ],
)
def test_trigrams_required_by_a_pattern(pattern, trigrams):
    assert trigram_query(pattern, True, False).trigrams == {
        joint_of(t.encode()) if len(t) == 5 else code_of(t.encode()) for t in trigrams
    }


def test_joint_separates_texts_with_the_same_trigrams(tmp_path):
    parts = [b"get_x = list_params\n", b"GET_params(1)\n", b"target_parameters\n"]
    postings = postings_of(
        b"".join((part + b"#").ljust(BLOCK - 1, b"-") + b"\n" for part in parts), tmp_path
    )
    assert postings.blocks == 3
    codes = trigram_query("get_params", False, False).trigrams
    for chosen, blocks in ((codes, [1]), (codes - {joint_of(b"et_pa")}, [0, 1])):
        held = [
            set(postings.read(position).tolist())
            for _, position in postings.find(np.array(sorted(chosen), np.uint32))
        ]
        assert sorted(set.intersection(*held)) == blocks


@pytest.mark.parametrize("text", [b"ab_cd", b"1b_c2", b"_b_c_", b"abc"])
def test_code_decodes_to_its_text(text):
    assert text_of(joint_of(text) if len(text) == 5 else code_of(text)) == text


@pytest.mark.parametrize(
    "text", [b"ab_c", b"ab-cd", b"a__cd", b"ab__d", b"a _cd", b"ab_c\n", "éb_c".encode(), b"AB_CD"]
)
def test_texts_without_a_joint(text):
    assert joint_of(text) is None


def test_alternation_requires_one_of_its_branches():
    need = trigram_query("(?i)todo|fixme", True, False)
    assert need.any_of
    assert {part.trigrams for part in need.parts} == {
        frozenset(code_of(t) for t in (b"tod", b"odo")),
        frozenset(code_of(t) for t in (b"fix", b"ixm", b"xme")),
    }


@pytest.mark.parametrize(
    "pattern",
    [
        "[[:alpha:]]abc",
        r"\<abc",
        "[a&&b]abc",
        "(?x) a b c",
        r"\pLabc",
        "(abc",
        r"\x{41}bcd",
        "[a[b]]cde",
        "\\Qabc\\E",
        "(?U)abc",
    ],
)
def test_engine_specific_syntax_requires_nothing(pattern):
    assert trigram_query(pattern, True, False) == NOTHING


def test_each_list_form_returns_its_blocks(tmp_path):
    rng = np.random.default_rng(3)
    words = ["common"] + [f"w{i}x" for i in range(300)]
    lines = []
    for number in range(48_000):
        chosen = ["common"] if number % 2 else []
        chosen += [words[int(i)] for i in rng.zipf(1.3, 12) % len(words)] + (
            [f"rare{number}q"] if number % 97 == 0 else []
        )
        lines.append((" ".join(chosen) + " " + "-" * 60 + "\n").encode())
    content = b"".join([*lines, b"only here: zqx\n"])
    postings = postings_of(content, tmp_path)
    folded = fold(content)
    edges = postings.starts.tolist()
    assert edges[0] == 0
    assert edges[-1] == len(content)
    assert all(content[edge - 1 : edge] == b"\n" for edge in edges[1:])
    assert max(np.diff(edges)) <= BLOCK
    forms = np.minimum(np.asarray(postings._lists._form), ELIAS_FANO)
    for form in (IDS, BITS, ELIAS_FANO):
        chosen = np.flatnonzero(forms == form)
        assert len(chosen), "the text exercises each form"
        for position in chosen[:: max(1, len(chosen) // 20)].tolist():
            code = int(postings._codes[position])
            held = text_of(code)
            assert [found for _, found in postings.find(np.array([code], np.uint32))] == [position]
            assert postings.read(position).tolist() == [
                i for i in range(postings.blocks) if held in folded[edges[i] : edges[i + 1]]
            ]
    assert postings.find(np.array([code, code_of(b"~~~")], np.uint32)) is None


def test_line_longer_than_a_block_and_empty_text(tmp_path):
    postings = postings_of(b"x" * 3 * BLOCK + b"needle\nshort\n", tmp_path)
    assert candidate_blocks(trigram_query("needle", False, False), postings).tolist() == [0]
    empty = PostingsBuilder()
    empty.write(tmp_path / "empty.bin")
    assert Postings(tmp_path / "empty.bin").blocks == 0
    assert (
        candidate_blocks(
            trigram_query("needle", False, False), Postings(tmp_path / "empty.bin")
        ).tolist()
        == []
    )


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        (r'(?:ValueError|TypeError)\(f"[A-Z]', b'eError(f"'),
        (r"\bfit_transform\b", b"fit_transform"), (r"def\s+test_\w+\(self", b"test_"),
        ("(get|set)_params", b"et_params"), ("a|b", b""), ("(?i)abc1234", b"1234"),
        ("[ab]cdef", b"cdef"), ("(foo)?barbaz", b"barbaz"), ("(?:ab){2}cde", b"abcde"),
        ("abc*def", b"def"), ("(abc|abd)ef", b"ab"),
    ],
)  # fmt: skip
def test_literal_required_by_a_pattern(pattern, held):
    assert required_literal(pattern, False) == held


@given(PATTERNS, TEXTS, st.booleans())
def test_required_literal_is_in_every_match(pattern, text, insensitive):
    compiled = compiled_by_re2(pattern, insensitive)
    found = compiled.search(text.encode())
    assert found is None or required_literal(pattern, insensitive) in found[0]


@given(PATTERNS, TEXTS, st.booleans())
def test_may_match_accepts_every_matching_text(pattern, text, insensitive):
    compiled = compiled_by_re2(pattern, insensitive)
    assert compiled.search(text.encode()) is None or may_match(
        trigram_query(pattern, True, insensitive), text.encode()
    )
