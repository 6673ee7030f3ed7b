"""Indexer: rate, index size and the cost of an update without changes.

Peer: SQLite FTS5, which builds only text postings.
"""

import sqlite3
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from codeintel_nb.index.shard.manifest import PARTS
from codeintel_nb.index.shard.postings import Postings, PostingsBuilder
from codeintel_nb.index.shard.shard import Shard
from codeintel_nb.index.store import Store, read_snapshot
from tests.benchmarks.conftest import FULL, show

pytestmark = pytest.mark.benchmark


def test_build(corpus, tmp_path):
    began = time.process_time()
    peer = sqlite3.connect(tmp_path / "peer.db")
    peer.execute("create virtual table files using fts5(path, text)")
    size = 0
    for hit in corpus.workspace.list_paths():
        text = (
            corpus.workspace.open_file("site", hit.path).text
            if not FULL
            else (corpus.root / hit.path).read_text("utf-8", "replace")
        )
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
            (
                "codeintel: symbols, BM25, vectors, columns",
                corpus.cpu_s,
                megabytes / corpus.cpu_s,
                status.index_bytes / status.content_bytes,
            ),
            (
                "SQLite FTS5: words alone",
                peer_s,
                size / 1e6 / peer_s,
                (tmp_path / "peer.db").stat().st_size / size,
            ),
            ("codeintel, nothing changed (wall s)", again_s, megabytes / again_s, 0.0),
        ],
    )
    assert again.indexed == 0
    assert again_s < corpus.wall_s / 5
    assert status.index_bytes < 4 * status.content_bytes


def test_parts(corpus, tmp_path):
    """Measure index parts, the build rate of content and postings, and other list layouts."""
    store = Store(corpus.workspace.settings.home)
    (stored,) = store.repositories()
    shards = [Shard(stored.shard(ref.id)) for ref in read_snapshot(stored.folder).shards]
    source = sum(shard.size for shard in shards)
    sizes = Counter(
        {name: sum(shard.manifest.parts[name].size for shard in shards) for name in PARTS}
    )
    rows = [(name, size / 1e6, size / source) for name, size in sizes.most_common()]
    show(
        f"an index of {source / 1e6:,.0f} MB of text",
        ("part", "MB", "of the text"),
        [*rows, ("in all", sum(sizes.values()) / 1e6, sum(sizes.values()) / source)],
    )

    shard = max(shards, key=lambda shard: shard.size)
    content = shard.content[: 64 << 20]
    began = time.process_time()
    builder = PostingsBuilder()
    with (tmp_path / "content.bin").open("wb") as out:
        for begin, end in pairwise(
            [*(int(start) for start in shard.file_start if start < len(content)), len(content)]
        ):
            out.write(content[begin:end])
            builder.add(content[begin:end])
    builder.write(tmp_path / "postings.bin")
    rate = len(content) / 1e6 / (time.process_time() - began)

    postings = Postings(tmp_path / "postings.bin")
    counts, gaps, by_gaps, roaring = [], [], 0, 0
    for position in range(len(postings._codes)):
        blocks = postings.read(position)
        counts.append(len(blocks))
        gaps.append(np.diff(blocks, prepend=-1) - 1)
        by_gaps += min(
            2 * len(blocks), len(blocks) + int((gaps[-1] // 255).sum()), (postings.blocks + 7) // 8
        )
        # a header, then an array or a bitmap; there are fewer than 65,536 blocks
        roaring += 8 + min(2 * len(blocks), 8192)
    n, all_gaps = np.array(counts), np.concatenate(gaps)
    elias_fano = float(np.sum(n * (2 + np.maximum(0, np.log2(postings.blocks / n))) / 8))
    varint = float(np.sum(1 + (all_gaps >= 1 << 7) + (all_gaps >= 1 << 14)))
    stream_vbyte = float(np.sum(1 + (all_gaps >= 1 << 8)) + np.sum((n + 3) // 4))
    ours = sum(postings._lists.sizes(np.arange(len(counts))))
    show(
        f"posting lists of {len(content) / 1e6:,.0f} MB, "
        f"built with the content at {rate:.1f} MB/s of CPU",
        ("layout", "MB", "of the text"),
        [
            (name, size / 1e6, size / len(content))
            for name, size in (
                ("ids, bits or Elias-Fano", ours),
                ("Elias-Fano alone, at most", elias_fano),
                ("ids, bytes of gaps, or bits", by_gaps),
                ("StreamVByte", stream_vbyte),
                ("varint", varint),
                ("roaring", float(roaring)),
            )
        ],
    )
    assert sizes["postings.bin"] < 0.16 * source
    assert ours < min(by_gaps, stream_vbyte, varint, roaring)
