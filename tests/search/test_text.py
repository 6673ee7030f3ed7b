"""Text search compared with ripgrep: both find the same lines in the same real trees."""

import json
import re
import shutil
import subprocess
import threading
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeintel_nb import Scope, Workspace
from codeintel_nb.engines import text_search
from codeintel_nb.errors import SearchError
from codeintel_nb.index.shard.text_flags import is_plain
from codeintel_nb.search.query import Bounds, TextQuery
from codeintel_nb.search.text import plan as text_plan
from codeintel_nb.search.text.literals import word_literal
from codeintel_nb.search.text.pattern import is_lower
from codeintel_nb.search.text.plan import plan_text
from codeintel_nb.search.text.rg_process import rg_path
from codeintel_nb.search.text.unindexed import UnindexedTarget, search_unindexed
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from codeintel_nb.sources.source import source_of
from tests.conftest import write_tree

FLAGS = {"smart": "--smart-case", "sensitive": "--case-sensitive", "insensitive": "--ignore-case"}
CASES = [
    ("import", {}), ("Error", {}), ("error", {}), ("error", {"case": "sensitive"}),
    ("ERROR", {"case": "insensitive"}), ("get", {"word": True}), ("a.b", {}), ("(", {}), ("$", {}),
    ("\\", {}), ("--", {}), ("no such line anywhere", {}), (r"def\s+_\w+", {"regex": True}),
    (r"class \w+\(.*Error\)", {"regex": True}), (r"^\s*return\b", {"regex": True}),
    (r"\bself\b.*\bself\b", {"regex": True}), (r"(get|set)_\w+", {"regex": True, "word": True}),
    (r"[A-Z]{3,}_\d+", {"regex": True}), (r":$", {"regex": True}), (r"^$", {"regex": True}),
    (r"x*", {"regex": True}), (r"(?i)TODO|fixme", {"regex": True}),
    (r"[^\x00-\x7f]", {"regex": True}), (r"\p{Lu}\p{Ll}+Error", {"regex": True}),
    (r"\d{4}-\d{2}", {"regex": True}), (r"\S+@\S+", {"regex": True}),
    (r"[\w.]+\(\)", {"regex": True}), (r"[[:upper:]]{4}", {"regex": True}),
    (r"\<get", {"regex": True}), (r"[a-z&&[^e]]{9}", {"regex": True}),
    (r"(?x) def \s+ \w+ \(", {"regex": True}), (r"a{1001}", {"regex": True}),
    (r"\w+\s*=\s*lambda", {"regex": True, "case": "insensitive"}), ("é", {}),
    ("É", {"case": "insensitive"}), ("straße", {"case": "insensitive"}), ("kelvin", {}),
    ("ſharp", {"case": "insensitive"}), (r"self\b{end}", {"regex": True}),
    (r"\b{start}get", {"regex": True}), (r"\Aimport", {"regex": True}),
    (r"Error\z", {"regex": True}), (r"(?-m)^import", {"regex": True}),
    (r"(?i-m)error$", {"regex": True}), (r"\Afrom\b", {"regex": True, "word": True}),
    (r"x{2,}", {"regex": True}), (r"[{}]", {"regex": True}), (r"\{\w+\}", {"regex": True}),
    (r"\p{Lu}{3}", {"regex": True}), ("}$", {"regex": True}), (r"caf\w", {"regex": True}),
    (r"na.ve", {"regex": True}), ("caf", {"word": True}), (r"line\r$", {"regex": True}),
    (r"line$", {"regex": True}), (r"newline$", {"regex": True}),
]  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Yield a workspace over IPython and unusual files, and the folder for rg."""
    import shutil

    import IPython

    root = tmp_path_factory.mktemp("real") / "tree"
    shutil.copytree(
        IPython.__path__[0], root / "IPython", ignore=shutil.ignore_patterns("__pycache__")
    )
    write_tree(
        root,
        {
            "unicode.txt": (
                "naïve café\nStraße STRASSE\n\u212aelvin \u017fharp Kelvin\nÀÉÎ word_é\nplain\n"
                "日本語 テスト\n٣٤٥\n\u00a0nbsp\u2003em\n"
            ),
            "crlf.txt": b"first line\r\nError line\r\nlast without newline",
            "latin1.txt": b"caf\xe9 latin\nplain Error\n\xff\xfe\n",
            "bom.txt": b"\xef\xbb\xbfimport first\nimport second\n",
            "utf16.txt": "import wide\nÉrror wide\n".encode("utf-16"),
            "lone_cr.txt": b"one\rimport two\rthree\nError\n",
            "no_newline.py": b"import os\nraise ValueError",
            "empty.txt": b"",
            "only_newlines.txt": b"\n\n\n",
            "long.txt": b"x" * 300_000 + b" Error " + b"y" * 300_000 + b"\n",
        },
    )
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    workspace.index(root, name="real")
    yield workspace, root
    workspace.close()


def lines_by_rg(root, pattern, regex=False, case="smart", word=False):
    command = [
        rg_path(),
        "--no-config",
        "--json",
        "--hidden",
        FLAGS[case],
        *(["-w"] if word else []),
        *([] if regex else ["-F"]),
        "-e",
        pattern,
        ".",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert done.returncode < 2, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return sorted(
        (e["data"]["path"]["text"].removeprefix("./"), e["data"]["line_number"])
        for e in events
        if e["type"] == "match"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "options"), CASES)
def test_lines_match_ripgrep(real, pattern, options):
    workspace, root = real
    results = workspace.search_text(pattern, limit=100_000, **options)
    assert [(hit.path, hit.start_line) for hit in results] == lines_by_rg(root, pattern, **options)
    assert not results.truncated
    assert results.total == len(results)


PIECES = st.sampled_from(
    [
        "a",
        "e",
        "E",
        "_",
        "1",
        " ",
        "é",
        ".",
        r"\w",
        r"\s",
        r"\b",
        r"\d",
        "[a-f]",
        "[^a-z]",
        "(?:in|out)",
        "x?",
        "e+",
        "self",
        "^",
        "$",
        r"\.",
        "K",
        "ſ",
    ]
)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(PIECES, min_size=1, max_size=5).map("".join),
    st.sampled_from(sorted(FLAGS)),
    st.booleans(),
)
def test_random_regex_matches_ripgrep(real, pattern, case, word):
    workspace, root = real
    scope = Scope(include_globs=("*.txt", "utils/**", "no_newline.py"))
    files = {hit.path for hit in workspace.list_paths(scope)}
    expected = [
        place for place in lines_by_rg(root, pattern, True, case, word) if place[0] in files
    ]
    results = workspace.search_text(pattern, scope, regex=True, case=case, word=word, limit=100_000)
    assert [(hit.path, hit.start_line) for hit in results] == expected


WORDS = st.sampled_from(
    [
        "self",
        "get",
        "e",
        "_",
        "Error",
        "in",
        ".",
        "(",
        " ",
        "1",
        "=",
        "é",
        "x",
        "ValueError",
        "import os",
    ]
)


@pytest.mark.slow
@settings(max_examples=80)
@given(
    st.lists(WORDS, min_size=1, max_size=3).map("".join),
    st.sampled_from(["", r"\b"]),
    st.sampled_from(["", r"\b"]),
    st.sampled_from(sorted(FLAGS)),
    st.sampled_from(["text", "word", "regex"]),
)
def test_random_text_or_word_matches_ripgrep(real, text, before, behind, case, way):
    workspace, root = real
    pattern = before + re.escape(text) + behind if way == "regex" else text
    scope = Scope(include_globs=("*.txt", "utils/**", "no_newline.py"))
    files = {hit.path for hit in workspace.list_paths(scope)}
    expected = [
        place
        for place in lines_by_rg(root, pattern, way == "regex", case, way == "word")
        if place[0] in files
    ]
    results = workspace.search_text(
        pattern, scope, regex=way == "regex", case=case, word=way == "word", limit=100_000
    )
    assert [(hit.path, hit.start_line) for hit in results] == expected


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"\bget_x\b", (b"get_x", (True, True))), (r"\bget", (b"get", (True, False))),
        (r"a\.b\b", (b"a.b", (False, True))), ("get_", (b"get_", (False, False))),
        (r"\b\.abc", None), (r"abc\.\b", None), (r"abc$", None), ("ab|cd", None), (r"ab\b\b", None),
        (r"\bab", None), ("(?i)abc", None), (r"abc\n", None), ("ab[cd]", None), (r"\béab", None),
    ],
)  # fmt: skip
def test_word_literal_of_a_regex(pattern, found):
    assert word_literal(pattern) == found


def test_column_counts_characters(real):
    workspace, _ = real
    (hit,) = workspace.search_text("word_é", Scope(include_globs=("unicode.txt",)))
    assert (hit.path, hit.start_line, hit.end_line, hit.column, hit.snippet) == (
        "unicode.txt",
        4,
        4,
        5,
        "ÀÉÎ word_é",
    )
    (hit,) = workspace.search_text(
        "Kelvin", Scope(include_globs=("unicode.txt",)), word=True, case="sensitive"
    )
    assert hit.column == 14


def test_limit_returns_the_first_lines_and_marks_truncation(real):
    workspace, _ = real
    everything = workspace.search_text("import", limit=100_000)
    few = workspace.search_text("import", limit=7)
    assert few.hits == everything.hits[:7]
    assert few.truncated
    assert not workspace.search_text("import", limit=len(everything)).truncated


@pytest.mark.parametrize(
    "pattern", [r"\w+\(", r"\bself\b", "import", r"e\w?\s", r"[^\x00-\x7f]", r"\p{Lu}\w"]
)
def test_limited_hits_are_a_prefix_of_all_hits(real, monkeypatch, pattern):
    """Search in several parts, with some lines left to ripgrep."""
    monkeypatch.setattr(text_plan, "FORWARD", 3000)
    workspace, _ = real
    for scope in (Scope(), Scope(include_globs=("*.txt", "IPython/core/**"))):
        every = workspace.search_text(pattern, scope, regex=True, limit=100_000)
        assert len(every) > 2
        for limit in (1, 2, 7, 60, 900):
            first = workspace.search_text(pattern, scope, regex=True, limit=limit)
            assert first.hits == every.hits[:limit]
            assert first.truncated == (limit < len(every))
            assert (
                first.total == len(every)
                if first.total_exact
                else limit <= first.total <= len(every)
            )


def test_shard_records_which_chunks_are_plain(real):
    workspace, _ = real
    (target,) = workspace._repositories.view(Scope()).targets
    shard = workspace._engine.shard_of(target)
    edges = shard.chunk_start.tolist()
    plain = [is_plain(shard.content[begin:end]) for begin, end in pairwise(edges)]
    assert shard.ascii_chunks.tolist() == plain
    assert len(set(plain)) == 2


@pytest.mark.parametrize("seed", range(4))
def test_blocks_are_split_by_reader(real, seed):
    workspace, _ = real
    (target,) = workspace._repositories.view(Scope()).targets
    shard = workspace._engine.shard_of(target)
    rng = np.random.default_rng(seed)
    blocks = np.sort(rng.choice(shard.postings.blocks, shard.postings.blocks // 2, replace=False))
    exact, foreign = text_plan._by_reader(shard, shard.ascii_chunks, None, blocks)
    read = np.zeros(shard.size, np.int8)
    for begin, end in zip(exact.begins.tolist(), exact.ends.tolist(), strict=True):
        assert is_plain(shard.content[begin:end])
        read[begin:end] += 1
    for begin, end in zip(foreign.begins.tolist(), foreign.ends.tolist(), strict=True):
        read[begin:end] += 2
    assert (read == 2).any()
    chosen = np.zeros(shard.size, bool)
    for block in blocks.tolist():
        chosen[int(shard.postings.starts[block]) : int(shard.postings.starts[block + 1])] = True
    assert (chosen == (read > 0)).all()
    assert read.max() == 2, "no byte is read twice"


def test_scope_limits_the_lines(real):
    workspace, _ = real
    scope = Scope(
        include_globs=("IPython/core/**",), exclude_globs=("*magic*",), languages=("python",)
    )
    paths = {hit.path for hit in workspace.list_paths(scope)}
    hits = workspace.search_text("import", scope, limit=100_000)
    assert {hit.path for hit in hits} <= paths
    assert [
        hit for hit in workspace.search_text("import", limit=100_000) if hit.path in paths
    ] == list(hits)


def test_kinds_limit_the_lines(shop):
    hits = shop.search_text("a", Scope(kinds=("markdown",)))
    assert {hit.path for hit in hits} == {"README.md"}


def test_context_lines_stay_inside_the_file(real):
    workspace, _ = real
    scope = Scope(include_globs=("no_newline.py", "unicode.txt", "only_newlines.txt"))
    (hit,) = workspace.search_text("raise", scope, context=3)
    assert (hit.snippet, hit.snippet_line, hit.start_line) == ("import os\nraise ValueError", 1, 2)
    (hit,) = workspace.search_text("plain", scope, context=1)
    assert (hit.snippet.split("\n"), hit.snippet_line) == (
        ["ÀÉÎ word_é", "plain", "日本語 テスト"],
        4,
    )


def test_multiline_match_spans_its_lines(shop):
    results = shop.search_text(r"class Cart:\n\s+\"\"\"Holds", regex=True)
    assert [(hit.path, hit.start_line, hit.end_line) for hit in results] == [
        ("src/shop/cart.py", 6, 7)
    ]


def test_hit_is_labelled_with_its_innermost_definition(shop):
    (hit,) = shop.search_text("prices are in cents")
    assert (hit.symbol, hit.kind) == ("Cart.total_price", "method")
    (hit,) = shop.search_text("import json")
    assert (hit.symbol, hit.kind) == ("", "module")


def test_definitions_around_finds_the_innermost_of_each_line(real):
    workspace, _ = real
    (target,) = workspace._repositories.view(Scope()).targets
    shard = workspace._engine.shard_of(target)
    files = np.repeat(np.arange(shard.manifest.files), shard.file_lines)
    lines = np.concatenate([np.arange(1, count + 1) for count in shard.file_lines.tolist()])
    begins, ends, owners = (
        shard.symbol_line.tolist(),
        shard.symbol_end_line.tolist(),
        shard.symbol_file.tolist(),
    )
    expected = {}
    for number, (file, begin, end) in enumerate(zip(owners, begins, ends, strict=True)):
        expected.update(((file, line), number) for line in range(begin, end + 1))
    around = [expected.get(place, -1) for place in zip(files.tolist(), lines.tolist(), strict=True)]
    assert shard.definitions_around(files, lines).tolist() == around
    assert max(np.diff(np.flatnonzero(np.diff(owners)))) > 40, (
        "some file has more definitions than are checked one by one"
    )
    shuffled = np.sort(np.random.default_rng(3).choice(len(files), 999, replace=False))
    assert shard.definitions_around(files[shuffled], lines[shuffled]).tolist() == [
        around[i] for i in shuffled
    ]
    numbers = np.unique(np.array(around))
    assert shard.symbol_labels(numbers) == [
        "",
        *(shard.symbol_label(number) for number in numbers.tolist()[1:]),
    ]


BEFORE = (
    "", "x" * 1990, "x" * 9000, "é" * 1990, "é" * 9000, "\U0001f600" * 2000, "a\r", "\t",
    "x" * 8003 + "é",
)  # fmt: skip
BEHIND = ("", "\r", "\r\r", "y" * 30, "é" * 30, "z" * 9000)


@pytest.fixture(scope="module")
def long_lines(tmp_path_factory):
    """Yield a workspace with a file for each combination of BEFORE and BEHIND."""
    folder = tmp_path_factory.mktemp("long-lines")
    files = {
        f"{i}-{j}.txt": f"first needle\n{before}needle{behind}\nneedle"
        for i, before in enumerate(BEFORE)
        for j, behind in enumerate(BEHIND)
    }
    workspace = Workspace.open(folder / "home")
    workspace.index(write_tree(folder / "t", files))
    yield workspace
    workspace.close()


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("behind", BEHIND)
def test_long_line_is_truncated_and_keeps_its_column(long_lines, before, behind):
    line = f"{before}needle{behind}"
    own = Scope(include_globs=(f"{BEFORE.index(before)}-{BEHIND.index(behind)}.txt",))
    first, hit, last = long_lines.search_text("needle", own)
    assert (hit.start_line, hit.end_line, hit.column, hit.snippet) == (
        2,
        2,
        len(before) + 1,
        line[:2000].rstrip("\r") if len(line) <= 2000 else line[:2000],
    )
    assert [(one.start_line, one.column, one.snippet) for one in (first, last)] == [
        (1, 7, "first needle"),
        (3, 1, "needle"),
    ]


@pytest.mark.parametrize(
    "pattern",
    ["(unclosed", "[z-a]", "*", r"\p{Nonsense}", "a**{", "(?P<n", "a{,3}", "self{", "}{", "a{1,2"],
)
def test_invalid_regex_error_is_one_line(shop, pattern):
    with pytest.raises(SearchError, match="The regular expression .* is invalid") as error:
        shop.search_text(pattern, regex=True)
    assert "\n" not in str(error.value)


def test_a_hostile_pattern_takes_linear_time(tmp_path, make_workspace):
    write_tree(tmp_path / "t", {"a.txt": "a" * 100_000 + "\n"})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    results = workspace.search_text("(a|aa|a*)*b", regex=True, deadline=60)
    assert (results.hits, results.reason) == ((), ""), (
        "the search completes: backtracking would take forever"
    )


def test_deadline_and_cancel_truncate_the_results(real):
    workspace, _ = real
    late = workspace.search_text("import", deadline=1e-9)
    assert late.truncated
    assert late.hits == ()
    cancelled = threading.Event()
    cancelled.set()
    for options in ({}, {"regex": True, "word": True}):
        assert workspace.search_text("import", cancel=cancelled, **options).truncated
    with pytest.raises(SearchError, match="time limit"):
        workspace.search_text("import", deadline=-1)


@pytest.mark.parametrize(
    ("pattern", "lower"),
    [
        ("abc", True),
        ("aBc", False),
        (r"\Wabc", True),
        (r"\p{Lu}abc", True),
        ("123", True),
        (r"\w{3}", False),
        (r"\x41", False),
        (r"\.", True),
        (r"(?P<Name>abc)", True),
        ("É", False),
        ("[[:upper:]]a", True),
    ],
)
def test_smart_case_considers_only_literals(pattern, lower):
    assert is_lower(pattern, regex=True) is lower


def test_results_round_trip_through_json(shop):
    from codeintel_nb import Results

    results = shop.search_text("cart")
    assert msgspec.json.decode(results.to_json(), type=Results) == results


def rg_counts(root, *arguments):
    """Return rg's count of matching lines by path."""
    done = subprocess.run(
        [rg_path(), "--no-config", "--hidden", "--no-ignore", "--text", "--count", *arguments, "."],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        line.rpartition(":")[0].removeprefix("./"): int(line.rpartition(":")[2])
        for line in done.stdout.splitlines()
    }


