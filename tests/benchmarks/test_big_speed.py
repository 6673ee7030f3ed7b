"""Big: builds, searches by text and by meaning, and definitions, at about a million chunks.

Peers: ripgrep; gist, a native binary of PyPI (gist-search); FAISS Flat over the same
vectors.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.embedding.embedder import Embedder, default_embedder
from codeintel_nb.index.shard.codes import decode
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.index.store import Store, read_snapshot
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import children_s, show

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]

ROUNDS = 9
PATTERNS = (
    ("ValueError", False), (r"def\s+test_\w+\(self", True), ("[0-9a-f]{12}", True),
    ("[0-9]{3}-[0-9]{4}", True), ("deprecated", False), ("check_is_fitted", False),
)  # fmt: skip
QUESTIONS = (
    "read a parquet file", "parse command line arguments", "where are retries counted",
    "convert the timezone of a timestamp", "open a socket connection", "hash a password",
    "compute eigenvalues of a matrix", "render a template", "tokenize text", "resize an image",
    "schedule a periodic task", "validate an email address", "merge two data frames",
    "compress data with zlib", "walk a directory tree", "send an http request",
)  # fmt: skip


def _cpu_ms(call: Callable[[], object]) -> float:
    """Return the CPU milliseconds of a call and the processes that it ends."""
    before = time.process_time() + children_s()
    call()
    return 1000 * (time.process_time() + children_s() - before)


def _run(command: Sequence[str], environment: dict[str, str]) -> Callable[[], object]:
    return lambda: subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, **environment}
    )


def _gist(folder: Path) -> str:
    """Download gist's binary; its package needs Python 3.12, the binary does not."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
         "--python-version", "3.12", "--dest", str(folder), "gist-search"], check=True,
    )  # fmt: skip
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        binary = Path(wheel.extract("gist/bin/gist", folder))
    binary.chmod(0o755)
    return str(binary)


def test_text(big: Path, indexed: Workspace, tmp_path: Path) -> None:
    """Measure CPU: the place of every line, and the text of the first 50."""
    gist = _gist(tmp_path)
    environment = {
        "GIST_DIR": str(tmp_path / "gist"), "GIST_NO_AUTOSERVE": "1", "GIST_UNCAP": "1",
        "GIST_HINTS": "0",
    }  # fmt: skip
    subprocess.run([gist, "index", str(big)], env={**os.environ, **environment}, check=True)
    rows = []
    for pattern, regex in PATTERNS:
        kind = [] if regex else ["-F"]

        def search(pattern: str = pattern, regex: bool = regex) -> int:
            results = indexed.search_text(pattern, regex=regex, case="sensitive", limit=1_000_000)
            assert len(results["path"]) == len(results["start_line"])
            return len([hit.snippet for hit in results.hits[:50]])

        calls = [
            search,
            _run([gist, "-n", "-s", *kind, "--", pattern, str(big)], environment),
            _run([rg_path(), "--no-config", "-n", "-s", *kind, "--", pattern, str(big)], {}),
        ]
        rounds = [[_cpu_ms(call) for call in calls] for _ in range(ROUNDS)]
        ours, gists, rgs = (statistics.median(column) for column in zip(*rounds, strict=True))
        lines = len(indexed.search_text(pattern, regex=regex, case="sensitive", limit=1_000_000))
        rows.append((pattern, lines, ours, gists, rgs, gists / ours, rgs / ours))
    show(
        "text, CPU ms",
        ("", "lines", "codeintel", "gist", "rg", "gist / ours", "rg / ours"),
        rows,
    )
    assert all(row[6] > 1 for row in rows)


def test_meaning(indexed: Workspace) -> None:
    """Measure CPU of a question: embedding and 200 nearest by FAISS Flat, and our hybrid search."""
    (stored,) = Store(indexed.settings.home).repositories()
    shards = [Shard(stored.shard(ref.id)) for ref in read_snapshot(stored.folder).shards]
    embedder = default_embedder()
    flat = faiss.IndexFlatIP(embedder.dim)
    for shard in shards:
        flat.add(decode(shard.vectors.codes))
    faiss.omp_set_num_threads(1)
    rows = []
    for title, scope in (("all", None), ("django alone", Scope(include="python/django/**"))):
        ours, theirs = list[float](), list[float]()
        for question in QUESTIONS * ROUNDS:
            ours.append(_cpu_ms(partial(indexed.semantic_search, question, scope)))
            theirs.append(_cpu_ms(partial(_nearest, flat, embedder, question)))
        chunks = indexed.count(scope or Scope()).chunks_in_scope
        p50, flat_p50 = statistics.median(ours), statistics.median(theirs)
        rows.append((title, chunks, p50, flat_p50, flat_p50 / p50))
    show(
        f"by meaning, CPU ms, p50; FAISS searches all {flat.ntotal:,} chunks",
        ("scope", "chunks", "hybrid", "FAISS Flat", "FAISS Flat / hybrid"),
        rows,
    )
    if flat.ntotal > 500_000:
        assert all(row[4] > 1 for row in rows)


def _nearest(flat: Any, embedder: Embedder, question: str) -> Any:
    return flat.search(embedder.embed_query(question), 200)


def test_definitions(indexed: Workspace) -> None:
    names = ("merge", "read_csv", "DataFrame", "kmalloc", "get_params", "to_dict")
    times = [
        statistics.median(_cpu_ms(partial(indexed.search_symbols, name)) for _ in range(ROUNDS))
        for name in names
    ]
    show("definitions, CPU ms", ("name", "ms"), list(zip(names, times, strict=True)))
    assert any(indexed.search_symbols(name).hits for name in names)
