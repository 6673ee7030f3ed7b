"""Searching, each part against a peer.

Text against ripgrep on the tree, vectors against brute force, scopes against pathspec, and the
scope registry against locked ones.
"""

import random
import subprocess
import threading
import time
import timeit
from collections import OrderedDict

import numpy as np
import pytest
from cachetools import TTLCache
from pathspec import GitIgnoreSpec

from codeintel_nb import Scope
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.index.shard.codes import decode
from codeintel_nb.index.shard.cutoff import Cutoff
from codeintel_nb.index.shard.paths import PathTable
from codeintel_nb.scopes.globs import PathMatcher
from codeintel_nb.scopes.registry import MemoryRegistry
from codeintel_nb.search.mask import compile_mask
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import median_ms, show

pytestmark = pytest.mark.benchmark

PATTERNS = [
    ("rare literal", "check_is_fitted", {}),
    ("no match", "qzxvvkjh_nothing", {}),
    ("common literal, 50", "import", {"limit": 50}),
    ("common literal, all", "import", {}),
    ("(?i)todo|fixme", "(?i)todo|fixme", {"regex": True}),
    ("def test_...(self", r"def\s+test_\w+\(self", {"regex": True}),
    ("word", "get_params", {"word": True}),
]


def test_text(corpus):
    rows = []
    for title, pattern, options in PATTERNS:
        limit = options.get("limit", 100_000)
        given = {**options, "limit": limit}
        command = [
            rg_path(),
            "--no-config",
            "--json",
            "--hidden",
            "--no-ignore",
            "--smart-case",
            *(["-w"] if options.get("word") else []),
            *([] if options.get("regex") else ["-F"]),
            "-e",
            pattern,
            str(corpus.root),
        ]
        ours = median_ms(lambda p=pattern, g=given: corpus.workspace.search_text(p, **g), 5)
        theirs = median_ms(lambda c=command: subprocess.run(c, capture_output=True, check=False), 5)
        rows.append(
            (
                title,
                len(corpus.workspace.search_text(pattern, **given)),
                ours,
                theirs,
                theirs / ours,
            )
        )
    show(
        "text search, warm, ms", ("", "lines", "codeintel", "rg --json on the tree", "ratio"), rows
    )
    assert np.exp(np.mean([np.log(row[4]) for row in rows])) > 1, (
        "faster than ripgrep in the geometric mean"
    )


def test_vectors(corpus):
    embedder = default_embedder()
    targets = corpus.workspace._repositories.view(Scope()).targets
    shards = [corpus.workspace._engine.shard_of(t) for t in targets]
    shard = max(shards, key=lambda s: s.manifest.chunks)
    exact = decode(shard.vectors.codes)
    query = embedder.embed_query("where are retries of a failed request counted")
    rng = np.random.default_rng(0)
    rows = []
    for share in (1.0, 0.1, 0.01, 0.001):
        mask = rng.random(shard.manifest.chunks) < share
        ids = np.flatnonzero(mask)
        found = shard.vectors.search(query, mask, len(ids), Cutoff(10))
        best = ids[np.argsort(-(exact[ids] @ query[0]), kind="stable")[:10]]
        recall = len(set(best.tolist()) & set(found.ids.tolist())) / max(1, len(best))
        ours = median_ms(lambda m=mask, i=ids: shard.vectors.search(query, m, len(i), Cutoff(10)))
        theirs = median_ms(lambda i=ids: np.argsort(-(exact[i] @ query[0]))[:10])
        everything = np.argsort(-(exact @ query[0]), kind="stable")[:10]
        afterwards = len(set(best.tolist()) & {int(i) for i in everything if mask[i]}) / max(
            1, len(best)
        )
        rows.append(
            (f"{100 * share:g} % of {len(mask):,}", len(ids), ours, theirs, recall, afterwards)
        )
        assert recall >= 0.99
    show(
        "ten closest in scope, ms",
        (
            "scope",
            "chunks",
            "codeintel",
            "numpy float32",
            "recall@10",
            "recall if filtered afterwards",
        ),
        rows,
    )


def test_semantic(corpus):
    queries = [
        "where is the traceback of an exception printed",
        "how are completions computed",
        "HtmlFormatter",
        "parse a type annotation",
        "generate random text",
        "cache",
    ]
    rows = []
    for mode in ("hybrid", "dense", "lexical"):
        times = [
            median_ms(lambda q=query, m=mode: corpus.workspace.semantic_search(q, mode=m), 5)
            for query in queries
        ]
        rows.append((mode, float(np.median(times)), float(max(times))))
    show(
        f"semantic search over {corpus.report.chunks:,} chunks, warm, ms", ("", "p50", "max"), rows
    )
    scope = Scope(include_globs=("hypothesis/**",))
    narrow = [
        median_ms(lambda q=query: corpus.workspace.semantic_search(q, scope), 5)
        for query in queries
    ]
    wide = [median_ms(lambda q=query: corpus.workspace.semantic_search(q), 5) for query in queries]
    assert np.median(narrow) < 1.5 * np.median(wide), "a narrow scope is not slower"


