"""Many repositories with two in scope; peer: a workspace with only those two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codeintel_nb import Scope, Workspace
from tests.benchmarks.conftest import FULL, Corpus, median_ms, show

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]

MANY, IN_SCOPE = (20 if FULL else 8), 2
ROUNDS = 3


def test_repositories_out_of_scope_cost_little(corpus: Corpus, tmp_path: Path) -> None:
    folders = sorted(
        (folder for folder in corpus.root.glob("*/*") if folder.is_dir()),
        key=lambda folder: -len(list(folder.rglob("*.py*"))),
    )[:MANY]
    names = [f"{folder.parent.name}-{folder.name}" for folder in folders]
    many, few = Workspace.open(tmp_path / "many"), Workspace.open(tmp_path / "few")
    for number, (folder, name) in enumerate(zip(folders, names, strict=True)):
        many.index(folder, name)
        if number < IN_SCOPE:
            few.index(folder, name)
    scope = Scope(repos=tuple(names[:IN_SCOPE]))
    searches: dict[str, Callable[[Workspace, Scope | None], Any]] = {
        "text: a common word, 50 hits": lambda ws, scope: ws.search_text("import", scope, limit=50),
        "text: a rare one": lambda ws, scope: ws.search_text("NotImplementedError", scope),
        "text: no match": lambda ws, scope: ws.search_text("qqzzqq", scope),
        "by meaning": lambda ws, scope: ws.semantic_search("parse a command line option", scope),
        "a name": lambda ws, scope: ws.symbols("parse", scope=scope),
        "paths": lambda ws, scope: ws.list_paths(scope, limit=50),
    }  # fmt: skip
    rows, ratios = [], []
    for name, search in searches.items():
        assert [(hit.repo, hit.path, hit.start_line) for hit in search(many, scope)] == [
            (hit.repo, hit.path, hit.start_line) for hit in search(few, None)
        ]
        pairs = [
            (
                median_ms(lambda run=search: run(many, scope)),
                median_ms(lambda run=search: run(few, None)),
            )
            for _ in range(ROUNDS)
        ]
        with_many, alone = (sorted(column)[ROUNDS // 2] for column in zip(*pairs, strict=True))
        ratios.append(with_many / alone)
        rows.append((name, with_many, alone, ratios[-1]))
    many.close()
    few.close()
    show(
        f"{len(names)} repositories, {IN_SCOPE} in scope, beside these {IN_SCOPE} alone, ms",
        ("", f"of {len(names)}", "alone", "ratio"),
        rows,
    )
    assert sorted(ratios)[len(ratios) // 2] < 2