@pytest.mark.parametrize(
    ("pattern", "regex"),
    [("import", False), (r"def\s+_\w+", True), ("é", False), (r"\w+Error\b", True)],
)
def test_counts_and_files_match_ripgrep(real, pattern, regex):
    workspace, root = real
    expected = rg_counts(
        root, "--case-sensitive", *([] if regex else ["--fixed-strings"]), "-e", pattern
    )
    # rg decodes UTF-16 only with a byte-order mark
    expected = {path: count for path, count in expected.items() if not path.startswith("utf16")}
    counts = workspace.search_text(
        pattern, regex=regex, case="sensitive", show="counts", limit=100_000
    )
    found = {hit.path: int(hit.score) for hit in counts if not hit.path.startswith("utf16")}
    assert found == expected
    assert counts.total == sum(int(hit.score) for hit in counts)
    assert counts.total_exact
    files = workspace.search_text(
        pattern, regex=regex, case="sensitive", show="files", limit=100_000
    )
    assert [hit.path for hit in files] == [hit.path for hit in counts]
    assert files.total == len(files)
    first = {}
    for hit in workspace.search_text(pattern, regex=regex, case="sensitive", limit=100_000):
        first.setdefault(hit.path, hit.start_line)
    assert {hit.path: hit.start_line for hit in files} == first


