"""The law of an engine: the same hits, scores and order as the local one."""

from __future__ import annotations

import random
import shutil
from itertools import product
from pathlib import Path
from typing import cast

import IPython
import msgspec

from codeintel_nb import Scope, Workspace
from codeintel_nb.engines.fleet.fleet import Fleet
from codeintel_nb.engines.fleet.fleet_engine import FleetEngine
from codeintel_nb.engines.local import LocalEngine
from codeintel_nb.search.query import MODES
from codeintel_nb.settings import Settings

SCOPES = (
    Scope(),
    Scope(include_globs=("core/**",)),
    Scope(languages=("python",), exclude_globs=("**/tests/**",)),
    Scope(kinds=("function", "method")),
    Scope(repos=("shop",)),
)
COUNT = 500  # queries
QUESTIONS = (
    "where is the traceback of an exception printed", "how are magics registered", "magic",
    "InteractiveShell.run_cell", "complete a name while it is typed", "the of and",
    "history of the session in a database", "show a picture in the notebook", "run_cell",
    "what is this repository about", "an example notebook", "test that a directory is removed",
)  # fmt: skip
PATTERNS = (
    r"def\s+_\w+", r"class \w+\(", r"[0-9]{4}", "self", "import", "e", "get_ipython",
    r"return (True|False)", "(?i)magic", "nowhere_to_be_found",
)  # fmt: skip


Asked = tuple[str, dict[str, object], Scope]  # method, arguments, scope


def make_home(folder: Path) -> Settings:
    """Index two trees in many shards, some with dead files; return the settings."""
    settings = msgspec.structs.replace(
        Settings.from_environment(folder / "home", {}), shard_bytes=300_000
    )
    tree, shop = folder / "tree", folder / "shop"
    shutil.copytree(IPython.__path__[0], tree, ignore=shutil.ignore_patterns("__pycache__"))
    for number in range(4):  # chunks that tie in every score
        (tree / f"copy {number}").mkdir()
        shutil.copy(tree / "core" / "magic.py", tree / f"copy {number}")
    shop.mkdir()
    for name in ("a", "b"):
        (shop / f"{name}.py").write_text(f"class Cart_{name}:\n    def add(self): return 1\n" * 40)
    with Workspace(settings, here=None, follow=False) as workspace:
        workspace.index(tree)
        workspace.index(shop)
        changed = tree / "core" / "history.py"
        changed.write_text(changed.read_text() + "\n\ndef added_later():\n    return magic\n")
        (tree / "core" / "usage.py").unlink()
        workspace.index(tree)
    return settings


def queries(names: list[str]) -> list[Asked]:
    """Return searches of every kind."""
    chosen = random.Random(11)
    words = sorted({word for name in names for word in name.split("_") if len(word) > 3})
    made = list[tuple[str, dict[str, object]]]()
    for question, mode, limit in product(QUESTIONS, MODES, (5, 60)):
        made.append(
            ("semantic_search", {"query": question, "mode": mode, "limit": limit, "why": limit < 9})
        )
    made.append(("semantic_search", {"query": "magic", "limit": 700}))
    for pattern, limit in product(PATTERNS, (7, 900)):
        made.append(("search_text", {"pattern": pattern, "regex": True, "limit": limit}))
    made += [
        ("search_text", {"pattern": "magic", "rank": True, "limit": 20}),
        ("search_text", {"pattern": "e", "rank": True, "limit": 20}),
        ("search_text", {"pattern": "self", "show": "counts", "limit": 99}),
        ("search_text", {"pattern": "self", "show": "files", "limit": 9}),
        ("symbols", {"name": "*", "limit": 40}), ("symbols", {"name": "run_*"}),
        ("symbols", {"name": "intractiveshell", "limit": 9}),
        ("list_paths", {}), ("list_paths", {"limit": 3}),
    ]  # fmt: skip
    while len(made) < COUNT:
        name, word = chosen.choice(names), chosen.choice(words)
        made.append(
            chosen.choice([
                ("search_text", {"pattern": name, "limit": chosen.choice([1, 50])}),
                ("search_text", {"pattern": rf"\b{word}", "regex": True, "rank": True, "limit": 9}),
                ("symbols", {"name": name, "limit": 30}),
                ("symbols", {"name": name[:-1] + "x", "limit": 9}),
                ("semantic_search", {"query": name, "mode": chosen.choice(MODES)}),
                ("semantic_search", {"query": f"how is {word} used in {name}"}),
            ])
        )  # fmt: skip
    return [
        (method, arguments, SCOPES[at % len(SCOPES)]) for at, (method, arguments) in enumerate(made)
    ]


def answer(workspace: Workspace, method: str, arguments: dict[str, object], scope: Scope) -> object:
    """Return what users see of an answer."""
    first = next(iter(arguments.values())) if method != "list_paths" else None
    rest = dict(list(arguments.items())[method != "list_paths" :])
    call = getattr(workspace, method)
    results = call(scope=scope, **rest) if first is None else call(first, scope=scope, **rest)
    return (
        [msgspec.to_builtins(hit) for hit in results.hits], results.total, results.reason,
        results.total_exact, results.more, results.confidence, results.coverage,
    )  # fmt: skip


def counts(workspace: Workspace, scope: Scope) -> object:
    """Return what is read from columns."""
    statement = "select language, count(*), sum(lines) from files group by 1 order by 1"
    return workspace.count(scope), workspace.facets(scope), workspace.sql(statement, scope).rows()


def opened(settings: Settings, fleet: Fleet) -> Workspace:
    """Open a workspace that searches on a fleet."""
    return Workspace(
        settings, here=None, follow=False,
        engine=lambda local: FleetEngine(
            cast("LocalEngine", local), fleet, bool(settings.buckets)
        ),
    )  # fmt: skip


def assert_lawful(workspace: Workspace, local: Workspace, asked: list[Asked]) -> None:
    """Compare hits, scores, order and counts with the local engine's."""
    assert len(asked) == 500
    for one in asked:
        assert answer(workspace, *one) == answer(local, *one), one
    for scope in SCOPES:
        assert counts(workspace, scope) == counts(local, scope)
    assert not workspace.problems()
