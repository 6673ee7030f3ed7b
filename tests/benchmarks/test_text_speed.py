"""Text search: fourteen queries; peers: ripgrep and csearch on the tree, and python-ripgrep."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from codeintel_nb.search.query import MAX_HITS
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import Corpus, median_ms, show

pytestmark = pytest.mark.benchmark

# Title, pattern, case, limit (None: all). Literals contain no special characters, because csearch
# reads every pattern as a regular expression.
QUERIES = (
    ("rare literal", "check_is_fitted", "sensitive", None),
    ("very rare literal", "_check_feature_names_in", "sensitive", None),
    ("mid literal, 50", "ValueError", "sensitive", 50),
    ("mid literal, all", "ValueError", "sensitive", None),
    ("common literal, 50", "import", "sensitive", 50),
    ("common literal, all", "deprecated", "sensitive", None),
    ("(?i)todo|fixme, 50", "todo|fixme", "insensitive", 50),
    ("(?i)todo|fixme, all", "todo|fixme", "insensitive", None),
    ("(?i) rare", "CHECK_IS_FITTED", "insensitive", None),
    ("def test_...(self, 50", r"def\s+test_\w+\(self", "sensitive", 50),
    ("def test_...(self, all", r"def\s+test_\w+\(self", "sensitive", None),
    ("(get|set)_params", "(get|set)_params", "sensitive", None),
    ('...Error(f"[A-Z]', r'(?:ValueError|TypeError)\(f"[A-Z]', "sensitive", None),
    (r"\bfit_transform\b", r"\bfit_transform\b", "sensitive", None),
    ("no literal, 50", r"[0-9]{3}-[0-9]{4}", "sensitive", 50),
    ("no literal, all", r"[0-9]{3}-[0-9]{4}", "sensitive", None),
    ("no literal, no match", r"[qzx]{9}[0-9]{9}", "sensitive", None),
    ("no match", "qzxvvkjh_nothing", "sensitive", None),
)  # fmt: skip
UNSELECTIVE = ("mid literal", "common literal", "(?i)todo", "def test", "no literal")


def test_fourteen_queries(corpus: Corpus, tmp_path: Path) -> None:
    """Measure lines, milliseconds, and the ratio of each peer's time to ours.

    The peers are whole processes, as started from a shell. Their output is read to the end or up to
    the limit.
    """
    csearch = _csearch(corpus.root, tmp_path)
    rows = []
    for title, pattern, case, limit in QUERIES:
        regex = not pattern.replace("_", "").isalnum()
        most = limit or MAX_HITS
        found = corpus.workspace.search_text(pattern, regex=regex, case=case, limit=most)
        search = partial(_search_and_read, corpus, pattern, regex=regex, case=case, limit=most)
        rg = [
            rg_path(),
            "--no-config",
            "--json",
            "--hidden",
            "--no-ignore",
            "-i" if case == "insensitive" else "-s",
            "-e",
            pattern,
            str(corpus.root),
        ]
        peer = (
            [*csearch, "-n", *(["-i"] if case == "insensitive" else []), pattern]
            if csearch
            else None
        )
        ours, theirs, *others = _in_turns(
            search,
            partial(_lines, rg, limit, b'{"type":"match"'),
            *([partial(_lines, peer, limit)] if peer else []),
        )
        other = others[0] if others else float("nan")
        in_process = (
            float("nan")
            if case == "insensitive" or limit
            else median_ms(partial(_python_ripgrep, pattern, corpus.root), 1)
        )
        rows.append(
            (title, len(found), ours, theirs, other, in_process, theirs / ours, other / ours)
        )
    show(
        f"text, {corpus.report.files:,} files, "
        f"{corpus.report.content_bytes / 1e6:,.0f} MB, warm, ms",
        (
            "",
            "lines",
            "codeintel",
            "rg --json on the tree",
            "csearch",
            "python-ripgrep",
            "rg / ours",
            "csearch / ours",
        ),
        rows,
    )
    selective = [row for row in rows if not row[0].startswith(UNSELECTIVE)]
    assert all(row[6] > 3 for row in selective), (
        "a selective query is several times faster than a scan"
    )
    assert sum(row[6] > 1 for row in rows) > 0.7 * len(rows)


def _search_and_read(corpus: Corpus, pattern: str, **options: Any) -> list[str]:
    """Search, and read the location of every hit and the text of the first 50."""
    results = corpus.workspace.search_text(pattern, **options)
    assert len(results["path"]) == len(results["start_line"])
    return [hit.snippet for hit in results.hits[:50]]


def _in_turns(search: Callable[[], object], *peers: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of a search and its peers.

    They run in turns, because the speed of a shared machine changes within seconds.
    """
    times: list[list[float]] = [[] for _ in range(len(peers) + 1)]
    for _ in range(5):
        times[0].append(median_ms(search, 3))
        for taken, peer in zip(times[1:], peers, strict=True):
            began = time.perf_counter()
            peer()
            taken.append((time.perf_counter() - began) * 1000)
    return [sorted(taken)[len(taken) // 2] for taken in times]


def _csearch(root: Path, folder: Path) -> list[str] | None:
    """Return the csearch command with an index of the tree, or None if it is not installed."""
    if shutil.which("cindex") is None:
        return None
    environment = {**os.environ, "CSEARCHINDEX": str(folder / "csearch")}
    subprocess.run(["cindex", str(root)], env=environment, check=True, capture_output=True)
    return ["env", f"CSEARCHINDEX={folder / 'csearch'}", "csearch"]


def _lines(command: list[str], limit: int | None, begins: bytes = b"") -> int:
    """Count the lines of a command's output; with a limit, only those starting with ``begins``."""
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        if limit is None:
            count = sum(
                block.count(b"\n") for block in iter(lambda: process.stdout.read(1 << 20), b"")
            )
        else:
            for line in process.stdout:
                count += line.startswith(begins)
                if count >= limit:
                    break
            process.kill()
    return count


def _python_ripgrep(pattern: str, root: Path) -> int:
    import python_ripgrep

    return len(python_ripgrep.search(patterns=[pattern], paths=[str(root)], line_number=True))