def test_per_file_limits_the_hits_of_each_file(real):
    workspace, _ = real
    everything = workspace.search_text("import", limit=100_000)
    capped = workspace.search_text("import", limit=100_000, per_file=2)
    expected, seen = [], {}
    for hit in everything:
        seen[hit.path] = seen.get(hit.path, 0) + 1
        if seen[hit.path] <= 2:
            expected.append((hit.path, hit.start_line))
    assert [(hit.path, hit.start_line) for hit in capped] == expected
    assert capped.total == len(capped)
    assert not capped.truncated


@pytest.mark.parametrize(
    ("pattern", "regex"),
    [
        ("import", False),
        (r"\bself\b", True),
        ("e", False),
        (r"def\s+\w+", True),
        ("é", False),
        (r"(?s)\)\n\n", True),
    ],
)
@pytest.mark.parametrize(
    "scope", [Scope(), Scope(include_globs=("*.txt", "IPython/core/**"))], ids=["all", "some"]
)
def test_total_does_not_depend_on_the_limit(real, pattern, regex, scope):
    workspace, _ = real
    everything = workspace.search_text(pattern, scope, regex=regex, limit=0)
    assert everything.total == len(everything) > 1
    for limit in (1, 7, 300, len(everything), 10_000):
        results = workspace.search_text(pattern, scope, regex=regex, limit=limit)
        assert (results.total, results.total_exact) == (len(everything), True)
        assert results.reason == ("limit" if limit < len(everything) else "")
        assert results.truncated == bool(results.reason)
        files = workspace.search_text(pattern, scope, regex=regex, limit=limit, show="files")
        assert (files.total, files.total_exact) == (len({hit.path for hit in everything}), True)


