"""Indexing: the rate, the size and the cost of a second look; peer: SQLite FTS5, which builds text postings alone."""

import sqlite3
import time

import pytest

from tests.benchmarks.conftest import FULL, show

pytestmark = pytest.mark.benchmark


def test_build(corpus, tmp_path):
    began = time.process_time()
    peer = sqlite3.connect(tmp_path / "peer.db")
    peer.execute("create virtual table files using fts5(path, text)")
    size = 0
    for hit in corpus.workspace.list_paths():
        text = corpus.workspace.open_file("site", hit.path).text if not FULL else (corpus.root / hit.path).read_text("utf-8", "replace")
        size += len(text)
        peer.execute("insert into files values (?, ?)", (hit.path, text))
    peer.commit()
    peer_s = time.process_time() - began
    peer.close()

    report = corpus.report
    megabytes = report.content_bytes / 1e6
    (status,) = corpus.workspace.status()
    began = time.perf_counter()
    again = corpus.workspace.index(corpus.root, name="site")
    again_s = time.perf_counter() - began
    show(
        f"index {report.files:,} files, {report.chunks:,} chunks, {megabytes:.1f} MB of text",
        ("", "cpu s", "MB/cpu s", "size / text"),
        [
            ("codeintel: symbols, BM25, vectors, catalog", corpus.cpu_s, megabytes / corpus.cpu_s, status.index_bytes / status.content_bytes),
            ("SQLite FTS5: words alone", peer_s, size / 1e6 / peer_s, (tmp_path / "peer.db").stat().st_size / size),
            ("codeintel, nothing changed (wall s)", again_s, megabytes / again_s, 0.0),
        ],
    )
    assert again.indexed == 0
    assert again_s < corpus.wall_s / 5
    assert status.index_bytes < 4 * status.content_bytes