def test_scope_to_mask(corpus):
    scope = Scope(
        include_globs=("**/core/**", "*_test.py", "{src,lib}/**/*.py"),
        exclude_globs=("**/vendor/**", "*.min.js"),
        languages=("python",),
    )
    targets = corpus.workspace._repositories.view(Scope()).targets
    shards = [corpus.workspace._engine.shard_of(t) for t in targets]
    ours = median_ms(lambda: [compile_mask(shard, (), scope) for shard in shards], 5)
    paths = [path for shard in shards for path in shard.paths]
    include = GitIgnoreSpec.from_lines(["**/core/**", "*_test.py", "src/**/*.py", "lib/**/*.py"])
    exclude = GitIgnoreSpec.from_lines(scope.exclude_globs)
    theirs = median_ms(
        lambda: [include.match_file(p) and not exclude.match_file(p) for p in paths], 3
    )
    cached = median_ms(lambda: corpus.workspace.count(scope), 9)
    show(
        f"scope to mask, {len(paths):,} files, {corpus.report.chunks:,} chunks, ms",
        ("codeintel, cold", "codeintel, cached", "pathspec"),
        [(ours, cached, theirs)],
    )
    assert ours < theirs


def test_globs_over_100_000_paths():
    rng = random.Random(2)
    tops, subs, ends = (
        ["src", "lib", "pandas", "tests", "vendor", "docs"],
        ["core", "io", "api", "tests", "a", "view"],
        [".py", ".py", ".js", ".ts", ".md", ".go"],
    )
    found: set[str] = set()
    while len(found) < 100_000:
        folder = "/".join(
            [
                rng.choice(tops),
                *(
                    rng.choice(subs) + rng.choice(["", str(rng.randrange(30))])
                    for _ in range(rng.randrange(1, 5))
                ),
            ]
        )
        found.update(
            f"{folder}/{rng.choice(['mod', 'test_x', 'index'])}"
            f"{rng.randrange(3000)}{rng.choice(ends)}"
            for _ in range(8)
        )
    paths = sorted(found)[:100_000]
    table = PathTable.of(paths)
    rows = []
    for include, exclude in (
        (("src/**", "*_test.py", "lib/**/*.py"), ("**/vendor/**", "*.min.js")),
        (("*.py",), ("**/tests/**",)),
        (("pandas/core/**",), ()),
        (("src/*/core/**/*.{py,ts}",), ("test_*",)),
    ):
        matcher = PathMatcher(include, exclude)
        assert table.admitted(include, exclude).tolist() == matcher.admits_each(paths)
        rows.append(
            (
                " ".join((*include, *("!" + glob for glob in exclude))),
                median_ms(lambda i=include, e=exclude: table.admitted(i, e), 5),
                median_ms(lambda m=matcher: m.admits_each(paths), 3),
            )
        )
    show("globs over 100,000 paths, ms", ("", "table", "one re2 set, path by path"), rows)
    assert all(ours < 0.5 * theirs for _, ours, theirs in rows)


class Locked:
    """Peer: an ordered dictionary behind a lock, as LRU caches are usually written."""

    def __init__(self):
        self.lock, self.entries = threading.RLock(), OrderedDict()

    def get(self, key):
        with self.lock:
            scope, used_at = self.entries[key]
            if time.monotonic() - used_at > 3600:
                return None
            self.entries[key] = (scope, time.monotonic())
            self.entries.move_to_end(key)
            return scope

    def set(self, key, scope):
        with self.lock:
            self.entries[key] = (scope, time.monotonic())
            self.entries.move_to_end(key)
            if len(self.entries) > 10_000:
                self.entries.popitem(last=False)


class LockedCache:
    """Peer: cachetools' TTL cache behind a lock, which its documentation requires with threads."""

    def __init__(self):
        self.lock, self.cache = threading.RLock(), TTLCache(10_000, 3600)

    def get(self, key):
        with self.lock:
            return self.cache.get(key)

    def set(self, key, scope):
        with self.lock:
            self.cache[key] = scope


class Bare:
    """Lower bound: a dictionary with an expiry, but no size limit, renewal or counting."""

    def __init__(self):
        self.entries = {}

    def get(self, key):
        found = self.entries.get(key)
        return None if found is None or time.monotonic() - found[1] > 3600 else found[0]

    def set(self, key, scope):
        self.entries[key] = (scope, time.monotonic())


def test_registry():
    scope = Scope(languages=("python",)).interned()
    rows, count = [], 50_000
    for name, registry in (
        ("codeintel", MemoryRegistry()),
        ("RLock + OrderedDict", Locked()),
        ("RLock + cachetools.TTLCache", LockedCache()),
        ("no bound, no lock: dict", Bare()),
    ):
        for i in range(1000):
            registry.set(f"s{i}", scope)
        timed = {"get": "get('s7')", "set": "put('s7', scope)"}
        names = {"get": registry.get, "put": registry.set, "scope": scope}
        ns = [
            min(timeit.repeat(call, globals=names, number=count, repeat=7, timer=time.process_time))
            / count
            * 1e9
            for call in timed.values()
        ]
        rows.append((name, *ns))
    show("scope registry, ns of CPU a call", ("", "get", "set"), rows)
    ours, *locked, _ = rows
    assert all(ours[1] < peer[1] and ours[2] < peer[2] for peer in locked)