@pytest.mark.parametrize("most", [0, 1, 40, 2_000])
def test_total_is_exact_when_rg_takes_over_the_count(real, monkeypatch, most):
    workspace, _ = real
    monkeypatch.setattr(text_search, "COUNTED_HERE", 0)
    monkeypatch.setattr(text_search, "MAX_COUNTED_HERE", most)
    for pattern, regex in (("import", False), ("e", False), ("é", False), (r"\bself\b", True)):
        for scope in (Scope(), Scope(include_globs=("*.txt", "IPython/core/**"))):
            everything = workspace.search_text(pattern, scope, regex=regex, limit=0)
            for limit in (1, 60):
                results = workspace.search_text(pattern, scope, regex=regex, limit=limit)
                assert (results.total, results.total_exact) == (len(everything), True)


def needles(tmp_path, count_bytes, follow=True):
    """Return a workspace over ten files with 300,000 matching lines, 3.6 MB."""
    root = write_tree(tmp_path / "t", {f"{i}.txt": "needle here\n" * 30_000 for i in range(10)})
    settings = msgspec.structs.replace(
        Settings.from_environment(tmp_path / "home"), count_bytes=count_bytes, shard_bytes=1_000_000
    )
    workspace = Workspace(settings, here=str(root))
    if follow:
        workspace.index(root, name="t")
    return workspace


@pytest.mark.slow
@pytest.mark.parametrize("indexed", [True, False])
def test_total_beyond_count_bytes_is_a_lower_bound(tmp_path, indexed):
    workspace = needles(tmp_path, 1_500_000, indexed)
    first = workspace.search_text("needle", limit=3)
    assert (first.truncated, first.reason, first.total_exact) == (True, "limit", False)
    assert 3 < first.total < 300_000
    for _ in range(3):  # the total does not depend on timing
        again = workspace.search_text("needle", limit=3)
        assert (again.total, again.hits) == (first.total, first.hits)
    assert f"3 of more than {first.total:,} matches" in first._repr_mimebundle_()["text/plain"]
    files = workspace.search_text("needle", limit=1, show="files")
    assert 1 <= files.total < 10
    assert (files.total_exact, files.reason) == (False, "limit")
    everything = workspace.search_text("needle", limit=0)
    assert (everything.total, everything.total_exact, everything.reason) == (300_000, True, "")
    workspace.close()


def test_matches_just_past_count_bytes(tmp_path):
    """Search the unread rest for one more match; without one, the total is exact."""
    root = write_tree(
        tmp_path / "t",
        {"a.txt": "needle\n" * 40, "b.txt": "nothing\n" * 100_000, "c.txt": "one needle\n"},
    )
    settings = msgspec.structs.replace(Settings.from_environment(tmp_path / "home"), count_bytes=1)
    workspace = Workspace(settings, here=None)
    workspace.index(root, name="t")
    more = workspace.search_text("needle", limit=40)
    assert (more.total, more.total_exact, more.reason) == (40, False, "limit")
    (root / "c.txt").unlink()
    exact = workspace.search_text("needle", limit=40)
    assert (exact.total, exact.total_exact, exact.reason) == (40, True, "")
    workspace.close()


@pytest.mark.slow
@pytest.mark.parametrize("indexed", [True, False])
def test_search_for_one_more_match_is_bounded(tmp_path, monkeypatch, indexed):
    """Make no claim about matches in the text left unread."""
    monkeypatch.setattr("codeintel_nb.engines.text_search.MIN_LOOK_BYTES", 100_000)
    root = write_tree(
        tmp_path / "t",
        {
            "a/a.txt": "needle 1\n" * 40,
            **{f"b/{i}.txt": "nothing\n" * 30_000 for i in range(40)},
            "c/c.txt": "number 2\n",
        },
    )
    workspace = Workspace(
        msgspec.structs.replace(Settings.from_environment(tmp_path / "home"), count_bytes=1),
        here=str(root),
    )
    if indexed:
        workspace.index(root, name="t")
    found = workspace.search_text("[0-9]", regex=True, limit=40)
    assert (len(found.hits), found.total, found.total_exact, found.reason, found.more) == (
        40,
        40,
        False,
        "reading",
        False,
    )
    assert "of at least 40 matches" in repr(found)
    assert "stopped at its reading limit" in repr(found)
    cut = workspace.search_text("[0-9]", regex=True, limit=10)
    assert (cut.total_exact, cut.reason) == (False, "limit"), (
        "a limit takes precedence as the reason"
    )
    assert "--limit 0 keeps all" in cut.missing()
    assert workspace.search_text("[0-9]", regex=True, limit=0).total == 41
    counts = workspace.search_text("[0-9]", regex=True, limit=1, show="counts")
    assert (counts.total, counts.total_exact) == (41, True)
    workspace.close()


def test_count_bytes_are_shared_by_all_folders(tmp_path):
    """Count two unindexed folders within one budget of bytes, not one each."""
    settings = msgspec.structs.replace(
        Settings.from_environment(tmp_path / "home"), count_bytes=700_000
    )
    workspace = Workspace(settings, here=None)
    folders = [
        write_tree(
            tmp_path / name,
            {".git/HEAD": "", **{f"{i}.txt": "needle here\n" * 10_000 for i in range(10)}},
        )
        for name in ("one", "two")
    ]
    scope = Scope(repos=tuple(workspace.project_scope(folder).repos[0] for folder in folders))
    found = workspace.search_text("needle", scope, limit=3)
    assert not found.total_exact
    assert found.total * len("needle here\n") < 2 * 700_000
    workspace.close()


def test_too_many_unindexed_files_reach_the_reading_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("codeintel_nb.search.text.unindexed.MAX_FILES", 100)
    root = write_tree(tmp_path / "t", {f"{i:04}.txt": "needle\n" for i in range(1_000)})
    workspace = Workspace(Settings.from_environment(tmp_path / "home"), here=str(root))
    found = workspace.search_text("needle")
    assert 100 <= found.total < 1_000
    assert (found.reason, found.total_exact) == ("reading", False)
    workspace.close()


@pytest.mark.parametrize(
    ("indexed", "pattern"), [(False, "needle"), (False, r"needle\n"), (True, r"needle\n")]
)
def test_count_stops_at_the_maximum_and_is_marked_inexact(tmp_path, monkeypatch, indexed, pattern):
    monkeypatch.setattr("codeintel_nb.search.text.unindexed.MAX_HITS", 1_000)
    monkeypatch.setattr("codeintel_nb.engines.text_search.MAX_HITS", 1_000)
    root = write_tree(tmp_path / "t", {"a.txt": "needle\n" * 5_000, "b.txt": "needle\n" * 5_000})
    workspace = Workspace(Settings.from_environment(tmp_path / "home"), here=str(root))
    if indexed:
        workspace.index(root, name="t")
    found = workspace.search_text(pattern, regex=True, limit=10)
    assert (len(found.hits), found.total_exact) == (10, False)
    assert 1_000 <= found.total < 10_000
    workspace.close()


@pytest.mark.parametrize("indexed", [True, False])
def test_total_is_inexact_if_rg_output_is_truncated(tmp_path, monkeypatch, indexed):
    """Search for files in text left to rg, which stops at the maximum number of lines."""
    monkeypatch.setattr("codeintel_nb.search.text.reader.MAX_HITS", 1_000)
    root = write_tree(tmp_path / "t", {f"{name}.txt": "wört\n" * 800 for name in "abc"})
    workspace = Workspace(Settings.from_environment(tmp_path / "home"), here=str(root))
    if indexed:
        workspace.index(root, name="t")
    for show in ("files", "counts"):
        found = workspace.search_text(r"w\wrt", regex=True, show=show)
        assert (len(found.hits) < 3, found.total_exact) == (True, False)
    workspace.close()


@pytest.mark.slow
def test_multiline_match_at_the_end_of_count_bytes_is_counted(tmp_path):
    """Count a file whole if the pattern can match several lines."""
    text = "\n".join(f"begin {i}\nend" for i in range(20_000))
    root = write_tree(tmp_path / "t", {"a.txt": text, "b.txt": "begin x\nend\n" * 3})
    for count_bytes in range(5_000, 5_200, 3):
        settings = msgspec.structs.replace(
            Settings.from_environment(tmp_path / "home"), count_bytes=count_bytes
        )
        workspace = Workspace(settings, here=str(root))
        if not workspace.repositories():
            workspace.index(root, name="t")
        found = workspace.search_text(r"begin \w+\nend", regex=True, limit=1)
        assert found.total in (20_000, 20_003)
        assert found.total_exact == (found.total == 20_003)
        workspace.close()


def test_second_match_in_a_counted_file_is_not_another_file(tmp_path):
    root = write_tree(tmp_path / "t", {"a.txt": "needle\n", "b.txt": "needle\n" * 50_000})
    workspace = Workspace(
        msgspec.structs.replace(Settings.from_environment(tmp_path / "home"), count_bytes=10_000),
        here=str(root),
    )
    workspace.index(root, name="t")
    found = workspace.search_text("needle", limit=2, show="files")
    assert (found.total, found.more) == (2, False)
    workspace.close()


def test_long_line_is_searched_by_rg(tmp_path):
    """Leave even plain long lines to rg: it can be killed, re2 cannot be interrupted."""
    root = write_tree(tmp_path / "t", {"a.js": "x" * 700_000 + " needle1\n"})
    workspace = Workspace(Settings.from_environment(tmp_path / "home"), here=str(root))
    workspace.index(root, name="t")
    (target,) = workspace._repositories.view(Scope()).targets
    engine = workspace._engine
    plan = plan_text(
        engine.shard_of(target), "t", engine.mask(target), TextQuery(r"[0-9]", regex=True)
    )
    prefiltered = plan.prefiltered()
    assert (prefiltered.re2_ranges.size, prefiltered.rg_ranges.size) == (0, 700_009)
    assert workspace.search_text("[0-9]", regex=True).total == 1
    workspace.close()


def test_vanished_folder_is_not_an_rg_failure(tmp_path):
    root = write_tree(tmp_path / "t", {f"{i}.txt": "needle\n" for i in range(300)})
    settings = Settings.from_environment(tmp_path / "home")
    source = source_of(worktree(str(root)), settings)
    files = tuple(source.files())
    shutil.rmtree(root)
    answer = search_unindexed(
        UnindexedTarget("t", source, files, Scope()),
        TextQuery("needle"),
        10,
        Bounds.within(None, None),
        1_000_000,
        1_000_000,
    )
    assert sum(one.total for one in answer.answers) == 0


def test_definitions_come_first_when_ranked(shop):
    plain = shop.search_text("cart", case="insensitive")
    ranked = shop.search_text("cart", case="insensitive", rank=True)
    assert sorted((h.path, h.start_line) for h in ranked) == sorted(
        (h.path, h.start_line) for h in plain
    )
    assert [h.path for h in plain] == sorted(h.path for h in plain)
    first = [h.snippet.strip() for h in ranked[:4]]
    assert set(first) == {
        "class Cart:",
        "def load_cart(path):",
        "export function renderCart(cart) {",
        "def test_total_price_of_empty_cart():",
    }
    assert [h.score for h in ranked] == sorted((h.score for h in ranked), reverse=True)
    assert shop.search_text("cart", case="insensitive", rank=True, limit=2)[0] == ranked[0]


def test_counts_rank_all_files(shop, monkeypatch):
    plain = shop.search_text("cart", case="insensitive", show="counts")
    monkeypatch.setattr("codeintel_nb.engines.text_search.MAX_RANKED", 2)
    ranked = shop.search_text("cart", case="insensitive", show="counts", rank=True)
    counts = {hit.path: round(hit.score) for hit in plain}
    assert {hit.path: round(hit.score) for hit in ranked} == counts
    assert [hit.score for hit in ranked] == sorted((hit.score for hit in ranked), reverse=True)


def test_match_of_many_lines_is_cut_in_its_context(tmp_path, make_workspace):
    lines = [f"row {number}" for number in range(5_000)]
    lines[100], lines[4_000] = "begin", "end"
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "t", {"a.txt": "\r\n".join(lines)}), name="t")
    (hit,) = workspace.search_text(r"(?s)begin.*end", regex=True, context=2)
    assert hit.snippet.split("\n")[:4] == ["row 98", "row 99", "begin", "row 101"]
    assert len(hit.snippet.split("\n")) == 2 * 2 + 14


def test_ranked_hits_begin_alike_for_every_limit(shop, monkeypatch):
    monkeypatch.setattr("codeintel_nb.engines.text_search.MAX_RANKED", 10)
    every = shop.search_text("cart", case="insensitive", rank=True, limit=0)
    places = [(hit.path, hit.start_line) for hit in every]
    assert len({*places}) == len(places) == every.total > 10
    assert [hit.score for hit in every] == sorted((hit.score for hit in every), reverse=True)
    plain = shop.search_text("cart", case="insensitive")
    assert {*places[:10]} == {(hit.path, hit.start_line) for hit in plain[:10]}
    for limit in (1, 5, 10, 11):
        some = shop.search_text("cart", case="insensitive", rank=True, limit=limit)
        assert [(hit.path, hit.start_line) for hit in some] == places[:limit]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"show": "words"}, "Known: lines, files, counts"),
        ({"per_file": 0}, "whole number of at least 1"),
        ({"per_file": True}, "whole number of at least 1"),
    ],
)
def test_invalid_show_or_per_file_is_refused(shop, given, said):
    with pytest.raises(SearchError, match=said):
        shop.search_text("x", **given)


MULTILINE = {
    "accents.txt": "café\nfoo\nplain\nfoo\n", "meet.txt": "x y\nx y\nx y\n",
    "apart/c.txt": "zz end\n", "apart/d.txt": "start\n", "ascii.txt": "one\ntwo\n\n\nthree\n",
    "crlf.txt": b"one\r\ntwo\r\n", "both.txt": "end\nstart é\nend\nstart\n",
    "open/e.txt": "foo\nfoo ", "open/f.txt": "é\nfoo", "open/g.txt": "start",
}  # fmt: skip
SPANNING = [
    r"\w\nfoo",
    r"caf\w\nfoo",
    r"\W\nfoo",
    r"y\nx",
    r"end\n\<start",
    r"end\nstart",
    r"\n\n",
    r"(?s)one.*three",
    r"o\n",
    r"one\r\ntwo",
    r"\s+\w+\n\w",
    r"[^\n]\n\n",
    r"foo\s\n",
    r"foo\n",
    r"start\n",
]


@pytest.fixture(scope="module")
def multiline(tmp_path_factory):
    """Yield a folder with two workspaces: one searches it unindexed, one has its index."""
    folder = tmp_path_factory.mktemp("multiline")
    root = write_tree(folder / "tree", MULTILINE)
    workspace = Workspace.open(folder / "home")
    unindexed = Workspace(Settings.from_environment(folder / "none"), here=str(root))
    workspace.index(root)
    yield root, unindexed, workspace
    workspace.close()
    unindexed.close()


@pytest.mark.parametrize("pattern", SPANNING)
@pytest.mark.parametrize("word", [False, True])
def test_multiline_matches_cover_the_lines_ripgrep_prints(multiline, pattern, word):
    root, *workspaces = multiline
    found = [lines_covered(one.search_text(pattern, regex=True, word=word)) for one in workspaces]
    command = [
        rg_path(),
        "--no-config",
        "--json",
        "--smart-case",
        "--multiline",
        *(["-w"] if word else []),
        "-e",
        pattern,
        ".",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    expected = set()
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["type"] == "match":
            first, text = event["data"]["line_number"], event["data"]["lines"]["text"]
            expected |= {
                (event["data"]["path"]["text"].removeprefix("./"), first + i)
                for i in range(len(text.splitlines()))
            }
    assert found[0] == found[1]
    assert found[0] == expected


def lines_covered(results):
    return {(hit.path, line) for hit in results for line in range(hit.start_line, hit.end_line + 1)}


def test_search_with_every_line_left_to_ripgrep(make_workspace, tmp_path, monkeypatch):
    """Sample the cost of the required literal although re2 has nothing to read."""
    monkeypatch.setattr(text_plan, "FORWARD", 100)
    write_tree(tmp_path / "t", {"a.txt": "é foo1\n" * 500})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    for limit in (10, 10_000):
        assert len(
            workspace.search_text(r"foo\w", regex=True, case="sensitive", limit=limit)
        ) == min(limit, 500)


def test_vertical_tab_is_whitespace_as_in_ripgrep(make_workspace, tmp_path):
    root = write_tree(tmp_path / "tree", {"a.txt": b"a\x0bb\na b\n"})
    workspace = make_workspace()
    workspace.index(root)
    for pattern in (r"a\sb", r"a\Sb", r"a[\s]b", r"a[^\s]b", r"a\Wb"):
        assert [hit.start_line for hit in workspace.search_text(pattern, regex=True)] == [
            line for _, line in lines_by_rg(root, pattern, True)
        ], pattern


@pytest.mark.parametrize(
    ("lines", "asked_rg"),
    [
        ("café\nfoo bar\nénd\n", False),
        ("foo bar\nfoo é\n", True),
        ("éfoo\nfoo\n", True),
        ("naïve\r\nfoo bar\r\n", False),
    ],
)
def test_rg_searches_only_non_ascii_lines(make_workspace, tmp_path, monkeypatch, lines, asked_rg):
    """Search the ASCII lines of a chunk with accents by re2, without starting rg."""
    from codeintel_nb.search.text import reader as text

    write_tree(tmp_path / "t", {"a.txt": lines})
    workspace = make_workspace()
    workspace.index(tmp_path / "t")
    asked, stream = [], text.stream
    monkeypatch.setattr(text, "stream", lambda *given: asked.append(given) or stream(*given))
    found = [hit.snippet for hit in workspace.search_text(r"\bfoo\b", regex=True)]
    plain = subprocess.run(
        [rg_path(), "--no-config", "-N", r"\bfoo\b", str(tmp_path / "t" / "a.txt")],
        capture_output=True,
        text=True,
    ).stdout
    assert found == plain.replace("\r", "").splitlines()
    assert bool(asked) == asked_rg
